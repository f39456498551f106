/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream of a ring does not know: the shim, and how its services word an error. */
#include "shim/event_stream.h"

#include <stdlib.h>

#include "common/ring_stream.h"
#include "shim/request.h"

struct event_stream {
	struct ring_stream stream;
	struct shim *shim;
	event_stream_send send;
};

static struct event_stream *stream_of(struct ring_stream *s)
{
	return container_of(s, struct event_stream, stream);
}

static int stream_send(
	struct ring_stream *stream, const struct ring_entry *e, uint64_t missed, struct error *err)
{
	const struct event_stream *s = stream_of(stream);

	return s->send(s->shim, stream->call, (const struct task_event *)e, missed, err);
}

static void stream_fail(struct ring_stream *stream, const struct error *err)
{
	request_refuse(stream_of(stream)->shim, stream->call, WORDING_NAMED, err, NULL);
}

static void stream_free(struct ring_stream *stream)
{
	free(stream_of(stream));
}

static const struct ring_stream_ops ops = { stream_send, stream_fail, stream_free };

void event_stream_begin(
	struct shim *shim, struct ttrpc_call *call, uint64_t since, event_stream_send send)
{
	struct event_stream *s = calloc(1, sizeof(*s));

	if (!s) {
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for the stream");
		return;
	}
	s->shim = shim;
	s->send = send;
	ring_stream_begin(&s->stream, &ops, events_ring(shim->events), call, since);
}
