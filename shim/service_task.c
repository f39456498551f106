/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd's Task service, versions 2 and 3, over the core: decode, call, encode. Processes are
 * keyed by exec id, empty for the init; errors keep containerd's wording. Never keeps anything
 * between two calls but requests that wait for the core.
 */
#include "shim/service_task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/pbtime.h"
#include "shim/criu.h"
#include "shim/options_file.h"
#include "shim/request.h"
#include "shim/runtime_wish.h"
#include "shim/task_pids.h"
#include "shim/task_stats.h"
#include "task.pb-c.h"

static void refuse(struct shim *shim, struct ttrpc_call *call, const struct error *err)
{
	request_refuse(shim, call, WORDING_TASK, err, NULL);
}

/* Whether a request is for this shim's container: its id, and that there is one. */
static struct container *find_container(struct shim *shim, struct ttrpc_call *call, const char *id)
{
	struct container *c = strcmp(id, shim->id) == 0 ? request_container(shim) : NULL;
	_cleanup_error_ struct error err = ERROR_INIT;

	if (c)
		return c;
	error_set(&err, CODE_NOT_FOUND, "container %.*s: not found", (int)LIMIT_ID, id);
	refuse(shim, call, &err);
	return NULL;
}

/* The process that a request names; else NULL, and the call has been failed. */
static struct process *find_process(
	struct shim *shim, struct ttrpc_call *call, const char *id, const char *exec_id)
{
	struct container *c = find_container(shim, call, id);
	struct process *p = c ? container_find(c, exec_id) : NULL;
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!c || p)
		return p;
	error_set(&err, CODE_NOT_FOUND, "exec %.*s in container %s: not found", (int)LIMIT_ID,
		exec_id, shim->id);
	refuse(shim, call, &err);
	return NULL;
}

static struct request *new_request(struct shim *shim, struct ttrpc_call *call,
	void (*reply)(struct request *r, const struct op_result *result))
{
	return request_new(shim, call, WORDING_TASK, reply);
}

/* --- State, Connect, Wait --- */

static Containerd__V1__Types__Status status_on_wire(enum process_status status)
{
	static const Containerd__V1__Types__Status map[_PROCESS_STATUS_MAX] = {
		[PROCESS_CREATING] = CONTAINERD__V1__TYPES__STATUS__UNKNOWN,
		[PROCESS_CREATED] = CONTAINERD__V1__TYPES__STATUS__CREATED,
		[PROCESS_RUNNING] = CONTAINERD__V1__TYPES__STATUS__RUNNING,
		[PROCESS_PAUSING] = CONTAINERD__V1__TYPES__STATUS__PAUSING,
		[PROCESS_PAUSED] = CONTAINERD__V1__TYPES__STATUS__PAUSED,
		[PROCESS_STOPPED] = CONTAINERD__V1__TYPES__STATUS__STOPPED,
		[PROCESS_DELETED] = CONTAINERD__V1__TYPES__STATUS__UNKNOWN,
	};

	return map[status];
}

static void task_state(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__StateRequest *r = (const void *)request;
	Containerd__Task__V2__StateResponse response = CONTAINERD__TASK__V2__STATE_RESPONSE__INIT;
	const struct process *p = find_process(userdata, call, r->id, r->exec_id);
	Google__Protobuf__Timestamp exited_at;

	if (!p)
		return;
	/* of an exec, id is the exec's, as in containerd's own shim */
	response.id = p->is_init ? p->container->id : p->exec_id;
	response.exec_id = p->exec_id;
	response.bundle = p->container->bundle_path;
	response.pid = (uint32_t)p->pid;
	response.status = status_on_wire(p->status);
	response.stdin = p->stdin_uri;
	response.stdout = p->stdout_uri;
	response.stderr = p->stderr_uri;
	response.terminal = p->terminal;
	if (p->status == PROCESS_STOPPED) {
		response.exit_status = request_exit_status(&p->exit);
		response.exited_at = pbtime_set(&exited_at, p->exit.at);
	}
	ttrpc_call_reply(call, &response.base);
}

static void task_connect(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__ConnectRequest *r = (const void *)request;
	Containerd__Task__V2__ConnectResponse response =
		CONTAINERD__TASK__V2__CONNECT_RESPONSE__INIT;
	struct shim *shim = userdata;
	const struct container *c = request_container(shim);

	/* a shim is connected to whatever the id is, and before it has a container */
	response.shim_pid = (uint32_t)getpid();
	response.task_pid = c && strcmp(r->id, c->id) == 0 ? (uint32_t)c->init->pid : 0;
	response.version = (char *)CLEAT_VERSION;
	ttrpc_call_reply(call, &response.base);
}

static void reply_wait(struct request *r, const struct op_result *result)
{
	Containerd__Task__V2__WaitResponse response = CONTAINERD__TASK__V2__WAIT_RESPONSE__INIT;
	Google__Protobuf__Timestamp exited_at;

	response.exit_status = request_exit_status(&result->exit);
	response.exited_at = pbtime_set(&exited_at, result->exit.at);
	ttrpc_call_reply(r->call, &response.base);
}

static void task_wait(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__WaitRequest *r = (const void *)request;
	struct process *p = find_process(userdata, call, r->id, r->exec_id);
	struct request *waiting = p ? new_request(userdata, call, reply_wait) : NULL;

	if (waiting)
		request_wait(waiting, p);
}

/* --- Create, Exec --- */

static void reply_create(struct request *r, const struct op_result *result)
{
	Containerd__Task__V2__CreateTaskResponse response =
		CONTAINERD__TASK__V2__CREATE_TASK_RESPONSE__INIT;

	response.pid = (uint32_t)result->pid;
	ttrpc_call_reply(r->call, &response.base);
}

static int copy_mounts(const Containerd__Task__V2__CreateTaskRequest *r, struct mount_spec **ret)
{
	struct mount_spec *mounts = calloc(r->n_rootfs + 1, sizeof(*mounts));

	if (!mounts)
		return error_trace(-ENOMEM);
	for (size_t i = 0; i < r->n_rootfs; i++) {
		const Containerd__Types__Mount *m = r->rootfs[i];

		mounts[i] = (struct mount_spec){ m->type, m->source, m->target,
			{ m->options, m->n_options } };
	}
	*ret = mounts;
	return 0;
}

/* What a Create's parameters point to. */
struct create_room {
	char *spec_bundle;
	struct criu restore;
};

static int fill_restore(const Containerd__Task__V2__CreateTaskRequest *r, struct runtime_wish *wish,
	struct create_params *params, struct create_room *room, struct error *err)
{
	if (!*r->checkpoint)
		return 0;
	room->restore = wish->restore;
	wish->restore = CRIU_INIT;
	params->restore = &room->restore;
	if (criu_set(&room->restore.image_path, r->checkpoint) < 0)
		return error_errno(err, -ENOMEM, "checkpoint");
	return 0;
}

/* In a bundle they are kept as containerd's own shim keeps them, for a delete without us. */
static int keep_options(const struct shim *shim, const struct runtime_wish *wish,
	const struct runtime *rt, struct error *err)
{
	if (shim->dir.root || shim->dir.fd < 0 || shim->container)
		return 0;
	return options_file_write(shim->dir.fd, wish, rt, shim->ns, err);
}

/* What is wrong with a Create before the core is asked, and what the options say. */
static int check_create(const struct shim *shim, const Containerd__Task__V2__CreateTaskRequest *r,
	struct create_params *params, struct create_room *room, struct error *err)
{
	_cleanup_runtime_wish_ struct runtime_wish wish = RUNTIME_WISH_INIT;
	int code = request_check_create(r->id, r->parent_checkpoint, err);

	if (code == 0)
		code = runtime_wish_parse(r->options, shim->runtime_root, shim->ns, &wish, err);
	if (code == 0)
		code = runtime_wish_resolve(&wish, shim->id, &params->runtime, err);
	if (code == 0)
		code = keep_options(shim, &wish, &params->runtime, err);
	if (code != 0)
		return code;
	params->run = wish.run;
	params->io_uid = wish.io_uid;
	params->io_gid = wish.io_gid;
	room->spec_bundle = TAKE_PTR(wish.spec_bundle);
	params->spec_bundle = room->spec_bundle;
	return fill_restore(r, &wish, params, room, err);
}

static void begin_create(struct shim *shim, struct ttrpc_call *call,
	const Containerd__Task__V2__CreateTaskRequest *r, struct create_params *params)
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
	request_create(shim, call, WORDING_TASK, reply_create, params);
}

static void task_create(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__CreateTaskRequest *r = (const void *)request;
	struct create_params params = { .runtime = RUNTIME_INIT };
	struct create_room room = { .restore = CRIU_INIT };
	_cleanup_error_ struct error err = ERROR_INIT;

	if (check_create(userdata, r, &params, &room, &err) != 0)
		refuse(userdata, call, &err);
	else
		begin_create(userdata, call, r, &params);
	runtime_deinit(&params.runtime);
	criu_deinit(&room.restore);
	free(room.spec_bundle);
}

static void task_exec(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__ExecProcessRequest *r = (const void *)request;
	struct container *c = find_container(userdata, call, r->id);
	_cleanup_request_fds_ struct request_fds fds = { .n = 0 };
	_cleanup_error_ struct error err = ERROR_INIT;
	struct exec_params params = {
		.exec_id = r->exec_id,
		.spec = r->spec ? r->spec->value.data : NULL,
		.n_spec = r->spec ? r->spec->value.len : 0,
		.terminal = r->terminal,
		.stdin_uri = r->stdin,
		.stdout_uri = r->stdout,
		.stderr_uri = r->stderr,
		.fds = fds.v,
	};
	struct process *p;

	if (!c)
		return;
	request_fds_take(call, &fds);
	params.n_fds = fds.n;
	container_exec(c, &params, &p, &err);
	request_finish(userdata, call, WORDING_TASK, &err);
}

/* --- Start, Delete, Kill --- */

static void reply_start(struct request *r, const struct op_result *result)
{
	Containerd__Task__V2__StartResponse response = CONTAINERD__TASK__V2__START_RESPONSE__INIT;

	response.pid = (uint32_t)result->pid;
	ttrpc_call_reply(r->call, &response.base);
}

static void task_start(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__StartRequest *r = (const void *)request;
	struct process *p = find_process(userdata, call, r->id, r->exec_id);
	struct request *starting = p ? new_request(userdata, call, reply_start) : NULL;

	if (starting)
		process_start(p, request_done, starting);
}

static void reply_delete(struct request *r, const struct op_result *result)
{
	Containerd__Task__V2__DeleteResponse response = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp exited_at;

	response.pid = (uint32_t)result->pid;
	response.exit_status = request_exit_status(&result->exit);
	response.exited_at = pbtime_set(&exited_at, result->exit.at);
	ttrpc_call_reply(r->call, &response.base);
}

static void task_delete(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__DeleteRequest *r = (const void *)request;
	struct process *p = find_process(userdata, call, r->id, r->exec_id);
	struct request *deleting = p ? new_request(userdata, call, reply_delete) : NULL;

	if (deleting)
		process_delete(p, request_done, deleting);
}

static void task_kill(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__KillRequest *r = (const void *)request;
	struct process *p = find_process(userdata, call, r->id, r->exec_id);
	struct request *killing = p ? new_request(userdata, call, request_reply_empty) : NULL;

	if (killing)
		process_kill(p, r->signal, r->all && p->is_init, request_done, killing);
}

/* --- Pause, Resume --- */

static void task_pause(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__PauseRequest *r = (const void *)request;
	struct container *c = find_container(userdata, call, r->id);
	struct request *pausing = c ? new_request(userdata, call, request_reply_empty) : NULL;

	if (pausing)
		container_pause(c, request_done, pausing);
}

static void task_resume(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__ResumeRequest *r = (const void *)request;
	struct container *c = find_container(userdata, call, r->id);
	struct request *resuming = c ? new_request(userdata, call, request_reply_empty) : NULL;

	if (resuming)
		container_resume(c, request_done, resuming);
}

/* --- Pids, ResizePty, CloseIO --- */

static void task_pids(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__PidsRequest *r = (const void *)request;
	struct container *c = find_container(userdata, call, r->id);
	struct request *asking = c ? new_request(userdata, call, NULL) : NULL;

	if (asking)
		container_pids(c, task_pids_done, asking);
}

static void task_resize_pty(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__ResizePtyRequest *r = (const void *)request;
	struct process *p = find_process(userdata, call, r->id, r->exec_id);
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!p)
		return;
	process_resize(p, r->width, r->height, &err);
	request_finish(userdata, call, WORDING_TASK, &err);
}

static void task_close_io(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__CloseIORequest *r = (const void *)request;
	struct process *p = find_process(userdata, call, r->id, r->exec_id);
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!p)
		return;
	if (r->stdin)
		process_close_stdin(p, &err);
	request_finish(userdata, call, WORDING_TASK, &err);
}

/* --- Shutdown, Checkpoint, Update, Stats --- */

static void task_shutdown(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	struct shim *shim = userdata;

	(void)request;
	/* with a container, or one that is being created: nothing, and no error (as containerd's) */
	if (!shim->container)
		shim_end(shim);
	ttrpc_call_reply(call, NULL);
}

/* The path of the request goes before one among its options, as in containerd's own shim. */
static void task_checkpoint(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__CheckpointTaskRequest *r = (const void *)request;
	struct container *c = find_container(userdata, call, r->id);
	_cleanup_criu_ struct criu criu = CRIU_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct request *writing;
	int code;

	if (!c)
		return;
	code = criu_of_checkpoint(r->options, &criu, &err);
	if (code == 0 && *r->path && criu_set(&criu.image_path, r->path) < 0)
		code = error_errno(&err, -ENOMEM, "checkpoint");
	if (code != 0) {
		refuse(userdata, call, &err);
		return;
	}
	writing = new_request(userdata, call, request_reply_empty);
	if (writing)
		container_checkpoint(c, &criu, request_done, writing);
}

/* Whether an Any is said to hold OCI LinuxResources; clients give the type with and without a host. */
static bool has_resources(const Google__Protobuf__Any *any)
{
	static const char type[] = "LinuxResources";
	size_t n = any ? strlen(any->type_url) : 0;

	return any &&
	       (n == 0 || (n >= sizeof(type) - 1 &&
				  strcmp(any->type_url + n - (sizeof(type) - 1), type) == 0));
}

/* *ret: an array of r->n_annotations; the caller frees. NULL without memory. */
static struct annotation *list_annotations(const Containerd__Task__V2__UpdateTaskRequest *r)
{
	struct annotation *list = calloc(r->n_annotations + 1, sizeof(*list));

	for (size_t i = 0; list && i < r->n_annotations; i++)
		list[i] = (struct annotation){ r->annotations[i]->key, r->annotations[i]->value };
	return list;
}

static void begin_update(struct shim *shim, struct ttrpc_call *call, struct container *c,
	const Containerd__Task__V2__UpdateTaskRequest *r)
{
	_cleanup_free_ struct annotation *annotations = list_annotations(r);
	struct request *updating = new_request(shim, call, request_reply_empty);
	struct update_params params = {
		.annotations = annotations,
		.n_annotations = annotations ? r->n_annotations : 0,
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	if (r->resources) {
		params.resources =
			r->resources->value.data ? (const void *)r->resources->value.data : "";
		params.n_resources = r->resources->value.len;
	}
	if (updating && annotations) {
		container_update(c, &params, request_done, updating);
	} else if (updating) {
		error_set(&err, CODE_RESOURCE_EXHAUSTED, "no memory for the annotations");
		request_done(&err, NULL, updating);
	}
}

static void task_update(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__UpdateTaskRequest *r = (const void *)request;
	struct container *c = find_container(userdata, call, r->id);
	bool has_other = r->resources ? !has_resources(r->resources) : r->n_annotations == 0;
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!c)
		return;
	if (has_other) {
		error_set(&err, CODE_INVALID_ARGUMENT,
			"resources of type \"%.200s\": not LinuxResources",
			r->resources ? r->resources->type_url : "");
		refuse(userdata, call, &err);
		return;
	}
	begin_update(userdata, call, c, r);
}

static void task_stats_of(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Task__V2__StatsRequest *r = (const void *)request;
	struct container *c = find_container(userdata, call, r->id);
	struct request *asking = c ? new_request(userdata, call, NULL) : NULL;

	if (asking)
		task_stats(asking, c);
}

/* --- the table --- */

#define EMPTY		   (&google__protobuf__empty__descriptor)
#define TASK_MESSAGE(name) (&containerd__task__v2__##name##__descriptor)
#define METHOD(name, request, response, handle)                                                    \
	{                                                                                          \
		name, request, response, false, handle                                             \
	}

static const struct ttrpc_method methods[] = {
	METHOD("State", TASK_MESSAGE(state_request), TASK_MESSAGE(state_response), task_state),
	METHOD("Create", TASK_MESSAGE(create_task_request), TASK_MESSAGE(create_task_response),
		task_create),
	METHOD("Start", TASK_MESSAGE(start_request), TASK_MESSAGE(start_response), task_start),
	METHOD("Delete", TASK_MESSAGE(delete_request), TASK_MESSAGE(delete_response), task_delete),
	METHOD("Pids", TASK_MESSAGE(pids_request), TASK_MESSAGE(pids_response), task_pids),
	METHOD("Pause", TASK_MESSAGE(pause_request), EMPTY, task_pause),
	METHOD("Resume", TASK_MESSAGE(resume_request), EMPTY, task_resume),
	METHOD("Checkpoint", TASK_MESSAGE(checkpoint_task_request), EMPTY, task_checkpoint),
	METHOD("Kill", TASK_MESSAGE(kill_request), EMPTY, task_kill),
	METHOD("Exec", TASK_MESSAGE(exec_process_request), EMPTY, task_exec),
	METHOD("ResizePty", TASK_MESSAGE(resize_pty_request), EMPTY, task_resize_pty),
	METHOD("CloseIO", TASK_MESSAGE(close_iorequest), EMPTY, task_close_io),
	METHOD("Update", TASK_MESSAGE(update_task_request), EMPTY, task_update),
	METHOD("Wait", TASK_MESSAGE(wait_request), TASK_MESSAGE(wait_response), task_wait),
	METHOD("Stats", TASK_MESSAGE(stats_request), TASK_MESSAGE(stats_response), task_stats_of),
	METHOD("Connect", TASK_MESSAGE(connect_request), TASK_MESSAGE(connect_response),
		task_connect),
	METHOD("Shutdown", TASK_MESSAGE(shutdown_request), EMPTY, task_shutdown),
};

int service_task_register(struct shim *shim)
{
	static const char *const names[] = { "containerd.task.v2.Task", "containerd.task.v3.Task" };
	int r = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && r == 0; i++)
		r = ttrpc_server_add_service(
			shim->server, names[i], methods, sizeof(methods) / sizeof(*methods), shim);
	return r;
}
