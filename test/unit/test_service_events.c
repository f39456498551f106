/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Events service and followers of a namespace, over a real server and clients on a socket: what is
 * refused, what arrives and in which order, and what a client costs that does not read.
 */
#include "supervisor/service_events.h"

#include <malloc.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/limits.h"
#include "common/pbtime.h"
#include "common/ttrpc_client.h"
#include "events.pb-c.h"
#include "events_service.pb-c.h"
#include "supervisor/service_subscribe.h"
#include "test/unit/precise_base.h"
#include "test/unit/unit.h"

#define EVENTS "containerd.services.events.v1.Events"

typedef Containerd__Services__Events__V1__Envelope envelope_message;

struct fixture {
	char folder[64], path[100];
	struct event_base *base;
	struct event *tick; /* so that a wait for what never comes ends at its deadline */
	struct hub *hub;
	struct ttrpc_server *server;
	struct ttrpc_client *client;
};

/* --- the bed --- */

static void supervisor_subscribe(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	service_events_subscribe_all(userdata, call, (const void *)request,
		ttrpc_call_metadata(call, "containerd-namespace-ttrpc"));
}

static const struct ttrpc_method supervisor_methods[] = {
	{ "Subscribe", &cleat__v1__subscribe_request__descriptor,
		&cleat__v1__container_event__descriptor, true, supervisor_subscribe },
};

static struct ttrpc_client *connect_on(struct fixture *f, struct event_base *base)
{
	struct ttrpc_client *client;
	struct error err = ERROR_INIT;

	assert_ok(ttrpc_client_connect(f->path, base, &client, &err), &err);
	return client;
}

static void on_tick(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)userdata;
}

static int setup(void **state)
{
	const struct timeval tv = { 0, 100000 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct fixture *f = calloc(1, sizeof(*f));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(f->folder, "/tmp/cleat-events-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
	strcpy(address.sun_path, f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 128), 0);
	f->base = precise_base_new();
	f->tick = event_new(f->base, -1, EV_PERSIST, on_tick, NULL);
	event_add(f->tick, &tv);
	assert_int_equal(hub_new(&f->hub), 0);
	assert_int_equal(ttrpc_server_new(f->base, fd, &f->server), 0);
	assert_int_equal(service_events_add(f->hub, f->server), 0);
	assert_int_equal(ttrpc_server_add_service(
				 f->server, "cleat.v1.Supervisor", supervisor_methods, 1, f->hub),
		0);
	f->client = connect_on(f, f->base);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ttrpc_client_free(f->client);
	ttrpc_server_free(f->server);
	hub_free(f->hub);
	event_free(f->tick);
	event_base_free(f->base);
	unlink(f->path);
	rmdir(f->folder);
	free(f);
	return 0;
}

/* --- calls --- */

struct answer {
	bool ended;
	int code;
	char message[512];
};

static void on_answer(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct answer *a = userdata;

	(void)message;
	a->ended = true;
	a->code = code;
	snprintf(a->message, sizeof(a->message), "%s", code ? error_message(err) : "");
}

static void turn(struct fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void begin(struct ttrpc_client *client, const char *service, const char *method,
	const char *ns, const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response,
	int stream, ttrpc_reply_fn on_reply, void *userdata)
{
	const struct ttrpc_metadata metadata = { "containerd-namespace-ttrpc", ns };
	const struct ttrpc_request request = { .service = service,
		.method = method,
		.message = message,
		.response = response,
		.metadata = &metadata,
		.n_metadata = ns != NULL };
	struct error err = ERROR_INIT;

	assert_ok(
		ttrpc_client_begin(client, &request, stream, on_reply, userdata, NULL, &err), &err);
}

static void expect(struct fixture *f, const char *method, const char *ns,
	const ProtobufCMessage *message, int code, const char *sentence)
{
	struct answer a = { 0 };

	begin(f->client, EVENTS, method, ns, message, &google__protobuf__empty__descriptor, 0,
		on_answer, &a);
	while (!a.ended)
		event_base_loop(f->base, EVLOOP_ONCE);
	if (a.code != code || strcmp(a.message, sentence) != 0)
		fail_msg("%s: %s \"%s\" instead of %s \"%s\"", method, code_name(a.code), a.message,
			code_name(code), sentence);
}

static void publish(
	struct fixture *f, const char *ns, const char *topic, int code, const char *sentence)
{
	Containerd__Services__Events__V1__PublishRequest r =
		CONTAINERD__SERVICES__EVENTS__V1__PUBLISH_REQUEST__INIT;

	r.topic = (char *)topic;
	expect(f, "Publish", ns, &r.base, code, sentence);
}

static void forward(struct fixture *f, const char *ns, const char *topic, moment at, int code,
	const char *sentence)
{
	Containerd__Services__Events__V1__ForwardRequest r =
		CONTAINERD__SERVICES__EVENTS__V1__FORWARD_REQUEST__INIT;
	envelope_message envelope = CONTAINERD__SERVICES__EVENTS__V1__ENVELOPE__INIT;
	Google__Protobuf__Timestamp time;

	envelope.namespace_ = (char *)ns;
	envelope.topic = (char *)topic;
	envelope.timestamp = pbtime_set(&time, at);
	r.envelope = &envelope;
	expect(f, "Forward", "other", &r.base, code, sentence);
}

/* An exit of a shim's own stream. */
static void add(struct fixture *f, const char *ns, const char *id, uint64_t seq, uint64_t missed)
{
	Containerd__Events__TaskExit m = CONTAINERD__EVENTS__TASK_EXIT__INIT;
	uint8_t payload[256];
	struct hub_event e = { .ns = ns,
		.topic = "/tasks/exit",
		.type_url = m.base.descriptor->name,
		.payload = payload,
		.time = (moment)seq,
		.id = id,
		.epoch = 9,
		.seq = seq,
		.missed = missed,
		.late = seq % 2 };

	m.container_id = (char *)id;
	m.id = (char *)id;
	m.pid = (uint32_t)seq;
	e.n_payload = protobuf_c_message_pack(&m.base, payload);
	assert_int_equal(hub_publish(f->hub, &e), 0);
}

/* --- readers --- */

struct reader {
	size_t n, n_notices;
	uint64_t n_missed, last_pid;
	bool ended;
	int code;
	char message[512];
	char topics[256], ns[32]; /* one after the other; of the last */
	moment time;
	char type_url[64];
	size_t n_payload;
};

static void see_missed(struct reader *r, const envelope_message *e)
{
	Cleat__V1__Missed *m;

	assert_string_equal(e->namespace_, SERVICE_EVENTS_NAMESPACE);
	assert_string_equal(e->event->type_url, "cleat.v1.Missed");
	assert_true(pbtime_get(e->timestamp) != 0);
	m = cleat__v1__missed__unpack(NULL, e->event->value.len, e->event->value.data);
	assert_non_null(m);
	assert_true(m->n > 0);
	r->n_missed += m->n;
	r->n_notices++;
	r->last_pid += m->n;
	cleat__v1__missed__free_unpacked(m, NULL);
}

/* Exits are numbered by their pids: none is left out but what was told. */
static void see_exit(struct reader *r, const envelope_message *e)
{
	Containerd__Events__TaskExit *m = containerd__events__task_exit__unpack(
		NULL, e->event->value.len, e->event->value.data);

	assert_non_null(m);
	assert_int_equal(m->pid, r->last_pid + 1);
	r->last_pid = m->pid;
	containerd__events__task_exit__free_unpacked(m, NULL);
}

static void on_envelope(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const envelope_message *e = (const void *)message;
	struct reader *r = userdata;

	if (!e) {
		r->ended = true;
		r->code = code;
		snprintf(r->message, sizeof(r->message), "%s", code ? error_message(err) : "");
		return;
	}
	if (strcmp(e->topic, SERVICE_EVENTS_MISSED) == 0) {
		see_missed(r, e);
		return;
	}
	r->n++;
	if (strlen(r->topics) + strlen(e->topic) < sizeof(r->topics))
		strcat(r->topics, e->topic);
	snprintf(r->ns, sizeof(r->ns), "%s", e->namespace_);
	r->time = pbtime_get(e->timestamp);
	snprintf(r->type_url, sizeof(r->type_url), "%s", e->event ? e->event->type_url : "none");
	r->n_payload = e->event ? e->event->value.len : 0;
	if (strcmp(e->namespace_, "numbered") == 0)
		see_exit(r, e);
}

/* Until the server has it. */
static void subscribe_on(struct fixture *f, struct ttrpc_client *client, struct event_base *base,
	struct reader *r, const char *filter)
{
	Containerd__Services__Events__V1__SubscribeRequest q =
		CONTAINERD__SERVICES__EVENTS__V1__SUBSCRIBE_REQUEST__INIT;
	size_t before = list_length(&hub_ring(f->hub)->cursors);
	char *filters[] = { (char *)filter };

	*r = (struct reader){ 0 };
	q.filters = filters;
	q.n_filters = filter != NULL;
	begin(client, EVENTS, "Subscribe", NULL, &q.base,
		&containerd__services__events__v1__envelope__descriptor, 1, on_envelope, r);
	while (list_length(&hub_ring(f->hub)->cursors) == before && !r->ended) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		turn(f);
	}
}

static void subscribe(struct fixture *f, struct reader *r, const char *filter)
{
	subscribe_on(f, f->client, f->base, r, filter);
}

/* What has been published is there with what is published after it, on the same stream. */
static void await(struct fixture *f, const struct reader *r, size_t n)
{
	int64_t deadline = clock_monotonic_ms() + 30000;

	while (r->n + r->n_missed < n && !r->ended) {
		assert_true(clock_monotonic_ms() < deadline);
		event_base_loop(f->base, EVLOOP_ONCE);
	}
}

/* --- publishing --- */

static void test_publish(void **state)
{
	struct fixture *f = *state;
	struct reader r;

	subscribe(f, &r, NULL);
	publish(f, "default", "/a/b-c.d", 0, "");
	await(f, &r, 1);
	assert_string_equal(r.topics, "/a/b-c.d");
	assert_string_equal(r.ns, "default");
	assert_string_equal(r.type_url, "none");
	assert_true(r.time > 0 && r.time <= clock_now());
	publish(f, NULL, "/a", CODE_FAILED_PRECONDITION,
		"publish: namespace is required: the metadata have no containerd-namespace-ttrpc");
	publish(f, "", "/a", CODE_FAILED_PRECONDITION,
		"publish: namespace is required: the metadata have no containerd-namespace-ttrpc");
	publish(f, "a b", "/a", CODE_INVALID_ARGUMENT,
		"publish: namespace \"a b\" must be letters and digits with single '.', '_' or '-' between them");
	publish(f, "n", "", CODE_INVALID_ARGUMENT, "publish: topic \"\" must begin with \"/\"");
	publish(f, "n", "a", CODE_INVALID_ARGUMENT, "publish: topic \"a\" must begin with \"/\"");
	publish(f, "n", "/", CODE_INVALID_ARGUMENT,
		"publish: topic \"/\": component must not be empty");
	publish(f, "n", "/a/", CODE_INVALID_ARGUMENT,
		"publish: topic \"/a/\": component must not be empty");
	publish(f, "n", "/a//b", CODE_INVALID_ARGUMENT,
		"publish: topic \"/a//b\": component must not be empty");
	publish(f, "n", "/a\xff", CODE_INVALID_ARGUMENT,
		"publish: topic \"/a?\": component \"a?\" must be letters and digits with single '.', "
		"'_' or '-' between them");
	assert_int_equal(hub_ring(f->hub)->next_seq, 2);
}

/* A component is as long as an id may be: at the bound, one above, far above. */
static void test_long_topics(void **state)
{
	struct fixture *f = *state;
	char topic[1 + 20 * LIMIT_ID] = "/", sentence[512];

	memset(topic + 1, 'a', LIMIT_ID);
	publish(f, "n", topic, 0, "");
	for (size_t n = LIMIT_ID + 1; n < sizeof(topic); n += 18 * LIMIT_ID) {
		memset(topic + 1, 'a', n);
		snprintf(sentence, sizeof(sentence),
			"publish: topic \"%.*s%s\": component \"%.77s\" is longer than 76 bytes",
			n < 100 ? (int)n + 1 : 100, topic, n < 100 ? "" : "...", topic + 1);
		publish(f, "n", topic, CODE_INVALID_ARGUMENT, sentence);
	}
}

static void try_payload(
	struct fixture *f, size_t n, const char *type_url, int code, const char *sentence)
{
	Containerd__Services__Events__V1__PublishRequest r =
		CONTAINERD__SERVICES__EVENTS__V1__PUBLISH_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	r.topic = (char *)"/t";
	r.event = &any;
	any.type_url = (char *)type_url;
	any.value = (ProtobufCBinaryData){ n, calloc(1, n + 1) };
	expect(f, "Publish", "n", &r.base, code, sentence);
	free(any.value.data);
}

/* A large event reaches everyone; one that is too large is its publisher's trouble alone. */
static void test_payloads(void **state)
{
	const char *why =
		"publish: topic \"/t\": an event of %u bytes is over the limit of 1048576 with its texts";
	const unsigned tries[] = { LIMIT_HUB_EVENT, LIMIT_HUB_EVENT + 1,
		4u * LIMIT_HUB_EVENT - 1000 };
	struct fixture *f = *state;
	char sentence[256];
	struct reader r;

	subscribe(f, &r, NULL);
	try_payload(f, LIMIT_HUB_EVENT - 200, "some.Type", 0, "");
	await(f, &r, 1);
	assert_int_equal(r.n_payload, LIMIT_HUB_EVENT - 200);
	assert_string_equal(r.type_url, "some.Type");
	for (size_t i = 0; i < 3; i++) {
		snprintf(sentence, sizeof(sentence), why, tries[i]);
		try_payload(f, tries[i], "some.Type", CODE_RESOURCE_EXHAUSTED, sentence);
	}
	try_payload(
		f, 1, "\xff", CODE_INVALID_ARGUMENT, "publish: topic \"/t\": type_url is no UTF-8");
	try_payload(f, 1, "", 0, "");
	await(f, &r, 2);
	assert_false(r.ended);
	assert_int_equal(r.n_missed, 0);
	assert_string_equal(r.type_url, "");
}

static void test_forward(void **state)
{
	Containerd__Services__Events__V1__ForwardRequest none =
		CONTAINERD__SERVICES__EVENTS__V1__FORWARD_REQUEST__INIT;
	struct fixture *f = *state;
	struct reader r;

	subscribe(f, &r, NULL);
	forward(f, "elsewhere", "/a", 1500000000, 0, "");
	await(f, &r, 1);
	assert_string_equal(r.ns, "elsewhere");
	assert_int_equal(r.time, 1500000000);
	expect(f, "Forward", "n", &none.base, CODE_INVALID_ARGUMENT,
		"forward: envelope is required");
	forward(f, "n", "/a", 0, CODE_INVALID_ARGUMENT,
		"forward: envelope.timestamp must be set, to a time from 1678 to 2262");
	forward(f, "", "/a", 1, CODE_INVALID_ARGUMENT, "forward: namespace must not be empty");
	forward(f, "n", "a", 1, CODE_INVALID_ARGUMENT,
		"forward: topic \"a\" must begin with \"/\"");
	assert_int_equal(hub_ring(f->hub)->next_seq, 2);
}

/* --- subscribing --- */

static void test_filters(void **state)
{
	struct fixture *f = *state;
	struct reader all, exits, of_web, bad;

	publish(f, "default", "/before", 0, ""); /* nobody gets that */
	subscribe(f, &all, NULL);
	subscribe(f, &exits, "topic==/tasks/exit");
	subscribe(f, &of_web, "event.container_id==web,namespace==b");
	subscribe(f, &bad, "topic=/x");
	assert_true(bad.ended);
	assert_int_equal(bad.code, CODE_INVALID_ARGUMENT);
	assert_string_equal(bad.message,
		"filter \"topic=/x\": unexpected \"=\" at 6, expected \"==\", \"!=\" or \"~=\"");
	publish(f, "default", "/x", 0, "");
	add(f, "a", "web", 1, 0);
	add(f, "b", "db", 1, 0);
	add(f, "b", "web", 1, 0);
	publish(f, "b", "/y", 0, "");
	await(f, &all, 5);
	assert_string_equal(all.topics, "/x/tasks/exit/tasks/exit/tasks/exit/y");
	assert_int_equal(exits.n, 3);
	assert_int_equal(of_web.n, 1);
	assert_string_equal(of_web.ns, "b");
	hub_end(f->hub);
	while (!all.ended)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(all.code, 0);
}

/*
 * One subscriber reads nothing while 100,000 events come: it costs its place in the ring, the others get
 * all of them, and once it reads it learns how many it has missed.
 */
static void test_never_reads(void **state)
{
	const unsigned n = 100000;
	struct fixture *f = *state;
	struct event_base *asleep = precise_base_new();
	struct ttrpc_client *slow_client = connect_on(f, asleep);
	struct reader slow, fast[3];
	size_t before;

	subscribe_on(f, slow_client, asleep, &slow, "namespace==numbered");
	for (int i = 0; i < 3; i++)
		subscribe(f, &fast[i], i ? NULL : "event.pid");
	before = mallinfo2().uordblks;
	for (unsigned i = 1; i <= n; i++) {
		add(f, "numbered", "web", i, 0);
		if (i % 100 == 0)
			await(f, &fast[0], i);
	}
	for (int i = 0; i < 3; i++) {
		await(f, &fast[i], n);
		assert_int_equal(fast[i].n, n);
		assert_int_equal(fast[i].n_missed, 0);
	}
	assert_int_equal(slow.n, 0);
	assert_true(hub_ring(f->hub)->n == LIMIT_HUB_EVENTS);
	assert_true(ring_bytes(hub_ring(f->hub)) <= LIMIT_HUB_BYTES);
	assert_true(mallinfo2().uordblks <= before + 65536);

	for (int64_t deadline = clock_monotonic_ms() + 60000; slow.n + slow.n_missed < n; turn(f)) {
		assert_true(clock_monotonic_ms() < deadline);
		event_base_loop(asleep, EVLOOP_NONBLOCK);
	}
	assert_false(slow.ended);
	assert_int_equal(slow.n_notices, 1);
	assert_int_equal(slow.last_pid, n);
	assert_true(slow.n_missed > n / 2 && slow.n > LIMIT_HUB_EVENTS);
	/* what was kept for it is not any more */
	add(f, "numbered", "web", n + 1, 0);
	assert_int_equal(hub_ring(f->hub)->n, HUB_TAIL_EVENTS);
	ttrpc_client_free(slow_client);
	event_base_free(asleep);
}

/* It is told what a shim had lost already, whatever its filter is. */
static void test_missed_before(void **state)
{
	struct fixture *f = *state;
	struct reader r;

	subscribe(f, &r, "topic==/nothing");
	add(f, "a", "web", 8, 7);
	await(f, &r, 7);
	assert_int_equal(r.n_missed, 7);
	assert_int_equal(r.n, 0);
}

/* A client that goes in the middle takes its subscriptions along and no one else's. */
static void test_leaves(void **state)
{
	struct fixture *f = *state;
	struct ttrpc_client *other = connect_on(f, f->base);
	struct reader r, gone[2];

	subscribe_on(f, other, f->base, &gone[0], NULL);
	subscribe(f, &r, NULL);
	subscribe_on(f, other, f->base, &gone[1], "topic");
	add(f, "a", "web", 1, 0);
	ttrpc_client_free(other);
	add(f, "a", "web", 2, 0);
	await(f, &r, 2);
	while (list_length(&hub_ring(f->hub)->cursors) > 1)
		event_base_loop(f->base, EVLOOP_ONCE);
	add(f, "a", "web", 3, 0);
	await(f, &r, 3);
	assert_int_equal(r.n, 3);
}

/* --- followers of a namespace --- */

#define N_SHIMS 5u

struct follower {
	size_t n;
	uint64_t last[N_SHIMS], n_missed, order; /* time counts all of them */
	bool ended;
};

static void on_container_event(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Cleat__V1__ContainerEvent *e = (const void *)message;
	struct follower *w = userdata;
	size_t shim;

	(void)err;
	if (!e) {
		w->ended = true;
		assert_int_equal(code, 0);
		return;
	}
	shim = (size_t)(e->id[1] - '0');
	assert_true(shim < N_SHIMS);
	assert_int_equal(e->event->epoch, 1000 + shim);
	assert_string_equal(e->event->namespace_, "default");
	assert_string_equal(e->event->topic, "/tasks/paused");
	assert_string_equal(e->event->event->type_url, "containerd.events.TaskPaused");
	assert_int_equal(e->event->late, e->event->seq % 2);
	w->n_missed += e->event->missed;
	if (w->last[shim] > 0 && w->n_missed == 0)
		assert_int_equal(e->event->seq, w->last[shim] + 1);
	assert_true((uint64_t)pbtime_get(e->event->time) > w->order);
	w->last[shim] = e->event->seq;
	w->order = (uint64_t)pbtime_get(e->event->time);
	w->n++;
}

static void follow(struct fixture *f, struct follower *w, bool from_now)
{
	Cleat__V1__SubscribeRequest q = CLEAT__V1__SUBSCRIBE_REQUEST__INIT;
	size_t before = list_length(&hub_ring(f->hub)->cursors);

	*w = (struct follower){ 0 };
	q.from_now = from_now;
	begin(f->client, "cleat.v1.Supervisor", "Subscribe", "default", &q.base,
		&cleat__v1__container_event__descriptor, 1, on_container_event, w);
	while (list_length(&hub_ring(f->hub)->cursors) == before)
		event_base_loop(f->base, EVLOOP_ONCE);
}

/* Of each of the shims by turns, between those of other namespaces and what is no shim's. */
static void add_round(struct fixture *f, uint64_t seq)
{
	for (unsigned shim = 0; shim < N_SHIMS; shim++) {
		char id[] = { 'c', (char)('0' + shim), '\0' };
		struct hub_event e = { .ns = "default",
			.topic = "/tasks/paused",
			.type_url = "containerd.events.TaskPaused",
			.time = (moment)(seq * N_SHIMS + shim),
			.id = id,
			.epoch = 1000 + shim,
			.seq = seq,
			.late = seq % 2 };
		struct hub_event foreign = {
			.ns = "other", .topic = "/t", .type_url = "", .id = "x", .time = 1
		};
		struct hub_event published = {
			.ns = "default", .topic = "/t", .type_url = "", .time = 1
		};

		assert_int_equal(hub_publish(f->hub, &e), 0);
		assert_int_equal(hub_publish(f->hub, &foreign), 0);
		assert_int_equal(hub_publish(f->hub, &published), 0);
	}
}

static void test_followers(void **state)
{
	struct fixture *f = *state;
	struct follower all, new_ones;
	struct reader plain;

	for (uint64_t seq = 1; seq <= 10; seq++)
		add_round(f, seq);
	follow(f, &all, false);
	follow(f, &new_ones, true);
	subscribe(f, &plain, NULL);
	for (uint64_t seq = 11; seq <= 30; seq++)
		add_round(f, seq);
	await(f, &plain, 3 * N_SHIMS * 20);
	hub_end(f->hub); /* after which they read to the end */
	while (!all.ended || !new_ones.ended)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(all.n, N_SHIMS * 30);
	assert_int_equal(new_ones.n, N_SHIMS * 20);
	assert_int_equal(all.n_missed + new_ones.n_missed, 0);
	for (unsigned shim = 0; shim < N_SHIMS; shim++)
		assert_int_equal(all.last[shim], 30);
}

/* What it has lost was of any namespace; with its next event it is told how much. */
static void test_follower_falls_behind(void **state)
{
	const uint64_t n_rounds = 5000, n = 3 * N_SHIMS * n_rounds;
	int64_t deadline = clock_monotonic_ms() + 60000;
	struct fixture *f = *state;
	struct follower w;

	follow(f, &w, true);
	for (uint64_t seq = 1; seq <= n_rounds; seq++)
		add_round(f, seq);
	while (w.order < n_rounds * N_SHIMS + N_SHIMS - 1) {
		assert_true(clock_monotonic_ms() < deadline);
		event_base_loop(f->base, EVLOOP_ONCE);
	}
	assert_true(w.n_missed > 0);
	/* each event is seen, lost, or passed over: two of three are */
	assert_true(w.n * 3 + w.n_missed >= n - 3 && w.n * 3 + w.n_missed <= n + 3);
	assert_int_equal(w.last[0], n_rounds);
}

#define events_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		events_test(test_publish),
		events_test(test_long_topics),
		events_test(test_payloads),
		events_test(test_forward),
		events_test(test_filters),
		events_test(test_never_reads),
		events_test(test_missed_before),
		events_test(test_leaves),
		events_test(test_followers),
		events_test(test_follower_falls_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
