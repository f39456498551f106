/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Supervisor service. Subtle: Get passes the shim's own Info on, and where that does not come in time
 * tells from the files, so it waits for a shim that hangs, but not for long.
 */
#include "supervisor/service_supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/ledger.h"
#include "common/pbtime.h"
#include "common/state_dir.h"
#include "common/ttrpc_server.h"
#include "supervisor.pb-c.h"
#include "supervisor/adoption.h"
#include "supervisor/caller.h"
#include "supervisor/make_container.h"
#include "supervisor/deletion.h"
#include "supervisor/forward.h"
#include "supervisor/listing.h"
#include "supervisor/member_link.h"
#include "supervisor/registry.h"
#include "supervisor/service_subscribe.h"

/* --- Info, List --- */

static void supervisor_info(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	Cleat__V1__InfoResponse to = CLEAT__V1__INFO_RESPONSE__INIT;
	const struct supervisor *s = userdata;
	Google__Protobuf__Timestamp started_at;

	(void)request;
	to.version = (char *)CLEAT_VERSION;
	to.pid = (uint32_t)getpid();
	to.root = (char *)s->root;
	to.started_at = pbtime_set(&started_at, s->started_at);
	for (size_t i = 0; i < s->registry->n; i++)
		to.n_containers += member_is_shown(s->registry->v[i]);
	to.connections = (uint32_t)ttrpc_server_n_connections(s->server);
	ttrpc_call_reply(call, &to.base);
}

static void supervisor_list(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__V1__ListRequest *r = (const void *)request;
	const char *ns = r->all_namespaces ? NULL : caller_namespace(call);

	if (ns || r->all_namespaces)
		listing_begin(userdata, call, ns, listing_reply_containers);
}

/* --- Get --- */

static void reply_get(
	struct ttrpc_call *call, const struct member *m, const Cleat__Shim__V1__InfoResponse *info)
{
	Cleat__V1__GetResponse to = CLEAT__V1__GET_RESPONSE__INIT;
	struct listed_container listed;

	listing_fill_container(m, &listed);
	to.container = &listed.container;
	to.info = (Cleat__Shim__V1__InfoResponse *)info;
	ttrpc_call_reply(call, &to.base);
}

/* A process as it is known here, as Info has it. */
struct told {
	Cleat__Shim__V1__ProcessRecord record;
	Google__Protobuf__Timestamp exited_at;
};

static void tell_process(struct told *t, const struct member_process *p)
{
	Cleat__Shim__V1__ProcessRecord *r = &t->record;

	cleat__shim__v1__process_record__init(r);
	r->exec_id = (char *)p->exec_id;
	r->pid = p->pid;
	r->status = (char *)member_status_word(p->status);
	r->terminal = p->terminal;
	r->stdin_uri = p->stdin_uri ? p->stdin_uri : (char *)"";
	r->stdout_uri = p->stdout_uri ? p->stdout_uri : (char *)"";
	r->stderr_uri = p->stderr_uri ? p->stderr_uri : (char *)"";
	if (!p->exited)
		return;
	r->exit_known = p->exit_known;
	r->exit_status = p->exit_status;
	r->exited_at = pbtime_set(&t->exited_at, p->exited_at);
}

/* What there is of the container as a whole, as its shim would tell it. */
static void tell_container(Cleat__Shim__V1__InfoResponse *info, const Cleat__V1__Container *c)
{
	info->id = c->id;
	info->namespace_ = c->namespace_;
	info->status = c->status;
	info->pid = c->pid;
	info->bundle = c->bundle;
	info->runtime = c->runtime;
	info->socket = c->socket;
	info->version = c->version;
	info->epoch = c->epoch;
	info->shim_pid = c->shim_pid;
	info->terminal = c->terminal;
	info->created_at = c->created_at;
	info->exit_known = c->exit_known;
	info->exit_status = c->exit_status;
	info->exited_at = c->exited_at;
}

/* Its shim does not tell. */
static void reply_get_from_memory(struct ttrpc_call *call, const struct member *m)
{
	Cleat__Shim__V1__InfoResponse info = CLEAT__SHIM__V1__INFO_RESPONSE__INIT;
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	struct listed_container listed;
	size_t n = list_length(&m->processes);
	_cleanup_free_ struct told *told = calloc(n + 1, sizeof(*told));
	_cleanup_free_ Cleat__Shim__V1__ProcessRecord **records = calloc(n + 1, sizeof(*records));
	struct list *pos;

	if (told && records) {
		list_for_each (pos, &m->processes) {
			tell_process(&told[info.n_processes],
				list_entry(pos, struct member_process, processes_link));
			records[info.n_processes] = &told[info.n_processes].record;
			info.n_processes++;
		}
		info.processes = records;
	}
	listing_fill_container(m, &listed);
	tell_container(&info, &listed.container);
	if (member_open_folder(m, &dir, NULL) == 0)
		info.state_dir = dir.path;
	reply_get(call, m, &info);
}

static void answer_get(struct ttrpc_call *call, struct member *m, const char *text,
	const ProtobufCMessage *message)
{
	(void)text;
	reply_get(call, m, (const void *)message);
}

static void refuse_get(
	struct ttrpc_call *call, struct member *m, const char *text, const struct error *err)
{
	(void)text;
	(void)err;
	reply_get_from_memory(call, m);
}

static void supervisor_get(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__V1__GetRequest *r = (const void *)request;
	Cleat__Shim__V1__InfoRequest info = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	struct supervisor *s = userdata;
	struct member *m = caller_member(s, call, r->id);
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!m)
		return;
	if (!member_is_shown(m)) {
		error_set(&err, CODE_NOT_FOUND, "container %s: does not exist", m->id);
		forward_refuse(call, &err);
		return;
	}
	if (m->late || !member_is_linked(m) || m->state == LINK_FOREIGN) {
		reply_get_from_memory(call, m);
		return;
	}
	forward_begin(m, call,
		&(struct forward_request){
			.service = MONITOR_SERVICE,
			.method = "Info",
			.message = &info.base,
			.response = &cleat__shim__v1__info_response__descriptor,
			.answer_ms = s->config.shim_answer_ms,
			.answer = answer_get,
			.refuse = refuse_get,
		});
}

/* --- Create, Delete, Adopt --- */

static void supervisor_create(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	make_container(userdata, call, (const void *)request);
}

static void supervisor_delete(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__V1__DeleteRequest *r = (const void *)request;
	struct member *m = caller_member(userdata, call, r->id);

	if (m)
		deletion_begin(m, call, r->force);
}

static void supervisor_adopt(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__V1__AdoptRequest *r = (const void *)request;

	adoption_begin(userdata, call, r->socket);
}

/* --- ExitRecords --- */

/* A ledger's entry as the message has it. */
struct told_exit {
	Cleat__Shim__V1__ExitRecord record;
	Google__Protobuf__Timestamp started_at, exited_at;
};

static void tell_exit(struct told_exit *t, const struct exit_entry *e)
{
	Cleat__Shim__V1__ExitRecord *r = &t->record;

	cleat__shim__v1__exit_record__init(r);
	r->id = e->id;
	r->exec_id = e->exec_id;
	r->pid = (uint32_t)e->pid;
	r->exit_known = e->known;
	r->status = e->status;
	r->signal = e->signal;
	r->started_at = pbtime_set(&t->started_at, e->started_at);
	r->exited_at = pbtime_set(&t->exited_at, e->exited_at);
	r->utime_us = e->utime_us;
	r->stime_us = e->stime_us;
	r->maxrss_kb = e->maxrss_kb;
	r->oom = e->oom;
}

static int reply_records(struct ttrpc_call *call, const Cleat__V1__ExitRecordsRequest *r,
	const struct exit_entry *entries, size_t n)
{
	Cleat__Shim__V1__ExitRecordsResponse to = CLEAT__SHIM__V1__EXIT_RECORDS_RESPONSE__INIT;
	_cleanup_free_ struct told_exit *told = calloc(n + 1, sizeof(*told));
	_cleanup_free_ Cleat__Shim__V1__ExitRecord **records = calloc(n + 1, sizeof(*records));

	if (!told || !records)
		return -ENOMEM;
	to.records = records;
	for (size_t i = 0; i < n; i++) {
		if (!r->all && strcmp(entries[i].exec_id, r->exec_id) != 0)
			continue;
		tell_exit(&told[to.n_records], &entries[i]);
		records[to.n_records] = &told[to.n_records].record;
		to.n_records++;
	}
	ttrpc_call_reply(call, &to.base);
	return 0;
}

static void supervisor_exit_records(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__V1__ExitRecordsRequest *r = (const void *)request;
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	struct member *m = caller_member(userdata, call, r->id);
	_cleanup_error_ struct error err = ERROR_INIT;
	struct exit_entry *entries = NULL;
	size_t n = 0;
	int code;

	if (!m)
		return;
	code = member_open_folder(m, &dir, &err);
	if (code == 0)
		code = ledger_read(dir.fd, &entries, &n, &err);
	if (code == 0 && reply_records(call, r, entries, n) < 0)
		code = error_errno(&err, -ENOMEM, "container %s", m->id);
	if (code != 0)
		forward_refuse(call, &err);
	exit_entries_free(entries, n);
}

/* --- Subscribe --- */

static void supervisor_subscribe(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__V1__SubscribeRequest *r = (const void *)request;
	struct supervisor *s = userdata;
	const char *ns = caller_namespace(call);

	if (ns && (!*r->id || caller_member(s, call, r->id)))
		service_events_subscribe_all(s->hub, call, r, ns);
}

#define METHOD(name, in, out, is_stream, handler)                                                  \
	{                                                                                          \
		name, &cleat__v1__##in##__descriptor, &out##__descriptor, is_stream, handler       \
	}

static const struct ttrpc_method methods[] = {
	METHOD("Info", info_request, cleat__v1__info_response, false, supervisor_info),
	METHOD("List", list_request, cleat__v1__list_response, false, supervisor_list),
	METHOD("Get", get_request, cleat__v1__get_response, false, supervisor_get),
	METHOD("Create", create_request, cleat__v1__create_response, false, supervisor_create),
	METHOD("Delete", delete_request, cleat__v1__delete_response, false, supervisor_delete),
	METHOD("Adopt", adopt_request, cleat__v1__adopt_response, false, supervisor_adopt),
	METHOD("ExitRecords", exit_records_request, cleat__shim__v1__exit_records_response, false,
		supervisor_exit_records),
	METHOD("Subscribe", subscribe_request, cleat__v1__container_event, true,
		supervisor_subscribe),
};

int service_supervisor_register(struct supervisor *s)
{
	return ttrpc_server_add_service(
		s->server, "cleat.v1.Supervisor", methods, sizeof(methods) / sizeof(*methods), s);
}
