/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Logging programs, binary:// and binary-v2:// (design, section 7): a program that reads what a
 * process writes. It is started as containerd's shim starts one (v1.6.20 pkg/process/io.go; for
 * binary-v2 v2.4 cmd/containerd-shim-runc-v2/process/io.go):
 *
 *   arguments     key and value of each pair of the URI's query, in its order, the first of a key;
 *                 a value that is empty or missing is an empty argument
 *   environment   CONTAINER_ID (of an exec its exec id), CONTAINER_NAMESPACE, nothing else
 *   descriptors   3: stdout, or the terminal; 4: stderr; 5: readiness; 0, 1, 2: /dev/null
 *   ready         binary: a byte on 5 or its end; binary-v2: a byte
 *
 * The process has the writing ends of the pipes itself: nothing is copied. We keep the reading ends
 * too, so that what is in them outlives a program that dies; it is started again, and reads on.
 * One that cannot be kept running is given up: what the process writes from then on is read by us and
 * thrown away, counted, and told in the log; it never waits for a program that is not there. (One that is
 * there and does not read holds the process up, as any reader of a pipe does.)
 *
 * A logger outlives who has released it, until its program has ended: struct loggers has all of them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/argv.h"
#include "common/error.h"

struct event_base;
struct logger;
struct loggers;
struct reaper;
struct rlimit;

/* --- all of them --- */

struct loggers_options {
	struct event_base *base;
	struct reaper *reaper;
	const char *ns;
	const struct rlimit *nofile; /* the descriptor limit they get; NULL: ours */
	void (*on_quiet)(
		void *userdata); /* from the loop, when the last program has ended; may be NULL */
	void *userdata;
};

/* What options points to stays the caller's, and stays. 0 or -ENOMEM. */
int loggers_new(const struct loggers_options *options, struct loggers **ret);
/* Whether none has a program that runs, or is to be started (again). */
bool loggers_are_quiet(const struct loggers *all);
/* logger_end() for all. */
void loggers_end(struct loggers *all);
/* Kills what is left. Every logger must have been released. Takes NULL. */
void loggers_free(struct loggers *all);

/* --- one --- */

enum { LOGGER_OUT, LOGGER_ERR, LOGGER_N_PIPES };

struct logger_options {
	const char *stream;	 /* for sentences: "stdout"; a constant */
	const char *path;	 /* absolute */
	const struct argv *args; /* all but the first; copied, as path and id are */
	bool wants_byte;	 /* binary-v2 */
	const char *id;
	void (*on_done)(
		void *userdata); /* from the loop: logger_is_done() has become true; may be NULL */
	void *userdata;
};

/* Nothing runs yet. A code where path is no program that we may execute. */
int logger_new(struct loggers *all, const struct logger_options *options, struct logger **ret,
	struct error *err);

/*
 * Makes the pipe for one of them; the writing end, which blocks, is the caller's. Once each, before
 * logger_start(); of a pipe that was not made the program sees the end at once.
 */
int logger_open_pipe(struct logger *l, int which, int *ret_writer, struct error *err);

/*
 * Starts it. on_started is called once, from the loop: err is CODE_OK when it is ready, or says why it
 * will not be; then it has been killed with all that it had started, and is reaped. It has patience_ms
 * for that, here and each time that it is started again.
 */
void logger_start(struct logger *l, uint32_t patience_ms,
	void (*on_started)(const struct error *err, void *userdata), void *userdata);

/* Whether it has done all that it will: never started, or ended for good. */
bool logger_is_done(const struct logger *l);

/* Bytes that were thrown away in place of a program, and bytes that none has read. */
uint64_t logger_n_lost(const struct logger *l, int which);

/*
 * Ends it though there may be more to read: SIGTERM, 12 s, SIGKILL. Its end is awaited in the
 * loop; from then on writers of its pipes get EPIPE.
 */
void logger_end(struct logger *l);

/* logger_end(); no callback comes any more, and l is not to be used. Takes NULL. */
void logger_release(struct logger *l);
