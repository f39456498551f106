/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of events, found by their names in the messages' own descriptors. Never guesses what a payload
 * of another type means: it has no fields.
 */
#include "supervisor/event_fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/pbtime.h"
#include "events.pb-c.h"

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

void event_fields_init(struct event_fields *f, const struct hub_event *e)
{
	f->e = e;
	f->payload = NULL;
	f->is_decoded = false;
	arena_init(&f->arena, f->room, sizeof(f->room), ARENA_LIMIT);
}

void event_fields_deinit(struct event_fields *f)
{
	arena_deinit(&f->arena);
}

/* A type's full name, which may stand behind a host's. */
static const ProtobufCMessageDescriptor *type_of(const char *url)
{
	const char *slash = strrchr(url, '/'), *name = slash ? slash + 1 : url;

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i]->name, name) == 0)
			return types[i];
	return NULL;
}

static const ProtobufCMessage *payload_of(struct event_fields *f)
{
	const ProtobufCMessageDescriptor *type = f->is_decoded ? NULL : type_of(f->e->type_url);

	if (type)
		f->payload = protobuf_c_message_unpack(
			type, &f->arena.allocator, f->e->n_payload, f->e->payload);
	f->is_decoded = true;
	return f->payload;
}

static const char *time_text(struct event_fields *f, const ProtobufCMessage *m)
{
	moment at = pbtime_get((const Google__Protobuf__Timestamp *)m);

	if (at == 0)
		return NULL;
	clock_format(at, f->text);
	return f->text;
}

static const char *number_text(struct event_fields *f, uint32_t number)
{
	snprintf(f->text, sizeof(f->text), "%" PRIu32, number);
	return f->text;
}

static const char *field_in(
	struct event_fields *f, const ProtobufCMessage *m, const char *const *path, size_t n)
{
	const ProtobufCFieldDescriptor *field =
		n > 0 ? protobuf_c_message_descriptor_get_field_by_name(m->descriptor, path[0])
		      : NULL;
	const void *value = field ? (const char *)m + field->offset : NULL;

	if (!field || field->label == PROTOBUF_C_LABEL_REPEATED)
		return NULL;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
		m = *(const ProtobufCMessage *const *)value;
		if (m && m->descriptor == &google__protobuf__timestamp__descriptor)
			return n == 1 ? time_text(f, m) : NULL;
		return m ? field_in(f, m, path + 1, n - 1) : NULL;
	}
	if (n > 1)
		return NULL;
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return *(const char *const *)value;
	if (field->type == PROTOBUF_C_TYPE_BOOL)
		return *(const protobuf_c_boolean *)value ? "true" : "false";
	return field->type == PROTOBUF_C_TYPE_UINT32 ? number_text(f, *(const uint32_t *)value)
						     : NULL;
}

const char *event_field(const char *const *path, size_t n, void *userdata)
{
	struct event_fields *f = userdata;
	const ProtobufCMessage *payload;

	if (n == 1 && strcmp(path[0], "namespace") == 0)
		return f->e->ns;
	if (n == 1 && strcmp(path[0], "topic") == 0)
		return f->e->topic;
	if (strcmp(path[0], "event") != 0)
		return NULL;
	payload = payload_of(f);
	return payload ? field_in(f, payload, path + 1, n - 1) : NULL;
}
