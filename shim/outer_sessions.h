/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Sessions that execs were put into from outside of their container. crun (until 1.8) makes one before
 * it enters the container's namespaces, with a process that ends at once; runc makes it inside. A
 * process keeps the session of what made it, so these tell whose a process is after that is gone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct outer_sessions {
	pid_t *v;
	size_t n, room;
	bool is_incomplete; /* one could not be noted */
};

/* Notes one. Those that no process is in any more are forgotten, sooner or later. */
void outer_sessions_note(struct outer_sessions *s, pid_t session);

/* Whether it was noted; true for all of them once one could not be. */
bool outer_sessions_have(const struct outer_sessions *s, pid_t session);

/* Frees what is held. Safe to repeat. */
void outer_sessions_deinit(struct outer_sessions *s);

/*
 * Whether the session that a process is in was begun outside of the pid namespace that it is in.
 * false where that cannot be known.
 */
bool session_is_outer(pid_t pid);
