/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects, subscribes, asks, and tries again. Never waits. Subtle: Subscribe is sent before Info, on
 * one connection that the shim answers in order: whatever Info does not tell comes as an event after
 * it, and what an event told before it is told again, which changes nothing.
 */
#include "supervisor/member_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "common/state_bundle.h"
#include "common/state_dir.h"
#include "google/protobuf/empty.pb-c.h"
#include "supervisor/forward.h"
#include "supervisor/member_files.h"
#include "supervisor/registry.h"
#include "supervisor/shims_events.h"
#include "supervisor/supervisor.h"
#include "task.pb-c.h"

#define RETRY_MS     20
#define RETRY_MAX_MS 1000

static void try_link(struct member *m);
static int try_ask(struct member *m);
static void link_ended(struct member *m);

bool member_is_linked(const struct member *m)
{
	return m->client != NULL;
}

int member_open_folder(const struct member *m, struct state_dir *ret, struct error *err)
{
	if (m->adopted)
		return state_bundle_open(m->folder ? m->folder : "", m->ns, m->id, ret, err);
	return state_dir_open(m->supervisor->root, m->ns, m->id, ret, err);
}

/* --- timers --- */

static void set_timer(struct event *timer, uint32_t ms)
{
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	evtimer_add(timer, &tv);
}

static void on_late(evutil_socket_t fd, short what, void *userdata)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	struct member *m = userdata;

	(void)fd;
	(void)what;
	m->late = true;
	error_set(&why, CODE_DEADLINE_EXCEEDED, "its shim has not answered in %u ms",
		m->supervisor->config.shim_answer_ms);
	member_take_files(m, error_message(&why));
	registry_heard(m->supervisor->registry);
}

/* Where there is a connection no stream is open on it that would tell of its end. */
static void on_retry(evutil_socket_t fd, short what, void *userdata)
{
	struct member *m = userdata;

	(void)fd;
	(void)what;
	if (!m->client)
		try_link(m);
	else if (try_ask(m) != 0)
		link_ended(m);
}

static int make_timers(struct member *m)
{
	if (!m->answer_timer)
		m->answer_timer = evtimer_new(m->supervisor->base, on_late, m);
	if (!m->retry_timer)
		m->retry_timer = evtimer_new(m->supervisor->base, on_retry, m);
	return m->answer_timer && m->retry_timer ? 0 : -ENOMEM;
}

static void retry_later(struct member *m)
{
	m->state = LINK_AWAITED;
	m->retry_ms = m->retry_ms == 0 ? RETRY_MS : m->retry_ms * 2;
	if (m->retry_ms > RETRY_MAX_MS)
		m->retry_ms = RETRY_MAX_MS;
	set_timer(m->retry_timer, m->retry_ms);
}

/* --- what the shim says --- */

/* Its answer makes no sense: something else listens there, or a cleat that we do not know. */
static void refuse_shim(struct member *m, const struct error *err)
{
	bool is_new = m->state != LINK_FOREIGN;

	m->state = LINK_FOREIGN;
	evtimer_del(m->answer_timer);
	member_take_files(m, error_message(err));
	m->is_unknown = true;
	set_timer(m->retry_timer, RETRY_MAX_MS); /* nothing else tells of its end */
	if (is_new)				 /* every list asks it again */
		log_warn("a shim is not understood", F_STR("namespace", m->ns), F_STR("id", m->id),
			F_STR("error", error_message(err)));
	registry_heard(m->supervisor->registry);
}

static void on_info(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Cleat__Shim__V1__InfoResponse *info = (const void *)message;
	struct member *m = userdata;

	m->asked = NULL;
	if (code == CODE_UNAVAILABLE) {
		link_ended(m);
		return;
	}
	if (code != 0) {
		refuse_shim(m, err);
		return;
	}
	m->heard = clock_monotonic_ms();
	m->state = LINK_LIVE;
	m->late = false;
	m->retry_ms = 0;
	evtimer_del(m->answer_timer);
	evtimer_del(m->retry_timer);
	if (member_take_info(m, info) < 0)
		log_error("no memory for a container", F_STR("id", m->id));
	member_hold_init(m);
	member_judge_waiters(m);
	registry_heard(m->supervisor->registry);
}

static int try_ask(struct member *m)
{
	Cleat__Shim__V1__InfoRequest request = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	const struct ttrpc_request call = {
		.service = MONITOR_SERVICE,
		.method = "Info",
		.message = &request.base,
		.response = &cleat__shim__v1__info_response__descriptor,
	};
	int r;

	if (!m->client || m->asked)
		return 0;
	request.without_spec = true;
	r = ttrpc_client_begin(m->client, &call, 0, on_info, m, &m->asked, NULL);
	if (r != 0) {
		m->asked = NULL;
		return r;
	}
	if (!m->late)
		set_timer(m->answer_timer, m->supervisor->config.shim_answer_ms);
	return 0;
}

/* A connection that has ended is seen to in a turn of its own: who asks looks at the member after. */
void member_ask(struct member *m)
{
	if (try_ask(m) != 0)
		set_timer(m->retry_timer, 0);
}

static void on_event(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Cleat__Shim__V1__Event *event = (const void *)message;
	struct member *m = userdata;
	bool ask;

	if (!event) {
		/* the end of the connection is Info's to tell, or that of the last call */
		if (code == CODE_UNAVAILABLE || code == 0)
			link_ended(m);
		else
			refuse_shim(m, err);
		return;
	}
	m->heard = clock_monotonic_ms();
	m->epoch = event->epoch;
	m->seq = event->seq;
	member_take_event(m, event, &ask);
	shims_events_publish(m->supervisor, m, event);
	if (ask)
		member_ask(m);
}

static int subscribe(struct member *m, struct error *err)
{
	Cleat__Shim__V1__SubscribeRequest request = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
	const struct ttrpc_request call = {
		.service = MONITOR_SERVICE,
		.method = "Subscribe",
		.message = &request.base,
		.response = &cleat__shim__v1__event__descriptor,
	};

	request.epoch = m->epoch;
	request.since = m->seq;
	return ttrpc_client_begin(m->client, &call, 1, on_event, m, NULL, err);
}

/* --- the course of a link --- */

static void close_link(struct member *m)
{
	struct ttrpc_client *client = m->client;

	m->client = NULL;
	m->asked = NULL;
	m->late = false;
	evtimer_del(m->answer_timer);
	/* creations and the like, whose callers wait: nothing else ends them */
	forward_fail_all(m, "its shim has ended");
	ttrpc_client_end_calls(client);
	ttrpc_client_free(client);
}

/*
 * No connection, and none to be had for now. is_awaited: a watch tells when there is; else it is tried
 * again where something holds the lock.
 */
static void judge(struct member *m, const struct error *why, bool is_awaited)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	struct registry *registry = m->supervisor->registry;
	int r = member_open_folder(m, &dir, NULL);

	if (m->has_left || r == CODE_NOT_FOUND) {
		registry_remove(registry, m);
		return;
	}
	if (r == 0 && !state_dir_is_locked(&dir)) {
		m->state = LINK_LOST;
		member_mourn(m);
	} else if (is_awaited) {
		m->state = LINK_AWAITED;
	} else if (why->code == CODE_FAILED_PRECONDITION || why->code == CODE_INTERNAL) {
		refuse_shim(m, why);
	} else {
		member_take_files(m, error_message(why));
		retry_later(m);
	}
	registry_heard(registry);
}

static void link_ended(struct member *m)
{
	_cleanup_error_ struct error why = ERROR_INIT;

	if (!m->client)
		return;
	close_link(m);
	error_set(&why, CODE_UNAVAILABLE, "its shim takes no call");
	judge(m, &why, false);
}

static int connect_to(struct member *m, struct error *err)
{
	int r = ttrpc_client_connect(m->socket, m->supervisor->base, &m->client, err);

	if (r == 0)
		r = subscribe(m, err);
	if (r != 0) {
		ttrpc_client_free(m->client);
		m->client = NULL;
		return r;
	}
	m->state = LINK_ASKING;
	m->heard = clock_monotonic_ms();
	member_ask(m);
	return 0;
}

/* The socket that its folder names. CODE_NOT_FOUND: there is no shim.json yet. */
static int read_socket(struct member *m, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_(shim_record_deinit) struct shim_record record = { 0 };
	int r = member_open_folder(m, &dir, err);

	if (r == 0)
		r = shim_record_read(&dir, &record, err);
	if (r != 0)
		return r;
	free(m->socket);
	m->socket = TAKE_PTR(record.socket);
	m->shim_pid = (uint32_t)record.pid;
	return 0;
}

/* It may have been written before the watch was there, so it is read once more. */
static int await_socket(struct member *m, bool *ret_is_awaited, struct error *err)
{
	int r = registry_await(m->supervisor->registry, m);

	if (r < 0)
		return error_errno(err, r, "container %s: its folder", m->id);
	r = read_socket(m, err);
	*ret_is_awaited = r == CODE_NOT_FOUND;
	return r;
}

static void try_link(struct member *m)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	bool is_awaited = false;
	int r = 0;

	if (m->client || m->state == LINK_LOST)
		return;
	if (make_timers(m) < 0) {
		log_error("no memory for a container", F_STR("id", m->id));
		return;
	}
	evtimer_del(m->retry_timer);
	if (!m->adopted)
		r = read_socket(m, &why);
	if (r == CODE_NOT_FOUND)
		r = await_socket(m, &is_awaited, &why);
	if (r == 0)
		r = connect_to(m, &why);
	if (r != 0)
		judge(m, &why, is_awaited);
}

void member_find_shim(struct member *m)
{
	m->retry_ms = 0;
	try_link(m);
}

void member_folder_gone(struct member *m)
{
	m->has_left = true;
	if (m->client)
		registry_leave(m->supervisor->registry, m);
	else
		registry_remove(m->supervisor->registry, m);
}

static void on_shut_down(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	/* the end of the connection, or of its container's folder, is what tells */
	(void)code;
	(void)message;
	(void)err;
	(void)userdata;
}

void member_shut_down(struct member *m)
{
	Containerd__Task__V2__ShutdownRequest request =
		CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
	const struct ttrpc_request call = {
		.service = TASK_SERVICE,
		.method = "Shutdown",
		.message = &request.base,
		.response = &google__protobuf__empty__descriptor,
	};

	request.id = m->id;
	if (m->client && !m->adopted)
		ttrpc_client_begin(m->client, &call, 0, on_shut_down, NULL, NULL, NULL);
}

void member_unlink(struct member *m)
{
	if (m->answer_timer) {
		if (m->client)
			close_link(m);
		event_free(m->answer_timer);
	}
	if (m->retry_timer)
		event_free(m->retry_timer);
	m->answer_timer = m->retry_timer = NULL;
}
