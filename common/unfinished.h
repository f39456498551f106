/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is left of a create that was under way when its shim was killed: the run of the runtime, its
 * hooks, the container's first processes, and the cgroups that they are in. For programs that may
 * block.
 */

#include "common/state_dir.h"

/*
 * Kills the run that the record tells of, with the hooks that it had begun: what is in its process
 * group and in the session of the dead shim. 0, or a code where a process does not die.
 */
int unfinished_end_run(const struct container_record *record, pid_t shim_pid, struct error *err);

/*
 * Kills what is in the cgroups that were not there before the create, and in what was made below
 * them. Those that hold others of them (a folder for several containers) are left to their other
 * owners. 0 or a code.
 */
int unfinished_end_cgroups(const struct container_record *record, struct error *err);

/* Removes those of these cgroups that are empty, with the empty ones below them. */
void unfinished_remove_cgroups(const struct container_record *record);
