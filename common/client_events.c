/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as the public header has them. Subtle: what an event is about is told by fields of its
 * message, which are looked for by their names, so that every kind is read by the same few lines.
 */
#include "common/cleat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/client_feed.h"
#include "common/client_private.h"
#include "common/pbtime.h"
#include "events.pb-c.h"

struct cleat_events {
	struct client_feed *feed;
	ProtobufCMessage *payload; /* of the event told last; NULL: of a kind that we do not know */
	struct cleat_event event;
};

static const ProtobufCMessageDescriptor *const types[] = {
	&containerd__events__task_create__descriptor,
	&containerd__events__task_start__descriptor,
	&containerd__events__task_delete__descriptor,
	&containerd__events__task_exit__descriptor,
	&containerd__events__task_oom__descriptor,
	&containerd__events__task_exec_added__descriptor,
	&containerd__events__task_exec_started__descriptor,
	&containerd__events__task_paused__descriptor,
	&containerd__events__task_resumed__descriptor,
	&containerd__events__task_checkpointed__descriptor,
};

/* The message's name is what stands behind the last slash. */
static const char *name_of(const Google__Protobuf__Any *any)
{
	const char *slash = strrchr(any->type_url, '/');

	return slash ? slash + 1 : any->type_url;
}

static ProtobufCMessage *unpack(const Google__Protobuf__Any *any)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i]->name, name_of(any)) == 0)
			return protobuf_c_message_unpack(
				types[i], NULL, any->value.len, any->value.data);
	return NULL;
}

/* Where the field is in the message; NULL: it has none of that name and type. */
static const void *field(const ProtobufCMessage *m, const char *name, ProtobufCType type)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);

	return f && f->type == type ? (const char *)m + f->offset : NULL;
}

static const char *text_of(const ProtobufCMessage *m, const char *name)
{
	const void *p = field(m, name, PROTOBUF_C_TYPE_STRING);

	return p ? *(char *const *)p : NULL;
}

static uint32_t number_of(const ProtobufCMessage *m, const char *name)
{
	const void *p = field(m, name, PROTOBUF_C_TYPE_UINT32);

	return p ? *(const uint32_t *)p : 0;
}

/* An exit names its exec as `id`, which is the container's for the init; other kinds as exec_id. */
static const char *exec_of(const ProtobufCMessage *m, const char *container)
{
	const char *id = text_of(m, "exec_id");

	if (!id)
		id = text_of(m, "id");
	return id && strcmp(id, container) != 0 ? id : "";
}

static void fill_payload(struct cleat_events *events, const Google__Protobuf__Any *any)
{
	struct cleat_event *to = &events->event;
	const void *at;

	to->type = name_of(any);
	to->payload = any->value.data;
	to->n_payload = any->value.len;
	events->payload = unpack(any);
	if (!events->payload)
		return;
	to->exec_id = exec_of(events->payload, to->id);
	to->pid = number_of(events->payload, "pid");
	at = field(events->payload, "exited_at", PROTOBUF_C_TYPE_MESSAGE);
	to->has_exit = at != NULL;
	to->exit_status = number_of(events->payload, "exit_status");
	to->exited_at = at ? pbtime_get(*(Google__Protobuf__Timestamp *const *)at) : 0;
}

static void fill(struct cleat_events *events, const char *id, const Cleat__Shim__V1__Event *e)
{
	events->event = (struct cleat_event){
		.id = id,
		.topic = e->topic,
		.time = pbtime_get(e->time),
		.epoch = e->epoch,
		.seq = e->seq,
		.missed = e->missed,
		.late = e->late,
		.exec_id = "",
		.type = "",
	};
	if (e->event)
		fill_payload(events, e->event);
}

PUBLIC int cleat_events_open(struct cleat_client *client,
	const struct cleat_events_options *options, struct cleat_events **ret,
	struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct cleat_events_options o;
	struct client_feed_options how;
	struct cleat_events *events;
	int r;

	client_copy_options(&o, sizeof(o), options);
	how = (struct client_feed_options){
		.from_now = o.from_now, .epoch = o.epoch, .since = o.since
	};
	events = calloc(1, sizeof(*events));
	if (!events)
		return error_errno(&e.error, -ENOMEM, "events");
	r = client_feed_open(&client->place, o.id, &how, &events->feed, &e.error);
	if (r != 0)
		free(events);
	else
		*ret = events;
	return r;
}

PUBLIC int cleat_events_fd(const struct cleat_events *events)
{
	return client_feed_fd(events->feed);
}

PUBLIC int cleat_events_next(struct cleat_events *events, int64_t timeout_ms,
	const struct cleat_event **ret, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	const Cleat__Shim__V1__Event *event;
	const char *id;
	int r = client_feed_next(events->feed, timeout_ms, &id, &event, &e.error);

	if (r != 0)
		return r;
	*ret = NULL;
	if (!event)
		return 0;
	protobuf_c_message_free_unpacked(events->payload, NULL);
	events->payload = NULL;
	fill(events, id, event);
	*ret = &events->event;
	return 0;
}

PUBLIC void cleat_events_close(struct cleat_events *events)
{
	if (!events)
		return;
	client_feed_close(events->feed);
	protobuf_c_message_free_unpacked(events->payload, NULL);
	free(events);
}
