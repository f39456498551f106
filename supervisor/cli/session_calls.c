/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a session asks its shim, and what the answers mean for it. Never blocks. Subtle: Wait is
 * sent before Start, in one go with the window's size: none of the three needs another's answer,
 * and no exit can be missed in between.
 */
#include "supervisor/cli/session_private.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/ttrpc_client.h"
#include "monitor.pb-c.h"
#include "supervisor.pb-c.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/creation.h"
#include "supervisor/cli/sdnotify.h"
#include "common/client_rpc.h"
#include "common/client_target.h"
#include "common/client_call.h"
#include "task.pb-c.h"

/* A call that cannot be sent is answered here and now. */
static void send_call(struct session *s, const struct client_rpc *rpc, const ProtobufCMessage *m,
	int64_t timeout_ms, ttrpc_reply_fn on_reply)
{
	const struct ttrpc_request request = client_rpc_request(rpc, m, timeout_ms);
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_pending *pending;

	if (ttrpc_client_begin(s->target->client, &request, 0, on_reply, s, &pending, &err) != 0)
		on_reply((int)err.code, NULL, &err, s);
}

/* --- what needs no answer --- */

static void on_ignored(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	(void)code;
	(void)message;
	(void)err;
	(void)userdata;
}

void session_kill(struct session *s, int sig)
{
	Containerd__Task__V2__KillRequest m = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	m.id = s->target->id;
	m.exec_id = (char *)s->exec_id;
	if (sig == SIGTERM && s->stop_signal)
		sig = s->stop_signal;
	m.signal = (uint32_t)sig;
	send_call(s, &rpc_kill, &m.base, client_call_ms(&s->cli->place), on_ignored);
}

void session_resize(struct session *s)
{
	Containerd__Task__V2__ResizePtyRequest m = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;

	if (!s->terminal || (s->phase != SESSION_STARTING && s->phase != SESSION_RUNNING))
		return;
	if (!terminal_size(&m.width, &m.height))
		return;
	m.id = s->target->id;
	m.exec_id = (char *)s->exec_id;
	send_call(s, &rpc_resize_pty, &m.base, CLIENT_ANSWER_MS, on_ignored);
}

/* --- the end --- */

static void on_shut_down(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	(void)code;
	(void)message;
	(void)err;
	session_done(userdata);
}

void session_send_shutdown(struct session *s)
{
	Containerd__Task__V2__ShutdownRequest m = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;

	s->is_shutting_down = true;
	m.id = s->target->id;
	send_call(s, &rpc_shutdown, &m.base, CLIENT_ANSWER_MS, on_shut_down);
}

static void on_deleted(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct session *s = userdata;

	(void)message;
	s->is_deleting = false;
	s->remove = false;
	/* somebody else may have been faster: that it is gone is what was wanted */
	s->gone = code == 0 || code == CODE_NOT_FOUND;
	if (!s->gone)
		cli_complain(s->target->id, err);
	session_step(s);
}

void session_send_delete(struct session *s)
{
	Containerd__Task__V2__DeleteRequest m = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;

	s->is_deleting = true;
	m.id = s->target->id;
	m.exec_id = (char *)s->exec_id;
	send_call(s, &rpc_delete, &m.base, client_call_ms(&s->cli->place), on_deleted);
}

/* --- the exit --- */

static void on_records(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Cleat__Shim__V1__ExitRecordsResponse *answer = (const void *)message;
	struct session *s = userdata;

	(void)code;
	(void)err;
	s->exit_known = answer && answer->n_records > 0 &&
			answer->records[answer->n_records - 1]->exit_known;
	s->exited = true;
	session_step(s);
}

/* 255 may be its exit code, or containerd's word for "unknown". */
static void ask_known(struct session *s)
{
	Cleat__Shim__V1__ExitRecordsRequest m = CLEAT__SHIM__V1__EXIT_RECORDS_REQUEST__INIT;

	m.exec_id = (char *)s->exec_id;
	send_call(s, &rpc_exit_records, &m.base, CLIENT_ANSWER_MS, on_records);
}

/* No answer to Wait: the shim has died, or what was to be undone is gone already. */
static void on_wait_failed(struct session *s, const struct error *err)
{
	if (s->phase == SESSION_UNDOING) {
		session_begin_ending(s);
		return;
	}
	/* what was never restored is being deleted, whose answer comes right after this one */
	if (s->phase == SESSION_ENDING && s->is_init)
		return;
	session_read_ledger(s);
	if (!s->exited)
		session_fail(s, err);
	session_done(s);
}

static void on_exited(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Containerd__Task__V2__WaitResponse *answer = (const void *)message;
	struct session *s = userdata;

	if (s->phase == SESSION_DONE)
		return;
	if (code != 0) {
		on_wait_failed(s, err);
		return;
	}
	s->exit_status = answer->exit_status;
	if (s->exit_status == CLIENT_STATUS_UNKNOWN && s->phase != SESSION_UNDOING) {
		ask_known(s);
		return;
	}
	s->exit_known = true;
	s->exited = true;
	session_step(s);
}

void session_send_wait(struct session *s)
{
	Containerd__Task__V2__WaitRequest m = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;

	m.id = s->target->id;
	m.exec_id = (char *)s->exec_id;
	send_call(s, &rpc_wait, &m.base, 0, on_exited);
}

/* --- the start --- */

static void on_started(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Containerd__Task__V2__StartResponse *answer = (const void *)message;
	_cleanup_error_ struct error failed = ERROR_INIT;
	struct session *s = userdata;
	bool is_new = s->pid == 0; /* of an exec, or of what was restored */

	if (s->phase != SESSION_STARTING)
		return;
	if (code != 0) {
		session_fail(s, err);
		session_begin_undoing(s);
		return;
	}
	s->pid = answer->pid;
	s->started = true;
	s->phase = SESSION_RUNNING;
	if (is_new && pid_file_write(s->pid_file, s->pid, &failed) != 0) {
		session_fail(s, &failed);
		session_kill(s, SIGKILL);
	} else if (s->notify) {
		sdnotify_running(s->notify);
	}
	session_kill_pending(s);
	session_step(s);
}

/* Create has started it: what came meanwhile, also what was to interrupt that, is for it to heed. */
static void begin_running(struct session *s)
{
	s->started = true;
	s->phase = SESSION_RUNNING;
	session_send_wait(s);
	session_kill_pending(s);
	if (s->interrupted) {
		session_kill(s, s->interrupted);
		session_await_heed(s);
	} else if (s->notify) {
		sdnotify_running(s->notify);
	}
}

static void send_start(struct session *s)
{
	Containerd__Task__V2__StartRequest m = CONTAINERD__TASK__V2__START_REQUEST__INIT;

	s->phase = SESSION_STARTING;
	session_resize(s);
	session_send_wait(s);
	m.id = s->target->id;
	m.exec_id = (char *)s->exec_id;
	send_call(s, &rpc_start, &m.base, client_call_ms(&s->cli->place), on_started);
}

/* It is there; whatever stands in the way of its start is found now. */
static int prepare_start(struct session *s, const ProtobufCMessage *message, struct error *err)
{
	int r = 0;

	if (s->is_init) {
		const Containerd__Task__V2__CreateTaskResponse *answer = (const void *)message;

		s->pid = answer->pid;
		if (s->pid)
			r = pid_file_write(s->pid_file, s->pid, err);
	}
	if (r == 0 && !s->interrupted) {
		r = session_begin_relays(s);
		if (r < 0)
			r = error_errno(err, r, "terminal");
	}
	return r;
}

static void on_added(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	_cleanup_error_ struct error failed = ERROR_INIT;
	struct session *s = userdata;

	streams_sent(&s->streams);
	if (code != 0) {
		session_fail(s, err);
		/* a shim that somebody else started may be asked again */
		s->gone = s->cli->place.via == CLIENT_VIA_DIRECT;
		s->remove = false;
		session_begin_ending(s);
		return;
	}
	if (prepare_start(s, message, &failed) != 0)
		session_fail(s, &failed);
	if (failed.code == CODE_OK && s->runs) {
		begin_running(s);
		return;
	}
	if (failed.code == CODE_OK && !s->interrupted) {
		send_start(s);
		return;
	}
	session_begin_undoing(s);
	if (s->phase == SESSION_UNDOING)
		session_send_wait(s);
}

/* cleatd has created it: from here on its shim is asked itself, so that cleatd may come and go. */
static void on_hub_added(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Cleat__V1__CreateResponse *answer = (const void *)message;
	Containerd__Task__V2__CreateTaskResponse created =
		CONTAINERD__TASK__V2__CREATE_TASK_RESPONSE__INIT;
	_cleanup_error_ struct error failed = ERROR_INIT;
	struct session *s = userdata;
	struct client_target *t = s->target;

	if (code == 0) {
		t->is_hub = false;
		t->socket = strdup(answer->socket);
		code = t->socket ? ttrpc_client_connect(t->socket, s->base, &t->client, &failed)
				 : error_errno(&failed, -ENOMEM, "container %s", t->id);
		created.pid = answer->pid;
		err = &failed;
	} else if (ttrpc_client_is_over(s->hub)) {
		client_hub_creation_lost(t->id, &failed);
		err = &failed;
	}
	on_added(code, code == 0 ? &created.base : NULL, err, s);
}

static int send_create_to_hub(struct session *s, const ProtobufCMessage *message, struct error *err)
{
	const struct client_place *place = &s->cli->place;
	const struct ttrpc_metadata metadata = { CLIENT_NAMESPACE_KEY, place->ns };
	struct client_hub_creation h;
	struct ttrpc_request request;
	int r = ttrpc_client_connect(place->socket, s->base, &s->hub, err);

	if (r == 0)
		r = client_hub_creation_fill(
			&h, s->target->id, (const void *)message, s->spec, err);
	if (r != 0)
		return r;
	request = client_rpc_request(&hub_create, &h.request.base, client_call_ms(place));
	request.fds = s->streams.fds;
	request.n_fds = s->streams.n_fds;
	request.metadata = &metadata;
	request.n_metadata = 1;
	r = ttrpc_client_begin(s->hub, &request, 0, on_hub_added, s, NULL, err);
	client_hub_creation_deinit(&h);
	return r;
}

int session_send_add(struct session *s, const struct client_rpc *rpc,
	const ProtobufCMessage *message, struct error *err)
{
	struct ttrpc_request request =
		client_rpc_request(rpc, message, client_call_ms(&s->cli->place));
	struct ttrpc_pending *pending;

	if (s->is_init && s->target->is_hub)
		return send_create_to_hub(s, message, err);
	request.fds = s->streams.fds;
	request.n_fds = s->streams.n_fds;
	return ttrpc_client_begin(s->target->client, &request, 0, on_added, s, &pending, err);
}
