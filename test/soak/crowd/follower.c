/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients on events, and those that wait. Subtle: a subscriber of Supervisor can see by the numbers that
 * it was told everything; one of Events only by counting.
 */
#include "test/soak/crowd/crowd.h"

#include <string.h>

#include "events.pb-c.h"
#include "events_service.pb-c.h"
#include "supervisor.pb-c.h"
#include "tasks.pb-c.h"

static void count(struct follower *f, const char *topic)
{
	f->n_exits += strcmp(topic, "/tasks/exit") == 0;
	f->n_execs += strncmp(topic, "/tasks/exec-", 12) == 0;
}

static void on_container_event(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Cleat__V1__ContainerEvent *e = (const void *)message;
	struct follower *f = userdata;
	size_t i;

	if (!e)
		crowd_fail("a subscriber of Supervisor: %s", code ? error_message(err) : "its end");
	i = crowd_index(f->crowd, e->id);
	if (e->event->missed)
		crowd_fail("%s: a subscriber has missed %llu", e->id,
			(unsigned long long)e->event->missed);
	if (f->id && strcmp(f->id, e->id) != 0)
		crowd_fail("%s: told to who wants %s", e->id, f->id);
	if (e->event->epoch != f->epochs[i] && f->epochs[i] != 0)
		crowd_fail("%s: another epoch", e->id);
	if (e->event->seq != f->seqs[i] + 1)
		crowd_fail("%s: event %llu after %llu", e->id, (unsigned long long)e->event->seq,
			(unsigned long long)f->seqs[i]);
	f->epochs[i] = e->event->epoch;
	f->seqs[i] = e->event->seq;
	count(f, e->event->topic);
}

static void on_envelope(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Containerd__Services__Events__V1__Envelope *e = (const void *)message;
	struct follower *f = userdata;

	if (!e)
		crowd_fail("a subscriber of Events: %s", code ? error_message(err) : "its end");
	if (strcmp(e->topic, "/cleat/missed") == 0)
		crowd_fail("a subscriber of Events has missed some");
	count(f, e->topic);
	f->has_begun = f->has_begun || strcmp(e->topic, CROWD_BEGIN) == 0;
	f->n_between += f->has_begun && !f->has_ended;
	f->has_ended = f->has_ended || strcmp(e->topic, CROWD_END) == 0;
}

static void follow_supervisor(struct follower *f, size_t number)
{
	Cleat__V1__SubscribeRequest r = CLEAT__V1__SUBSCRIBE_REQUEST__INIT;

	if (number % 2)
		f->id = f->crowd->ids[number / 2 % f->crowd->n_ids];
	r.id = (char *)(f->id ? f->id : "");
	crowd_begin(f->client, SUPERVISOR, "Subscribe", &r.base,
		&cleat__v1__container_event__descriptor, 1, on_container_event, f);
}

/* Most have a filter, which keeps the ballast from them. */
static void follow_events(struct follower *f, size_t number)
{
	Containerd__Services__Events__V1__SubscribeRequest r =
		CONTAINERD__SERVICES__EVENTS__V1__SUBSCRIBE_REQUEST__INIT;
	char *filters[] = { (char *)"namespace==default,topic~=^/tasks/",
		(char *)"topic==" CROWD_END };

	f->of_events = true;
	f->is_filtered = number % 5 != 0;
	if (f->is_filtered) {
		r.filters = filters;
		r.n_filters = 2;
	}
	crowd_begin(f->client, EVENTS, "Subscribe", &r.base,
		&containerd__services__events__v1__envelope__descriptor, 1, on_envelope, f);
}

void follower_begin(struct follower *f, size_t number)
{
	f->client = crowd_connect(f->crowd, f->crowd->base);
	if (number < N_FOLLOWERS / 2)
		follow_supervisor(f, number);
	else
		follow_events(f, number - N_FOLLOWERS / 2);
}

/* --- waiters --- */

static void on_ended(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Containerd__Services__Tasks__V1__WaitResponse *r = (const void *)message;
	struct waiter *w = userdata;

	if (code != 0)
		crowd_fail("a Wait: %s", error_message(err));
	if (!w->crowd->is_ending || r->exit_status != CROWD_KILLED)
		crowd_fail("a Wait is answered with %u", r->exit_status);
	w->is_answered = true;
}

void waiter_begin(struct waiter *w, const char *id)
{
	Containerd__Services__Tasks__V1__WaitRequest r =
		CONTAINERD__SERVICES__TASKS__V1__WAIT_REQUEST__INIT;

	w->client = crowd_connect(w->crowd, w->crowd->base);
	r.container_id = (char *)id;
	crowd_begin(w->client, TASKS, "Wait", &r.base,
		&containerd__services__tasks__v1__wait_response__descriptor, 0, on_ended, w);
}
