/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tests of a process's streams share. */

#include "test/unit/stream_bed.h"

#include "common/cleanup.h"
#include "shim/stdio.h"

static inline struct stdio *open_stdio(struct bed *b, const struct stdio_spec *spec)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct stdio *s = NULL;

	if (stdio_open(b->base, spec, &s, &err))
		fail_msg("%s", error_message(&err));
	return s;
}

static inline void begin(struct stdio *s)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (stdio_begin(s, &err))
		fail_msg("%s", error_message(&err));
}

/* The container: fn with the streams' ends as 0, 1, 2; then copying begins. */
static inline pid_t start(struct bed *b, struct stdio *s, int (*fn)(void *arg), void *arg)
{
	int fds[3];
	pid_t pid;

	stdio_child_fds(s, fds);
	pid = bed_fork(b, fds, fn, arg);
	begin(s);
	return pid;
}

static inline bool is_drained(void *userdata)
{
	return stdio_is_drained(userdata);
}

static inline struct stdio_counters counters(const struct stdio *s)
{
	struct stdio_counters c;

	stdio_get_counters(s, &c);
	return c;
}

static inline char *file_uri(struct bed *b, const char *name, const char *query)
{
	char *uri;

	assert_true(asprintf(&uri, "file://%s/%s%s", b->dir, name, query) > 0);
	return uri;
}
