/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests in, answers out, over a line; those with messages of cleatd's own are in
 * client_call_hub.c. Decides nothing. Subtle: 255 is both a real exit code and containerd's word for
 * "unknown", so on 255 the ledger is asked as well.
 */
#include "common/client_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/client_call_private.h"
#include "common/limits.h"
#include "common/pbtime.h"
#include "shim2017.pb-c.h"

/* Between the answer to a Shutdown and the end of the connection. */
#define SHUTDOWN_MS 2000

/* Above the runtime's deadline and the drain of the streams: the shim's own error comes first. */
#define CALL_MARGIN_MS 10000

int64_t client_call_ms(const struct client_place *place)
{
	uint32_t runtime = place->deadline_ms ? place->deadline_ms : RUNTIME_DEADLINE_MS;

	return (int64_t)runtime + DRAIN_DEADLINE_MS + CALL_MARGIN_MS;
}

/* --- sending --- */

void client_call_prepare(struct client_target *t, struct ttrpc_request *request,
	struct ttrpc_metadata *metadata, const struct client_fds *fds)
{
	*metadata = (struct ttrpc_metadata){ CLIENT_NAMESPACE_KEY, t->place->ns };
	if (t->is_hub) {
		request->metadata = metadata;
		request->n_metadata = 1;
	}
	if (fds) {
		request->fds = fds->fds;
		request->n_fds = fds->n;
	}
}

int client_call_send(struct client_target *t, const struct client_rpc *rpc,
	const ProtobufCMessage *m, int64_t timeout_ms, const struct client_fds *fds, void *ret,
	struct error *err)
{
	struct ttrpc_request request = client_rpc_request(rpc, m, timeout_ms);
	ProtobufCMessage *answer = NULL;
	struct ttrpc_metadata metadata;
	int r;

	client_call_prepare(t, &request, &metadata, fds);
	r = client_line_call(t->line, &request, &answer, err);
	if (r != 0)
		return client_wrap(err, t->id);
	if (ret)
		*(ProtobufCMessage **)ret = answer;
	else
		protobuf_c_message_free_unpacked(answer, NULL);
	return 0;
}

/* For what makes a runtime run, and answers with nothing that is looked at. */
static int send_long(struct client_target *t, const struct client_rpc *shim,
	const struct client_rpc *hub, const ProtobufCMessage *m, struct error *err)
{
	return client_call_send(
		t, t->is_hub ? hub : shim, m, client_call_ms(t->place), NULL, NULL, err);
}

static int send_short(struct client_target *t, const struct client_rpc *shim,
	const struct client_rpc *hub, const ProtobufCMessage *m, struct error *err)
{
	return client_call_send(t, t->is_hub ? hub : shim, m, CLIENT_ANSWER_MS, NULL, NULL, err);
}

/* --- life --- */

int client_call_create(struct client_target *t, const Containerd__Task__V2__CreateTaskRequest *m,
	const struct client_fds *fds, uint32_t *ret_pid, struct error *err)
{
	Containerd__Task__V2__CreateTaskResponse *answer;
	int r = client_call_send(
		t, &rpc_create, &m->base, client_call_ms(t->place), fds, &answer, err);

	if (r != 0)
		return r;
	*ret_pid = answer->pid;
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	return 0;
}

int client_call_start(
	struct client_target *t, const char *exec_id, uint32_t *ret_pid, struct error *err)
{
	Containerd__Task__V2__StartRequest m = CONTAINERD__TASK__V2__START_REQUEST__INIT;
	Containerd__Task__V2__StartResponse *answer;
	int r;

	m.id = t->id;
	m.exec_id = (char *)exec_id;
	r = client_call_send(t, t->is_hub ? &hub_start : &rpc_start, &m.base,
		client_call_ms(t->place), NULL, &answer, err);
	if (r != 0)
		return r;
	*ret_pid = answer->pid;
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	return 0;
}

int client_call_exec(struct client_target *t, const Containerd__Task__V2__ExecProcessRequest *m,
	const struct client_fds *fds, struct error *err)
{
	if (t->is_hub)
		return client_call_exec_hub(t, m, fds, err);
	return client_call_send(t, &rpc_exec, &m->base, CLIENT_ANSWER_MS, fds, NULL, err);
}

int client_call_kill(
	struct client_target *t, const char *exec_id, int sig, bool all, struct error *err)
{
	Containerd__Task__V2__KillRequest m = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	m.id = t->id;
	m.exec_id = (char *)exec_id;
	m.signal = (uint32_t)sig;
	m.all = all;
	return send_long(t, &rpc_kill, &hub_kill, &m.base, err);
}

int client_call_pause(struct client_target *t, struct error *err)
{
	Containerd__Task__V2__PauseRequest m = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;

	m.id = t->id;
	return send_long(t, &rpc_pause, &hub_pause, &m.base, err);
}

int client_call_resume(struct client_target *t, struct error *err)
{
	Containerd__Task__V2__ResumeRequest m = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;

	m.id = t->id;
	return send_long(t, &rpc_resume, &hub_resume, &m.base, err);
}

int client_call_resize(struct client_target *t, const char *exec_id, uint32_t width,
	uint32_t height, struct error *err)
{
	Containerd__Task__V2__ResizePtyRequest m = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;

	m.id = t->id;
	m.exec_id = (char *)exec_id;
	m.width = width;
	m.height = height;
	return send_short(t, &rpc_resize_pty, &hub_resize_pty, &m.base, err);
}

int client_call_close_io(struct client_target *t, const char *exec_id, struct error *err)
{
	Containerd__Task__V2__CloseIORequest m = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;

	m.id = t->id;
	m.exec_id = (char *)exec_id;
	m.stdin = true;
	return send_short(t, &rpc_close_io, &hub_close_io, &m.base, err);
}

int client_call_update(struct client_target *t, const char *document, struct error *err)
{
	Containerd__Task__V2__UpdateTaskRequest m = CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
	any.value.data = (uint8_t *)document;
	any.value.len = strlen(document);
	m.id = t->id;
	m.resources = &any;
	return send_long(t, &rpc_update, &hub_update, &m.base, err);
}

int client_call_checkpoint(struct client_target *t, const char *path,
	const Cleat__Shim__V1__CriuOptions *options, struct error *err)
{
	Containerd__Task__V2__CheckpointTaskRequest m =
		CONTAINERD__TASK__V2__CHECKPOINT_TASK_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	_cleanup_free_ uint8_t *packed =
		malloc(cleat__shim__v1__criu_options__get_packed_size(options) + 1);

	if (!packed)
		return error_errno(err, -ENOMEM, "container %s", t->id);
	if (t->is_hub)
		return client_call_checkpoint_hub(t, path, options, err);
	any.type_url = (char *)"cleat.shim.v1.CriuOptions";
	any.value.data = packed;
	any.value.len = cleat__shim__v1__criu_options__pack(options, packed);
	m.id = t->id;
	m.path = (char *)path;
	m.options = &any;
	return client_call_send(
		t, &rpc_checkpoint, &m.base, client_call_ms(t->place), NULL, NULL, err);
}

/* --- the end --- */

/* Whether the exit that was told as 255 is known to be that. */
static int ask_known(struct client_target *t, const char *exec_id, bool *ret, struct error *err)
{
	Cleat__Shim__V1__ExitRecordsRequest m = CLEAT__SHIM__V1__EXIT_RECORDS_REQUEST__INIT;
	Cleat__Shim__V1__ExitRecordsResponse *answer;
	int r;

	m.exec_id = (char *)exec_id;
	r = t->is_hub ? client_call_exit_records_hub(t, exec_id, &answer, err)
		      : client_call_send(t, &rpc_exit_records, &m.base, CLIENT_ANSWER_MS, NULL,
				&answer, err);
	if (r != 0)
		return r;
	*ret = answer->n_records > 0 && answer->records[answer->n_records - 1]->exit_known;
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	return 0;
}

int client_call_learn(struct client_target *t, const char *exec_id, uint32_t status,
	const Google__Protobuf__Timestamp *at, struct client_exit *ret, struct error *err)
{
	struct client_exit e = { .known = true, .status = status, .at = pbtime_get(at) };
	int r = status == CLIENT_STATUS_UNKNOWN ? ask_known(t, exec_id, &e.known, err) : 0;

	if (r == 0)
		*ret = e;
	return r;
}

/* What was deleted has no ledger any more: 255 is asked about before. */
static int ask_before(struct client_target *t, const char *exec_id, bool *ret)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;

	*ret = true;
	return ask_known(t, exec_id, ret, &ignored);
}

static int delete_by_shim(
	struct client_target *t, const char *exec_id, struct client_exit *ret, struct error *err)
{
	Containerd__Task__V2__DeleteRequest m = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
	Containerd__Task__V2__DeleteResponse *answer;
	int r;

	m.id = t->id;
	m.exec_id = (char *)exec_id;
	r = client_call_send(t, &rpc_delete, &m.base, client_call_ms(t->place), NULL, &answer, err);
	if (r != 0)
		return r;
	*ret = (struct client_exit){ true, answer->exit_status, pbtime_get(answer->exited_at) };
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	return 0;
}

int client_call_delete(
	struct client_target *t, const char *exec_id, struct client_exit *ret, struct error *err)
{
	struct client_exit e = { 0 };
	bool known = true;
	int r;

	if (ret)
		ask_before(t, exec_id, &known);
	r = t->is_hub ? client_call_delete_process_hub(t, exec_id, &e, err)
		      : delete_by_shim(t, exec_id, &e, err);
	if (r != 0)
		return r;
	e.known = e.status != CLIENT_STATUS_UNKNOWN || known;
	if (ret)
		*ret = e;
	return 0;
}

int client_call_state(
	struct client_target *t, const char *exec_id, struct client_status *ret, struct error *err)
{
	Containerd__Task__V2__StateRequest m = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	Containerd__Task__V2__StateResponse *answer;
	struct client_status s = { 0 };
	int r;

	if (t->is_hub)
		return client_call_get_hub(t, exec_id, ret, err);
	m.id = t->id;
	m.exec_id = (char *)exec_id;
	r = client_call_send(t, &rpc_state, &m.base, CLIENT_ANSWER_MS, NULL, &answer, err);
	if (r != 0)
		return r;
	s.status = answer->status;
	s.pid = answer->pid;
	if (s.status == CONTAINERD__V1__TYPES__STATUS__STOPPED)
		r = client_call_learn(
			t, exec_id, answer->exit_status, answer->exited_at, &s.exit, err);
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	if (r == 0)
		*ret = s;
	return r;
}

/* --- waiting --- */

int client_call_wait_begin(
	struct client_target *t, const char *exec_id, struct client_shared **ret, struct error *err)
{
	Containerd__Task__V2__WaitRequest m = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
	struct ttrpc_request request =
		client_rpc_request(t->is_hub ? &hub_wait : &rpc_wait, &m.base, 0);
	_cleanup_free_ char *key = NULL;
	struct ttrpc_metadata metadata;
	int r;

	/* a blank is in no id */
	if (asprintf(&key, "%s %s %s", t->is_hub ? t->place->ns : "", t->id, exec_id) < 0) {
		key = NULL;
		return error_errno(err, -ENOMEM, "container %s", t->id);
	}
	m.id = t->id;
	m.exec_id = (char *)exec_id;
	client_call_prepare(t, &request, &metadata, NULL);
	r = client_shared_begin(t->line, key, &request, ret, err);
	return r == 0 ? 0 : client_wrap(err, t->id);
}

int client_call_wait_end(struct client_target *t, const char *exec_id, struct client_shared *shared,
	struct client_exit *ret, struct error *err)
{
	const Containerd__Task__V2__WaitResponse *answer;
	const ProtobufCMessage *message;
	int r = client_shared_answer(shared, &message, err);

	if (r != 0)
		return client_wrap(err, t->id);
	answer = (const void *)message;
	return client_call_learn(t, exec_id, answer->exit_status, answer->exited_at, ret, err);
}

int client_call_wait(struct client_target *t, const char *exec_id, int64_t timeout_ms,
	struct client_exit *ret, struct error *err)
{
	int64_t deadline = timeout_ms > 0 ? clock_monotonic_ms() + timeout_ms : -1;
	struct client_shared *shared;
	int r = client_call_wait_begin(t, exec_id, &shared, err);

	if (r != 0)
		return r;
	r = client_shared_await(shared, deadline, NULL, err);
	if (r != 0)
		r = error_wrap(err, "container %s: wait", t->id);
	else
		r = client_call_wait_end(t, exec_id, shared, ret, err);
	client_shared_drop(shared);
	return r;
}

/* --- looks --- */

int client_call_pids(
	struct client_target *t, Containerd__Task__V2__PidsResponse **ret, struct error *err)
{
	Containerd__Task__V2__PidsRequest m = CONTAINERD__TASK__V2__PIDS_REQUEST__INIT;

	m.id = t->id;
	return client_call_send(t, t->is_hub ? &hub_pids : &rpc_pids, &m.base,
		client_call_ms(t->place), NULL, ret, err);
}

int client_call_stats(
	struct client_target *t, Containerd__Task__V2__StatsResponse **ret, struct error *err)
{
	Containerd__Task__V2__StatsRequest m = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;

	if (t->is_hub)
		return client_call_metrics_hub(t, ret, err);
	m.id = t->id;
	return client_call_send(t, &rpc_stats, &m.base, client_call_ms(t->place), NULL, ret, err);
}

int client_call_info(struct client_target *t, int64_t timeout_ms,
	Cleat__Shim__V1__InfoResponse **ret, struct error *err)
{
	Cleat__Shim__V1__InfoRequest m = CLEAT__SHIM__V1__INFO_REQUEST__INIT;

	if (t->is_hub)
		return client_call_info_hub(t, timeout_ms, ret, err);
	return client_call_send(t, &rpc_info, &m.base, timeout_ms, NULL, ret, err);
}

int client_call_info_with_spec(
	struct client_target *t, Cleat__Shim__V1__InfoResponse **ret, struct error *err)
{
	_cleanup_(client_target_close) struct client_target shim = CLIENT_TARGET_INIT;
	Cleat__Shim__V1__InfoResponse *info;
	int r = client_call_info(t, CLIENT_ANSWER_MS, &info, err);

	if (r == 0 && t->is_hub && *info->status && info->spec.len == 0) {
		cleat__shim__v1__info_response__free_unpacked(info, NULL);
		r = client_target_open_shim(t, &shim, err);
		if (r == 0)
			r = client_call_info(&shim, CLIENT_ANSWER_MS, &info, err);
	}
	if (r == 0 && *info->status && info->spec.len == 0) {
		cleat__shim__v1__info_response__free_unpacked(info, NULL);
		r = error_set(err, CODE_UNAVAILABLE,
			"container %s: its shim does not tell its config.json", t->id);
	}
	if (r == 0)
		*ret = info;
	return r;
}

/* --- the shim itself --- */

void client_call_shutdown(struct client_target *t)
{
	Containerd__Task__V2__ShutdownRequest m = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
	_cleanup_error_ struct error ignored = ERROR_INIT;

	if (t->is_hub)
		return;
	m.id = t->id;
	if (client_call_send(t, &rpc_shutdown, &m.base, CLIENT_ANSWER_MS, NULL, NULL, &ignored) ==
		0)
		client_line_await_end(t->line, SHUTDOWN_MS);
}

int client_call_shim_exit(struct client_target *t, struct error *err)
{
	Cleat__Shim2017__ExitRequest m = CLEAT__SHIM2017__EXIT_REQUEST__INIT;
	int r;

	if (t->is_hub)
		return error_set(err, CODE_UNIMPLEMENTED,
			"container %s: cleatd ends its shims by itself", t->id);
	r = client_call_send(t, &rpc_shim_exit, &m.base, CLIENT_ANSWER_MS, NULL, NULL, err);
	if (r == 0)
		client_line_await_end(t->line, SHUTDOWN_MS);
	return r;
}
