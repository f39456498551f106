/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What can still be done with an orphan, a container whose shim is dead, besides removing it
 * (common/orphan.h): its processes signalled, their exits told.
 */

#include <stdbool.h>

#include "common/error.h"
#include "common/pidref.h"
#include "common/state_dir.h"
#include "common/client_call.h"
#include "common/client_target.h"

/*
 * The last exit that the ledger has for a process ("" the init). False if it has none. pid 0: any.
 */
bool client_dead_exit(
	const struct state_dir *dir, const char *exec_id, pid_t pid, struct client_exit *ret);

/* CODE_NOT_FOUND once it is gone. all: through the runtime. */
int client_dead_kill(
	struct client_target *t, const char *exec_id, int sig, bool all, struct error *err);

/*
 * 0 with *ret open, for whoever wants to wait for its end, or left closed where the process has
 * finished.
 */
int client_dead_open(
	struct client_target *t, const char *exec_id, struct pidref *ret, struct error *err);

/* Running, or stopped with the exit from the ledger; what was frozen or not started counts as running. */
int client_dead_status(
	struct client_target *t, const char *exec_id, struct client_status *ret, struct error *err);

/* The pids in it, as its runtime tells them; the caller frees. */
int client_dead_pids(struct client_target *t, pid_t **ret, size_t *ret_n, struct error *err);
