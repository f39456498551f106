/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim service of 2017 over the core: decode, call, encode. Processes are keyed by pid; 0 is
 * the init for Delete, Kill and CloseStdin, and nobody for Pty. An unknown pid is never taken for
 * the init. What asks for processes is answered in shim2017_processes.c.
 */
#include "shim/service_shim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/pbtime.h"
#include "common/ring_stream.h"
#include "shim/criu.h"
#include "shim/event2017.h"
#include "shim/event_stream.h"
#include "shim/request.h"
#include "shim/runtime_wish.h"
#include "shim/shim2017_processes.h"
#include "shim2017.pb-c.h"

static void refuse(struct shim *shim, struct ttrpc_call *call, const struct error *err)
{
	request_refuse(shim, call, WORDING_NAMED, err, NULL);
}

/* The container; else NULL, and the call has been failed with code. */
static struct container *find_container(struct shim *shim, struct ttrpc_call *call, enum code code)
{
	struct container *c = request_container(shim);
	_cleanup_error_ struct error err = ERROR_INIT;

	if (c)
		return c;
	error_set(&err, code, "not created");
	refuse(shim, call, &err);
	return NULL;
}

/* The process of a pid, 0 for the init; else NULL, and the call has been failed. */
static struct process *find_process(struct shim *shim, struct ttrpc_call *call, uint32_t pid)
{
	struct container *c = find_container(shim, call, CODE_NOT_FOUND);
	struct process *p = NULL;
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!c)
		return NULL;
	if (pid <= INT32_MAX)
		p = pid ? container_find_pid(c, (pid_t)pid) : c->init;
	if (p)
		return p;
	error_set(&err, CODE_NOT_FOUND, "no process %u", pid);
	refuse(shim, call, &err);
	return NULL;
}

static struct request *new_request(struct shim *shim, struct ttrpc_call *call,
	void (*reply)(struct request *r, const struct op_result *result))
{
	return request_new(shim, call, WORDING_NAMED, reply);
}

/* --- Create --- */

static void reply_create(struct request *r, const struct op_result *result)
{
	Cleat__Shim2017__CreateResponse response = CLEAT__SHIM2017__CREATE_RESPONSE__INIT;

	response.pid = (uint32_t)result->pid;
	ttrpc_call_reply(r->call, &response.base);
}

static int copy_mounts(const Cleat__Shim2017__CreateRequest *r, struct mount_spec **ret)
{
	struct mount_spec *mounts = calloc(r->n_rootfs + 1, sizeof(*mounts));

	if (!mounts)
		return error_trace(-ENOMEM);
	for (size_t i = 0; i < r->n_rootfs; i++) {
		const Cleat__Shim2017__Types__Mount *m = r->rootfs[i];

		mounts[i] = (struct mount_spec){ m->type, m->source, m->target,
			{ m->options, m->n_options } };
	}
	*ret = mounts;
	return 0;
}

static int check_create(const struct shim *shim, const Cleat__Shim2017__CreateRequest *r,
	struct runtime *ret, struct error *err)
{
	_cleanup_runtime_wish_ struct runtime_wish wish = RUNTIME_WISH_INIT;
	int code = request_check_create(r->id, r->parent_checkpoint, err);

	if (code == 0)
		code = runtime_wish_plain(r->runtime, shim->runtime_root, &wish, err);
	wish.no_pivot = r->no_pivot;
	return code == 0 ? runtime_wish_resolve(&wish, shim->id, ret, err) : code;
}

static void begin_create(struct shim *shim, struct ttrpc_call *call,
	const Cleat__Shim2017__CreateRequest *r, struct create_params *params)
{
	_cleanup_free_ struct mount_spec *mounts = NULL;

	if (copy_mounts(r, &mounts) < 0) {
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for the rootfs");
		return;
	}
	params->id = r->id;
	params->bundle = r->bundle;
	params->terminal = r->terminal;
	params->stdin_uri = r->stdin;
	params->stdout_uri = r->stdout;
	params->stderr_uri = r->stderr;
	params->rootfs = mounts;
	params->n_rootfs = r->n_rootfs;
	request_create(shim, call, WORDING_NAMED, reply_create, params);
}

static void shim2017_create(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__Shim2017__CreateRequest *r = (const void *)request;
	struct create_params params = { .runtime = RUNTIME_INIT };
	const struct criu restore = { .image_path = r->checkpoint };
	_cleanup_error_ struct error err = ERROR_INIT;

	/* what is restored is left running, as it was when its image was made */
	if (*r->checkpoint) {
		params.restore = &restore;
		params.run = true;
	}
	if (check_create(userdata, r, &params.runtime, &err) != 0)
		refuse(userdata, call, &err);
	else
		begin_create(userdata, call, r, &params);
	runtime_deinit(&params.runtime);
}

/* --- Start, Delete --- */

static void shim2017_start(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	struct container *c = find_container(userdata, call, CODE_FAILED_PRECONDITION);
	struct request *starting = c ? new_request(userdata, call, request_reply_empty) : NULL;

	(void)request;
	if (starting)
		process_start(c->init, request_done, starting);
}

static void reply_delete(struct request *r, const struct op_result *result)
{
	Cleat__Shim2017__DeleteResponse response = CLEAT__SHIM2017__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp exited_at;

	response.exit_status = request_exit_status(&result->exit);
	response.exited_at = pbtime_set(&exited_at, result->exit.at);
	ttrpc_call_reply(r->call, &response.base);
}

static void shim2017_delete(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__Shim2017__DeleteRequest *r = (const void *)request;
	struct process *p = find_process(userdata, call, r->pid);
	struct request *deleting = p ? new_request(userdata, call, reply_delete) : NULL;

	if (deleting)
		process_delete(p, request_done, deleting);
}

/* --- Exec --- */

static void reply_exec(struct request *r, const struct op_result *result)
{
	Cleat__Shim2017__ExecResponse response = CLEAT__SHIM2017__EXEC_RESPONSE__INIT;

	response.pid = (uint32_t)result->pid;
	ttrpc_call_reply(r->call, &response.base);
}

/* Adding and starting are one step here; the core names the exec once it has a pid. */
static void shim2017_exec(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__Shim2017__ExecRequest *r = (const void *)request;
	struct container *c = find_container(userdata, call, CODE_FAILED_PRECONDITION);
	_cleanup_request_fds_ struct request_fds fds = { .n = 0 };
	_cleanup_error_ struct error err = ERROR_INIT;
	struct exec_params params = {
		.spec = r->spec ? r->spec->value.data : NULL,
		.n_spec = r->spec ? r->spec->value.len : 0,
		.terminal = r->terminal,
		.stdin_uri = r->stdin,
		.stdout_uri = r->stdout,
		.stderr_uri = r->stderr,
		.fds = fds.v,
	};
	struct request *starting;
	struct process *p;

	if (!c)
		return;
	request_fds_take(call, &fds);
	params.n_fds = fds.n;
	/* first of all: nobody could name, nor delete, an exec that was added and is not started */
	starting = new_request(userdata, call, reply_exec);
	if (!starting)
		return;
	if (container_exec(c, &params, &p, &err) != 0)
		request_done(&err, NULL, starting);
	else
		process_start(p, request_done, starting);
}

/* --- Kill, Pty, CloseStdin --- */

static void shim2017_kill(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__Shim2017__KillRequest *r = (const void *)request;
	struct container *c = find_container(userdata, call, CODE_NOT_FOUND);
	_cleanup_error_ struct error err = ERROR_INIT;
	struct request *killing;
	struct process *p;

	if (!c)
		return;
	p = r->pid && r->pid <= INT32_MAX ? container_find_pid(c, (pid_t)r->pid) : NULL;
	if (r->pid && !(p && p->inner_pid)) {
		/* all is of the init alone */
		container_kill_pid(c, r->pid <= INT32_MAX ? (pid_t)r->pid : -1, r->signal, &err);
		request_finish(userdata, call, WORDING_NAMED, &err);
		return;
	}
	killing = new_request(userdata, call, request_reply_empty);
	if (killing && p)
		process_kill(p, r->signal, false, request_done, killing);
	else if (killing)
		process_kill(c->init, r->signal, r->all, request_done, killing);
}

static void shim2017_pty(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__Shim2017__PtyRequest *r = (const void *)request;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct process *p;

	if (!r->pid) {
		error_set(&err, CODE_INVALID_ARGUMENT, "pid must not be 0");
		refuse(userdata, call, &err);
		return;
	}
	p = find_process(userdata, call, r->pid);
	if (!p)
		return;
	process_resize(p, r->width, r->height, &err);
	request_finish(userdata, call, WORDING_NAMED, &err);
}

static void shim2017_close_stdin(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__Shim2017__CloseStdinRequest *r = (const void *)request;
	struct process *p = find_process(userdata, call, r->pid);
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!p)
		return;
	process_close_stdin(p, &err);
	request_finish(userdata, call, WORDING_NAMED, &err);
}

/* --- Pause, Resume, Checkpoint --- */

static void shim2017_pause(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	struct container *c = find_container(userdata, call, CODE_FAILED_PRECONDITION);
	struct request *pausing = c ? new_request(userdata, call, request_reply_empty) : NULL;

	(void)request;
	if (pausing)
		container_pause(c, request_done, pausing);
}

static void shim2017_resume(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	struct container *c = find_container(userdata, call, CODE_FAILED_PRECONDITION);
	struct request *resuming = c ? new_request(userdata, call, request_reply_empty) : NULL;

	(void)request;
	if (resuming)
		container_resume(c, request_done, resuming);
}

static int fill_checkpoint(
	const Cleat__Shim2017__CheckpointRequest *r, struct criu *ret, struct error *err)
{
	int code = criu_set(&ret->image_path, r->image);

	ret->exit = r->exit;
	ret->open_tcp = r->allow_tcp;
	ret->external_unix_sockets = r->allow_unix_sockets;
	ret->terminal = r->allow_terminal;
	ret->file_locks = r->file_locks;
	for (size_t i = 0; i < r->n_empty_namespaces && code == 0; i++)
		code = argv_add(&ret->empty_namespaces, r->empty_namespaces[i]);
	return code < 0 ? error_errno(err, code, "checkpoint") : 0;
}

static void shim2017_checkpoint(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__Shim2017__CheckpointRequest *r = (const void *)request;
	struct container *c = find_container(userdata, call, CODE_FAILED_PRECONDITION);
	_cleanup_criu_ struct criu criu = CRIU_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct request *writing;

	if (!c)
		return;
	if (fill_checkpoint(r, &criu, &err) != 0) {
		refuse(userdata, call, &err);
		return;
	}
	writing = new_request(userdata, call, request_reply_empty);
	if (writing)
		container_checkpoint(c, &criu, request_done, writing);
}

/* --- Events --- */

static int send_event(struct shim *shim, struct ttrpc_call *call, const struct task_event *e,
	uint64_t missed, struct error *err)
{
	Cleat__Shim2017__Types__Event message;
	Google__Protobuf__Timestamp time;

	if (missed)
		return error_set(err, CODE_DATA_LOSS, "%llu events were lost to this reader",
			(unsigned long long)missed);
	if (!event2017_fill(e, shim->id, &message, &time))
		return 0;
	return ring_stream_put(call, &message.base, err);
}

static void shim2017_events(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	(void)request;
	event_stream_begin(userdata, call, 0, send_event);
}

/* --- Exit --- */

static bool is_alive(const struct process *p)
{
	return p->pid > 0 && !p->exited;
}

/* "processes 12, 34 are alive", or that it was not deleted. */
static void set_busy(const struct container *c, struct error *err)
{
	_cleanup_buf_ struct buf names = BUF_INIT;
	struct list *pos;
	char text[32];
	size_t n = 0;

	if (is_alive(c->init)) {
		snprintf(text, sizeof(text), "%d", c->init->pid);
		buf_append(&names, text, strlen(text));
		n++;
	}
	list_for_each (pos, &c->processes) {
		const struct process *p = list_entry(pos, struct process, processes_link);

		if (!is_alive(p))
			continue;
		snprintf(text, sizeof(text), "%s%d", n++ ? ", " : "", p->pid);
		buf_append(&names, text, strlen(text));
	}
	if (n == 0 || buf_append(&names, "", 1) < 0)
		error_set(err, CODE_FAILED_PRECONDITION, "it was not deleted yet");
	else
		error_set(err, CODE_FAILED_PRECONDITION, "%s %s %s alive",
			n == 1 ? "process" : "processes", (char *)buf_head(&names),
			n == 1 ? "is" : "are");
}

static void shim2017_exit(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct shim *shim = userdata;

	(void)request;
	if (!shim->container)
		shim_end(shim);
	else if (request_container(shim))
		set_busy(shim->container, &err);
	else
		error_set(&err, CODE_FAILED_PRECONDITION, "it is being created");
	request_finish(shim, call, WORDING_NAMED, &err);
}

/* --- State, Processes --- */

static void shim2017_state(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	struct container *c = find_container(userdata, call, CODE_NOT_FOUND);

	(void)request;
	if (c)
		shim2017_reply_state(call, c);
}

static void shim2017_processes(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Cleat__Shim2017__ProcessesRequest *r = (const void *)request;
	struct shim *shim = userdata;
	struct container *c = find_container(shim, call, CODE_NOT_FOUND);
	_cleanup_error_ struct error err = ERROR_INIT;
	struct request *asking;

	if (!c)
		return;
	if (*r->id && strcmp(r->id, shim->id) != 0) {
		error_set(&err, CODE_NOT_FOUND, "container %.*s is not here", (int)LIMIT_ID, r->id);
		refuse(shim, call, &err);
		return;
	}
	asking = new_request(shim, call, NULL);
	if (asking)
		container_pids(c, shim2017_pids_done, asking);
}

/* --- the table --- */

#define EMPTY		   (&google__protobuf__empty__descriptor)
#define SHIM_MESSAGE(name) (&cleat__shim2017__##name##__descriptor)
#define METHOD(name, request, response, handle)                                                    \
	{                                                                                          \
		name, request, response, false, handle                                             \
	}

static const struct ttrpc_method methods[] = {
	METHOD("Create", SHIM_MESSAGE(create_request), SHIM_MESSAGE(create_response),
		shim2017_create),
	METHOD("Start", SHIM_MESSAGE(start_request), EMPTY, shim2017_start),
	METHOD("Delete", SHIM_MESSAGE(delete_request), SHIM_MESSAGE(delete_response),
		shim2017_delete),
	METHOD("State", SHIM_MESSAGE(state_request), SHIM_MESSAGE(state_response), shim2017_state),
	METHOD("Processes", SHIM_MESSAGE(processes_request), SHIM_MESSAGE(processes_response),
		shim2017_processes),
	METHOD("Pause", SHIM_MESSAGE(pause_request), EMPTY, shim2017_pause),
	METHOD("Resume", SHIM_MESSAGE(resume_request), EMPTY, shim2017_resume),
	METHOD("Checkpoint", SHIM_MESSAGE(checkpoint_request), EMPTY, shim2017_checkpoint),
	METHOD("Exit", SHIM_MESSAGE(exit_request), EMPTY, shim2017_exit),
	{ "Events", SHIM_MESSAGE(events_request), &cleat__shim2017__types__event__descriptor, true,
		shim2017_events },
	METHOD("Kill", SHIM_MESSAGE(kill_request), EMPTY, shim2017_kill),
	METHOD("Exec", SHIM_MESSAGE(exec_request), SHIM_MESSAGE(exec_response), shim2017_exec),
	METHOD("Pty", SHIM_MESSAGE(pty_request), EMPTY, shim2017_pty),
	METHOD("CloseStdin", SHIM_MESSAGE(close_stdin_request), EMPTY, shim2017_close_stdin),
};

int service_shim_register(struct shim *shim)
{
	return ttrpc_server_add_service(shim->server, "containerd.v1.services.shim.Shim", methods,
		sizeof(methods) / sizeof(*methods), shim);
}
