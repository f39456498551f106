/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The answers of 2017's State and Processes: processes as that service has words for them. */

#include "common/ttrpc_server.h"
#include "shim/container.h"

/* From memory. */
void shim2017_reply_state(struct ttrpc_call *call, const struct container *c);

/* A pids_done whose userdata is the struct request that asked. */
void shim2017_pids_done(const struct error *err, const pid_t *pids, size_t n_pids, void *userdata);
