/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children of the supervisor. Never waits for one: the reaper tells of its end. Subtle: what a child
 * leaves running (a shim is left by its `start`) may still hold the memory files, which are read at
 * the child's own end and then closed.
 */
#include "supervisor/child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/pidref.h"
#include "common/spawn.h"

struct child {
	struct child_options o;
	struct pidref pid;
	struct reaper_child owned;
	struct event *deadline;
	int out, err;
	bool timed_out;
};

static void child_free(struct child *c)
{
	reaper_unwatch(&c->owned);
	if (c->deadline)
		event_free(c->deadline);
	if (c->out >= 0)
		close(c->out);
	if (c->err >= 0)
		close(c->err);
	pidref_close(&c->pid);
	free(c);
}

/* The first bytes of a memory file. */
static void read_output(int fd, size_t limit, struct buf *ret, bool *ret_overflow)
{
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *to;
	ssize_t n;

	*ret_overflow = size > (off_t)limit;
	if (size <= 0)
		return;
	if (*ret_overflow)
		size = (off_t)limit;
	to = buf_reserve(ret, (size_t)size);
	n = to ? pread(fd, to, (size_t)size, 0) : -1;
	if (n > 0)
		buf_commit(ret, (size_t)n);
}

static void on_exit_seen(const struct reaped *reaped, void *userdata)
{
	_cleanup_(run_result_deinit) struct run_result run = RUN_RESULT_INIT;
	struct child *c = userdata;

	run.timed_out = c->timed_out;
	run.wait_status = reaped->signaled ? reaped->code : reaped->code << 8;
	read_output(c->out, c->o.output_limit, &run.out, &run.out_overflow);
	read_output(c->err, c->o.output_limit, &run.err, &run.err_overflow);
	c->o.on_end(&run, c->o.userdata);
	child_free(c);
}

/* All of its group: what a `start` has put into a session of its own is none of it. */
static void kill_group(struct child *c)
{
	if (pidref_exists(&c->pid) && kill(-c->pid.pid, SIGKILL) < 0)
		pidref_signal(&c->pid, SIGKILL);
}

static void on_deadline(evutil_socket_t fd, short what, void *userdata)
{
	struct child *c = userdata;

	(void)fd;
	(void)what;
	c->timed_out = true;
	kill_group(c);
}

static int arm(struct child *c)
{
	const struct timeval tv = { c->o.deadline_ms / 1000, c->o.deadline_ms % 1000 * 1000 };

	c->deadline = evtimer_new(c->o.base, on_deadline, c);
	return c->deadline && evtimer_add(c->deadline, &tv) == 0 ? 0 : -ENOMEM;
}

static int open_outputs(struct child *c)
{
	c->out = memfd_create("stdout", MFD_CLOEXEC);
	c->err = memfd_create("stderr", MFD_CLOEXEC);
	return c->out < 0 || c->err < 0 ? -errno : 0;
}

static int begin(struct child *c)
{
	const struct spawn_fd fds[] = { { c->out, STDOUT_FILENO }, { c->err, STDERR_FILENO } };
	const struct spawn_options options = {
		.path = c->o.path,
		.argv = c->o.argv,
		.cwd = "/",
		.fds = fds,
		.n_fds = sizeof(fds) / sizeof(*fds),
		.new_group = true,
		.nofile = c->o.nofile,
	};

	return spawn(&options, &c->pid);
}

int child_begin(const struct child_options *options, struct child **ret)
{
	struct child *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_trace(-ENOMEM);
	c->o = *options;
	c->pid = PIDREF_INIT;
	c->out = c->err = -1;
	r = open_outputs(c);
	if (r == 0)
		r = arm(c);
	if (r == 0)
		r = begin(c);
	if (r < 0) {
		child_free(c);
		return r;
	}
	c->o.argv = NULL; /* the caller's, for the start alone */
	reaper_watch(options->reaper, &c->owned, c->pid.pid, on_exit_seen, c);
	if (ret)
		*ret = c;
	return 0;
}

void child_abandon(struct child *c)
{
	if (!c)
		return;
	kill_group(c);
	child_free(c);
}
