/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The course of a foreground session: its phases, and how it ends. Sends nothing by itself (see
 * session_calls.c). Subtle: the exit status, the Delete's answer and the last byte of a terminal
 * come in any order; the session ends when all that it waits for is there.
 */
#include "supervisor/cli/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/limits.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/creation.h"
#include "common/client_dead.h"
#include "supervisor/cli/session_private.h"
#include "common/client_target.h"
#include "common/client_call.h"

/* For the init of a container that did not start to be gone after SIGKILL. */
#define UNDO_MS 10000

/* Between the answer to a Shutdown and the end of the connection. */
#define SHUTDOWN_MS 2000

/* --- leaving --- */

void session_fail(struct session *s, const struct error *err)
{
	if (s->failure.code == CODE_OK)
		error_set(&s->failure, err->code, "%s", error_message(err));
}

void session_done(struct session *s)
{
	s->phase = SESSION_DONE;
	event_base_loopbreak(s->base);
}

void session_leave(struct session *s, int status)
{
	s->leave_status = status;
	session_done(s);
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct session *s = userdata;

	(void)fd;
	(void)what;
	if (s->phase == SESSION_ENDING) {
		s->output_ended = true;
		session_step(s);
	} else if (s->phase == SESSION_RUNNING && s->leave_status < 0) {
		/* it was told to go before it was ours, and stays */
		s->started = false;
		session_begin_undoing(s);
	} else {
		session_done(s);
	}
}

static void set_timer(struct session *s, int ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (!s->timer)
		s->timer = evtimer_new(s->base, on_timer, s);
	if (!s->timer || evtimer_add(s->timer, &tv) < 0)
		session_done(s);
}

static void clear_timer(struct session *s)
{
	if (s->timer)
		evtimer_del(s->timer);
}

void session_leave_soon(struct session *s, int status, int ms)
{
	s->leave_status = status;
	set_timer(s, ms);
}

void session_await_heed(struct session *s)
{
	set_timer(s, STOP_GRACE_MS);
}

/* --- phases --- */

void session_begin_ending(struct session *s)
{
	s->phase = SESSION_ENDING;
	s->leave_status = -1;
	clear_timer(s);
	if (s->remove)
		session_send_delete(s);
	session_step(s);
}

void session_begin_undoing(struct session *s)
{
	s->remove = true;
	/* an init without a pid was not restored: there is nothing to kill */
	if (!s->is_init || s->pid == 0) {
		session_begin_ending(s);
		return;
	}
	s->phase = SESSION_UNDOING;
	set_timer(s, UNDO_MS);
	session_kill(s, SIGKILL);
	session_step(s);
}

static void step_ending(struct session *s)
{
	if (s->is_deleting || s->is_shutting_down)
		return;
	if (s->output.data && s->exited && !s->output_ended) {
		/* if somebody else holds the terminal open, its end never comes */
		set_timer(s, DRAIN_DEADLINE_MS);
		return;
	}
	if (s->is_init && s->gone)
		session_send_shutdown(s);
	else
		session_done(s);
}

void session_step(struct session *s)
{
	if ((s->phase == SESSION_RUNNING || s->phase == SESSION_UNDOING) && s->exited)
		session_begin_ending(s);
	else if (s->phase == SESSION_ENDING)
		step_ending(s);
}

void session_read_ledger(struct session *s)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct client_target *t = s->target;
	struct client_exit exit;

	if (s->cli->place.via == CLIENT_VIA_SHIM)
		return;
	if (t->dir.fd < 0 &&
		state_dir_open(s->cli->place.root, s->cli->place.ns, t->id, &t->dir, &ignored) != 0)
		return;
	s->exited = client_dead_exit(&t->dir, s->exec_id, (pid_t)s->pid, &exit);
	if (!s->exited)
		return;
	s->exit_known = exit.known;
	s->exit_status = exit.status;
}

/* --- the terminal --- */

static void on_output_end(void *userdata)
{
	struct session *s = userdata;

	s->output_ended = true;
	session_step(s);
}

static void on_input_end(void *userdata)
{
	/* its pipe has been closed, which is all that the container needs to know */
	(void)userdata;
}

int session_begin_relays(struct session *s)
{
	int r;

	if (!s->terminal)
		return 0;
	r = relay_begin(&s->output, s->base, s->streams.out, STDOUT_FILENO, on_output_end, s);
	if (r < 0)
		return r;
	s->streams.out = -1;
	r = relay_begin(&s->input, s->base, STDIN_FILENO, s->streams.in, on_input_end, s);
	if (r < 0)
		return r;
	s->streams.in = -1;
	terminal_init(&s->caller);
	return terminal_make_raw(&s->caller);
}

/* --- the whole --- */

/* poll(2) rather than epoll(7): standard streams may be files, and there are few descriptors. */
static struct event_base *make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && event_config_require_features(config, EV_FEATURE_FDS) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

int session_init(struct session *s, struct cli *cli, struct error *err)
{
	*s = (struct session){
		.cli = cli,
		.exec_id = "",
		.streams = STREAMS_INIT,
		.failure = ERROR_INIT,
		.signal_fd = -1,
		.leave_status = -1,
		.caller = TERMINAL_INIT,
		.input = RELAY_INIT,
		.output = RELAY_INIT,
		.base = make_base(),
	};
	if (!s->base)
		return error_errno(err, -ENOMEM, "event loop");
	session_block_signals();
	return 0;
}

static int session_result(struct session *s, struct error *err)
{
	if (s->leave_status >= 0) {
		s->cli->status = s->leave_status;
		return 0;
	}
	if (s->failure.code != CODE_OK) {
		s->cli->failure = failure_status(&s->failure);
		error_move(err, &s->failure);
		return client_wrap(err, s->target->id);
	}
	if (!s->started && s->interrupted) {
		s->cli->status = STATUS_SIGNAL + s->interrupted;
		return 0;
	}
	if (!s->exited || !s->exit_known)
		return error_set(err, CODE_UNKNOWN, "container %s: its exit status is unknown",
			s->target->id);
	/* a reader that went away has had enough; what else could not be written is lost */
	if (s->output.error && s->output.error != EPIPE) {
		error_errno(err, -s->output.error, "standard output");
		return client_wrap(err, s->target->id);
	}
	s->cli->status = (int)(s->exit_status & 0xff);
	return 0;
}

/* Waits until the shim that was told to end has closed its connection. */
static void await_end(const struct client_target *t)
{
	struct pollfd p = { .fd = ttrpc_client_fd(t->client), .events = POLLRDHUP };

	poll(&p, 1, SHUTDOWN_MS);
}

int session_run(struct session *s, const struct client_rpc *rpc, const ProtobufCMessage *message,
	struct error *err)
{
	int r = session_watch_signals(s);

	if (r < 0)
		return error_errno(err, r, "signals");
	r = session_send_add(s, rpc, message, err);
	if (r == 0)
		event_base_dispatch(s->base);
	/* before any message, and before anybody waits for the shim */
	terminal_restore(&s->caller);
	if (r != 0)
		return client_wrap(err, s->target->id);
	if (s->is_shutting_down)
		await_end(s->target);
	return session_result(s, err);
}

void session_deinit(struct session *s)
{
	ttrpc_client_free(s->hub);
	s->hub = NULL;
	terminal_restore(&s->caller);
	relay_deinit(&s->input);
	relay_deinit(&s->output);
	streams_deinit(&s->streams);
	error_clear(&s->failure);
	if (s->timer)
		event_free(s->timer);
	if (s->signal_event)
		event_free(s->signal_event);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->base)
		event_base_free(s->base);
	s->timer = s->signal_event = NULL;
	s->signal_fd = -1;
	s->base = NULL;
}
