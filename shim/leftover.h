/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Processes that an exec which failed has left in the container: found among the shim's children,
 * ended once it is certain that no other exec can own them. The rule is at the head of leftover.c.
 */

#include <stdint.h>
#include <sys/types.h>

struct container;

/*
 * After a launch of an exec has failed: remembers what it may have left. before: the number of the
 * next launch; since: when the failed one began, in clock ticks since boot (leftovers_clock()).
 */
void leftovers_find(struct container *c, uint64_t before, uint64_t since);

/* After each end of a launch: oldest is the number of the oldest under way, UINT64_MAX for none. */
void leftovers_end(struct container *c, uint64_t oldest);

/*
 * Of an exec that has started: the session that it was put into. Where that is none of its own, what
 * else comes to us from it is nobody's leftover, also when the exec itself is gone.
 */
void leftovers_know_session(struct container *c, pid_t pid, pid_t session);

/* Forgets what is remembered. Safe to repeat. */
void leftovers_forget(struct container *c);

/* Now, in the unit of a process's start time. */
uint64_t leftovers_clock(void);
