/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Followers of a namespace. Holds a cursor of the hub for each, and one event of it that waits to be
 * written. Subtle: what was missed is told with the next event of the namespace, so it is added up over
 * those of others.
 */
#include "supervisor/service_subscribe.h"

#include <stdlib.h>
#include <string.h>

#include "common/pbtime.h"
#include "common/ring_stream.h"

struct follower {
	struct ring_stream stream;
	uint64_t missed;       /* since the last one that was sent */
	uint64_t epoch, since; /* of the one container: what its caller has already */
	char *id;	       /* NULL: every container */
	char ns[];
};

static struct follower *follower_of(struct ring_stream *s)
{
	return container_of(s, struct follower, stream);
}

static int send_event(
	struct follower *f, const struct hub_event *e, uint64_t missed, struct error *err)
{
	Cleat__V1__ContainerEvent message = CLEAT__V1__CONTAINER_EVENT__INIT;
	Cleat__Shim__V1__Event event = CLEAT__SHIM__V1__EVENT__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Google__Protobuf__Timestamp time;

	any.type_url = (char *)e->type_url;
	any.value = (ProtobufCBinaryData){ e->n_payload, (uint8_t *)e->payload };
	event.epoch = e->epoch;
	event.seq = e->seq;
	event.time = pbtime_set(&time, e->time);
	event.namespace_ = (char *)e->ns;
	event.topic = (char *)e->topic;
	event.event = &any;
	event.missed = missed;
	event.late = e->late;
	message.id = (char *)e->id;
	message.event = &event;
	return ring_stream_put(f->stream.call, &message.base, err);
}

static int follower_send(struct ring_stream *stream, const struct ring_entry *entry,
	uint64_t missed, struct error *err)
{
	struct follower *f = follower_of(stream);
	struct hub_event e;

	hub_read(entry, &e);
	f->missed += missed;
	if (!e.id || strcmp(e.ns, f->ns) != 0 || (f->id && strcmp(e.id, f->id) != 0))
		return 0;
	if (f->id && e.epoch == f->epoch && e.seq <= f->since)
		return 0;
	missed = f->missed + e.missed;
	f->missed = 0;
	return send_event(f, &e, missed, err);
}

static void follower_fail(struct ring_stream *stream, const struct error *err)
{
	ttrpc_call_fail(stream->call, err->code, error_message(err));
}

static void follower_free(struct ring_stream *stream)
{
	struct follower *f = follower_of(stream);

	free(f->id);
	free(f);
}

static const struct ring_stream_ops ops = { follower_send, follower_fail, follower_free };

void service_events_subscribe_all(struct hub *hub, struct ttrpc_call *call,
	const Cleat__V1__SubscribeRequest *request, const char *ns)
{
	size_t n = strlen(ns) + 1;
	struct follower *f = calloc(1, sizeof(*f) + n);

	if (f && *request->id)
		f->id = strdup(request->id);
	if (!f || (*request->id && !f->id)) {
		free(f);
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for the stream");
		return;
	}
	f->epoch = request->epoch;
	f->since = request->since;
	memcpy(f->ns, ns, n);
	ring_stream_begin(
		&f->stream, &ops, hub_ring(hub), call, request->from_now ? RING_FROM_NOW : 0);
}
