/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Monitor service: what there is to know about the shim, its events, its ledger. Everything
 * here is answered from memory or from the small ledger file; nothing waits for a runtime.
 */
#include "shim/service_monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/pbtime.h"
#include "common/ring_stream.h"
#include "monitor.pb-c.h"
#include "shim/event_stream.h"
#include "shim/request.h"

#define ENVELOPE 64u /* bytes of ttrpc around an answer: a tag, a length, and some to spare */

static void refuse(struct shim *shim, struct ttrpc_call *call, const struct error *err)
{
	request_refuse(shim, call, WORDING_NAMED, err, NULL);
}

/* The generated messages want char *, and only read it. */
static char *text(const char *s)
{
	return (char *)(s ? s : "");
}

/* --- Info --- */

/* A process as Info tells it, with the messages that it points to. */
struct told_process {
	Cleat__Shim__V1__ProcessRecord record;
	Cleat__Shim__V1__StreamCounters in, out, err;
	Google__Protobuf__Timestamp exited_at;
};

static void tell_counters(struct told_process *t, const struct stdio *stdio)
{
	struct stdio_counters n = { 0 };

	if (stdio)
		stdio_get_counters(stdio, &n);
	cleat__shim__v1__stream_counters__init(&t->in);
	cleat__shim__v1__stream_counters__init(&t->out);
	cleat__shim__v1__stream_counters__init(&t->err);
	t->in.bytes_in = n.in_in;
	t->in.bytes_out = n.in_out;
	t->out.bytes_in = n.out_in;
	t->out.bytes_out = n.out_out;
	t->err.bytes_in = n.err_in;
	t->err.bytes_out = n.err_out;
	t->record.stdin = &t->in;
	t->record.stdout = &t->out;
	t->record.stderr = &t->err;
}

static void tell_process(struct told_process *t, const struct process *p)
{
	Cleat__Shim__V1__ProcessRecord *r = &t->record;

	cleat__shim__v1__process_record__init(r);
	r->exec_id = text(p->exec_id);
	r->pid = (uint32_t)p->pid;
	r->status = text(process_status_word(p->status));
	r->terminal = p->terminal;
	r->stdin_uri = text(p->stdin_uri);
	r->stdout_uri = text(p->stdout_uri);
	r->stderr_uri = text(p->stderr_uri);
	if (p->exited) {
		r->exit_known = p->exit.known;
		r->exit_status = p->exit.known ? p->exit.status : 0;
		r->exited_at = pbtime_set(&t->exited_at, p->exit.at);
	}
	tell_counters(t, p->stdio);
}

struct told_processes {
	struct told_process *v;
	Cleat__Shim__V1__ProcessRecord **records;
	size_t n;
};

static void told_free(struct told_processes *told)
{
	free(told->v);
	free(told->records);
}

/* The init, then the execs; one of 2017 has no name before it has a pid. */
static int tell_processes(const struct container *c, struct told_processes *told)
{
	struct list *pos;

	told->v = calloc(c->n_processes, sizeof(*told->v));
	told->records = calloc(c->n_processes, sizeof(*told->records));
	if (!told->v || !told->records)
		return error_trace(-ENOMEM);
	tell_process(&told->v[told->n++], c->init);
	list_for_each (pos, &c->processes) {
		const struct process *p = list_entry(pos, struct process, processes_link);

		if (!p->named_by_pid || p->pid)
			tell_process(&told->v[told->n++], p);
	}
	for (size_t i = 0; i < told->n; i++)
		told->records[i] = &told->v[i].record;
	return 0;
}

static void tell_shim(const struct shim *shim, Cleat__Shim__V1__InfoResponse *info)
{
	info->id = text(shim->id);
	info->namespace_ = text(shim->ns);
	info->version = text(CLEAT_VERSION);
	info->shim_pid = (uint32_t)getpid();
	info->epoch = events_epoch(shim->events);
	info->next_seq = events_next_seq(shim->events);
	info->state_dir = text(shim->dir.path);
	info->socket = text(shim->socket_path);
	info->connections = (uint32_t)ttrpc_server_n_connections(shim->server);
	info->n_processes_reaped = reaper_n_strays(shim->reaper);
}

typedef Cleat__Shim__V1__InfoResponse__AnnotationsEntry annotation_entry;

/* *room, the caller's to free, is what info's list points to, in one piece. 0 or -ENOMEM. */
static int tell_annotations(
	const struct container *c, Cleat__Shim__V1__InfoResponse *info, void **room)
{
	size_t n = json_object_size(c->annotations);
	annotation_entry **list = calloc(1, n * (sizeof(*list) + sizeof(**list)) + 1);
	annotation_entry *entry = list ? (void *)(list + n) : NULL;
	const char *name;
	json_t *value;

	*room = list;
	if (!list)
		return error_trace(-ENOMEM);
	info->annotations = list;
	json_object_foreach (c->annotations, name, value) {
		cleat__shim__v1__info_response__annotations_entry__init(entry);
		entry->key = text(name);
		entry->value = text(json_string_value(value));
		list[info->n_annotations++] = entry++;
	}
	return 0;
}

/*
 * Read anew: a shim does not keep a document for months that is asked for once. spec is what info->spec
 * points to; the caller frees.
 */
static void tell_spec(
	const struct container *c, Cleat__Shim__V1__InfoResponse *info, struct buf *spec)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/config.json", c->bundle.path) < 0)
		return;
	/* a bundle that is gone by now has none to tell */
	if (fd_read_file(AT_FDCWD, path, spec, LIMIT_CONFIG_JSON) < 0)
		buf_deinit(spec);
	info->spec.data = buf_head(spec);
	info->spec.len = spec->len;
}

static void tell_container(const struct container *c, const struct told_processes *told,
	Google__Protobuf__Timestamp *created_at, Cleat__Shim__V1__InfoResponse *info)
{
	const Cleat__Shim__V1__ProcessRecord *init = told->records[0];

	info->runtime = text(c->runtime.command);
	info->bundle = text(c->bundle_path);
	info->created_at = pbtime_set(created_at, c->created_at);
	info->status = init->status;
	info->pid = init->pid;
	info->exited_at = init->exited_at;
	info->exit_known = init->exit_known;
	info->exit_status = init->exit_status;
	info->terminal = init->terminal;
	info->stdin = init->stdin_uri;
	info->stdout = init->stdout_uri;
	info->stderr = init->stderr_uri;
	info->n_processes = told->n;
	info->processes = told->records;
}

static void monitor_info(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__Shim__V1__InfoRequest *m = (const void *)request;
	_cleanup_(told_free) struct told_processes told = { NULL, NULL, 0 };
	Cleat__Shim__V1__InfoResponse info = CLEAT__SHIM__V1__INFO_RESPONSE__INIT;
	Google__Protobuf__Timestamp created_at;
	struct shim *shim = userdata;
	const struct container *c = request_container(shim);
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_buf_ struct buf spec = BUF_INIT;
	_cleanup_free_ void *annotations = NULL;
	int r = 0;

	tell_shim(shim, &info);
	if (c)
		r = tell_processes(c, &told);
	if (c && r == 0)
		r = tell_annotations(c, &info, &annotations);
	if (r < 0) {
		error_errno(&err, r, "info");
		refuse(shim, call, &err);
		return;
	}
	if (c)
		tell_container(c, &told, &created_at, &info);
	if (c && !m->without_spec)
		tell_spec(c, &info, &spec);
	if (protobuf_c_message_get_packed_size(&info.base) > LIMIT_FRAME_DATA - ENVELOPE)
		info.spec.len = 0; /* better all the rest than nothing */
	ttrpc_call_reply(call, &info.base);
}

/* --- Subscribe --- */

static int send_event(struct shim *shim, struct ttrpc_call *call, const struct task_event *e,
	uint64_t missed, struct error *err)
{
	Cleat__Shim__V1__Event message = CLEAT__SHIM__V1__EVENT__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Google__Protobuf__Timestamp time;

	any.type_url = text(event_type_name(e->kind));
	any.value.data = (uint8_t *)e->payload;
	any.value.len = event_n_payload(e);
	message.epoch = events_epoch(shim->events);
	message.seq = e->entry.seq;
	message.time = pbtime_set(&time, e->time);
	message.namespace_ = text(shim->ns);
	message.topic = text(event_topic(e->kind));
	message.event = &any;
	message.missed = missed;
	message.late = e->late;
	return ring_stream_put(call, &message.base, err);
}

static void monitor_subscribe(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__Shim__V1__SubscribeRequest *r = (const void *)request;
	struct shim *shim = userdata;
	bool same = r->epoch == events_epoch(shim->events);

	event_stream_begin(shim, call, same ? r->since : 0, send_event);
}

/* --- ExitRecords --- */

struct told_exit {
	Cleat__Shim__V1__ExitRecord record;
	Google__Protobuf__Timestamp started_at, exited_at;
};

static void tell_exit(struct told_exit *t, const struct exit_entry *e)
{
	Cleat__Shim__V1__ExitRecord *r = &t->record;

	cleat__shim__v1__exit_record__init(r);
	r->id = text(e->id);
	r->exec_id = text(e->exec_id);
	r->pid = (uint32_t)e->pid;
	r->exit_known = e->known;
	r->status = e->known ? e->status : 0;
	r->signal = e->known ? e->signal : 0;
	r->started_at = pbtime_set(&t->started_at, e->started_at);
	r->exited_at = pbtime_set(&t->exited_at, e->exited_at);
	r->utime_us = e->utime_us;
	r->stime_us = e->stime_us;
	r->maxrss_kb = e->maxrss_kb;
	r->oom = e->oom;
}

static void reply_exits(struct ttrpc_call *call, const Cleat__Shim__V1__ExitRecordsRequest *wanted,
	const struct exit_entry *entries, size_t n)
{
	Cleat__Shim__V1__ExitRecordsResponse response =
		CLEAT__SHIM__V1__EXIT_RECORDS_RESPONSE__INIT;
	_cleanup_free_ struct told_exit *told = calloc(n + 1, sizeof(*told));
	_cleanup_free_ Cleat__Shim__V1__ExitRecord **records = calloc(n + 1, sizeof(*records));

	if (!told || !records) {
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for the exit records");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct told_exit *t = &told[response.n_records];

		if (!wanted->all && strcmp(entries[i].exec_id, wanted->exec_id) != 0)
			continue;
		tell_exit(t, &entries[i]);
		records[response.n_records++] = &t->record;
	}
	response.records = records;
	ttrpc_call_reply(call, &response.base);
}

static void monitor_exit_records(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	struct shim *shim = userdata;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct exit_entry *entries = NULL;
	size_t n = 0;

	/* once the container was deleted its folder is gone, and the ledger with it */
	if (shim->dir.fd >= 0 && ledger_read(shim->dir.fd, &entries, &n, &err) != 0) {
		refuse(shim, call, &err);
		return;
	}
	reply_exits(call, (const void *)request, entries, n);
	exit_entries_free(entries, n);
}

/* --- the table --- */

static const struct ttrpc_method methods[] = {
	{ "Info", &cleat__shim__v1__info_request__descriptor,
		&cleat__shim__v1__info_response__descriptor, false, monitor_info },
	{ "Subscribe", &cleat__shim__v1__subscribe_request__descriptor,
		&cleat__shim__v1__event__descriptor, true, monitor_subscribe },
	{ "ExitRecords", &cleat__shim__v1__exit_records_request__descriptor,
		&cleat__shim__v1__exit_records_response__descriptor, false, monitor_exit_records },
};

int service_monitor_register(struct shim *shim)
{
	return ttrpc_server_add_service(shim->server, "cleat.shim.v1.Monitor", methods,
		sizeof(methods) / sizeof(*methods), shim);
}
