/* SPDX-License-Identifier: Apache-2.0 */
/* The table of methods. Sends nothing. */
#include "common/client_rpc.h"

#include "google/protobuf/empty.pb-c.h"
#include "monitor.pb-c.h"
#include "supervisor.pb-c.h"
#include "task.pb-c.h"
#include "tasks.pb-c.h"

/* --- a shim --- */

const struct client_rpc rpc_create = { TASK_SERVICE, "Create",
	&containerd__task__v2__create_task_response__descriptor };
const struct client_rpc rpc_start = { TASK_SERVICE, "Start",
	&containerd__task__v2__start_response__descriptor };
const struct client_rpc rpc_exec = { TASK_SERVICE, "Exec", &google__protobuf__empty__descriptor };
const struct client_rpc rpc_delete = { TASK_SERVICE, "Delete",
	&containerd__task__v2__delete_response__descriptor };
const struct client_rpc rpc_kill = { TASK_SERVICE, "Kill", &google__protobuf__empty__descriptor };
const struct client_rpc rpc_wait = { TASK_SERVICE, "Wait",
	&containerd__task__v2__wait_response__descriptor };
const struct client_rpc rpc_pids = { TASK_SERVICE, "Pids",
	&containerd__task__v2__pids_response__descriptor };
const struct client_rpc rpc_stats = { TASK_SERVICE, "Stats",
	&containerd__task__v2__stats_response__descriptor };
const struct client_rpc rpc_update = { TASK_SERVICE, "Update",
	&google__protobuf__empty__descriptor };
const struct client_rpc rpc_checkpoint = { TASK_SERVICE, "Checkpoint",
	&google__protobuf__empty__descriptor };
const struct client_rpc rpc_pause = { TASK_SERVICE, "Pause", &google__protobuf__empty__descriptor };
const struct client_rpc rpc_resume = { TASK_SERVICE, "Resume",
	&google__protobuf__empty__descriptor };
const struct client_rpc rpc_resize_pty = { TASK_SERVICE, "ResizePty",
	&google__protobuf__empty__descriptor };
const struct client_rpc rpc_close_io = { TASK_SERVICE, "CloseIO",
	&google__protobuf__empty__descriptor };
const struct client_rpc rpc_state = { TASK_SERVICE, "State",
	&containerd__task__v2__state_response__descriptor };
const struct client_rpc rpc_shutdown = { TASK_SERVICE, "Shutdown",
	&google__protobuf__empty__descriptor };

const struct client_rpc rpc_info = { MONITOR_SERVICE, "Info",
	&cleat__shim__v1__info_response__descriptor };
const struct client_rpc rpc_subscribe = { MONITOR_SERVICE, "Subscribe",
	&cleat__shim__v1__event__descriptor };
const struct client_rpc rpc_exit_records = { MONITOR_SERVICE, "ExitRecords",
	&cleat__shim__v1__exit_records_response__descriptor };

const struct client_rpc rpc_shim_exit = { SHIM2017_SERVICE, "Exit",
	&google__protobuf__empty__descriptor };

/* --- cleatd: answers, too, are taken as the shim's where they are the same on the wire --- */

const struct client_rpc hub_start = { TASKS_SERVICE, "Start",
	&containerd__task__v2__start_response__descriptor };
const struct client_rpc hub_kill = { TASKS_SERVICE, "Kill", &google__protobuf__empty__descriptor };
const struct client_rpc hub_wait = { TASKS_SERVICE, "Wait",
	&containerd__task__v2__wait_response__descriptor };
const struct client_rpc hub_pids = { TASKS_SERVICE, "ListPids",
	&containerd__task__v2__pids_response__descriptor };
const struct client_rpc hub_update = { TASKS_SERVICE, "Update",
	&google__protobuf__empty__descriptor };
const struct client_rpc hub_pause = { TASKS_SERVICE, "Pause",
	&google__protobuf__empty__descriptor };
const struct client_rpc hub_resume = { TASKS_SERVICE, "Resume",
	&google__protobuf__empty__descriptor };
const struct client_rpc hub_resize_pty = { TASKS_SERVICE, "ResizePty",
	&google__protobuf__empty__descriptor };
const struct client_rpc hub_close_io = { TASKS_SERVICE, "CloseIO",
	&google__protobuf__empty__descriptor };

const struct client_rpc hub_exec = { TASKS_SERVICE, "Exec", &google__protobuf__empty__descriptor };
const struct client_rpc hub_delete_process = { TASKS_SERVICE, "DeleteProcess",
	&containerd__services__tasks__v1__delete_response__descriptor };
const struct client_rpc hub_get = { TASKS_SERVICE, "Get",
	&containerd__services__tasks__v1__get_response__descriptor };
const struct client_rpc hub_checkpoint = { TASKS_SERVICE, "Checkpoint",
	&containerd__services__tasks__v1__checkpoint_task_response__descriptor };
const struct client_rpc hub_metrics = { TASKS_SERVICE, "Metrics",
	&containerd__services__tasks__v1__metrics_response__descriptor };

const struct client_rpc hub_info = { SUPERVISOR_SERVICE, "Info",
	&cleat__v1__info_response__descriptor };
const struct client_rpc hub_list = { SUPERVISOR_SERVICE, "List",
	&cleat__v1__list_response__descriptor };
const struct client_rpc hub_container = { SUPERVISOR_SERVICE, "Get",
	&cleat__v1__get_response__descriptor };
const struct client_rpc hub_create = { SUPERVISOR_SERVICE, "Create",
	&cleat__v1__create_response__descriptor };
const struct client_rpc hub_delete = { SUPERVISOR_SERVICE, "Delete",
	&cleat__v1__delete_response__descriptor };
const struct client_rpc hub_exit_records = { SUPERVISOR_SERVICE, "ExitRecords",
	&cleat__shim__v1__exit_records_response__descriptor };
const struct client_rpc hub_subscribe = { SUPERVISOR_SERVICE, "Subscribe",
	&cleat__v1__container_event__descriptor };

struct ttrpc_request client_rpc_request(
	const struct client_rpc *rpc, const ProtobufCMessage *message, int64_t timeout_ms)
{
	return (struct ttrpc_request){
		.service = rpc->service,
		.method = rpc->method,
		.message = message,
		.response = rpc->response,
		.timeout_ms = timeout_ms,
	};
}
