/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiving end of forwarded events, and the words for them. Never refuses an event. Subtle: a
 * word carries what is wrong with its message, so that a table of words holds the payloads too.
 */
#include "test/conformance/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/ttrpc_server.h"
#include "events.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "test/conformance/launch.h"
#include "events_forward.pb-c.h"

#define SERVICE "containerd.services.events.ttrpc.v1.Events"

struct sink {
	struct ttrpc_server *server;
	char *path;
	bool tells_oom;
	struct sink_subject subject;
	size_t n;
	char *words[SINK_EVENTS];
};

/* --- words --- */

static const struct kind {
	const char *topic;
	const ProtobufCMessageDescriptor *message;
} kinds[] = {
	{ "/tasks/create", &containerd__events__task_create__descriptor },
	{ "/tasks/start", &containerd__events__task_start__descriptor },
	{ "/tasks/oom", &containerd__events__task_oom__descriptor },
	{ "/tasks/exit", &containerd__events__task_exit__descriptor },
	{ "/tasks/delete", &containerd__events__task_delete__descriptor },
	{ "/tasks/exec-added", &containerd__events__task_exec_added__descriptor },
	{ "/tasks/exec-started", &containerd__events__task_exec_started__descriptor },
	{ "/tasks/paused", &containerd__events__task_paused__descriptor },
	{ "/tasks/resumed", &containerd__events__task_resumed__descriptor },
	{ "/tasks/checkpointed", &containerd__events__task_checkpointed__descriptor },
};

static const void *member(const ProtobufCMessage *m, const char *name)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);

	return field ? (const char *)m + field->offset : NULL;
}

static const char *text_of(const ProtobufCMessage *m, const char *name)
{
	const void *at = member(m, name);

	return at ? *(char *const *)at : "";
}

static void add_process(
	FILE *f, const struct sink *sink, const ProtobufCMessage *m, const char *id_name)
{
	const char *id = text_of(m, id_name);
	const uint32_t *status = member(m, "exit_status");
	bool is_init = *id == '\0' || strcmp(id, sink->subject.id) == 0;

	if (is_init)
		fputs(":init", f);
	else if (strcmp(id, sink->subject.exec_id) == 0)
		fputs(":exec", f);
	else
		fprintf(f, ":%s", id);
	if (status)
		fprintf(f, "=%u", *status);
}

static void add_faults(FILE *f, const struct sink *sink, const ProtobufCMessage *m)
{
	const uint32_t *pid = member(m, "pid");
	void *const *exited_at = member(m, "exited_at");
	/* one that was never started has neither */
	bool may_lack = m->descriptor == &containerd__events__task_delete__descriptor && *pid == 0;
	const Containerd__Events__TaskCreate *create = (const void *)m;

	if (strcmp(text_of(m, "container_id"), sink->subject.id) != 0)
		fprintf(f, "!id=%s", text_of(m, "container_id"));
	if (pid && *pid == 0 && !may_lack)
		fputs("!pid", f);
	if (exited_at && !*exited_at && !may_lack)
		fputs("!time", f);
	if (m->descriptor == &containerd__events__task_create__descriptor &&
		(strcmp(create->bundle, sink->subject.bundle) != 0 || !create->io))
		fputs("!create", f);
}

static void describe(FILE *f, const struct sink *sink, const struct kind *kind,
	const Google__Protobuf__Any *event)
{
	ProtobufCMessage *m = event ? protobuf_c_message_unpack(kind->message, NULL,
					      event->value.len, event->value.data)
				    : NULL;

	fputs(kind->topic + strlen("/tasks/"), f);
	if (!m) {
		fputs("!message", f);
		return;
	}
	if (strcmp(event->type_url, kind->message->name) != 0)
		fprintf(f, "!type=%s", event->type_url);
	if (kind->message == &containerd__events__task_exit__descriptor ||
		kind->message == &containerd__events__task_delete__descriptor)
		add_process(f, sink, m, "id");
	add_faults(f, sink, m);
	protobuf_c_message_free_unpacked(m, NULL);
}

static void take(struct sink *sink, const char *ns, const char *topic,
	const Google__Protobuf__Any *event, bool has_time)
{
	const struct kind *kind = NULL;
	size_t size;
	FILE *f;

	if (!sink->tells_oom && strcmp(topic, "/tasks/oom") == 0)
		return;
	if (sink->n == SINK_EVENTS)
		die("more than %d events in one cell", SINK_EVENTS);
	f = open_memstream(&sink->words[sink->n], &size);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].topic, topic) == 0)
			kind = &kinds[i];
	if (kind)
		describe(f, sink, kind, event);
	else
		fprintf(f, "!topic=%s", topic);
	if (strcmp(ns, CONFORM_NS) != 0)
		fprintf(f, "!namespace=%s", ns);
	if (!has_time)
		fputs("!stamp", f);
	fclose(f);
	sink->n++;
}

/* --- the service --- */

static void forward(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Events__Ttrpc__V1__ForwardRequest *r = (const void *)request;
	const Containerd__Services__Events__Ttrpc__V1__Envelope *e = r->envelope;

	if (e)
		take(userdata, e->namespace_, e->topic, e->event, e->timestamp != NULL);
	ttrpc_call_reply(call, NULL);
}

static const struct ttrpc_method methods[] = {
	{ "Forward", &containerd__services__events__ttrpc__v1__forward_request__descriptor,
		&google__protobuf__empty__descriptor, false, forward },
};

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (void *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0)
		die("%s: %m", path);
	return fd;
}

struct sink *sink_new(struct conform *conform)
{
	struct sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		die("no memory");
	sink->path = format("%s/events.sock", conform->dir);
	sink->tells_oom = launch_oom_is_true(conform);
	if (ttrpc_server_new(conform->base, listen_at(sink->path), &sink->server) < 0 ||
		ttrpc_server_add_service(sink->server, SERVICE, methods, 1, sink) < 0)
		die("the sink for events could not be made");
	return sink;
}

void sink_free(struct sink *sink)
{
	if (!sink)
		return;
	sink_begin(sink, &(struct sink_subject){ "", "", "" });
	ttrpc_server_free(sink->server);
	free(sink->path);
	free(sink);
}

const char *sink_address(const struct sink *sink)
{
	return sink->path;
}

void sink_begin(struct sink *sink, const struct sink_subject *subject)
{
	for (size_t i = 0; i < sink->n; i++)
		free(sink->words[i]);
	sink->n = 0;
	sink->subject = *subject;
}

size_t sink_count(const struct sink *sink)
{
	return sink->n;
}

const char *sink_word(const struct sink *sink, size_t i)
{
	return sink->words[i];
}
