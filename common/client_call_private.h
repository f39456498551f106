/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What client_call.c and client_call_hub.c (the calls whose messages cleatd has for itself) know of
 * each other. Included by nothing else.
 */

#include "common/client_call.h"
#include "common/client_rpc.h"

/* What goes with a request besides its message; metadata is the room for it. fds may be NULL. */
void client_call_prepare(struct client_target *t, struct ttrpc_request *request,
	struct ttrpc_metadata *metadata, const struct client_fds *fds);
/* One call. ret: a pointer to the answer's pointer; NULL: nothing in it is looked at. */
int client_call_send(struct client_target *t, const struct client_rpc *rpc,
	const ProtobufCMessage *m, int64_t timeout_ms, const struct client_fds *fds, void *ret,
	struct error *err);
/* An exit as it was told, where 255 is asked about. */
int client_call_learn(struct client_target *t, const char *exec_id, uint32_t status,
	const Google__Protobuf__Timestamp *at, struct client_exit *ret, struct error *err);

/* --- client_call_hub.c: as the calls of their names --- */

int client_call_exec_hub(struct client_target *t, const Containerd__Task__V2__ExecProcessRequest *m,
	const struct client_fds *fds, struct error *err);
int client_call_delete_process_hub(
	struct client_target *t, const char *exec_id, struct client_exit *ret, struct error *err);
int client_call_get_hub(
	struct client_target *t, const char *exec_id, struct client_status *ret, struct error *err);
int client_call_checkpoint_hub(struct client_target *t, const char *path,
	const Cleat__Shim__V1__CriuOptions *options, struct error *err);
int client_call_metrics_hub(
	struct client_target *t, Containerd__Task__V2__StatsResponse **ret, struct error *err);
int client_call_info_hub(struct client_target *t, int64_t timeout_ms,
	Cleat__Shim__V1__InfoResponse **ret, struct error *err);
int client_call_exit_records_hub(struct client_target *t, const char *exec_id,
	Cleat__Shim__V1__ExitRecordsResponse **ret, struct error *err);
