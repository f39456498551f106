/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Calls of a shim's services, for blocking use: one function each. Errors read
 * "container ID: cause". exec_id "" is the init.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/error.h"
#include "monitor.pb-c.h"
#include "task.pb-c.h"

struct cli;
struct target;

#define TASK_SERVICE	 "containerd.task.v2.Task"
#define MONITOR_SERVICE	 "cleat.shim.v1.Monitor"
#define SHIM2017_SERVICE "containerd.v1.services.shim.Shim"

#define ANSWER_MS      2000 /* for what a shim answers from memory */
#define LIST_ANSWER_MS 50   /* the same while listing: then the state file is taken */

/* On containerd's wire, an exit status that cannot be known. */
#define STATUS_UNKNOWN 255u

/* How long a call that makes the shim run its runtime may take: a bit longer than it gives itself. */
int64_t task_call_ms(const struct cli *cli);

struct task_exit {
	bool known;
	uint32_t status; /* the code, or 128 + signal; where known */
	moment at;
};

int task_create(struct cli *cli, struct target *t, const Containerd__Task__V2__CreateTaskRequest *m,
	uint32_t *ret_pid, struct error *err);
int task_start(struct cli *cli, struct target *t, const char *exec_id, uint32_t *ret_pid,
	struct error *err);
int task_exec(
	struct target *t, const Containerd__Task__V2__ExecProcessRequest *m, struct error *err);
int task_kill(struct cli *cli, struct target *t, const char *exec_id, int sig, bool all,
	struct error *err);
int task_pause(struct cli *cli, struct target *t, struct error *err);
int task_resume(struct cli *cli, struct target *t, struct error *err);
/* document: OCI LinuxResources as JSON. */
int task_update(struct cli *cli, struct target *t, const char *document, struct error *err);
int task_delete(struct cli *cli, struct target *t, const char *exec_id, struct error *err);
/* timeout_ms 0: for ever. Asks again where 255 may mean "unknown". */
int task_wait(struct target *t, const char *exec_id, int64_t timeout_ms, struct task_exit *ret,
	struct error *err);
/* *ret: freed with containerd__task__v2__pids_response__free_unpacked(). */
int task_pids(struct cli *cli, struct target *t, Containerd__Task__V2__PidsResponse **ret,
	struct error *err);
/* path: of the image, absolute. */
int task_checkpoint(struct cli *cli, struct target *t, const char *path,
	const Cleat__Shim__V1__CriuOptions *options, struct error *err);
/* *ret: freed with containerd__task__v2__stats_response__free_unpacked(). */
int task_stats(struct cli *cli, struct target *t, Containerd__Task__V2__StatsResponse **ret,
	struct error *err);
/*
 * Tells a shim without a container to end, and waits until its connection has ended. A shim that
 * is gone already is fine.
 */
void task_shutdown(struct target *t);

/* Waits until the shim that was told to end has closed its connection. */
void task_await_end(struct target *t);

/* *ret: freed with cleat__shim__v1__info_response__free_unpacked(). */
int monitor_info(struct target *t, int64_t timeout_ms, Cleat__Shim__V1__InfoResponse **ret,
	struct error *err);

/* The Exit of 2017: refused while anything lives. */
int shim_exit(struct target *t, struct error *err);
