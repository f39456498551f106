/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The answer of Task's Pids: every process of the container, and which exec it is where known. */

#include "shim/container.h"

/* A pids_done whose userdata is the struct request that asked. */
void task_pids_done(const struct error *err, const pid_t *pids, size_t n_pids, void *userdata);
