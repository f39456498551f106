/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* containerd.task.v2.Task and containerd.task.v3.Task: one table under both names. */

struct shim;

/* Adds the service to shim->server. 0 or -errno. */
int service_task_register(struct shim *shim);
