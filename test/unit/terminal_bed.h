/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of a terminal's streams share. A forked child stands for the container: it opens
 * the slave, as a runtime's init does, some time after the master has been handed over.
 */

#include <sys/ioctl.h>
#include <termios.h>

#include "test/unit/stdio_bed.h"

struct term {
	struct stdio *s;
	int master; /* not yet attached */
	char slave[64];
};

static inline struct term open_term(struct bed *b, const struct stdio_spec *spec)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct stdio_spec with = *spec;
	struct term t = { .master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC) };
	int fds[3];

	assert_true(t.master >= 0);
	assert_int_equal(grantpt(t.master) | unlockpt(t.master), 0);
	assert_int_equal(ptsname_r(t.master, t.slave, sizeof(t.slave)), 0);
	with.terminal = true;
	if (stdio_open(b->base, &with, &t.s, &err))
		fail_msg("%s", error_message(&err));
	stdio_child_fds(t.s, fds);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fds[i], -1);
	if (stdio_begin(t.s, &err))
		fail_msg("%s", error_message(&err));
	return t;
}

static inline void attach(struct term *t)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (stdio_attach_console(t->s, t->master, &err))
		fail_msg("%s", error_message(&err));
}

struct job {
	const char *slave;
	bool raw;
	int (*fn)(void *arg);
	void *arg;
};

/* What a runtime's init does with the slave before it becomes the container. */
static inline int on_terminal(void *arg)
{
	const struct job *job = arg;
	struct termios mode;
	int fd;

	setsid();
	fd = open(job->slave, O_RDWR);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0)
		return 100;
	if (job->raw) {
		tcgetattr(fd, &mode);
		cfmakeraw(&mode);
		if (tcsetattr(fd, TCSANOW, &mode) < 0)
			return 101;
	}
	/* 1 tells a test that waits for it that the terminal is as it should be. */
	if (write(1, "", 1) < 0 && errno != EPIPE)
		return 102;
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	close(fd);
	return job->fn(job->arg);
}

/* Starts the container and waits until it has its terminal. */
static inline pid_t start_on(
	struct bed *b, struct term *t, bool raw, int (*fn)(void *arg), void *arg)
{
	struct job job = { t->slave, raw, fn, arg };
	int ready[2], fds[3] = { -1, -1, -1 };
	pid_t pid;
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	fds[1] = ready[1];
	pid = bed_fork(b, fds, on_terminal, &job);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static inline void finish(struct bed *b, struct term *t, pid_t pid)
{
	bed_join_ok(b, pid);
	stdio_exited(t->s);
	assert_true(bed_until(b, is_drained, t->s));
	stdio_free(t->s);
}

struct line {
	int fd;
	char text[4096];
	size_t n;
	const char *wanted;
};

static inline bool line_came(void *userdata)
{
	struct line *l = userdata;
	ssize_t n = read(l->fd, l->text + l->n, sizeof(l->text) - 1 - l->n);

	l->n += n > 0 ? (size_t)n : 0;
	l->text[l->n] = '\0';
	return strstr(l->text, l->wanted);
}

/* Reads on from a non-blocking descriptor until these words have come. */
static inline void expect(struct bed *b, int fd, const char *words)
{
	struct line l = { .fd = fd, .wanted = words };

	if (!bed_until(b, line_came, &l))
		fail_msg("not \"%s\" but \"%s\"", words, l.text);
}

static inline int open_reader(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline void say(int fd, const char *words)
{
	assert_int_equal(write(fd, words, strlen(words)), strlen(words));
}

static inline int echo_lines(void *arg)
{
	char line[100];
	ssize_t n;

	(void)arg;
	while ((n = read(0, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		if (strcmp(line, "quit\n") == 0)
			return 0;
		dprintf(1, "got %s", line);
	}
	return 1; /* an end of file that nobody typed */
}

static inline int write_a_lot(void *arg)
{
	(void)arg;
	return write_pattern(1, &(struct bytes){ .seed = 4, .n = MIB });
}

static inline bool some_read(void *userdata)
{
	return counters(userdata).out_in > 20000;
}
