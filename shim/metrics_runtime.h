/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a runtime tells of a container that has no cgroup of its own, as the message that the
 * cgroup's figures would make (shim/metrics.h).
 */

#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/runtime_look.h"

/* Which of the two messages fits this host: version 2 where no controller is in version 1. */
bool metrics_host_is_v2(void);

/* ret: the message of that version, encoded; *ret_type: its full name. CODE_RESOURCE_EXHAUSTED. */
int metrics_of_runtime(const struct runtime_stats *stats, bool v2, struct buf *ret,
	const char **ret_type, struct error *err);
