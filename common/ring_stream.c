/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of a ring. Never holds more of a slow client than what one entry makes of frames and its
 * place in the ring, not even when the ring has ended: a client that reads gets the rest and a proper
 * end, frame by frame, and how long that may take is for whoever ended the ring to say.
 */
#include "common/ring_stream.h"

static void stream_free(struct ring_stream *s)
{
	ring_unsubscribe(&s->cursor);
	s->ops->free(s);
}

static void stream_pump(struct ring_stream *s)
{
	const struct ring_entry *e;
	uint64_t missed;

	while (!ttrpc_call_is_pending(s->call)) {
		_cleanup_error_ struct error err = ERROR_INIT;

		e = ring_next(&s->cursor, &missed);
		if (!e && s->cursor.ring->ended) {
			ttrpc_call_finish(s->call);
			stream_free(s);
			return;
		}
		if (!e)
			return;
		if (s->ops->send(s, e, missed, &err) != 0) {
			s->ops->fail(s, &err);
			stream_free(s);
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

void ring_stream_begin(struct ring_stream *s, const struct ring_stream_ops *ops, struct ring *ring,
	struct ttrpc_call *call, uint64_t since)
{
	s->ops = ops;
	s->call = call;
	ttrpc_call_keep(call, on_cancel, on_drained, s);
	ring_subscribe(ring, &s->cursor, since, on_wake, s);
	stream_pump(s);
}

int ring_stream_put(struct ttrpc_call *call, const ProtobufCMessage *message, struct error *err)
{
	int r = ttrpc_call_send(call, message);

	return r < 0 ? error_errno(err, r, "event") : 0;
}
