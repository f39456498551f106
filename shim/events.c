/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim's events: what is in one, and that each gets told. It owns the ring (common/ring.h) that they
 * are kept in. Never blocks, and never asks for memory after its start.
 */
#include "shim/events.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/limits.h"
#include "shim/event_payload.h"

static const struct ring_bounds bounds = { LIMIT_RING_EVENTS, LIMIT_RING_BYTES, RING_TAIL_EVENTS,
	RING_TAIL_BYTES };

struct events {
	uint64_t epoch;
	struct ring ring;
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
		r = ring_init(&events->ring, &bounds);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(events);
	return 0;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	ring_deinit(&events->ring);
	free(events);
}

uint64_t events_epoch(const struct events *events)
{
	return events->epoch;
}

uint64_t events_next_seq(const struct events *events)
{
	return events->ring.next_seq;
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

static size_t size_of(const struct event_payload *payload)
{
	return offsetof(struct task_event, payload) +
	       protobuf_c_message_get_packed_size(&payload->base);
}

int events_add(struct events *events, const struct event_args *args)
{
	struct event_payload payload;
	struct task_event *e;
	size_t size;

	event_payload_fill(&payload, args);
	size = size_of(&payload);
	if (ring_room(size) > LIMIT_RING_BYTES && args->kind == EVENT_CREATE) {
		payload.create.n_rootfs = 0;
		size = size_of(&payload);
	}
	e = (struct task_event *)ring_append(&events->ring, size);
	if (!e)
		return error_trace(-E2BIG);
	e->time = clock_now();
	e->kind = (uint8_t)args->kind;
	e->late = args->late;
	e->pid = args->pid;
	e->exit_status = args->exit_status;
	e->exited_at = args->exited_at;
	protobuf_c_message_pack(&payload.base, e->payload);
	tell_tap(events, e);
	ring_announce(&events->ring, &e->entry);
	return 0;
}

void events_end(struct events *events)
{
	ring_end(&events->ring);
}

bool events_has_ended(const struct events *events)
{
	return events->ring.ended;
}

struct ring *events_ring(struct events *events)
{
	return &events->ring;
}

void events_subscribe(struct events *events, struct ring_cursor *cursor, uint64_t since,
	void (*wake)(void *userdata), void *userdata)
{
	ring_subscribe(&events->ring, cursor, since, wake, userdata);
}

const struct task_event *events_next(struct ring_cursor *cursor, uint64_t *ret_missed)
{
	return (const struct task_event *)ring_next(cursor, ret_missed);
}
