/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Running a program to its end and keeping what it printed, for callers that may block. What it
 * leaves behind with our pipes in hand is not waited for.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct run_options {
	char *const *argv;	     /* argv[0]: searched in PATH without a slash */
	char *const *env;	     /* NULL: this process's own */
	size_t out_limit, err_limit; /* bytes kept; what comes after them is read and dropped */
	uint32_t deadline_ms;
	bool no_deadline; /* deadline_ms is not looked at */
	uint32_t kill_ms; /* what was killed has so long to die; 0: 10 s */
	int in;		  /* its stdin, not consumed; 0: /dev/null, never our own */
	bool same_group;  /* no process group of its own: then it alone is killed */
	int death_signal; /* sent to it when this thread ends; 0: none */
	/*
	 * What it prints, as it comes, instead of keeping it: false ends the run (it is killed, and
	 * nothing more comes). NULL: kept.
	 */
	bool (*on_out)(const void *data, size_t n, void *userdata);
	void *userdata;
};

struct run_result {
	bool timed_out;	 /* its process group was killed at the deadline */
	bool stopped;	 /* on_out ended it */
	int wait_status; /* as of waitpid(2) */
	struct buf out, err;
	bool out_overflow, err_overflow;
};

#define RUN_RESULT_INIT ((struct run_result){ .out = BUF_INIT, .err = BUF_INIT })
void run_result_deinit(struct run_result *r);

/*
 * Runs it, in a process group of its own unless told otherwise. 0 and *ret filled (caller's to
 * deinit) however it ended; -errno if it could not be run, as spawn(); -ETIMEDOUT if it could not
 * even be killed (a process in an uninterruptible call is left to init).
 */
int run_program(const struct run_options *options, struct run_result *ret);
