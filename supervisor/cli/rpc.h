/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The methods of a shim that this program calls: where each is, and what it answers with. */

#include "common/ttrpc_client.h"

struct rpc {
	const char *service, *method;
	const ProtobufCMessageDescriptor *response;
};

extern const struct rpc rpc_create, rpc_start, rpc_exec, rpc_delete, rpc_kill, rpc_wait, rpc_pids,
	rpc_stats, rpc_update, rpc_checkpoint, rpc_pause, rpc_resume, rpc_resize_pty, rpc_shutdown;
extern const struct rpc rpc_info, rpc_subscribe, rpc_exit_records;
extern const struct rpc rpc_shim_exit; /* of 2017 */

/* A request of it, without descriptors. message is not copied; timeout_ms 0: none. */
struct ttrpc_request rpc_request(
	const struct rpc *rpc, const ProtobufCMessage *message, int64_t timeout_ms);
