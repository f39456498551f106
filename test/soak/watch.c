/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watcher: follows the events of every container from its first to its last, and holds them
 * against the model: each told once, in its order, with the status laid down, none missed. It is
 * never killed. Subtle: it comes to a shim a moment after its start, which is before anything of it
 * could have been forgotten.
 */
#include "test/soak/churn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "events.pb-c.h"

struct watch {
	struct churn *churn;
	struct event_base *base;
};

struct follower {
	struct churn *churn;
	struct life *life;
	uint32_t number;
	uint64_t last_seq;
	struct ttrpc_client *client;
};

static void *unpack(const Cleat__Shim__V1__Event *e, const ProtobufCMessageDescriptor *descriptor)
{
	void *m = NULL;

	if (strcmp(e->event->type_url, descriptor->name) == 0)
		m = protobuf_c_message_unpack(
			descriptor, NULL, e->event->value.len, e->event->value.data);
	return m;
}

/* An exec's event: what must have been told before it, and what it tells; each once. */
static void told_exec(
	struct follower *f, const char *topic, const char *exec_id, uint32_t before, uint32_t tells)
{
	const uint32_t exec = churn_exec_number(exec_id);
	uint32_t flags;

	if (exec == UINT32_MAX)
		return churn_fail(f->churn, "%s: %s of \"%s\"", f->life->id, topic, exec_id);
	flags = atomic_fetch_or(&f->life->execs[exec], tells);
	if (flags & tells)
		churn_fail(f->churn, "%s %s: %s told twice", f->life->id, exec_id, topic);
	else if ((flags & before) != before)
		churn_fail(f->churn, "%s %s: %s comes too early", f->life->id, exec_id, topic);
	else if (f->life->told & LIFE_TOLD_EXIT && tells == TOLD_EXIT)
		churn_fail(
			f->churn, "%s %s: its exit comes after its init's", f->life->id, exec_id);
}

static void told_exit(struct follower *f, const Cleat__Shim__V1__Event *e)
{
	Containerd__Events__TaskExit *m = unpack(e, &containerd__events__task_exit__descriptor);
	const uint32_t exec = m ? churn_exec_number(m->id) : 0;

	f->churn->n_checked++;
	if (!m) {
		churn_fail(f->churn, "%s: an exit without its message", f->life->id);
	} else if (strcmp(m->id, f->life->id) == 0) {
		if (f->life->told & LIFE_TOLD_EXIT)
			churn_fail(f->churn, "%s: its exit is told twice", f->life->id);
		if (m->exit_status != churn_init_fate(f->number).status)
			churn_fail(f->churn, "%s: its exit is told as %u", f->life->id,
				m->exit_status);
		f->life->told |= LIFE_TOLD_EXIT;
	} else {
		told_exec(f, "exit", m->id, TOLD_STARTED, TOLD_EXIT);
		if (exec != UINT32_MAX && !churn_may_end(f->life, exec, m->exit_status))
			churn_fail(f->churn, "%s %s: its exit is told as %u", f->life->id, m->id,
				m->exit_status);
	}
	bed_free(m);
}

static void told_delete(struct follower *f, const Cleat__Shim__V1__Event *e)
{
	Containerd__Events__TaskDelete *m = unpack(e, &containerd__events__task_delete__descriptor);

	if (!m)
		churn_fail(f->churn, "%s: a deletion without its message", f->life->id);
	else if (*m->id)
		told_exec(f, "delete", m->id, TOLD_ADDED, TOLD_DELETED);
	else if (!(f->life->told & LIFE_TOLD_EXIT) || f->life->told & LIFE_TOLD_DELETED)
		churn_fail(f->churn, "%s: deleted after %u", f->life->id, f->life->told);
	else
		f->life->told |= LIFE_TOLD_DELETED;
	bed_free(m);
}

static void told(struct follower *f, const Cleat__Shim__V1__Event *e)
{
	Containerd__Events__TaskExecAdded *added;
	Containerd__Events__TaskExecStarted *started;

	if (strcmp(e->topic, "/tasks/exit") == 0) {
		told_exit(f, e);
	} else if (strcmp(e->topic, "/tasks/delete") == 0) {
		told_delete(f, e);
	} else if (strcmp(e->topic, "/tasks/exec-added") == 0) {
		added = unpack(e, &containerd__events__task_exec_added__descriptor);
		told_exec(f, "exec-added", added ? added->exec_id : "", 0, TOLD_ADDED);
		bed_free(added);
	} else if (strcmp(e->topic, "/tasks/exec-started") == 0) {
		started = unpack(e, &containerd__events__task_exec_started__descriptor);
		told_exec(f, "exec-started", started ? started->exec_id : "", TOLD_ADDED,
			TOLD_STARTED);
		bed_free(started);
	}
}

static void on_event(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Cleat__Shim__V1__Event *e = (const void *)message;
	struct follower *f = userdata;

	if (!e) {
		if (code != 0)
			churn_fail(f->churn, "%s: its events ended: %s", f->life->id,
				error_message(err));
		f->life->told |= LIFE_TOLD_END;
		ttrpc_client_free(f->client);
		free(f);
		return;
	}
	f->churn->n_events++;
	if (e->missed || e->seq != f->last_seq + 1)
		churn_fail(f->churn, "%s: event %llu after %llu", f->life->id,
			(unsigned long long)e->seq, (unsigned long long)f->last_seq);
	f->last_seq = e->seq;
	told(f, e);
}

static void follow(struct watch *w, uint32_t number)
{
	Cleat__Shim__V1__SubscribeRequest r = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = MONITOR,
		.method = "Subscribe",
		.message = &r.base,
		.response = &cleat__shim__v1__event__descriptor,
	};
	_cleanup_error_ struct error err = ERROR_INIT;
	struct follower *f = calloc(1, sizeof(*f));

	f->churn = w->churn;
	f->life = &w->churn->lives[number];
	f->number = number;
	if (ttrpc_client_connect(f->life->socket, w->base, &f->client, &err) == 0 &&
		ttrpc_client_begin(f->client, &request, 1, on_event, f, NULL, &err) == 0) {
		f->life->told |= LIFE_FOLLOWED;
		return;
	}
	if (f->life->phase < LIFE_ENDING)
		churn_fail(w->churn, "%s: %s", f->life->id, error_message(&err));
	ttrpc_client_free(f->client);
	free(f);
}

/* A shim whose starter was killed before it could wake us is found when the next one wakes us. */
static void on_wake(evutil_socket_t fd, short what, void *userdata)
{
	struct watch *w = userdata;
	eventfd_t count;

	(void)what;
	eventfd_read(fd, &count);
	for (uint32_t n = 1; n <= w->churn->n_lives && n < CHURN_LIVES; n++) {
		struct life *life = &w->churn->lives[n];

		if (life->phase >= LIFE_SHIM && life->phase < LIFE_ENDING &&
			!(life->told & LIFE_FOLLOWED))
			follow(w, n);
	}
}

void churn_watch(struct churn *churn)
{
	struct watch w = { .churn = churn, .base = event_base_new() };
	struct event *wake = event_new(w.base, churn->wake, EV_READ | EV_PERSIST, on_wake, &w);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	event_add(wake, NULL);
	event_base_dispatch(w.base);
	_exit(1);
}
