/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Never decides what an end means. Subtle: a program that says that it is ready and
 * ends at once makes two things happen of which either may be seen first; the end is told from an
 * event of its own, which looks at the readiness pipe once more before it.
 */
#include "shim/stdio_logger_run.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/fd.h"

#define FIRST_PIPE_FD 3
#define READY_FD      5

static void close_ready(struct logger_run *r)
{
	if (r->ready)
		event_free(r->ready);
	r->ready = NULL;
	fd_close(&r->ready_fd);
}

static void look_at_ready(struct logger_run *r)
{
	char byte;
	ssize_t n;

	if (r->ready_fd < 0)
		return;
	n = read(r->ready_fd, &byte, 1);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close_ready(r);
	r->o.on_ready(n == 1, r->o.userdata);
}

static void ready_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	look_at_ready(userdata);
}

static void finish_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct logger_run *r = userdata;

	(void)fd;
	(void)what;
	look_at_ready(r);
	close_ready(r); /* a process that it has left may hold the other end */
	r->o.on_exit(r->o.userdata);
}

/* The number still is its own, and so is that of its group. */
static void on_reaped(const struct reaped *reaped, void *userdata)
{
	struct logger_run *r = userdata;

	if (!r->o.is_done(r->o.userdata))
		kill(-r->pidref.pid, SIGKILL);
	r->ended = *reaped;
	r->is_running = false;
	pidref_close(&r->pidref);
	/* later: what follows may start things, and must not do so from within the reaper */
	event_active(r->finish, EV_TIMEOUT, 1);
}

void logger_run_signal(const struct logger_run *r, int signal)
{
	if (!r->is_running)
		return;
	if (signal == SIGKILL)
		kill(-r->pidref.pid, SIGKILL);
	pidref_signal(&r->pidref, signal);
}

static int run_spawn(struct logger_run *r, int ready_fd)
{
	_cleanup_close_ int out = -1, err = -1;
	struct spawn_fd fds[3];
	const struct spawn_options options = {
		.argv = r->o.argv,
		.env = r->o.env,
		.fds = fds,
		.n_fds = sizeof(fds) / sizeof(*fds),
		.new_group = true,
		.nofile = r->o.nofile,
	};
	int error = fd_reopen_pipe(r->o.pipes[0], &out);

	if (error == 0)
		error = fd_reopen_pipe(r->o.pipes[1], &err);
	if (error < 0)
		return error;
	fds[0] = (struct spawn_fd){ out, FIRST_PIPE_FD };
	fds[1] = (struct spawn_fd){ err, FIRST_PIPE_FD + 1 };
	fds[2] = (struct spawn_fd){ ready_fd, READY_FD };
	return spawn(&options, &r->pidref);
}

static int run_prepare(struct logger_run *r, int *ret_ready)
{
	int error = fd_pipe(&r->ready_fd, ret_ready, 0);

	if (error == 0)
		error = fd_set_nonblock(r->ready_fd, true);
	if (error < 0)
		return error;
	r->finish = evtimer_new(r->o.base, finish_dispatch, r);
	r->ready = event_new(r->o.base, r->ready_fd, EV_READ | EV_PERSIST, ready_dispatch, r);
	if (!r->finish || !r->ready || event_add(r->ready, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int logger_run_begin(struct logger_run *r, const struct logger_run_options *options)
{
	_cleanup_close_ int ready_fd = -1;
	int error;

	logger_run_deinit(r);
	r->o = *options;
	error = run_prepare(r, &ready_fd);
	if (error == 0)
		error = run_spawn(r, ready_fd);
	if (error < 0) {
		logger_run_deinit(r);
		return error;
	}
	r->is_running = true;
	reaper_watch(r->o.reaper, &r->child, r->pidref.pid, on_reaped, r);
	return 0;
}

void logger_run_deinit(struct logger_run *r)
{
	logger_run_signal(r, SIGKILL);
	if (r->is_running)
		reaper_unwatch(&r->child);
	r->is_running = false;
	close_ready(r);
	if (r->finish)
		event_free(r->finish);
	r->finish = NULL;
	pidref_close(&r->pidref);
}
