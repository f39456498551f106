/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Tasks service: decode, find the container, pass on or answer. Knows no runtime. Subtle: what a
 * call through us has changed is noted at its answer, and not only at the event, which may come after:
 * whoever has been told that it runs finds it running in the next List.
 */
#include "supervisor/service_tasks.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/pbtime.h"
#include "common/ttrpc_server.h"
#include "google/protobuf/empty.pb-c.h"
#include "supervisor/caller.h"
#include "supervisor/make_container.h"
#include "supervisor/deletion.h"
#include "supervisor/forward.h"
#include "supervisor/listing.h"
#include "supervisor/member_link.h"
#include "supervisor/metrics.h"
#include "supervisor/orphan_kill.h"
#include "supervisor/supervisor.h"
#include "task.pb-c.h"
#include "tasks.pb-c.h"

#define EMPTY (&google__protobuf__empty__descriptor)

/* --- Create --- */

static void tasks_create(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	make_container_tasks(userdata, call, (const void *)request);
}

/* --- Start --- */

static void answer_start(struct ttrpc_call *call, struct member *m, const char *exec_id,
	const ProtobufCMessage *message)
{
	const Containerd__Task__V2__StartResponse *from = (const void *)message;
	Containerd__Services__Tasks__V1__StartResponse to =
		CONTAINERD__SERVICES__TASKS__V1__START_RESPONSE__INIT;

	member_started(m, exec_id, from->pid);
	to.pid = from->pid;
	ttrpc_call_reply(call, &to.base);
}

static void tasks_start(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__StartRequest *r = (const void *)request;
	Containerd__Task__V2__StartRequest to = CONTAINERD__TASK__V2__START_REQUEST__INIT;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (!m)
		return;
	to.id = r->container_id;
	to.exec_id = r->exec_id;
	forward_begin(m, call,
		&(struct forward_request){
			.service = TASK_SERVICE,
			.method = "Start",
			.message = &to.base,
			.response = &containerd__task__v2__start_response__descriptor,
			.answer = answer_start,
			.text = r->exec_id,
		});
}

/* --- Delete, DeleteProcess --- */

static void tasks_delete(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__DeleteTaskRequest *r = (const void *)request;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (m)
		deletion_begin_tasks(m, call, "");
}

static void tasks_delete_process(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__DeleteProcessRequest *r = (const void *)request;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (!m)
		return;
	if (!*r->exec_id)
		ttrpc_call_fail(call, CODE_INVALID_ARGUMENT, "exec_id is required");
	else
		deletion_begin_tasks(m, call, r->exec_id);
}

/* --- Get, List --- */

static void reply_process(struct ttrpc_call *call, Containerd__V1__Types__Process *process)
{
	Containerd__Services__Tasks__V1__GetResponse to =
		CONTAINERD__SERVICES__TASKS__V1__GET_RESPONSE__INIT;

	to.process = process;
	ttrpc_call_reply(call, &to.base);
}

static void answer_get(struct ttrpc_call *call, struct member *m, const char *exec_id,
	const ProtobufCMessage *message)
{
	const Containerd__Task__V2__StateResponse *from = (const void *)message;
	Containerd__V1__Types__Process process = CONTAINERD__V1__TYPES__PROCESS__INIT;

	process.container_id = m->id;
	process.id = (char *)exec_id;
	process.pid = from->pid;
	process.status = from->status;
	process.stdin = from->stdin;
	process.stdout = from->stdout;
	process.stderr = from->stderr;
	process.terminal = from->terminal;
	process.exit_status = from->exit_status;
	process.exited_at = from->exited_at;
	reply_process(call, &process);
}

/* Its shim does not answer: what is known. */
static void get_from_memory(struct ttrpc_call *call, struct member *m, const char *exec_id)
{
	Containerd__V1__Types__Process process;
	Google__Protobuf__Timestamp exited_at;
	const struct member_process *p = member_find(m, exec_id);
	_cleanup_error_ struct error err = ERROR_INIT;

	if (p) {
		listing_fill_process(m, p, &process, &exited_at);
		reply_process(call, &process);
		return;
	}
	error_set(&err, CODE_NOT_FOUND,
		*exec_id ? "container %s: no exec %s"
			 : "container %s: "
			   "does not exist%s",
		m->id, exec_id);
	forward_refuse(call, &err);
}

static void refuse_get(
	struct ttrpc_call *call, struct member *m, const char *exec_id, const struct error *err)
{
	if (err->code == CODE_UNAVAILABLE || err->code == CODE_DEADLINE_EXCEEDED)
		get_from_memory(call, m, exec_id);
	else
		forward_refuse(call, err);
}

static void tasks_get(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__GetRequest *r = (const void *)request;
	Containerd__Task__V2__StateRequest to = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (!m)
		return;
	if (m->late || !member_is_linked(m) || m->state == LINK_FOREIGN) {
		get_from_memory(call, m, r->exec_id);
		return;
	}
	to.id = r->container_id;
	to.exec_id = r->exec_id;
	forward_begin(m, call,
		&(struct forward_request){
			.service = TASK_SERVICE,
			.method = "State",
			.message = &to.base,
			.response = &containerd__task__v2__state_response__descriptor,
			.answer_ms = m->supervisor->config.shim_answer_ms,
			.answer = answer_get,
			.refuse = refuse_get,
			.text = r->exec_id,
		});
}

static void tasks_list(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const char *ns = caller_namespace(call);

	(void)request;
	if (ns)
		listing_begin(userdata, call, ns, listing_reply_tasks);
}

/* --- what answers with nothing --- */

static void tasks_kill(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__KillRequest *r = (const void *)request;
	Containerd__Task__V2__KillRequest to = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (!m)
		return;
	if (m->state == LINK_LOST) {
		orphan_kill(m, call, r);
		return;
	}
	to.id = r->container_id;
	to.exec_id = r->exec_id;
	to.signal = r->signal;
	to.all = r->all;
	forward_begin(m, call,
		&(struct forward_request){ .service = TASK_SERVICE,
			.method = "Kill",
			.message = &to.base,
			.response = EMPTY });
}

static void tasks_exec(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__ExecProcessRequest *r = (const void *)request;
	Containerd__Task__V2__ExecProcessRequest to =
		CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
	struct member *m = caller_member(userdata, call, r->container_id);
	int fds[LIMIT_FRAME_FDS];
	size_t n_fds;

	if (!m)
		return;
	to.id = r->container_id;
	to.exec_id = r->exec_id;
	to.terminal = r->terminal;
	to.stdin = r->stdin;
	to.stdout = r->stdout;
	to.stderr = r->stderr;
	to.spec = r->spec;
	n_fds = ttrpc_call_take_fds(call, fds, LIMIT_FRAME_FDS);
	forward_begin(m, call,
		&(struct forward_request){ .service = TASK_SERVICE,
			.method = "Exec",
			.message = &to.base,
			.response = EMPTY,
			.fds = fds,
			.n_fds = n_fds });
	for (size_t i = 0; i < n_fds; i++)
		fd_close(&fds[i]);
}

static void tasks_resize_pty(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__ResizePtyRequest *r = (const void *)request;
	Containerd__Task__V2__ResizePtyRequest to = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (!m)
		return;
	to.id = r->container_id;
	to.exec_id = r->exec_id;
	to.width = r->width;
	to.height = r->height;
	forward_begin(m, call,
		&(struct forward_request){ .service = TASK_SERVICE,
			.method = "ResizePty",
			.message = &to.base,
			.response = EMPTY });
}

static void tasks_close_io(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__CloseIORequest *r = (const void *)request;
	Containerd__Task__V2__CloseIORequest to = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (!m)
		return;
	to.id = r->container_id;
	to.exec_id = r->exec_id;
	to.stdin = r->stdin;
	forward_begin(m, call,
		&(struct forward_request){ .service = TASK_SERVICE,
			.method = "CloseIO",
			.message = &to.base,
			.response = EMPTY });
}

static void answer_pause(struct ttrpc_call *call, struct member *m, const char *text,
	const ProtobufCMessage *message)
{
	(void)text;
	(void)message;
	member_paused(m, true);
	ttrpc_call_reply(call, NULL);
}

static void tasks_pause(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__PauseTaskRequest *r = (const void *)request;
	Containerd__Task__V2__PauseRequest to = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (!m)
		return;
	to.id = r->container_id;
	forward_begin(m, call,
		&(struct forward_request){ .service = TASK_SERVICE,
			.method = "Pause",
			.message = &to.base,
			.response = EMPTY,
			.answer = answer_pause });
}

static void answer_resume(struct ttrpc_call *call, struct member *m, const char *text,
	const ProtobufCMessage *message)
{
	(void)text;
	(void)message;
	member_paused(m, false);
	ttrpc_call_reply(call, NULL);
}

static void tasks_resume(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__ResumeTaskRequest *r = (const void *)request;
	Containerd__Task__V2__ResumeRequest to = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (!m)
		return;
	to.id = r->container_id;
	forward_begin(m, call,
		&(struct forward_request){ .service = TASK_SERVICE,
			.method = "Resume",
			.message = &to.base,
			.response = EMPTY,
			.answer = answer_resume });
}

/* --- ListPids, Checkpoint, Update, Metrics, Wait --- */

static void answer_pids(struct ttrpc_call *call, struct member *m, const char *text,
	const ProtobufCMessage *message)
{
	const Containerd__Task__V2__PidsResponse *from = (const void *)message;
	Containerd__Services__Tasks__V1__ListPidsResponse to =
		CONTAINERD__SERVICES__TASKS__V1__LIST_PIDS_RESPONSE__INIT;

	(void)m;
	(void)text;
	to.n_processes = from->n_processes;
	to.processes = from->processes;
	ttrpc_call_reply(call, &to.base);
}

static void tasks_list_pids(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__ListPidsRequest *r = (const void *)request;
	Containerd__Task__V2__PidsRequest to = CONTAINERD__TASK__V2__PIDS_REQUEST__INIT;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (!m)
		return;
	to.id = r->container_id;
	forward_begin(m, call,
		&(struct forward_request){
			.service = TASK_SERVICE,
			.method = "Pids",
			.message = &to.base,
			.response = &containerd__task__v2__pids_response__descriptor,
			.answer = answer_pids,
		});
}

static void tasks_checkpoint(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__CheckpointTaskRequest *r = (const void *)request;
	Containerd__Task__V2__CheckpointTaskRequest to =
		CONTAINERD__TASK__V2__CHECKPOINT_TASK_REQUEST__INIT;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (!m)
		return;
	if (*r->parent_checkpoint) {
		ttrpc_call_fail(call, CODE_INVALID_ARGUMENT,
			"parent_checkpoint: there is no content store: the options name folders");
		return;
	}
	to.id = r->container_id;
	to.options = r->options;
	forward_begin(m, call,
		&(struct forward_request){ .service = TASK_SERVICE,
			.method = "Checkpoint",
			.message = &to.base,
			.response = EMPTY });
}

static void tasks_update(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__UpdateTaskRequest *r = (const void *)request;
	Containerd__Task__V2__UpdateTaskRequest to =
		CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (!m)
		return;
	to.id = r->container_id;
	to.resources = r->resources;
	/* the two maps' entries have the same fields, and the same type for protobuf-c but in name */
	to.n_annotations = r->n_annotations;
	to.annotations = (void *)r->annotations;
	forward_begin(m, call,
		&(struct forward_request){ .service = TASK_SERVICE,
			.method = "Update",
			.message = &to.base,
			.response = EMPTY });
}

static void tasks_metrics(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const char *ns = caller_namespace(call);

	if (ns)
		metrics_begin(userdata, call, ns, (const void *)request);
}

static void tasks_wait(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Tasks__V1__WaitRequest *r = (const void *)request;
	struct member *m = caller_member(userdata, call, r->container_id);

	if (m)
		member_wait(m, call, r->exec_id, member_answer_wait);
}

#define METHOD(name, in, out, handler)                                                             \
	{                                                                                          \
		name, &containerd__services__tasks__v1__##in##__descriptor, out, false, handler    \
	}
#define ANSWER(out) (&containerd__services__tasks__v1__##out##__descriptor)

static const struct ttrpc_method methods[] = {
	METHOD("Create", create_task_request, ANSWER(create_task_response), tasks_create),
	METHOD("Start", start_request, ANSWER(start_response), tasks_start),
	METHOD("Delete", delete_task_request, ANSWER(delete_response), tasks_delete),
	METHOD("DeleteProcess", delete_process_request, ANSWER(delete_response),
		tasks_delete_process),
	METHOD("Get", get_request, ANSWER(get_response), tasks_get),
	METHOD("List", list_tasks_request, ANSWER(list_tasks_response), tasks_list),
	METHOD("Kill", kill_request, EMPTY, tasks_kill),
	METHOD("Exec", exec_process_request, EMPTY, tasks_exec),
	METHOD("ResizePty", resize_pty_request, EMPTY, tasks_resize_pty),
	METHOD("CloseIO", close_iorequest, EMPTY, tasks_close_io),
	METHOD("Pause", pause_task_request, EMPTY, tasks_pause),
	METHOD("Resume", resume_task_request, EMPTY, tasks_resume),
	METHOD("ListPids", list_pids_request, ANSWER(list_pids_response), tasks_list_pids),
	METHOD("Checkpoint", checkpoint_task_request, ANSWER(checkpoint_task_response),
		tasks_checkpoint),
	METHOD("Update", update_task_request, EMPTY, tasks_update),
	METHOD("Metrics", metrics_request, ANSWER(metrics_response), tasks_metrics),
	METHOD("Wait", wait_request, ANSWER(wait_response), tasks_wait),
};

int service_tasks_register(struct supervisor *s)
{
	return ttrpc_server_add_service(s->server, "containerd.services.tasks.v1.Tasks", methods,
		sizeof(methods) / sizeof(*methods), s);
}
