/* SPDX-License-Identifier: Apache-2.0 */
/* The table of methods. Sends nothing. */
#include "supervisor/cli/rpc.h"

#include "google/protobuf/empty.pb-c.h"
#include "monitor.pb-c.h"
#include "supervisor/cli/task.h"
#include "task.pb-c.h"

const struct rpc rpc_create = { TASK_SERVICE, "Create",
	&containerd__task__v2__create_task_response__descriptor };
const struct rpc rpc_start = { TASK_SERVICE, "Start",
	&containerd__task__v2__start_response__descriptor };
const struct rpc rpc_exec = { TASK_SERVICE, "Exec", &google__protobuf__empty__descriptor };
const struct rpc rpc_delete = { TASK_SERVICE, "Delete",
	&containerd__task__v2__delete_response__descriptor };
const struct rpc rpc_kill = { TASK_SERVICE, "Kill", &google__protobuf__empty__descriptor };
const struct rpc rpc_wait = { TASK_SERVICE, "Wait",
	&containerd__task__v2__wait_response__descriptor };
const struct rpc rpc_pids = { TASK_SERVICE, "Pids",
	&containerd__task__v2__pids_response__descriptor };
const struct rpc rpc_stats = { TASK_SERVICE, "Stats",
	&containerd__task__v2__stats_response__descriptor };
const struct rpc rpc_update = { TASK_SERVICE, "Update", &google__protobuf__empty__descriptor };
const struct rpc rpc_checkpoint = { TASK_SERVICE, "Checkpoint",
	&google__protobuf__empty__descriptor };
const struct rpc rpc_pause = { TASK_SERVICE, "Pause", &google__protobuf__empty__descriptor };
const struct rpc rpc_resume = { TASK_SERVICE, "Resume", &google__protobuf__empty__descriptor };
const struct rpc rpc_resize_pty = { TASK_SERVICE, "ResizePty",
	&google__protobuf__empty__descriptor };
const struct rpc rpc_shutdown = { TASK_SERVICE, "Shutdown", &google__protobuf__empty__descriptor };

const struct rpc rpc_info = { MONITOR_SERVICE, "Info",
	&cleat__shim__v1__info_response__descriptor };
const struct rpc rpc_subscribe = { MONITOR_SERVICE, "Subscribe",
	&cleat__shim__v1__event__descriptor };
const struct rpc rpc_exit_records = { MONITOR_SERVICE, "ExitRecords",
	&cleat__shim__v1__exit_records_response__descriptor };

const struct rpc rpc_shim_exit = { SHIM2017_SERVICE, "Exit", &google__protobuf__empty__descriptor };

struct ttrpc_request rpc_request(
	const struct rpc *rpc, const ProtobufCMessage *message, int64_t timeout_ms)
{
	return (struct ttrpc_request){
		.service = rpc->service,
		.method = rpc->method,
		.message = message,
		.response = rpc->response,
		.timeout_ms = timeout_ms,
	};
}
