/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Formatted logs, cri:// and json:// (design, sections 4 and 7): one for a process, with what it writes
 * to stdout and stderr, or to its terminal.
 *
 * Writing to a file blocks, and the loop must not. So one thread reads the pipes and writes the files of
 * all logs of a shim; it is there only while there is one that was not written to its end. The pipes
 * themselves are the queue between a process and the thread: while the file is slow they fill, and the
 * process waits, as it does with file://. The loop makes and frees logs, and is told of ends and of gaps;
 * it alone writes to the shim's log.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "shim/stdio_log_file.h"

struct event_base;
struct stdio_log;
struct stdio_logs;

/* --- all of them --- */

/* 0 or -ENOMEM. Nothing is open, and no thread runs, before there is a log. */
int stdio_logs_new(struct event_base *base, struct stdio_logs **ret);
/*
 * Ends the thread, which gets two seconds where a file does not take what it writes; then it and what it
 * uses are left to the end of the process. Every log must have been released. Takes NULL.
 */
void stdio_logs_free(struct stdio_logs *all);

/* --- one --- */

enum { STDIO_LOG_OUT, STDIO_LOG_ERR, STDIO_LOG_N };

/*
 * Opens the file, and starts the thread where none runs. on_done is called once, from the loop, when
 * all that was added has come to its end and is in the file (or counted as lost), and the file is closed.
 * 0, or a code with a sentence.
 */
int stdio_log_new(struct stdio_logs *all, const struct log_file_options *options,
	void (*on_done)(void *userdata), void *userdata, struct stdio_log **ret, struct error *err);

/* The descriptor, non-blocking, of a pipe or a terminal's master, that is to be read. Once each. */
void stdio_log_add(struct stdio_log *log, int which, int fd_take);

/* All is added: it is read from now on. 0 or -errno. Once. */
int stdio_log_start(struct stdio_log *log);

/* on_done was called, or is about to be. */
bool stdio_log_is_done(const struct stdio_log *log);

/* Bytes that were read, and those of them that are in the file. */
void stdio_log_get_counters(
	const struct stdio_log *log, int which, uint64_t *ret_in, uint64_t *ret_out);

/* What was read is written; no more is read, and writers get EPIPE. */
void stdio_log_stop(struct stdio_log *log);

/* stdio_log_stop(); no callback comes any more, and log is not to be used. Takes NULL. */
void stdio_log_release(struct stdio_log *log);
