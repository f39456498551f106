/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscribers that do not read. Subtle: the one of Events publishes the marker at the begin itself, after
 * its Subscribe and on the same connection, so that it has subscribed before the marker is told.
 */
#include "test/soak/crowd/crowd.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "events_service.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "supervisor.pb-c.h"

#define READ_MS 10000

static uint32_t post(struct slow *s, const char *service, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response, bool stream)
{
	const struct ttrpc_request request = crowd_request(service, method, message, response);
	_cleanup_error_ struct error err = ERROR_INIT;
	uint32_t number;

	if (ttrpc_client_post(s->client, &request, stream, &number, &err) != 0)
		crowd_fail("%s: %s", method, error_message(&err));
	return number;
}

void slow_begin(struct crowd *crowd)
{
	Containerd__Services__Events__V1__SubscribeRequest events =
		CONTAINERD__SERVICES__EVENTS__V1__SUBSCRIBE_REQUEST__INIT;
	Containerd__Services__Events__V1__PublishRequest marker =
		CONTAINERD__SERVICES__EVENTS__V1__PUBLISH_REQUEST__INIT;
	Cleat__V1__SubscribeRequest all = CLEAT__V1__SUBSCRIBE_REQUEST__INIT;
	struct slow *e = &crowd->slow_events, *s = &crowd->slow_supervisor;

	e->crowd = s->crowd = crowd;
	s->client = crowd_connect(crowd, NULL);
	all.id = (char *)"";
	all.from_now = true;
	s->stream = post(s, SUPERVISOR, "Subscribe", &all.base,
		&cleat__v1__container_event__descriptor, true);
	e->client = crowd_connect(crowd, NULL);
	e->stream = post(e, EVENTS, "Subscribe", &events.base,
		&containerd__services__events__v1__envelope__descriptor, true);
	marker.topic = (char *)CROWD_BEGIN;
	post(e, EVENTS, "Publish", &marker.base, &google__protobuf__empty__descriptor, false);
}

static void *read_next(struct slow *s)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *message = NULL;

	if (ttrpc_client_next(s->client, s->stream, READ_MS, &message, &err) != 0)
		crowd_fail("a slow subscriber, after %llu: %s", (unsigned long long)s->n_got,
			error_message(&err));
	if (!message)
		crowd_fail("a slow subscriber's stream has ended");
	return message;
}

static uint64_t read_missed(const Containerd__Services__Events__V1__Envelope *e)
{
	Cleat__V1__Missed *m =
		cleat__v1__missed__unpack(NULL, e->event->value.len, e->event->value.data);
	uint64_t n = m ? m->n : 0;

	if (n == 0)
		crowd_fail("a slow subscriber has missed none, and is told that it has");
	cleat__v1__missed__free_unpacked(m, NULL);
	return n;
}

static void catch_up_events(struct slow *s, uint64_t n_between)
{
	for (bool has_ended = false; !has_ended;) {
		Containerd__Services__Events__V1__Envelope *e = read_next(s);

		has_ended = strcmp(e->topic, CROWD_END) == 0;
		if (strcmp(e->topic, "/cleat/missed") == 0)
			s->n_missed += read_missed(e);
		else
			s->n_got++;
		containerd__services__events__v1__envelope__free_unpacked(e, NULL);
	}
	if (s->n_missed == 0 || s->n_got + s->n_missed != n_between)
		crowd_fail("a slow subscriber of Events: %llu got, %llu missed, of %llu",
			(unsigned long long)s->n_got, (unsigned long long)s->n_missed,
			(unsigned long long)n_between);
}

/* What it has missed by the shims' numbers is no more than what it was told that it has. */
static void catch_up_supervisor(struct slow *s)
{
	uint64_t last[MAX_CONTAINERS] = { 0 }, n_lacking = 0;

	/* the last event of every container is its init's exit, which all others have been told */
	for (size_t n_left = s->crowd->n_ids; n_left > 0; s->n_got++) {
		Cleat__V1__ContainerEvent *e = read_next(s);
		size_t i = crowd_index(s->crowd, e->id);

		s->n_missed += e->event->missed;
		n_lacking += last[i] ? e->event->seq - last[i] - 1 : 0;
		last[i] = e->event->seq;
		n_left -= last[i] == s->crowd->followers[0].seqs[i];
		cleat__v1__container_event__free_unpacked(e, NULL);
	}
	if (n_lacking > s->n_missed)
		crowd_fail("a slow subscriber of Supervisor lacks %llu, and is told of %llu",
			(unsigned long long)n_lacking, (unsigned long long)s->n_missed);
}

void slow_catch_up(struct crowd *crowd, uint64_t n_between)
{
	struct slow *e = &crowd->slow_events, *s = &crowd->slow_supervisor;

	catch_up_events(e, n_between);
	catch_up_supervisor(s);
	printf("one of Events that did not read: got %llu and missed %llu of %llu; of Supervisor: "
	       "got %llu, missed %llu\n",
		(unsigned long long)e->n_got, (unsigned long long)e->n_missed,
		(unsigned long long)n_between, (unsigned long long)s->n_got,
		(unsigned long long)s->n_missed);
	ttrpc_client_free(e->client);
	ttrpc_client_free(s->client);
}
