/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One pipe between a process and its logging program: the reading end, which is ours as well. Knows
 * whether there is more to come, and can read it in place of a program that is not there.
 */

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct stream;

struct logger_pipe {
	int fd;		       /* the reading end, which blocks; -1: none (any more) */
	struct stream *reader; /* in place of a program */
	uint64_t n_left;       /* bytes that were in it when it was closed */
};

#define LOGGER_PIPE_INIT ((struct logger_pipe){ .fd = -1 })

/* The writing end, which blocks, is the caller's. 0 or -errno. */
int logger_pipe_open(struct logger_pipe *p, int *ret_writer);

/* Whether nothing is in it and nobody can write more. */
bool logger_pipe_is_at_end(const struct logger_pipe *p);

/*
 * Reads and counts all that comes, and throws it away; on_end is called at its end, from within the stream,
 * which must not be closed by it. Without memory writers get EPIPE. name is for the log, a constant.
 */
void logger_pipe_discard(struct logger_pipe *p, struct event_base *base, const char *name,
	void (*on_end)(void *userdata), void *userdata);

/* Whether that has come to its end, or was never begun. */
bool logger_pipe_has_ended(const struct logger_pipe *p);

/* Bytes that no program has had: thrown away, or left when it was closed. */
uint64_t logger_pipe_n_lost(const struct logger_pipe *p);

/* Counts what is left, and closes it: writers get EPIPE. */
void logger_pipe_close(struct logger_pipe *p);

/* Closes and frees. Safe to repeat. */
void logger_pipe_deinit(struct logger_pipe *p);
