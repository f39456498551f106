/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of events. Never holds more of a slow client than one frame and its place in the ring,
 * not even when the ring has ended: a client that reads gets the rest and a proper end, frame by
 * frame, and how long that may take is for whoever ended the ring to say.
 */
#include "shim/event_stream.h"

#include <stdlib.h>
#include <string.h>

#include "shim/request.h"

struct event_stream {
	struct shim *shim;
	struct ttrpc_call *call;
	struct event_cursor cursor;
	event_stream_send send;
};

static void stream_free(struct event_stream *s)
{
	events_unsubscribe(&s->cursor);
	free(s);
}

static void stream_fail(struct event_stream *s, const struct error *err)
{
	request_refuse(s->shim, s->call, WORDING_NAMED, err, NULL);
	stream_free(s);
}

static void stream_pump(struct event_stream *s)
{
	struct events *events = s->shim->events;
	const struct task_event *e;
	uint64_t missed;

	while (!ttrpc_call_is_pending(s->call)) {
		_cleanup_error_ struct error err = ERROR_INIT;

		e = events_next(events, &s->cursor, &missed);
		if (!e && events_has_ended(events)) {
			ttrpc_call_finish(s->call);
			stream_free(s);
			return;
		}
		if (!e)
			return;
		if (s->send(s->shim, s->call, e, missed, &err) != 0) {
			stream_fail(s, &err);
			return;
		}
	}
}

static void on_wake(void *userdata)
{
	stream_pump(userdata);
}

static void on_drained(void *userdata)
{
	stream_pump(userdata);
}

static void on_cancel(void *userdata)
{
	stream_free(userdata);
}

int event_stream_put(struct ttrpc_call *call, const ProtobufCMessage *message, struct error *err)
{
	int r = ttrpc_call_send(call, message);

	return r < 0 ? error_errno(err, r, "event") : 0;
}

void event_stream_begin(
	struct shim *shim, struct ttrpc_call *call, uint64_t since, event_stream_send send)
{
	struct event_stream *s = calloc(1, sizeof(*s));

	if (!s) {
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for the stream");
		return;
	}
	s->shim = shim;
	s->call = call;
	s->send = send;
	ttrpc_call_keep(call, on_cancel, on_drained, s);
	events_subscribe(shim->events, &s->cursor, since, on_wake, s);
	stream_pump(s);
}
