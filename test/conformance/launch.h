/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Starting a shim with its `start` command, the way that each of the two wants it. */

#include "test/conformance/conform.h"

/*
 * Starts a shim for container id, whose bundle is the folder given. The path of its socket, which
 * the caller frees; NULL when that failed, and then standard error has the command's words.
 */
char *launch(const struct conform *conform, const char *id, const char *bundle);
/* The runtime's state folder (without the namespace); the caller frees. */
char *launch_runtime_root(const struct conform *conform);
/* Whether the shim tells of an exec's deletion. */
bool launch_tells_exec_delete(const struct conform *conform);
/*
 * Whether an OOM event means one. containerd 1.6's watcher of cgroup v1 may tell of one as well
 * when a container's cgroup is removed: no cell's business, so those are not looked at.
 */
bool launch_oom_is_true(const struct conform *conform);
