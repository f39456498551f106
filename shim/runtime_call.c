/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One asynchronous run of the runtime. Never interprets an answer: that is the caller's. Subtle:
 * the run ends when its process does, not when its pipes do (a grandchild may hold them for ever);
 * what the pipes hold at that moment is read, and no more. One that hangs in the kernel does not die
 * of SIGKILL: KILL_PATIENCE_MS after it the call ends without it, and whenever it does end the
 * reaper reaps it as nobody's.
 */
#include "shim/runtime_call.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/ids.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/spawn.h"
#include "shim/loop_slots.h"
#include "common/reaper.h"
#include "shim/shim.h"

/* One captured stream of the run: kept up to limit, read and dropped beyond it. */
struct capture {
	int fd;
	struct event *readable;
	struct buf *into;
	size_t limit;
	bool overflow;
};

struct runtime_call {
	struct shim *shim;
	struct runtime rt;
	enum runtime_verb verb;
	struct pidref pidref;
	struct reaper_child child;
	struct event *deadline; /* then patience after the kill */
	struct event *finish;	/* fires once, right after the reaping */
	struct capture out, err;
	struct runtime_outcome outcome;
	char log_name[32]; /* in the state folder */
	char *log_path;
	runtime_call_done done;
	void *userdata;
};

static void capture_close(struct capture *c)
{
	if (c->readable)
		event_free(c->readable);
	c->readable = NULL;
	fd_close(&c->fd);
}

static void remove_log(struct runtime_call *call)
{
	if (call->log_name[0] && call->shim->dir.fd >= 0)
		unlinkat(call->shim->dir.fd, call->log_name, 0);
	call->log_name[0] = '\0';
}

static void call_free(struct runtime_call *call)
{
	if (!call)
		return;
	reaper_unwatch(&call->child);
	if (call->deadline)
		event_free(call->deadline);
	if (call->finish)
		event_free(call->finish);
	capture_close(&call->out);
	capture_close(&call->err);
	remove_log(call);
	runtime_outcome_deinit(&call->outcome);
	pidref_close(&call->pidref);
	runtime_deinit(&call->rt);
	free(call->log_path);
	free(call);
}

/* Reads what is there, at most some: false at the end of the stream. */
static bool capture_some(struct capture *c)
{
	char block[4096];

	for (int i = 0; i < 16; i++) {
		ssize_t n = read(c->fd, block, sizeof(block));
		size_t room;

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		room = c->limit - c->into->len;
		if ((size_t)n > room)
			c->overflow = true;
		if (buf_append(c->into, block, (size_t)n < room ? (size_t)n : room) < 0)
			c->overflow = true;
	}
	return true;
}

static void capture_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct capture *c = userdata;

	(void)fd;
	(void)what;
	if (!capture_some(c))
		capture_close(c);
}

static int capture_open(struct runtime_call *call, struct capture *c, struct buf *into,
	size_t limit, int *ret_write)
{
	int r = fd_pipe(&c->fd, ret_write, 0);

	if (r < 0)
		return r;
	c->into = into;
	c->limit = limit;
	r = fd_set_nonblock(c->fd, true);
	if (r < 0)
		return r;
	c->readable = event_new(call->shim->base, c->fd, EV_READ | EV_PERSIST, capture_dispatch, c);
	if (!c->readable || event_add(c->readable, NULL) < 0)
		return -ENOMEM;
	return 0;
}

/* What a pipe holds now, without waiting for its end: bounded by the pipe's own size. */
static void capture_rest(struct capture *c)
{
	if (c->fd >= 0) {
		capture_some(c);
		capture_close(c);
	}
}

static void call_finish(struct runtime_call *call)
{
	struct shim *shim = call->shim;
	_cleanup_buf_ struct buf log = BUF_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *words = NULL;

	capture_rest(&call->out);
	capture_rest(&call->err);
	call->outcome.out_overflow = call->out.overflow;
	/* what one that was killed at its deadline had said is not why it failed */
	if (call->outcome.wait_status != 0 && !call->outcome.timed_out) {
		/* a log that is cut or cannot be read still leaves stderr and the status */
		fd_read_file(call->shim->dir.fd, call->log_name, &log, LIMIT_RUNTIME_JSON);
		words = runtime_words(&call->outcome, &log);
	}
	remove_log(call); /* before a bundle is left, which others remove */
	runtime_judge(&call->rt, call->verb, &call->outcome, &log, &err);
	log_debug("runtime call ended", F_STR("runtime", call->rt.command),
		F_STR("call", runtime_verb_name(call->verb)),
		F_INT("wait_status", call->outcome.wait_status),
		F_STR("error", err.code ? error_message(&err) : ""));
	call->done(&err, words, &call->outcome, call->userdata);
	call_free(call);
	shim_run_ended(shim);
}

static void finish_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	call_finish(userdata);
}

static void on_exit_of_run(const struct reaped *r, void *userdata)
{
	struct runtime_call *call = userdata;

	call->outcome.wait_status = r->signaled ? r->code : r->code << 8;
	if (call->deadline)
		event_del(call->deadline);
	/* not reaped yet, so the group's number still is this run's: a hook of it ends with it */
	if (r->signaled)
		kill(-call->pidref.pid, SIGKILL);
	/* later: the caller may start things, and must not do so from within the reaper */
	event_active(call->finish, EV_TIMEOUT, 1);
}

static int deadline_arm(struct runtime_call *call, uint32_t ms)
{
	const struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	return evtimer_add(call->deadline, &tv) < 0 ? -ENOMEM : 0;
}

static void deadline_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct runtime_call *call = userdata;

	(void)fd;
	(void)what;
	if (!call->outcome.timed_out) {
		call->outcome.timed_out = true;
		/* its leader is not reaped yet, so the group's number still is this run's */
		kill(-call->pidref.pid, SIGKILL);
		pidref_signal(&call->pidref, SIGKILL);
		if (deadline_arm(call, KILL_PATIENCE_MS) == 0)
			return;
	}
	log_error("a runtime does not die", F_INT("pid", call->pidref.pid),
		F_STR("call", runtime_verb_name(call->verb)));
	call->outcome.wait_status = SIGKILL; /* which it will end with */
	call_finish(call);
}

static int make_log_path(struct runtime_call *call)
{
	char suffix[9];
	int r = random_hex(suffix, 4);

	if (r < 0)
		return r;
	snprintf(call->log_name, sizeof(call->log_name), "runtime-%s.log", suffix);
	if (asprintf(&call->log_path, "%s/%s", call->shim->dir.path, call->log_name) < 0)
		return -ENOMEM;
	return 0;
}

static int call_spawn(struct runtime_call *call, const struct argv *argv, const int child[3])
{
	_cleanup_argv_ struct argv env = ARGV_INIT;
	struct spawn_fd fds[3];
	struct spawn_options options = {
		.path = call->rt.command,
		.argv = argv->v,
		.fds = fds,
		.new_group = true,
		/* a run must not outlive who would undo it: `delete --force` finds the rest */
		.death_signal = SIGKILL,
		.nofile = &call->shim->nofile,
	};
	int r = runtime_env(&env);

	if (r < 0)
		return r;
	options.env = env.v;
	for (int i = 0; i < 3; i++)
		if (child[i] >= 0)
			fds[options.n_fds++] = (struct spawn_fd){ child[i], i };
	runtime_log_argv(argv);
	return spawn(&options, &call->pidref);
}

static int call_arm(struct runtime_call *call, uint32_t deadline_ms)
{
	call->finish = evtimer_new(call->shim->base, finish_dispatch, call);
	call->deadline = evtimer_new(call->shim->base, deadline_dispatch, call);
	return call->finish && call->deadline ? deadline_arm(call, deadline_ms) : -ENOMEM;
}

static int call_new(struct shim *shim, const struct runtime *rt, enum runtime_verb verb,
	uint32_t deadline_ms, struct runtime_call **ret)
{
	struct runtime_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return -ENOMEM;
	call->shim = shim;
	call->verb = verb;
	call->pidref = PIDREF_INIT;
	call->outcome = RUNTIME_OUTCOME_INIT;
	call->out.fd = call->err.fd = -1;
	r = runtime_copy(&call->rt, rt);
	if (r == 0 && deadline_ms && deadline_ms < call->rt.deadline_ms)
		call->rt.deadline_ms = deadline_ms;
	if (r == 0)
		r = make_log_path(call);
	if (r == 0)
		r = call_arm(call, call->rt.deadline_ms);
	if (r < 0) {
		call_free(call);
		return r;
	}
	*ret = call;
	return 0;
}

/* The child's descriptors: the caller's, or pipes of ours whose writing ends *to_close gets. */
static int call_stdio(struct runtime_call *call, const int stdio[3], const char *input,
	int child[3], int to_close[3])
{
	int r = 0;

	if (stdio) {
		memcpy(child, stdio, 3 * sizeof(int));
		return 0;
	}
	if (input)
		r = fd_of_data(input, strlen(input), &to_close[2]);
	if (r == 0)
		r = capture_open(
			call, &call->out, &call->outcome.out, LIMIT_RUNTIME_JSON, &to_close[0]);
	if (r == 0)
		r = capture_open(
			call, &call->err, &call->outcome.err, LIMIT_RUNTIME_STDERR, &to_close[1]);
	child[0] = to_close[2];
	child[1] = to_close[0];
	child[2] = to_close[1];
	return r;
}

int runtime_call_begin(struct shim *shim, const struct runtime *rt,
	const struct runtime_request *request, const int stdio[3], uint32_t deadline_ms,
	runtime_call_done done, void *userdata, struct runtime_call **ret, struct error *err)
{
	_cleanup_argv_ struct argv argv = ARGV_INIT;
	_cleanup_close_ int out = -1, error = -1, in = -1;
	struct runtime_request with_log = *request;
	struct runtime_call *call = NULL;
	int child[3], to_close[3] = { -1, -1, -1 };
	int r = call_new(shim, rt, request->verb, deadline_ms, &call);

	if (r < 0)
		return error_errno(err, r, "%s", runtime_verb_name(request->verb));
	loop_slots_ahead(shim->base, &shim->n_slots);
	with_log.log = call->log_path;
	r = runtime_argv(rt, &with_log, &argv, err);
	if (r != 0) {
		call_free(call);
		return r;
	}
	r = call_stdio(call, stdio, request->input, child, to_close);
	out = to_close[0];
	error = to_close[1];
	in = to_close[2];
	if (r == 0)
		r = call_spawn(call, &argv, child);
	if (r < 0) {
		call_free(call);
		return error_errno(err, r, "cannot run \"%s\"", rt->command);
	}
	call->done = done;
	call->userdata = userdata;
	shim->n_runs++;
	reaper_watch(shim->reaper, &call->child, call->pidref.pid, on_exit_of_run, call);
	if (ret)
		*ret = call;
	return 0;
}

const struct pidref *runtime_call_process(const struct runtime_call *call)
{
	return &call->pidref;
}
