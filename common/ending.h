/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a process ends that is no child of ours: what can be known of it, and nothing that cannot.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/pidref.h"

struct ending {
	bool is_known;
	int wait_status; /* as of waitpid(2) */
};

/* A known one as exits are told: the code, or 128 + signal. */
uint32_t ending_status(const struct ending *e);

/*
 * Kills a process so that it is certain what it dies of, where that is possible: it is stopped first, and
 * what is stopped cannot exit by itself any more. Waits 50 ms at most for that. *ret is known if it
 * was; otherwise ending_learn() may tell. 0, -ESRCH, or -errno.
 */
int ending_kill(const struct pidref *p, struct ending *ret);

/*
 * After it has ended (its descriptor is readable): as long as nobody has reaped it from /proc, where
 * we may look into it; later from the kernel, from Linux 6.15 on, by the descriptor that was opened
 * before.
 */
void ending_learn(const struct pidref *p, struct ending *ret);
