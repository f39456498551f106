/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Stats, as Task tells them: the cgroup's metrics message in an Any. Where a container has no
 * cgroup of its own, runsc is asked (`events --stats`) for what is told then.
 */

#include "shim/container.h"
#include "shim/request.h"

/*
 * Answers asking's call, at once or when the runtime has answered, or refuses it:
 * CODE_NOT_FOUND where there is neither a cgroup of its own nor a runtime that knows more.
 */
void task_stats(struct request *asking, const struct container *c);
