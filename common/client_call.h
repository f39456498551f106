/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Calls about a container, for blocking use: one function each, whether cleatd is asked or the shim.
 * Errors read "container ID: cause". exec_id "" is the init.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/client_target.h"
#include "common/clock.h"
#include "common/error.h"
#include "monitor.pb-c.h"
#include "mount.pb-c.h"
#include "supervisor.pb-c.h"
#include "task.pb-c.h"

/* On containerd's wire, an exit status that cannot be known. */
#define CLIENT_STATUS_UNKNOWN 255u

/* How long a call that makes the shim run its runtime may take: a bit longer than it gives itself. */
int64_t client_call_ms(const struct client_place *place);

struct client_exit {
	bool known;
	uint32_t status; /* the code, or 128 + signal; where known */
	moment at;
};

/* Descriptors that a request's streams name: fd:0 is the first. Not consumed. */
struct client_fds {
	const int *fds;
	size_t n;
};

/*
 * To a shim. With cleatd, which starts the shim: client_call_create_hub(), and *ret_socket is the
 * shim's, the caller's to free.
 */
int client_call_create(struct client_target *t, const Containerd__Task__V2__CreateTaskRequest *m,
	const struct client_fds *fds, uint32_t *ret_pid, struct error *err);
int client_call_create_hub(struct client_target *t,
	const Containerd__Task__V2__CreateTaskRequest *m, const char *spec,
	const struct client_fds *fds, uint32_t *ret_pid, char **ret_socket, struct error *err);
/*
 * What cleatd is asked for a shim's Create, for who sends it in a loop of its own. spec: config.json to use
 * instead of the bundle's; NULL: the bundle's. It points into m and spec.
 */
struct client_hub_creation {
	Cleat__V1__CreateOptions options;
	Cleat__V1__CreateRequest request;
};
int client_hub_creation_fill(struct client_hub_creation *h, const char *id,
	const Containerd__Task__V2__CreateTaskRequest *m, const char *spec, struct error *err);
void client_hub_creation_deinit(struct client_hub_creation *h);
/* cleatd ended before it answered: err says so of container id, and what its caller can do. CODE_UNAVAILABLE. */
int client_hub_creation_lost(const char *id, struct error *err);
int client_call_start(
	struct client_target *t, const char *exec_id, uint32_t *ret_pid, struct error *err);
int client_call_exec(struct client_target *t, const Containerd__Task__V2__ExecProcessRequest *m,
	const struct client_fds *fds, struct error *err);
int client_call_kill(
	struct client_target *t, const char *exec_id, int sig, bool all, struct error *err);
int client_call_pause(struct client_target *t, struct error *err);
int client_call_resume(struct client_target *t, struct error *err);
int client_call_resize(struct client_target *t, const char *exec_id, uint32_t width,
	uint32_t height, struct error *err);
/* The end of its stdin. */
int client_call_close_io(struct client_target *t, const char *exec_id, struct error *err);
/* document: OCI LinuxResources as JSON. */
int client_call_update(struct client_target *t, const char *document, struct error *err);
/* ret (may be NULL): how it had ended. */
int client_call_delete(
	struct client_target *t, const char *exec_id, struct client_exit *ret, struct error *err);
/* cleatd's own: the init, with force whatever it does; its shim ends as well. */
int client_call_delete_hub(
	struct client_target *t, bool force, struct client_exit *ret, struct error *err);

/* What a process is doing. *ret: client_status_deinit(). */
struct client_status {
	Containerd__V1__Types__Status status;
	uint32_t pid;
	struct client_exit exit; /* of a stopped one */
};
int client_call_state(
	struct client_target *t, const char *exec_id, struct client_status *ret, struct error *err);

/*
 * How a process ended; timeout_ms 0: waits for ever. 255 is asked about once more: it may mean
 * "unknown".
 */
int client_call_wait(struct client_target *t, const char *exec_id, int64_t timeout_ms,
	struct client_exit *ret, struct error *err);
/* The same in two parts: the request, whose answer client_line.h shares, and what an answer says. */
int client_call_wait_begin(struct client_target *t, const char *exec_id, struct client_shared **ret,
	struct error *err);
int client_call_wait_end(struct client_target *t, const char *exec_id, struct client_shared *shared,
	struct client_exit *ret, struct error *err);

/* *ret: freed with containerd__task__v2__pids_response__free_unpacked(). */
int client_call_pids(
	struct client_target *t, Containerd__Task__V2__PidsResponse **ret, struct error *err);
/* path: of the image, absolute. */
int client_call_checkpoint(struct client_target *t, const char *path,
	const Cleat__Shim__V1__CriuOptions *options, struct error *err);
/* *ret: freed with containerd__task__v2__stats_response__free_unpacked(). */
int client_call_stats(
	struct client_target *t, Containerd__Task__V2__StatsResponse **ret, struct error *err);

/*
 * Tells a shim without a container to end, and waits until its connection has ended. A shim that
 * is gone already is fine. With cleatd nothing: it does that by itself.
 */
void client_call_shutdown(struct client_target *t);

/* *ret: freed with cleat__shim__v1__info_response__free_unpacked(). */
int client_call_info(struct client_target *t, int64_t timeout_ms,
	Cleat__Shim__V1__InfoResponse **ret, struct error *err);
/*
 * The same with its config.json, for who makes an exec of it: where cleatd tells from the files, which do
 * not have it, the shim is asked itself. CODE_UNAVAILABLE where it does not tell.
 */
int client_call_info_with_spec(
	struct client_target *t, Cleat__Shim__V1__InfoResponse **ret, struct error *err);

/* The Exit of 2017: refused while anything lives. Of a shim alone. */
int client_call_shim_exit(struct client_target *t, struct error *err);
