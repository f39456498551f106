/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What can still be done with an orphan, a container whose shim is dead, besides removing it
 * (common/orphan.h): its processes signalled, their exits told.
 */

#include <stdbool.h>

#include "common/error.h"
#include "common/state_dir.h"
#include "supervisor/cli/task.h"

struct target;

/*
 * The last exit that the ledger has for a process ("" the init). False if it has none. pid 0: any.
 */
bool dead_exit(const struct state_dir *dir, const char *exec_id, pid_t pid, struct task_exit *ret);

/* CODE_NOT_FOUND once it is gone. all: through the runtime. */
int dead_kill(struct target *t, const char *exec_id, int sig, bool all, struct error *err);

/*
 * The exit from the ledger; for one that still lives, waits for its end, which then is not known.
 */
int dead_wait(struct target *t, const char *exec_id, struct task_exit *ret, struct error *err);

/* The pids in it, as its runtime tells them; the caller frees. */
int dead_pids(struct target *t, pid_t **ret, size_t *ret_n, struct error *err);
