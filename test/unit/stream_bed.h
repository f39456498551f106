/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of streams and consoles share: a folder and a loop for one test, actors (forked
 * children that stand for the container and for clients), and a byte pattern that each actor can
 * make and check by itself. An actor's exit code 0 is "as it should be". Leaving a descriptor or a
 * child behind fails the test.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/file.h"

#define BED_ACTORS	8
#define BED_DEADLINE_MS 60000 /* valgrind is slow */
#define MIB		((size_t)1 << 20)

struct bed {
	struct event_base *base;
	struct event *tick; /* conditions are looked at this often at least */
	char dir[64];
	int n_fds;
	pid_t actors[BED_ACTORS];
	size_t n_actors;
};

static inline int64_t bed_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void bed_ticked(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)userdata;
}

static inline int bed_setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	alarm(5 * BED_DEADLINE_MS / 1000); /* whatever hangs, the test program ends */
	b->n_fds = fd_count();
	b->base = event_base_new();
	b->tick = event_new(b->base, -1, EV_PERSIST, bed_ticked, NULL);
	snprintf(b->dir, sizeof(b->dir), "/tmp/cleat-streams-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	*state = b;
	return 0;
}

static inline int bed_teardown(void **state)
{
	struct bed *b = *state;
	bool left = false;

	alarm(0);
	for (size_t i = 0; i < b->n_actors; i++) {
		if (b->actors[i] <= 0)
			continue;
		left = true;
		kill(b->actors[i], SIGKILL);
		waitpid(b->actors[i], NULL, 0);
	}
	event_free(b->tick);
	event_base_free(b->base);
	assert_int_equal(remove_tree(AT_FDCWD, b->dir), 0);
	assert_int_equal(fd_count(), b->n_fds);
	free(b);
	assert_false(left);
	return 0;
}

/* A name in the test's folder; a ring of buffers, so that a few can be used at once. */
static inline const char *bed_path(const struct bed *b, const char *name)
{
	static char ring[8][256];
	static unsigned next;
	char *path = ring[next++ % 8];

	snprintf(path, 256, "%s/%s", b->dir, name);
	return path;
}

static inline const char *bed_fifo(const struct bed *b, const char *name)
{
	const char *path = bed_path(b, name);

	assert_int_equal(mkfifo(path, 0600), 0);
	return path;
}

/* --- the loop --- */

/* Runs the loop until done() says so. False when the time is over. */
static inline bool bed_until(struct bed *b, bool (*done)(void *userdata), void *userdata)
{
	const struct timeval period = { 0, 3000 };
	int64_t end = bed_ms(CLOCK_MONOTONIC) + BED_DEADLINE_MS;
	bool yes = done(userdata);

	event_add(b->tick, &period);
	while (!yes && bed_ms(CLOCK_MONOTONIC) < end) {
		event_base_loop(b->base, EVLOOP_ONCE);
		yes = done(userdata);
	}
	event_del(b->tick);
	return yes;
}

/* Handles what is ready now, until nothing is. */
static inline void bed_settle(struct bed *b)
{
	for (int i = 0; i < 1000; i++)
		event_base_loop(b->base, EVLOOP_NONBLOCK);
}

static inline bool bed_never(void *userdata)
{
	return bed_ms(CLOCK_MONOTONIC) >= *(int64_t *)userdata;
}

/*
 * That the loop sleeps: runs it for a while in which nothing happens. The CPU time that this takes
 * tells a loop that spins (all of it) from one that waits (next to nothing), even on a busy
 * machine.
 */
static inline void bed_assert_idle(struct bed *b)
{
	int64_t cpu = bed_ms(CLOCK_THREAD_CPUTIME_ID), end = bed_ms(CLOCK_MONOTONIC) + 200;

	bed_until(b, bed_never, &end);
	assert_true(bed_ms(CLOCK_THREAD_CPUTIME_ID) - cpu < 100);
}

/* --- actors --- */

static inline void bed_become(int fd, int number)
{
	int null = fd < 0 ? open("/dev/null", O_RDWR) : fd;

	if (dup2(null, number) < 0)
		_exit(120);
}

/*
 * Forks fn(arg) with these as 0, 1 and 2 (-1: /dev/null) and no other descriptor; when it returns
 * the actor has let go of all that it inherited.
 */
static inline pid_t bed_fork(struct bed *b, const int fds[3], int (*fn)(void *arg), void *arg)
{
	int gone[2];
	pid_t pid;
	char c;

	assert_true(b->n_actors < BED_ACTORS);
	assert_int_equal(pipe2(gone, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int copies[3];

		signal(SIGPIPE, SIG_DFL);
		for (int i = 0; i < 3; i++) /* out of the way of 0 to 2 */
			copies[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD, 10);
		for (int i = 0; i < 3; i++)
			bed_become(copies[i], i);
		close_range(3, ~0u, 0);
		_exit(fn(arg));
	}
	close(gone[1]);
	assert_int_equal(read(gone[0], &c, 1), 0);
	close(gone[0]);
	b->actors[b->n_actors++] = pid;
	return pid;
}

struct bed_wait {
	pid_t *pid;
	int status;
};

static inline bool bed_actor_ended(void *userdata)
{
	struct bed_wait *w = userdata;

	if (*w->pid <= 0 || waitpid(*w->pid, &w->status, WNOHANG) != *w->pid)
		return false;
	*w->pid = 0;
	return true;
}

/* Runs the loop until pid has ended; its wait status, -1 if it does not end. */
static inline int bed_join(struct bed *b, pid_t pid)
{
	struct bed_wait w = { .status = -1 };

	for (size_t i = 0; i < b->n_actors; i++)
		if (b->actors[i] == pid)
			w.pid = &b->actors[i];
	assert_non_null(w.pid);
	return bed_until(b, bed_actor_ended, &w) ? w.status : -1;
}

static inline void bed_join_ok(struct bed *b, pid_t pid)
{
	assert_int_equal(bed_join(b, pid), 0);
}

/* --- bytes --- */

/* The byte at an offset of the stream that seed names. */
static inline void pattern_fill(uint8_t *to, size_t n, uint64_t *state)
{
	for (size_t i = 0; i < n; i++) {
		*state ^= *state << 13;
		*state ^= *state >> 7;
		*state ^= *state << 17;
		to[i] = (uint8_t)(*state >> 32);
	}
}

struct bytes {
	uint64_t seed;
	size_t n;
	size_t piece;	  /* bytes a write; 0: many */
	const char *path; /* opened for it; NULL: descriptor 1 (writing) or 0 (reading) */
	bool open_end;	  /* reading: n bytes and no look at what follows */
	bool late; /* reading path: its last writer has gone, a plain open would wait for one */
};

static inline uint64_t pattern_state(uint64_t seed)
{
	return seed * 0x9e3779b97f4a7c15u + 1;
}

static inline int write_pattern(int fd, const struct bytes *bytes)
{
	uint64_t state = pattern_state(bytes->seed);
	size_t piece = bytes->piece ? bytes->piece : 100000;

	for (size_t left = bytes->n; left > 0;) {
		uint8_t data[100000];
		size_t n = left < piece ? left : piece;

		pattern_fill(data, n, &state);
		if (fd_write_all(fd, data, n) < 0)
			return 2;
		left -= n;
	}
	return 0;
}

/* 0 if the next n bytes are the pattern, with the end after them unless open_end. */
static inline int check_pattern(int fd, const struct bytes *bytes)
{
	uint64_t state = pattern_state(bytes->seed);
	uint8_t got[65536], want[65536];

	for (size_t left = bytes->n; left > 0;) {
		ssize_t n = read(fd, got, left < sizeof(got) ? left : sizeof(got));

		if (n <= 0)
			return 3;
		pattern_fill(want, (size_t)n, &state);
		if (memcmp(got, want, (size_t)n) != 0)
			return 4;
		left -= (size_t)n;
	}
	return bytes->open_end || read(fd, got, 1) == 0 ? 0 : 5;
}

/* Actors over them. */
static inline int write_actor(void *arg)
{
	const struct bytes *bytes = arg;

	return write_pattern(bytes->path ? open(bytes->path, O_WRONLY) : 1, bytes);
}

static inline int check_actor(void *arg)
{
	const struct bytes *bytes = arg;

	int flags = O_RDONLY | (bytes->late ? O_NONBLOCK : 0);

	return check_pattern(bytes->path ? open(bytes->path, flags) : 0, bytes);
}

static const int bed_no_fds[3] = { -1, -1, -1 };

#define bed_test(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
