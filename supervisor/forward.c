/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls on their way to a shim and back. Changes nothing itself. Subtle: the caller's own deadline is
 * the server's business and the shim's runtime has one of its own, so a call waits here for as long as
 * its connection does, and a shim that hangs costs its own callers alone.
 */
#include "supervisor/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "supervisor/member_link.h"
#include "supervisor/supervisor.h"

struct forward {
	struct list forwards_link;
	struct member *member;
	struct ttrpc_call *call; /* NULL: its client has left */
	struct ttrpc_pending *pending;
	struct event *deadline; /* NULL: none */
	void (*answer)(struct ttrpc_call *call, struct member *m, const char *text,
		const ProtobufCMessage *message);
	void (*refuse)(struct ttrpc_call *call, struct member *m, const char *text,
		const struct error *err);
	char text[];
};

void forward_refuse(struct ttrpc_call *call, const struct error *err)
{
	ttrpc_call_fail(call, (int)err->code, error_message(err));
}

static void forward_free(struct forward *f)
{
	list_unlink(&f->forwards_link);
	if (f->deadline)
		event_free(f->deadline);
	free(f);
}

static void refuse(struct forward *f, const struct error *err)
{
	if (f->refuse)
		f->refuse(f->call, f->member, f->text, err);
	else
		forward_refuse(f->call, err);
}

static void on_answer(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct forward *f = userdata;

	f->pending = NULL;
	f->member->heard = clock_monotonic_ms();
	if (code != 0)
		refuse(f, err);
	else if (f->answer)
		f->answer(f->call, f->member, f->text, message);
	else
		ttrpc_call_reply(f->call, NULL);
	forward_free(f);
}

static void on_left(void *userdata)
{
	struct forward *f = userdata;

	if (f->pending)
		ttrpc_client_cancel(f->pending);
	forward_free(f);
}

void forward_fail_all(struct member *m, const char *why)
{
	struct forward *f;

	while ((f = list_first(&m->forwards, struct forward, forwards_link))) {
		_cleanup_error_ struct error err = ERROR_INIT;

		error_set(&err, CODE_UNAVAILABLE, "container %s: %s", m->id, why);
		list_unlink(&f->forwards_link);
		if (f->pending)
			ttrpc_client_cancel(f->pending);
		refuse(f, &err);
		forward_free(f);
	}
}

/* It may hang: then the next caller is told so at once. */
static void on_deadline(evutil_socket_t fd, short what, void *userdata)
{
	struct forward *f = userdata;
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)fd;
	(void)what;
	ttrpc_client_cancel(f->pending);
	f->pending = NULL;
	error_set(&err, CODE_DEADLINE_EXCEEDED, "container %s: its shim has not answered in time",
		f->member->id);
	member_ask(f->member);
	refuse(f, &err);
	forward_free(f);
}

static int arm(struct forward *f, uint32_t ms)
{
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (ms == 0)
		return 0;
	f->deadline = evtimer_new(f->member->supervisor->base, on_deadline, f);
	return f->deadline && evtimer_add(f->deadline, &tv) == 0 ? 0 : -ENOMEM;
}

static struct forward *forward_new(
	struct member *m, struct ttrpc_call *call, const struct forward_request *request)
{
	size_t n = request->text ? strlen(request->text) : 0;
	struct forward *f = calloc(1, sizeof(*f) + n + 1);

	if (!f)
		return NULL;
	f->member = m;
	f->call = call;
	f->answer = request->answer;
	f->refuse = request->refuse;
	if (n > 0)
		memcpy(f->text, request->text, n);
	list_init(&f->forwards_link);
	list_append(&m->forwards, &f->forwards_link);
	return f;
}

/* There is no shim to ask. */
static int refuse_unlinked(const struct member *m, struct error *err)
{
	if (m->state == LINK_LOST)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: is orphaned: its shim is gone", m->id);
	return error_set(err, CODE_UNAVAILABLE, "container %s: %s", m->id,
		m->problem ? m->problem : "its shim is starting or ending and takes no call");
}

void forward_begin(struct member *m, struct ttrpc_call *call, const struct forward_request *request)
{
	const struct ttrpc_request out = {
		.service = request->service,
		.method = request->method,
		.message = request->message,
		.response = request->response,
		.fds = request->fds,
		.n_fds = request->n_fds,
	};
	_cleanup_error_ struct error err = ERROR_INIT;
	struct forward *f = NULL;
	int r;

	if (!member_is_linked(m))
		r = refuse_unlinked(m, &err);
	else if ((f = forward_new(m, call, request)) && arm(f, request->answer_ms) == 0)
		r = ttrpc_client_begin(m->client, &out, 0, on_answer, f, &f->pending, &err);
	else
		r = error_set(&err, CODE_RESOURCE_EXHAUSTED, "container %s: no memory", m->id);
	if (r == 0) {
		ttrpc_call_keep(call, on_left, NULL, f);
		return;
	}
	if (f)
		forward_free(f);
	if (request->refuse)
		request->refuse(call, m, request->text, &err);
	else
		forward_refuse(call, &err);
}
