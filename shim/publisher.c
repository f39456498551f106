/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarding to containerd: what is sent next, and what follows from each outcome. Never blocks,
 * never skips an exit or an OOM, and keeps no copy of any other event: those the ring may lose.
 *
 *   state     event                                    then
 *   idle      an event is made                         connects and sends: sending; or waiting
 *   sending   taken; there is another                  sends it: sending
 *   sending   taken; there is none                     hangs up: idle
 *   sending   refused; deadline; connection ended      hangs up: waiting
 *   waiting   its time has come                        connects and sends: sending; or waiting
 *   waiting   the shim is about to end                 its time comes soon: waiting
 *   any but idle   an event is made                    it is found when its turn comes
 *
 * A timer is armed while sending (the deadline) and waiting (the next try, from 0.1 s doubled to
 * 5 s), never while idle.
 *
 * - The connection is there only while something is sent: an idle shim holds nothing of
 *   containerd's, is not woken when that restarts, and never sends into a connection that has
 *   ended unnoticed. Connecting to a Unix socket costs microseconds.
 * - The deadline is long (30 s), and the server is not told of it. While the connection stands, a
 *   stopped or slow containerd still has the request in its socket and will take it; sending it
 *   again would only double it. One that dies ends the connection. So an event comes twice only
 *   where the connection broke, or the deadline passed, between its being taken and the answer.
 *
 * Races:
 * - The ring loses the event that is being sent: what has been taken is known by its number, and
 *   the cursor is moved past that before it is looked at again.
 * - An answer, then the end of the connection, in one read: the next event was sent into nothing;
 *   its own failure says so, and it is sent again.
 * - Deadline and answer in one turn of the loop: hanging up drops the call, so only one is heard.
 * - An event made from within any of this is not possible: nothing here makes one.
 */
#include "shim/publisher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/pbtime.h"
#include "common/ttrpc_client.h"
#include "events_forward.pb-c.h"
#include "shim/owed.h"

#define SERVICE "containerd.services.events.ttrpc.v1.Events"
#define PREFIX	"unix://"

enum publisher_state { PUBLISHER_IDLE, PUBLISHER_SENDING, PUBLISHER_WAITING };

struct publisher {
	struct event_base *base;
	struct events *events;
	char *path, *ns;
	uint32_t deadline_ms, retry_ms, retry_max_ms;
	enum publisher_state state;
	struct ring_cursor cursor; /* at what is being sent, or before it */
	struct owed owed;
	struct ttrpc_client *client; /* while sending */
	struct event *timer;
	uint64_t sent, taken;	  /* sequence numbers: of the last of each */
	uint32_t wait_ms;	  /* after the next failure */
	uint64_t n_tries, n_lost; /* since the last success, for the log */
	void (*on_idle)(void *userdata);
	void *userdata;
};

static void publisher_pump(struct publisher *p);

/* --- what is sent next --- */

/* The event of the ring that has not been taken yet, or NULL. */
static const struct task_event *ring_first(struct publisher *p)
{
	uint64_t missed; /* told by the numbers themselves */

	while (p->cursor.at && p->cursor.at->seq <= p->taken)
		events_next(&p->cursor, &missed);
	return (const struct task_event *)p->cursor.at;
}

static bool pick(struct publisher *p, struct outgoing *ret)
{
	bool is_owed = owed_first(&p->owed, ret);
	const struct task_event *e = ring_first(p);

	if (!e || (is_owed && ret->seq <= e->entry.seq))
		return is_owed;
	*ret = (struct outgoing){ e->entry.seq, e->time, e->kind, event_n_payload(e), e->payload };
	return true;
}

/* --- states --- */

static void arm(struct publisher *p, uint32_t ms)
{
	const struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	evtimer_add(p->timer, &tv); /* where there is no memory, the next event takes its part */
}

static void hang_up(struct publisher *p)
{
	event_del(p->timer);
	ttrpc_client_free(p->client);
	p->client = NULL;
}

static void become_idle(struct publisher *p)
{
	hang_up(p);
	p->state = PUBLISHER_IDLE;
	if (p->on_idle)
		p->on_idle(p->userdata);
}

static void on_failure(struct publisher *p, const struct error *err)
{
	hang_up(p);
	p->state = PUBLISHER_WAITING;
	if (p->n_tries++ == 0)
		log_warn("events cannot be forwarded, and wait", F_STR("address", p->path),
			F_INT("seq", (long long)p->sent), F_STR("error", error_message(err)));
	arm(p, p->wait_ms);
	if (!p->on_idle)
		p->wait_ms = p->wait_ms < p->retry_max_ms / 2 ? 2 * p->wait_ms : p->retry_max_ms;
}

static void on_success(struct publisher *p)
{
	p->n_lost += p->sent - p->taken - 1;
	p->taken = p->sent;
	owed_done(&p->owed, p->taken);
	p->wait_ms = p->retry_ms;
	if (p->n_lost > 0)
		log_warn("events were lost before they could be forwarded, none of them an exit",
			F_INT("lost", (long long)p->n_lost), F_INT("seq", (long long)p->taken));
	if (p->n_tries > 0)
		log_info("events are forwarded again", F_INT("tries", (long long)p->n_tries),
			F_INT("seq", (long long)p->taken));
	p->n_lost = p->n_tries = 0;
	publisher_pump(p);
}

/* --- one Forward --- */

static void on_reply(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	(void)message;
	if (code == 0)
		on_success(userdata);
	else
		on_failure(userdata, err);
}

static int forward(struct publisher *p, const struct outgoing *out, struct error *err)
{
	Containerd__Services__Events__Ttrpc__V1__ForwardRequest m =
		CONTAINERD__SERVICES__EVENTS__TTRPC__V1__FORWARD_REQUEST__INIT;
	Containerd__Services__Events__Ttrpc__V1__Envelope envelope =
		CONTAINERD__SERVICES__EVENTS__TTRPC__V1__ENVELOPE__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Google__Protobuf__Timestamp time;
	const struct ttrpc_metadata ns = { "containerd-namespace-ttrpc", p->ns };
	const struct ttrpc_request request = {
		.service = SERVICE,
		.method = "Forward",
		.message = &m.base,
		.response = &google__protobuf__empty__descriptor,
		.metadata = &ns,
		.n_metadata = 1,
	};
	int r = p->client ? 0 : ttrpc_client_connect(p->path, p->base, &p->client, err);

	if (r != 0)
		return r;
	any.type_url = (char *)event_type_name(out->kind);
	any.value = (ProtobufCBinaryData){ out->n_payload, (uint8_t *)out->payload };
	envelope.timestamp = pbtime_set(&time, out->time);
	envelope.namespace_ = p->ns;
	envelope.topic = (char *)event_topic(out->kind);
	envelope.event = &any;
	m.envelope = &envelope;
	return ttrpc_client_begin(p->client, &request, 0, on_reply, p, NULL, err);
}

/* Sends what is next, if there is anything. */
static void publisher_pump(struct publisher *p)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct outgoing out;

	if (!pick(p, &out)) {
		become_idle(p);
		return;
	}
	p->sent = out.seq;
	if (forward(p, &out, &err) != 0) {
		on_failure(p, &err);
		return;
	}
	p->state = PUBLISHER_SENDING;
	arm(p, p->deadline_ms);
}

/* --- what happens --- */

static void timer_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct publisher *p = userdata;

	(void)fd;
	(void)what;
	if (p->state == PUBLISHER_WAITING) {
		publisher_pump(p);
		return;
	}
	error_set(&err, CODE_DEADLINE_EXCEEDED, "no answer in %u ms", p->deadline_ms);
	on_failure(p, &err);
}

static void on_event(const struct task_event *e, void *userdata)
{
	struct publisher *p = userdata;

	owed_note(&p->owed, e);
	if (p->state == PUBLISHER_WAITING && !event_pending(p->timer, EV_TIMEOUT, NULL))
		arm(p, p->retry_ms);
}

static void on_wake(void *userdata)
{
	struct publisher *p = userdata;

	if (p->state == PUBLISHER_IDLE)
		publisher_pump(p);
}

/* --- making one --- */

static const char *path_of(const char *address)
{
	size_t n = strlen(PREFIX);

	return strncmp(address, PREFIX, n) == 0 ? address + n : address;
}

int publisher_check_address(const char *address, struct error *err)
{
	if (*path_of(address) != '/')
		return error_set(err, CODE_INVALID_ARGUMENT,
			"ttrpc address \"%s\" is not the absolute path of a socket", address);
	return 0;
}

static uint32_t or_default(uint32_t given, uint32_t otherwise)
{
	return given ? given : otherwise;
}

int publisher_new(const struct publisher_options *o, struct publisher **ret)
{
	struct publisher *p = calloc(1, sizeof(*p));

	if (!p)
		return error_trace(-ENOMEM);
	p->base = o->base;
	p->events = o->events;
	p->deadline_ms = or_default(o->deadline_ms, FORWARD_DEADLINE_MS);
	p->retry_ms = p->wait_ms = or_default(o->retry_ms, FORWARD_RETRY_MS);
	p->retry_max_ms = or_default(o->retry_max_ms, FORWARD_RETRY_MAX_MS);
	owed_init(&p->owed);
	p->path = strdup(path_of(o->address));
	p->ns = strdup(o->ns);
	p->timer = evtimer_new(p->base, timer_dispatch, p);
	if (!p->path || !p->ns || !p->timer) {
		publisher_free(p);
		return error_trace(-ENOMEM);
	}
	events_subscribe(p->events, &p->cursor, 0, on_wake, p);
	events_tap(p->events, on_event, p);
	on_wake(p);
	*ret = p;
	return 0;
}

void publisher_free(struct publisher *p)
{
	if (!p)
		return;
	if (p->timer)
		hang_up(p);
	events_tap(p->events, NULL, NULL);
	ring_unsubscribe(&p->cursor);
	owed_deinit(&p->owed);
	if (p->timer)
		event_free(p->timer);
	free(p->path);
	free(p->ns);
	free(p);
}

int publisher_reserve(struct publisher *p, struct error *err)
{
	return p ? owed_reserve(&p->owed, err) : 0;
}

void publisher_release(struct publisher *p)
{
	if (p)
		owed_release(&p->owed);
}

bool publisher_is_idle(const struct publisher *p)
{
	return !p || p->state == PUBLISHER_IDLE;
}

void publisher_hurry(struct publisher *p, void (*on_idle)(void *userdata), void *userdata)
{
	if (!p)
		return;
	p->on_idle = on_idle;
	p->userdata = userdata;
	p->wait_ms = p->retry_ms;
	if (p->state == PUBLISHER_WAITING)
		arm(p, p->retry_ms);
}
