/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The methods that clients call: where each is in a shim and where in cleatd, and what it answers
 * with. containerd gave the Tasks service of its daemon the same field numbers as the Task service of
 * its shims in most of the requests: those are packed once for both, as the shim's message.
 */

#include "common/ttrpc_client.h"

#define TASK_SERVICE	   "containerd.task.v2.Task"
#define MONITOR_SERVICE	   "cleat.shim.v1.Monitor"
#define SHIM2017_SERVICE   "containerd.v1.services.shim.Shim"
#define TASKS_SERVICE	   "containerd.services.tasks.v1.Tasks"
#define SUPERVISOR_SERVICE "cleat.v1.Supervisor"

/* The metadata that has the namespace, for cleatd. */
#define CLIENT_NAMESPACE_KEY "containerd-namespace-ttrpc"

struct client_rpc {
	const char *service, *method;
	const ProtobufCMessageDescriptor *response;
};

/* Of a shim. */
extern const struct client_rpc rpc_create, rpc_start, rpc_exec, rpc_delete, rpc_kill, rpc_wait,
	rpc_pids, rpc_stats, rpc_update, rpc_checkpoint, rpc_pause, rpc_resume, rpc_resize_pty,
	rpc_close_io, rpc_state, rpc_shutdown;
extern const struct client_rpc rpc_info, rpc_subscribe, rpc_exit_records;
extern const struct client_rpc rpc_shim_exit; /* of 2017 */

/* Of cleatd, whose requests are the shim's: start, kill, wait, pids, update, pause, resume, resize_pty, close_io. */
extern const struct client_rpc hub_start, hub_kill, hub_wait, hub_pids, hub_update, hub_pause,
	hub_resume, hub_resize_pty, hub_close_io;
/* And those with messages of their own. */
extern const struct client_rpc hub_exec, hub_delete_process, hub_get, hub_checkpoint, hub_metrics;
extern const struct client_rpc hub_info, hub_list, hub_container, hub_create, hub_delete,
	hub_exit_records, hub_subscribe;

/* A request of it, without descriptors and metadata. message is not copied; timeout_ms 0: none. */
struct ttrpc_request client_rpc_request(
	const struct client_rpc *rpc, const ProtobufCMessage *message, int64_t timeout_ms);
