/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of events, who reads them, and what is kept for whom; the bytes are event_ring.c's. It
 * owns the kept events; cursors belong to their readers. Never blocks, and never asks for memory
 * after its start. The one subtle rule: an event counts the cursors that read it next, so that
 * nothing else has to be looked at to know whether the oldest may go.
 */
#include "shim/events.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/limits.h"
#include "shim/event_payload.h"
#include "shim/event_ring.h"

struct events {
	uint64_t epoch, next_seq;
	struct event_ring ring;
	struct list cursors;
	bool ended;
	void (*on_event)(const struct task_event *e, void *userdata); /* the tap; NULL: none */
	void *userdata;
};

int events_new(struct events **ret)
{
	_cleanup_free_ struct events *events = calloc(1, sizeof(*events));
	int r;

	if (!events)
		return error_trace(-ENOMEM);
	r = random_u64(&events->epoch);
	if (r == 0)
		r = event_ring_init(&events->ring);
	if (r < 0)
		return r;
	events->next_seq = 1;
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
	event_ring_deinit(&events->ring);
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

/* e: NULL for the end. */
static void cursor_move(struct event_cursor *cursor, struct task_event *e)
{
	if (cursor->at)
		cursor->at->n_readers--;
	cursor->at = e;
	if (e)
		e->n_readers++;
}

/* --- what is kept --- */

/* Drops what everyone has read, down to the tail, of which the newest event always is one. */
static void trim(struct events *events)
{
	struct event_ring *ring = &events->ring;

	while (ring->n > 1 && event_ring_oldest(ring)->n_readers == 0 &&
		(ring->n > RING_TAIL_EVENTS || event_ring_bytes(ring) > RING_TAIL_BYTES))
		event_ring_drop_oldest(ring);
	event_ring_give_back(ring);
}

/* Its readers have missed it. */
static void lose_oldest(struct events *events)
{
	struct task_event *oldest = event_ring_oldest(&events->ring);
	struct list *pos;

	if (oldest->n_readers > 0)
		list_for_each (pos, &events->cursors) {
			struct event_cursor *cursor =
				list_entry(pos, struct event_cursor, cursors_link);

			if (cursor->at == oldest)
				cursor_move(cursor, event_ring_after(&events->ring, oldest));
		}
	event_ring_drop_oldest(&events->ring);
}

/* Room for size bytes more, within the limits. */
static void make_room(struct events *events, size_t size)
{
	struct event_ring *ring = &events->ring;
	struct list *pos;
	size_t by;

	while (ring->n >= LIMIT_RING_EVENTS || event_ring_bytes(ring) + size > LIMIT_RING_BYTES)
		lose_oldest(events);
	by = event_ring_make_room(ring, size);
	if (by == 0)
		return;
	list_for_each (pos, &events->cursors) {
		struct event_cursor *cursor = list_entry(pos, struct event_cursor, cursors_link);

		if (cursor->at)
			cursor->at = (struct task_event *)((uint8_t *)cursor->at - by);
	}
}

/* --- adding --- */

/*
 * Runs wake of every cursor that was at the end; e, if there is one, is what they are at now. A
 * wake may unsubscribe any cursor: each is taken off a list of those still to be looked at.
 */
static void wake_cursors(struct events *events, struct task_event *e)
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
		cursor_move(cursor, e);
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

int events_add(struct events *events, const struct event_args *args)
{
	uint64_t seq = events->next_seq++;
	struct event_payload payload;
	struct task_event *e;
	size_t n, size;

	event_payload_fill(&payload, args);
	n = protobuf_c_message_get_packed_size(&payload.base);
	if (event_ring_size(n) > LIMIT_RING_BYTES && args->kind == EVENT_CREATE) {
		payload.create.n_rootfs = 0;
		n = protobuf_c_message_get_packed_size(&payload.base);
	}
	size = event_ring_size(n);
	if (size > LIMIT_RING_BYTES)
		return error_trace(-E2BIG);
	make_room(events, size);
	e = event_ring_append(&events->ring, n);
	e->seq = seq;
	e->time = clock_now();
	e->kind = (uint8_t)args->kind;
	e->late = args->late;
	e->pid = args->pid;
	e->exit_status = args->exit_status;
	e->exited_at = args->exited_at;
	protobuf_c_message_pack(&payload.base, e->payload);
	tell_tap(events, e);
	wake_cursors(events, e);
	trim(events);
	return 0;
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

/* --- reading --- */

/* The oldest kept event after since, or NULL. */
static struct task_event *find_after(const struct events *events, uint64_t since)
{
	const struct event_ring *ring = &events->ring;
	struct task_event *e = event_ring_oldest(ring);

	if (e && ring->newest->seq <= since) /* as for most who come back */
		return NULL;
	while (e && e->seq <= since)
		e = event_ring_after(ring, e);
	return e;
}

void events_subscribe(struct events *events, struct event_cursor *cursor, uint64_t since,
	void (*wake)(void *userdata), void *userdata)
{
	if (since >= events->next_seq)
		since = events->next_seq - 1;
	cursor->events = events;
	cursor->at = NULL;
	cursor_move(cursor, find_after(events, since));
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
	struct events *events = cursor->events;

	if (!events)
		return;
	list_unlink(&cursor->cursors_link);
	cursor_move(cursor, NULL);
	cursor->events = NULL;
	trim(events);
}

const struct task_event *events_next(
	struct events *events, struct event_cursor *cursor, uint64_t *ret_missed)
{
	const struct task_event *e;

	*ret_missed = 0;
	trim(events); /* what the last call has returned may go by now */
	e = cursor->at;
	if (!e)
		return NULL;
	*ret_missed = e->seq - cursor->next;
	cursor->next = e->seq + 1;
	cursor_move(cursor, event_ring_after(&events->ring, e));
	return e;
}
