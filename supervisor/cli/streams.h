/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a process in the foreground gets as its streams: the caller's own descriptors, or with a
 * terminal two pipes whose other ends stay here.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct streams {
	const char *stdin_uri, *stdout_uri, *stderr_uri; /* "" for none */
	int fds[3];					 /* to be sent: fd:0, fd:1, fd:2 */
	size_t n_fds;
	bool piped;  /* fds are ours to close, and so are the next two */
	int in, out; /* with a terminal: written to it, read from it; else -1 */
};

#define STREAMS_INIT                                                                               \
	((struct streams){ .stdin_uri = "",                                                        \
		.stdout_uri = "",                                                                  \
		.stderr_uri = "",                                                                  \
		.fds = { -1, -1, -1 },                                                             \
		.in = -1,                                                                          \
		.out = -1 })

/* log: where the output goes instead; NULL: to the caller. */
int streams_foreground(bool terminal, const char *log, struct streams *ret, struct error *err);

/* Nothing in, and out to log if there is one. */
void streams_detached(bool terminal, const char *log, struct streams *ret);

/* Closes what was sent; `in` and `out` stay. Safe to repeat. */
void streams_sent(struct streams *s);

void streams_deinit(struct streams *s);
