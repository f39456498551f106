/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Stats, as Task tells them: the cgroup's metrics message in an Any. */

#include "common/ttrpc_server.h"
#include "shim/container.h"

/* Answers the call, or says why it cannot: CODE_NOT_FOUND where there is no cgroup of its own. */
int task_stats_reply(struct ttrpc_call *call, const struct container *c, struct error *err);
