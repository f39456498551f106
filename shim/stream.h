/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One copier: bytes from a source to a sink, counted. Never blocks, never spins, never reads on
 * while the sink is full, and holds no buffer while it waits for its source.
 *
 * Between pipes (and FIFOs) bytes move by splice(2). Small ones are copied all the same: a spliced
 * page takes one of a pipe's 16 places however little is in it, while small writes share a page,
 * so that by splice alone sixteen short lines would fill a FIFO that nobody reads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct event_base;
struct stream;

enum stream_kind {
	STREAM_NULL,   /* no descriptor: a sink that swallows */
	STREAM_PIPE,   /* pipe or FIFO, non-blocking */
	STREAM_TTY,    /* a terminal's slave or master, non-blocking */
	STREAM_SOCKET, /* blocking or not: MSG_DONTWAIT is used */
	STREAM_FILE,   /* a regular file or a device that never makes wait; epoll refuses it */
};

struct stream_end {
	int fd; /* -1 with another kind than STREAM_NULL: a sink that is broken from the start */
	enum stream_kind kind;
};

#define STREAM_END_NULL ((struct stream_end){ -1, STREAM_NULL })

/* What fd is, for a fd whose flags are as the kinds above want them. Not consumed. */
struct stream_end stream_end_from_fd(int fd);

struct stream_options {
	const char *name; /* for the log: "stdout"; not kept beyond the stream: a constant */
	struct stream_end source, sink; /* descriptors consumed, also on error; sink may be null */
	/* A sink that broke (EPIPE) does not end the stream: the source is read to its end. */
	bool outlive_sink;
	void (*on_end)(void *userdata); /* may be NULL; see stream_has_ended() */
	void *userdata;
};

/* 0 or -ENOMEM. Nothing moves before stream_start(). */
int stream_new(struct event_base *base, const struct stream_options *options, struct stream **ret);

/* Starts copying, from the loop. 0 or -errno. */
int stream_start(struct stream *s);

/* Ends the stream once what is queued in its source now has been written; before start too. */
void stream_finish(struct stream *s);

/* Ends the stream at once, without on_end. What is in hand is lost. */
void stream_stop(struct stream *s);

/*
 * Whether it has ended: its source was read to the end (or to what stream_finish() left) and all
 * of it written, or an end broke, or it was stopped. Its descriptors are closed then. on_end is
 * called when this comes true but by stream_stop(); it must not free the stream.
 */
bool stream_has_ended(const struct stream *s);

/* Bytes read and bytes written so far: different while some are in hand, or where some were lost. */
void stream_get_counters(const struct stream *s, uint64_t *ret_in, uint64_t *ret_out);

/* Stops and frees. Takes NULL. Not from on_end. */
void stream_free(struct stream *s);
