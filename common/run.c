/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Needs no event loop. Subtle: the end is the child's exit, not the end of its
 * pipes, since a grandchild may hold them for ever; and while the child is not reaped its number
 * is its own, so the group of that number can be killed.
 */
#include "common/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/fd.h"
#include "common/spawn.h"

#define PIPE_MOST	 (1u << 20) /* fs.pipe-max-size: what may be waiting in a pipe */
#define KILL_DEADLINE_MS 10000

/* One of the child's outputs. */
struct stream {
	int fd; /* -1 at its end */
	struct buf *buf;
	size_t limit;
	bool *overflow;
	const struct run_options *told; /* on_out gets it; NULL: kept */
	bool ended_by_user;
};

struct run {
	struct pidref child;
	struct stream out, err;
	bool timed_out, same_group;
};

void run_result_deinit(struct run_result *r)
{
	buf_deinit(&r->out);
	buf_deinit(&r->err);
	*r = RUN_RESULT_INIT;
}

static int keep(struct stream *s, const char *data, size_t n)
{
	size_t room = s->limit - s->buf->len;

	if (s->told) {
		s->ended_by_user = s->ended_by_user || !s->told->on_out(data, n, s->told->userdata);
		return 0;
	}
	if (n > room) {
		*s->overflow = true;
		n = room;
	}
	return buf_append(s->buf, data, n);
}

/* Reads what is there, most bytes at most. 0 or -errno. */
static int stream_read(struct stream *s, size_t most)
{
	char chunk[16384];

	while (s->fd >= 0 && most > 0 && !s->ended_by_user) {
		ssize_t n = read(s->fd, chunk, most < sizeof(chunk) ? most : sizeof(chunk));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0) {
			fd_close(&s->fd);
			return n < 0 ? -errno : 0;
		}
		r = keep(s, chunk, (size_t)n);
		if (r < 0)
			return r;
		most -= (size_t)n;
	}
	return 0;
}

static void kill_group(const struct run *run)
{
	if (!run->same_group)
		kill(-run->child.pid, SIGKILL);
	pidref_signal(&run->child, SIGKILL); /* should it have left its group */
}

static int remaining_ms(int64_t deadline)
{
	int64_t ms = deadline - clock_monotonic_ms();

	return ms <= 0 ? 0 : ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* Until the child has ended. 0, -ETIMEDOUT if it does not even when killed, or -errno. */
static int run_watch(struct run *run, const struct run_options *options)
{
	int64_t deadline =
		options->no_deadline ? INT64_MAX : clock_monotonic_ms() + options->deadline_ms;
	bool killed = false;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = run->child.fd, .events = POLLIN },
			{ .fd = run->out.ended_by_user ? -1 : run->out.fd, .events = POLLIN },
			{ .fd = run->err.fd, .events = POLLIN },
		};
		int n = poll(fds, 3, remaining_ms(deadline)), r = 0;

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[0].revents)
			return 0;
		if (n > 0 && fds[1].revents)
			r = stream_read(&run->out, PIPE_MOST);
		if (n > 0 && fds[2].revents && r == 0)
			r = stream_read(&run->err, PIPE_MOST);
		if (r < 0)
			return r;
		if (remaining_ms(deadline) > 0 && (killed || !run->out.ended_by_user))
			continue;
		if (killed)
			return -ETIMEDOUT;
		killed = true;
		run->timed_out = !run->out.ended_by_user;
		kill_group(run);
		deadline = clock_monotonic_ms() +
			   (options->kill_ms ? options->kill_ms : KILL_DEADLINE_MS);
	}
}

static int run_reap(struct run *run, int *ret_status)
{
	while (waitpid(run->child.pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int run_start(struct run *run, const struct run_options *options)
{
	_cleanup_close_ int out = -1, err = -1;
	struct spawn_fd fds[] = { { -1, 1 }, { -1, 2 }, { options->in, 0 } };
	const struct spawn_options spawn_options = {
		.argv = options->argv,
		.env = options->env,
		.fds = fds,
		.n_fds = options->in > 0 ? 3 : 2,
		.new_group = !options->same_group,
		.death_signal = options->death_signal,
	};
	int r = fd_pipe(&run->out.fd, &out, 0);

	if (r == 0)
		r = fd_pipe(&run->err.fd, &err, 0);
	if (r == 0)
		r = fd_set_nonblock(run->out.fd, true);
	if (r == 0)
		r = fd_set_nonblock(run->err.fd, true);
	if (r < 0)
		return r;
	fds[0].from = out;
	fds[1].from = err;
	return spawn(&spawn_options, &run->child);
}

/* A run that we cannot follow any more: nothing of it may stay. */
static int run_abort(struct run *run, int r)
{
	int status;

	if (run->child.pid <= 0 || r == -ETIMEDOUT)
		return r;
	kill_group(run);
	run_reap(run, &status);
	return r;
}

static int run_all(struct run *run, const struct run_options *options, struct run_result *ret)
{
	int r = run_start(run, options);

	if (r == 0)
		r = run_watch(run, options);
	/* it has ended: what is in the pipes is all that is its own */
	if (r == 0)
		r = stream_read(&run->out, PIPE_MOST);
	if (r == 0)
		r = stream_read(&run->err, PIPE_MOST);
	if (r < 0)
		return run_abort(run, r);
	ret->timed_out = run->timed_out;
	ret->stopped = run->out.ended_by_user;
	return run_reap(run, &ret->wait_status);
}

int run_program(const struct run_options *options, struct run_result *ret)
{
	_cleanup_(run_result_deinit) struct run_result result = RUN_RESULT_INIT;
	struct run run = {
		.child = PIDREF_INIT,
		.out = { -1, &result.out, options->out_limit, &result.out_overflow,
			options->on_out ? options : NULL },
		.err = { -1, &result.err, options->err_limit, &result.err_overflow },
		.same_group = options->same_group,
	};
	int r = run_all(&run, options, &result);

	fd_close(&run.out.fd);
	fd_close(&run.err.fd);
	pidref_close(&run.child);
	if (r < 0)
		return error_trace(r);
	*ret = result;
	result = RUN_RESULT_INIT;
	return 0;
}
