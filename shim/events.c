/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event ring. It owns the kept events; cursors belong to their readers. Never blocks, and
 * never loses an exit that had room reserved: the ring is a list through the events themselves,
 * so adding one allocates nothing. The one subtle rule: a cursor points at the event that it
 * reads next, so whoever frees an event moves those cursors on first.
 */
#include "shim/events.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/limits.h"
#include "shim/event_payload.h"

struct events {
	uint64_t epoch, next_seq;
	struct list ring; /* oldest first */
	size_t n, n_bytes;
	struct list cursors;
	bool ended;
	void (*on_event)(const struct task_event *e, void *userdata); /* the tap; NULL: none */
	void *userdata;
};

static struct task_event *event_of(struct list *link)
{
	return list_entry(link, struct task_event, ring_link);
}

static size_t event_bytes(const struct task_event *e)
{
	return sizeof(*e) + e->size;
}

int events_new(struct events **ret)
{
	_cleanup_free_ struct events *events = calloc(1, sizeof(*events));
	int r;

	if (!events)
		return error_trace(-ENOMEM);
	r = random_u64(&events->epoch);
	if (r < 0)
		return r;
	events->next_seq = 1;
	list_init(&events->ring);
	list_init(&events->cursors);
	*ret = TAKE_PTR(events);
	return 0;
}

void events_free(struct events *events)
{
	struct list *pos, *tmp;

	if (!events)
		return;
	list_for_each_safe (pos, tmp, &events->cursors)
		events_unsubscribe(list_entry(pos, struct event_cursor, cursors_link));
	list_for_each_safe (pos, tmp, &events->ring)
		free(event_of(pos));
	free(events);
}

uint64_t events_epoch(const struct events *events)
{
	return events->epoch;
}

uint64_t events_next_seq(const struct events *events)
{
	return events->next_seq;
}

/* The event after e, or NULL. */
static const struct task_event *event_after(const struct events *events, const struct task_event *e)
{
	return e->ring_link.next == &events->ring ? NULL : event_of(e->ring_link.next);
}

static void drop_oldest(struct events *events)
{
	struct task_event *oldest = event_of(events->ring.next);
	struct list *pos;

	list_for_each (pos, &events->cursors) {
		struct event_cursor *cursor = list_entry(pos, struct event_cursor, cursors_link);

		if (cursor->at == oldest)
			cursor->at = event_after(events, oldest);
	}
	events->n--;
	events->n_bytes -= event_bytes(oldest);
	list_unlink(&oldest->ring_link);
	free(oldest);
}

/*
 * Runs wake of every cursor that was at the end; e, if there is one, is what they are at now. A
 * wake may unsubscribe any cursor: each is taken off a list of those still to be looked at.
 */
static void wake_cursors(struct events *events, const struct task_event *e)
{
	struct list todo;

	if (list_is_empty(&events->cursors))
		return;
	todo = events->cursors;
	todo.next->prev = todo.prev->next = &todo;
	list_init(&events->cursors);
	while (!list_is_empty(&todo)) {
		struct event_cursor *cursor = list_first(&todo, struct event_cursor, cursors_link);

		list_unlink(&cursor->cursors_link);
		list_append(&events->cursors, &cursor->cursors_link);
		if (cursor->at)
			continue;
		cursor->at = e;
		cursor->wake(cursor->userdata);
	}
}

void events_tap(struct events *events, void (*on_event)(const struct task_event *e, void *userdata),
	void *userdata)
{
	events->on_event = on_event;
	events->userdata = userdata;
}

static void tell_tap(struct events *events, const struct task_event *e)
{
	if (events->on_event)
		events->on_event(e, events->userdata);
}

static void ring_append(struct events *events, struct task_event *e)
{
	list_init(&e->ring_link);
	list_append(&events->ring, &e->ring_link);
	events->n++;
	events->n_bytes += event_bytes(e);
	tell_tap(events, e);
	while (events->n > LIMIT_RING_EVENTS || events->n_bytes > LIMIT_RING_BYTES)
		drop_oldest(events);
	wake_cursors(events, e);
}

static void event_fill(struct task_event *e, const struct event_args *args, uint64_t seq)
{
	e->seq = seq;
	e->time = clock_now();
	e->kind = args->kind;
	e->pid = args->pid;
	e->exit_status = args->exit_status;
	e->exited_at = args->exited_at;
}

int events_add(struct events *events, const struct event_args *args)
{
	uint64_t seq = events->next_seq++;
	struct event_payload payload;
	struct task_event *e;
	size_t size;

	event_payload_fill(&payload, args);
	size = protobuf_c_message_get_packed_size(&payload.base);
	if (size > LIMIT_RING_BYTES - sizeof(*e) && args->kind == EVENT_CREATE) {
		payload.create.n_rootfs = 0;
		size = protobuf_c_message_get_packed_size(&payload.base);
	}
	if (size > LIMIT_RING_BYTES - sizeof(*e))
		return error_trace(-E2BIG);
	e = malloc(sizeof(*e) + size);
	if (!e)
		return error_trace(-ENOMEM);
	event_fill(e, args, seq);
	e->size = size;
	e->n_payload = protobuf_c_message_pack(&payload.base, e->payload);
	ring_append(events, e);
	return 0;
}

int events_reserve(struct task_event **ret)
{
	struct task_event *e = malloc(sizeof(*e) + EVENT_EXIT_ROOM);

	if (!e)
		return error_trace(-ENOMEM);
	e->size = EVENT_EXIT_ROOM;
	*ret = e;
	return 0;
}

void events_add_reserved(
	struct events *events, struct task_event *reserved_take, const struct event_args *args)
{
	struct task_event *e = reserved_take, *smaller;
	struct event_payload payload;
	size_t size;

	event_payload_fill(&payload, args);
	size = protobuf_c_message_get_packed_size(&payload.base);
	event_fill(e, args, events->next_seq++);
	/* Ids that are too long for the room were never valid; without them it is an exit still. */
	e->n_payload = size <= e->size ? protobuf_c_message_pack(&payload.base, e->payload) : 0;
	/* Most of the room is not needed any more; if it can't be given back, it is kept. */
	smaller = realloc(e, sizeof(*e) + e->n_payload);
	if (smaller) {
		e = smaller;
		e->size = e->n_payload;
	}
	ring_append(events, e);
}

void events_end(struct events *events)
{
	if (events->ended)
		return;
	events->ended = true;
	wake_cursors(events, NULL);
}

bool events_has_ended(const struct events *events)
{
	return events->ended;
}

/* The oldest kept event after since, or NULL: looked for from the newest, where readers mostly are. */
static const struct task_event *find_after(const struct events *events, uint64_t since)
{
	const struct task_event *found = NULL;

	for (struct list *pos = events->ring.prev; pos != &events->ring; pos = pos->prev) {
		if (event_of(pos)->seq <= since)
			break;
		found = event_of(pos);
	}
	return found;
}

void events_subscribe(struct events *events, struct event_cursor *cursor, uint64_t since,
	void (*wake)(void *userdata), void *userdata)
{
	if (since >= events->next_seq)
		since = events->next_seq - 1;
	cursor->at = find_after(events, since);
	if (since == 0)
		cursor->next = cursor->at ? cursor->at->seq : events->next_seq;
	else
		cursor->next = since + 1;
	cursor->wake = wake;
	cursor->userdata = userdata;
	list_init(&cursor->cursors_link);
	list_append(&events->cursors, &cursor->cursors_link);
}

void events_unsubscribe(struct event_cursor *cursor)
{
	if (!cursor->cursors_link.next)
		return;
	list_unlink(&cursor->cursors_link);
	cursor->at = NULL;
}

const struct task_event *events_next(
	struct events *events, struct event_cursor *cursor, uint64_t *ret_missed)
{
	const struct task_event *e = cursor->at;

	*ret_missed = 0;
	if (!e)
		return NULL;
	*ret_missed = e->seq - cursor->next;
	cursor->next = e->seq + 1;
	cursor->at = event_after(events, e);
	return e;
}
