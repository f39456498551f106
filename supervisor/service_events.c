/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Events service: events of others are checked at the edge and given to the hub; subscribers follow
 * it through their filters. Never holds more of a slow subscriber than its place in the hub and one
 * event. Subtle: an event is refused here that the hub has no room for, or that a client's decoder would
 * choke on, for otherwise one publisher would end everyone's streams.
 */
#include "supervisor/service_events.h"

#include <stdlib.h>
#include <string.h>

#include "common/client_rpc.h"
#include "common/cleanup.h"
#include "common/filter.h"
#include "common/ids.h"
#include "common/limits.h"
#include "common/pbtime.h"
#include "common/ring_stream.h"
#include "common/text.h"
#include "events_service.pb-c.h"
#include "supervisor.pb-c.h"
#include "supervisor/event_fields.h"

#define SHOWN 100u /* bytes of a topic in a sentence */

static void refuse(struct ttrpc_call *call, const struct error *err)
{
	ttrpc_call_fail(call, err->code, error_message(err));
}

/* --- what others publish --- */

/* One component of n bytes. */
static int check_component(const char *at, size_t n, struct error *err)
{
	char component[LIMIT_ID + 2]; /* too long shows in one byte more */

	if (n > LIMIT_ID + 1)
		n = LIMIT_ID + 1;
	memcpy(component, at, n);
	component[n] = '\0';
	return id_check(component, "component", err);
}

/* A slash before each component, each of which could be an id: as containerd has it. */
static int check_topic(const char *topic, struct error *err)
{
	_cleanup_free_ char *shown = text_clean(topic, strnlen(topic, SHOWN + 1), SHOWN);
	int code = 0;

	if (*topic != '/')
		return error_set(err, CODE_INVALID_ARGUMENT, "topic \"%s\" must begin with \"/\"",
			shown ? shown : "");
	for (const char *at = topic; *at == '/' && code == 0;) {
		size_t n = strcspn(++at, "/");

		code = check_component(at, n, err);
		at += n;
	}
	return code == 0 ? 0 : error_wrap(err, "topic \"%s\"", shown ? shown : "");
}

static int check_event(const struct hub_event *e, struct error *err)
{
	int code = id_check(e->ns, "namespace", err);

	if (code == 0)
		code = check_topic(e->topic, err);
	if (code != 0)
		return code;
	if (!text_is_utf8(e->type_url))
		return error_set(err, CODE_INVALID_ARGUMENT, "topic \"%.*s\": type_url is no UTF-8",
			(int)SHOWN, e->topic);
	if (!hub_event_fits(e))
		return error_set(err, CODE_RESOURCE_EXHAUSTED,
			"topic \"%.*s\": an event of %zu bytes is over the limit of %u with its texts",
			(int)SHOWN, e->topic, e->n_payload, LIMIT_HUB_EVENT);
	return 0;
}

static void set_payload(struct hub_event *e, const Google__Protobuf__Any *any)
{
	e->type_url = any ? any->type_url : "";
	e->payload = any ? any->value.data : NULL;
	e->n_payload = any ? any->value.len : 0;
}

static void publish(
	struct hub *hub, struct ttrpc_call *call, const struct hub_event *e, const char *what)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (check_event(e, &err) != 0) {
		error_wrap(&err, "%s", what);
		refuse(call, &err);
		return;
	}
	hub_publish(hub, e);
	ttrpc_call_reply(call, NULL);
}

static void events_publish(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Events__V1__PublishRequest *r = (const void *)request;
	struct hub_event e = { .topic = r->topic, .time = clock_now() };

	e.ns = ttrpc_call_metadata(call, CLIENT_NAMESPACE_KEY);
	if (!e.ns || !*e.ns) {
		ttrpc_call_fail(call, CODE_FAILED_PRECONDITION,
			"publish: namespace is required: the metadata have no " CLIENT_NAMESPACE_KEY);
		return;
	}
	set_payload(&e, r->event);
	publish(userdata, call, &e, "publish");
}

static void events_forward(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Events__V1__ForwardRequest *r = (const void *)request;
	const Containerd__Services__Events__V1__Envelope *envelope = r->envelope;
	struct hub_event e = { 0 };

	if (!envelope) {
		ttrpc_call_fail(call, CODE_INVALID_ARGUMENT, "forward: envelope is required");
		return;
	}
	e.ns = envelope->namespace_;
	e.topic = envelope->topic;
	e.time = pbtime_get(envelope->timestamp);
	if (e.time == 0) {
		ttrpc_call_fail(call, CODE_INVALID_ARGUMENT,
			"forward: envelope.timestamp must be set, to a time from 1678 to 2262");
		return;
	}
	set_payload(&e, envelope->event);
	publish(userdata, call, &e, "forward");
}

/* --- subscribers --- */

struct subscriber {
	struct ring_stream stream;
	struct filter *filter; /* NULL: everything */
};

static struct subscriber *subscriber_of(struct ring_stream *s)
{
	return container_of(s, struct subscriber, stream);
}

static bool matches(struct subscriber *s, const struct hub_event *e)
{
	_cleanup_event_fields_ struct event_fields fields;

	event_fields_init(&fields, e);
	return filter_matches(s->filter, event_field, &fields);
}

static int send_envelope(struct ttrpc_call *call, const struct hub_event *e, struct error *err)
{
	Containerd__Services__Events__V1__Envelope envelope =
		CONTAINERD__SERVICES__EVENTS__V1__ENVELOPE__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Google__Protobuf__Timestamp time;

	any.type_url = (char *)e->type_url;
	any.value = (ProtobufCBinaryData){ e->n_payload, (uint8_t *)e->payload };
	envelope.timestamp = pbtime_set(&time, e->time);
	envelope.namespace_ = (char *)e->ns;
	envelope.topic = (char *)e->topic;
	if (*e->type_url || e->n_payload > 0)
		envelope.event = &any;
	return ring_stream_put(call, &envelope.base, err);
}

static int send_missed(struct ttrpc_call *call, uint64_t n, struct error *err)
{
	Cleat__V1__Missed missed = CLEAT__V1__MISSED__INIT;
	uint8_t payload[16]; /* a tag and a number */
	struct hub_event e = {
		.ns = SERVICE_EVENTS_NAMESPACE,
		.topic = SERVICE_EVENTS_MISSED,
		.type_url = missed.base.descriptor->name,
		.payload = payload,
		.time = clock_now(),
	};

	missed.n = n;
	e.n_payload = protobuf_c_message_pack(&missed.base, payload);
	return send_envelope(call, &e, err);
}

static int subscriber_send(struct ring_stream *stream, const struct ring_entry *entry,
	uint64_t missed, struct error *err)
{
	struct hub_event e;
	int code = 0;

	hub_read(entry, &e);
	missed += e.missed;
	if (missed > 0)
		code = send_missed(stream->call, missed, err);
	if (code == 0 && matches(subscriber_of(stream), &e))
		code = send_envelope(stream->call, &e, err);
	return code;
}

static void subscriber_fail(struct ring_stream *stream, const struct error *err)
{
	refuse(stream->call, err);
}

static void subscriber_free(struct ring_stream *stream)
{
	struct subscriber *s = subscriber_of(stream);

	filter_free(s->filter);
	free(s);
}

static const struct ring_stream_ops ops = { subscriber_send, subscriber_fail, subscriber_free };

static void events_subscribe(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Events__V1__SubscribeRequest *r = (const void *)request;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct subscriber *s = calloc(1, sizeof(*s));

	if (!s) {
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for the stream");
		return;
	}
	if (filter_parse((const char *const *)r->filters, r->n_filters, &s->filter, &err) != 0) {
		refuse(call, &err);
		free(s);
		return;
	}
	ring_stream_begin(&s->stream, &ops, hub_ring(userdata), call, RING_FROM_NOW);
}

/* --- the table --- */

static const struct ttrpc_method methods[] = {
	{ "Publish", &containerd__services__events__v1__publish_request__descriptor,
		&google__protobuf__empty__descriptor, false, events_publish },
	{ "Forward", &containerd__services__events__v1__forward_request__descriptor,
		&google__protobuf__empty__descriptor, false, events_forward },
	{ "Subscribe", &containerd__services__events__v1__subscribe_request__descriptor,
		&containerd__services__events__v1__envelope__descriptor, true, events_subscribe },
};

int service_events_add(struct hub *hub, struct ttrpc_server *server)
{
	return ttrpc_server_add_service(server, "containerd.services.events.v1.Events", methods,
		sizeof(methods) / sizeof(*methods), hub);
}
