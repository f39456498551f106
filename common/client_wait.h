/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Waiting for a process to end, whatever becomes of those who are asked about it:
 *
 *   ASKING ---answer--> DONE                     cleatd or the shim has been asked
 *     | cleatd's connection ended: asked again, straight to the shim, where that is allowed
 *     | the shim's connection ended
 *     v
 *   ENDING ---its process is gone--> LOCKED      the shim is on its way out, or hangs
 *                                      | its lock is free
 *                                      v
 *   ORPHAN ---ledger, or the process's end--> DONE
 *
 * The wait is known to who is asked before the status is asked for, so that an exit between the two is
 * never missed. One thread at a time takes from a wait; any may stop it.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <pthread.h>

#include "common/client_call.h"
#include "common/client_line.h"
#include "common/client_target.h"
#include "common/error.h"
#include "common/pidref.h"

enum client_wait_stage {
	CLIENT_WAIT_ASKING,
	CLIENT_WAIT_ENDING,
	CLIENT_WAIT_LOCKED,
	CLIENT_WAIT_ORPHAN,
	CLIENT_WAIT_DONE,
	_CLIENT_WAIT_MAX,
};

struct client_wait {
	const struct client_place *place;
	char *id, *exec_id;
	enum client_wait_stage stage;
	struct client_target target;  /* who is asked; in ORPHAN: its folder */
	pthread_mutex_t lock;	      /* for shared, which who stops it looks at */
	struct client_shared *shared; /* in ASKING */
	struct pidref process;	      /* ENDING: the shim's; ORPHAN: the process itself */
	int64_t patience_ms;	      /* a shim that hangs is waited for that much longer in all */
	atomic_bool stopped;
	int poke_fd;  /* eventfd: stopped, or there may be something new */
	int timer_fd; /* LOCKED, ENDING: when to look again */
	int epoll_fd; /* all that it waits for; -1 until somebody asks for it */
	struct client_observer observer;
	bool observing;
	struct client_exit exit; /* in DONE */
	struct error failure;	 /* in DONE: there is none */
};

/*
 * Begins: what is wrong with the names, or who cannot be asked, is told here. CODE_NOT_FOUND where
 * there is no such process. place outlives it.
 */
int client_wait_begin(const struct client_place *place, const char *id, const char *exec_id,
	struct client_wait **ret, struct error *err);
/*
 * A descriptor, its own, that is readable once client_wait_take() may have something new to tell:
 * level-triggered, also now and then without any. The same each time. -errno.
 */
int client_wait_fd(struct client_wait *w);
/*
 * The exit, timeout_ms at most (0: without waiting, < 0: for ever): 0, CODE_DEADLINE_EXCEEDED (not
 * yet: may be asked again), CODE_CANCELLED once it was stopped, or a code for why nobody will ever
 * tell. What was told once is told again.
 */
int client_wait_take(
	struct client_wait *w, int64_t timeout_ms, struct client_exit *ret, struct error *err);
/* Ends what waits in it, and what will. By any thread, but not beside client_wait_free(). */
void client_wait_stop(struct client_wait *w);
void client_wait_free(struct client_wait *w);
