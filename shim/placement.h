/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where a shim is put before it serves: its OOM score, its core, its cgroup. What this host does not permit
 * is logged and left as it is.
 */

#include <sys/types.h>

#include "common/error.h"

/*
 * This process is to be killed before its parent, which containerd is for `start`: the parent's
 * oom_score_adj + 1, 1000 at most. What it starts inherits it.
 */
void placement_oom_score(void);

/* This process gets a core-scheduling cookie of its own (prctl(2), PR_SCHED_CORE), which its children inherit. */
void placement_sched_core(void);

/*
 * Moves a process into a cgroup: path below each hierarchy of cgroups v1 that has it, or below the
 * one of v2. CODE_NOT_FOUND where none has it; CODE_INVALID_ARGUMENT for a path with "..".
 */
int placement_cgroup(pid_t pid, const char *path, struct error *err);

/*
 * The same for cleatd, with cgroups of version 2 alone: the group is made, and the one above it, which whoever
 * looks after them may have removed for being empty. Where that cannot be the process stays where it is,
 * which is logged. CODE_INVALID_ARGUMENT for a path with "..".
 */
int placement_own_cgroup(pid_t pid, const char *path, struct error *err);
