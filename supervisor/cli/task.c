/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests in, answers out, over one blocking connection. Decides nothing. Subtle: 255 is both a
 * real exit code and containerd's word for "unknown", so on 255 the ledger is asked as well.
 */
#include "supervisor/cli/task.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/pbtime.h"
#include "common/ttrpc_client.h"
#include "shim2017.pb-c.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/rpc.h"
#include "supervisor/cli/target.h"

/* Between the answer to a Shutdown and the end of the connection. */
#define SHUTDOWN_MS 2000

/* Above the runtime's deadline and the drain of the streams: the shim's own error comes first. */
#define CALL_MARGIN_MS 10000

int64_t task_call_ms(const struct cli *cli)
{
	uint32_t runtime = cli->deadline_ms ? cli->deadline_ms : RUNTIME_DEADLINE_MS;

	return (int64_t)runtime + DRAIN_DEADLINE_MS + CALL_MARGIN_MS;
}

static int call(struct target *t, const struct ttrpc_request *request, ProtobufCMessage **ret,
	struct error *err)
{
	ProtobufCMessage *answer = NULL;
	int r = ttrpc_client_call(t->client, request, &answer, err);

	if (r != 0)
		return cli_wrap_container(err, t->id);
	if (ret)
		*ret = answer;
	else
		protobuf_c_message_free_unpacked(answer, NULL);
	return 0;
}

/* For what answers with Empty, or with nothing that is looked at. */
static int call_empty(struct target *t, const struct rpc *rpc, const ProtobufCMessage *m,
	int64_t timeout_ms, struct error *err)
{
	const struct ttrpc_request request = rpc_request(rpc, m, timeout_ms);

	return call(t, &request, NULL, err);
}

int task_create(struct cli *cli, struct target *t, const Containerd__Task__V2__CreateTaskRequest *m,
	uint32_t *ret_pid, struct error *err)
{
	const Containerd__Task__V2__CreateTaskResponse *answer;
	ProtobufCMessage *message = NULL;
	const struct ttrpc_request request = rpc_request(&rpc_create, &m->base, task_call_ms(cli));
	int r = call(t, &request, &message, err);

	if (r != 0)
		return r;
	answer = (const void *)message;
	*ret_pid = answer->pid;
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}

int task_start(struct cli *cli, struct target *t, const char *exec_id, uint32_t *ret_pid,
	struct error *err)
{
	Containerd__Task__V2__StartRequest m = CONTAINERD__TASK__V2__START_REQUEST__INIT;
	const Containerd__Task__V2__StartResponse *answer;
	ProtobufCMessage *message = NULL;
	const struct ttrpc_request request = rpc_request(&rpc_start, &m.base, task_call_ms(cli));
	int r;

	m.id = t->id;
	m.exec_id = (char *)exec_id;
	r = call(t, &request, &message, err);
	if (r != 0)
		return r;
	answer = (const void *)message;
	*ret_pid = answer->pid;
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}

int task_exec(
	struct target *t, const Containerd__Task__V2__ExecProcessRequest *m, struct error *err)
{
	return call_empty(t, &rpc_exec, &m->base, ANSWER_MS, err);
}

int task_kill(struct cli *cli, struct target *t, const char *exec_id, int sig, bool all,
	struct error *err)
{
	Containerd__Task__V2__KillRequest m = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	m.id = t->id;
	m.exec_id = (char *)exec_id;
	m.signal = (uint32_t)sig;
	m.all = all;
	return call_empty(t, &rpc_kill, &m.base, task_call_ms(cli), err);
}

int task_pause(struct cli *cli, struct target *t, struct error *err)
{
	Containerd__Task__V2__PauseRequest m = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;

	m.id = t->id;
	return call_empty(t, &rpc_pause, &m.base, task_call_ms(cli), err);
}

int task_resume(struct cli *cli, struct target *t, struct error *err)
{
	Containerd__Task__V2__ResumeRequest m = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;

	m.id = t->id;
	return call_empty(t, &rpc_resume, &m.base, task_call_ms(cli), err);
}

int task_update(struct cli *cli, struct target *t, const char *document, struct error *err)
{
	Containerd__Task__V2__UpdateTaskRequest m = CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
	any.value.data = (uint8_t *)document;
	any.value.len = strlen(document);
	m.id = t->id;
	m.resources = &any;
	return call_empty(t, &rpc_update, &m.base, task_call_ms(cli), err);
}

int task_checkpoint(struct cli *cli, struct target *t, const char *path,
	const Cleat__Shim__V1__CriuOptions *options, struct error *err)
{
	Containerd__Task__V2__CheckpointTaskRequest m =
		CONTAINERD__TASK__V2__CHECKPOINT_TASK_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	_cleanup_free_ uint8_t *packed =
		malloc(cleat__shim__v1__criu_options__get_packed_size(options) + 1);

	if (!packed)
		return error_errno(err, -ENOMEM, "container %s", t->id);
	any.type_url = (char *)"cleat.shim.v1.CriuOptions";
	any.value.data = packed;
	any.value.len = cleat__shim__v1__criu_options__pack(options, packed);
	m.id = t->id;
	m.path = (char *)path;
	m.options = &any;
	return call_empty(t, &rpc_checkpoint, &m.base, task_call_ms(cli), err);
}

int task_delete(struct cli *cli, struct target *t, const char *exec_id, struct error *err)
{
	Containerd__Task__V2__DeleteRequest m = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;

	m.id = t->id;
	m.exec_id = (char *)exec_id;
	return call_empty(t, &rpc_delete, &m.base, task_call_ms(cli), err);
}

/* Whether the exit that Wait told as 255 is known to be that. */
static int ask_known(struct target *t, const char *exec_id, bool *ret, struct error *err)
{
	Cleat__Shim__V1__ExitRecordsRequest m = CLEAT__SHIM__V1__EXIT_RECORDS_REQUEST__INIT;
	const Cleat__Shim__V1__ExitRecordsResponse *answer;
	ProtobufCMessage *message = NULL;
	const struct ttrpc_request request = rpc_request(&rpc_exit_records, &m.base, ANSWER_MS);
	int r;

	m.exec_id = (char *)exec_id;
	r = call(t, &request, &message, err);
	if (r != 0)
		return r;
	answer = (const void *)message;
	*ret = answer->n_records > 0 && answer->records[answer->n_records - 1]->exit_known;
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}

int task_wait(struct target *t, const char *exec_id, int64_t timeout_ms, struct task_exit *ret,
	struct error *err)
{
	Containerd__Task__V2__WaitRequest m = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
	const Containerd__Task__V2__WaitResponse *answer;
	ProtobufCMessage *message = NULL;
	const struct ttrpc_request request = rpc_request(&rpc_wait, &m.base, timeout_ms);
	struct task_exit e = { .known = true };
	int r;

	m.id = t->id;
	m.exec_id = (char *)exec_id;
	r = call(t, &request, &message, err);
	if (r != 0)
		return r;
	answer = (const void *)message;
	e.status = answer->exit_status;
	e.at = pbtime_get(answer->exited_at);
	protobuf_c_message_free_unpacked(message, NULL);
	if (e.status == STATUS_UNKNOWN)
		r = ask_known(t, exec_id, &e.known, err);
	if (r == 0)
		*ret = e;
	return r;
}

int task_pids(struct cli *cli, struct target *t, Containerd__Task__V2__PidsResponse **ret,
	struct error *err)
{
	Containerd__Task__V2__PidsRequest m = CONTAINERD__TASK__V2__PIDS_REQUEST__INIT;
	const struct ttrpc_request request = rpc_request(&rpc_pids, &m.base, task_call_ms(cli));
	ProtobufCMessage *message = NULL;
	int r;

	m.id = t->id;
	r = call(t, &request, &message, err);
	if (r == 0)
		*ret = (void *)message;
	return r;
}

int task_stats(struct cli *cli, struct target *t, Containerd__Task__V2__StatsResponse **ret,
	struct error *err)
{
	Containerd__Task__V2__StatsRequest m = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;
	const struct ttrpc_request request = rpc_request(&rpc_stats, &m.base, task_call_ms(cli));
	ProtobufCMessage *message = NULL;
	int r;

	m.id = t->id;
	r = call(t, &request, &message, err);
	if (r == 0)
		*ret = (void *)message;
	return r;
}

void task_await_end(struct target *t)
{
	struct pollfd p = { .fd = ttrpc_client_fd(t->client), .events = POLLRDHUP };

	poll(&p, 1, SHUTDOWN_MS);
}

void task_shutdown(struct target *t)
{
	Containerd__Task__V2__ShutdownRequest m = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
	_cleanup_error_ struct error ignored = ERROR_INIT;

	m.id = t->id;
	if (call_empty(t, &rpc_shutdown, &m.base, ANSWER_MS, &ignored) == 0)
		task_await_end(t);
}

int monitor_info(struct target *t, int64_t timeout_ms, Cleat__Shim__V1__InfoResponse **ret,
	struct error *err)
{
	Cleat__Shim__V1__InfoRequest m = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	const struct ttrpc_request request = rpc_request(&rpc_info, &m.base, timeout_ms);
	ProtobufCMessage *message = NULL;
	int r = call(t, &request, &message, err);

	if (r == 0)
		*ret = (void *)message;
	return r;
}

int shim_exit(struct target *t, struct error *err)
{
	Cleat__Shim2017__ExitRequest m = CLEAT__SHIM2017__EXIT_REQUEST__INIT;
	int r = call_empty(t, &rpc_shim_exit, &m.base, ANSWER_MS, err);

	if (r == 0)
		task_await_end(t);
	return r;
}
