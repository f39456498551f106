/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One run of a logging program: its descriptors, whether it says that it is ready, how it ends.
 * Knows nothing of tries: stdio_logger.c does.
 *
 * The program gets 3 and 4 to read, 5 to say that it is ready on, /dev/null as 0, 1 and 2, our
 * folder, and a process group of its own.
 */

#include <stdbool.h>

#include "common/pidref.h"
#include "common/spawn.h"
#include "common/reaper.h"

struct event;
struct event_base;

struct logger_run_options {
	struct event_base *base;
	struct reaper *reaper;
	const struct rlimit *nofile; /* the descriptor limit to run with; NULL: ours */
	char *const *argv, *const *env;
	const int *
		pipes; /* two reading ends; opened anew for the run, so that it may change their flags */
	/* From the loop: it has sent a byte, or (false) its end of 5 was closed without one. Once. */
	void (*on_ready)(bool is_byte, void *userdata);
	/* As it ends: whether its work was done. If not, what it has started is killed with it. */
	bool (*is_done)(void *userdata);
	/* From the loop, after that, and after an on_ready() that was due. May begin another run. */
	void (*on_exit)(void *userdata);
	void *userdata;
};

struct logger_run {
	struct logger_run_options o;
	struct pidref pidref;
	struct reaper_child child;
	int ready_fd;
	struct event *ready, *finish; /* libevent's */
	bool is_running;	      /* not reaped yet */
	struct reaped ended;	      /* how the last one has, once it is not running */
};

#define LOGGER_RUN_INIT ((struct logger_run){ .pidref = PIDREF_INIT, .ready_fd = -1 })

/* Begins one; the last one must have ended. 0 or -errno, of execve(2) too; then nothing is left. */
int logger_run_begin(struct logger_run *r, const struct logger_run_options *options);

/* Sends a signal to the program; SIGKILL to all of its group. Nothing where it has ended. */
void logger_run_signal(const struct logger_run *r, int signal);

/* Forgets the run; one that is still running is killed, and reaped as nobody's. Safe to repeat. */
void logger_run_deinit(struct logger_run *r);
