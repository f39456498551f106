/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarding, against a sink in this process: our own server with containerd's Events service, which
 * takes, holds back or refuses what comes, and can go away. Every race of the publisher's head
 * comment has its test.
 */
#include "shim/publisher.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/pbtime.h"
#include "common/ttrpc_server.h"
#include "events.pb-c.h"
#include "events_forward.pb-c.h"
#include "test/unit/precise_base.h"
#include "test/unit/unit.h"

#define SERVICE	    "containerd.services.events.ttrpc.v1.Events"
#define DEADLINE_MS 20000 /* of whatever a test waits for */

struct bench {
	struct bed *bed;
	char path[100], other[100];
	struct event_base *base;
	struct event *tick;
	struct events *events;
	struct publisher *publisher;
	struct ttrpc_server *sink; /* NULL: nobody listens */
	bool holds;		   /* it does not answer by itself */
	size_t n_refuse;	   /* so many times from now */
	struct ttrpc_call *held;   /* the newest */
	size_t n_seen, n_taken;
	struct buf taken; /* "start 1,exit 2,oom," */
	char *ns, *header;
	moment time;
	size_t n_idle;
	int timers; /* of the loop, with the sink's and without the publisher's */
};

/* --- the sink --- */

/* What an event says, as far as a test wants to know: its kind, and its number or id. */
static char *describe(const Containerd__Services__Events__Ttrpc__V1__Envelope *e)
{
	const char *kind = e->topic + strlen("/tasks/");
	Containerd__Events__TaskStart *start;
	Containerd__Events__TaskExit *exited;
	char *text = NULL;
	int r;

	if (strcmp(kind, "exit") == 0) {
		exited = containerd__events__task_exit__unpack(
			NULL, e->event->value.len, e->event->value.data);
		r = asprintf(&text, "exit %u,", exited->pid);
		containerd__events__task_exit__free_unpacked(exited, NULL);
	} else if (strcmp(kind, "start") == 0) {
		start = containerd__events__task_start__unpack(
			NULL, e->event->value.len, e->event->value.data);
		r = asprintf(&text, "start %u,", start->pid);
		containerd__events__task_start__free_unpacked(start, NULL);
	} else {
		r = asprintf(&text, "%s,", kind);
	}
	assert_true(r > 0);
	return text;
}

static void take(struct bench *b, const Containerd__Services__Events__Ttrpc__V1__Envelope *e)
{
	_cleanup_free_ char *text = describe(e);

	b->n_taken++;
	assert_int_equal(buf_append(&b->taken, text, strlen(text)), 0);
}

static void on_cancel(void *userdata)
{
	struct bench *b = userdata;

	b->held = NULL;
}

static void forward(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Events__Ttrpc__V1__ForwardRequest *r =
		(const Containerd__Services__Events__Ttrpc__V1__ForwardRequest *)request;
	const char *header = ttrpc_call_metadata(call, "containerd-namespace-ttrpc");
	struct bench *b = userdata;

	b->n_seen++;
	free(b->ns);
	free(b->header);
	b->ns = strdup(r->envelope->namespace_);
	b->header = strdup(header ? header : "");
	b->time = pbtime_get(r->envelope->timestamp);
	if (b->n_refuse > 0) {
		b->n_refuse--;
		ttrpc_call_fail(call, CODE_UNAVAILABLE, "not now");
		return;
	}
	take(b, r->envelope);
	if (!b->holds) {
		ttrpc_call_reply(call, NULL);
		return;
	}
	ttrpc_call_keep(call, on_cancel, NULL, b);
	b->held = call;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void sink_open(struct bench *b)
{
	static const struct ttrpc_method methods[] = {
		{ "Forward", &containerd__services__events__ttrpc__v1__forward_request__descriptor,
			&google__protobuf__empty__descriptor, false, forward },
	};

	assert_int_equal(ttrpc_server_new(b->base, listen_at(b->path), &b->sink), 0);
	assert_int_equal(ttrpc_server_add_service(b->sink, SERVICE, methods, 1, b), 0);
}

static void sink_close(struct bench *b)
{
	ttrpc_server_free(b->sink);
	b->sink = NULL;
	unlink(b->path);
}

/* --- the bench --- */

static void publish(struct bench *b, uint32_t deadline_ms, uint32_t retry_ms, uint32_t max_ms)
{
	const struct publisher_options options = {
		.base = b->base,
		.events = b->events,
		.address = b->path,
		.ns = "k8s.io",
		.deadline_ms = deadline_ms,
		.retry_ms = retry_ms,
		.retry_max_ms = max_ms,
	};

	b->timers = event_base_get_num_events(b->base, EVENT_BASE_COUNT_ADDED);
	assert_int_equal(publisher_new(&options, &b->publisher), 0);
}

static void on_tick(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)userdata;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_int_equal(bed_setup((void **)&b->bed), 0);
	snprintf(b->path, sizeof(b->path), "%s/sink", b->bed->path);
	log_init(LOG_LEVEL_ERROR, STDERR_FILENO);
	b->base = precise_base_new();
	b->tick = evtimer_new(b->base, on_tick, NULL);
	assert_int_equal(events_new(&b->events), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	int r;

	publisher_free(b->publisher);
	sink_close(b);
	events_free(b->events);
	event_free(b->tick);
	event_base_free(b->base);
	buf_deinit(&b->taken);
	free(b->ns);
	free(b->header);
	r = bed_teardown((void **)&b->bed);
	free(b);
	return r;
}

static void add(struct bench *b, enum event_kind kind, pid_t pid)
{
	const struct event_args args = {
		.kind = kind, .container_id = "web", .pid = pid, .bundle = "/b", .exited_at = 1000
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	if (kind == EVENT_EXIT)
		assert_ok(publisher_reserve(b->publisher, &err), &err);
	assert_int_equal(events_add(b->events, &args), 0);
}

/* Runs the loop until condition; what it waits for is the test's failure. */
#define await(b, condition)                                                                        \
	do {                                                                                       \
		int64_t until_ = clock_monotonic_ms() + DEADLINE_MS;                               \
		while (!(condition)) {                                                             \
			if (clock_monotonic_ms() > until_)                                         \
				fail_msg("in vain: %s", #condition);                               \
			turn(b);                                                                   \
		}                                                                                  \
	} while (0)

/* One turn of the loop, of 20 ms at most. */
static void turn(struct bench *b)
{
	const struct timeval tv = { 0, 20000 };

	evtimer_add(b->tick, &tv);
	event_base_loop(b->base, EVLOOP_ONCE);
	event_del(b->tick);
}

/* All that was taken, in one string. */
static void assert_taken(struct bench *b, const char *text)
{
	assert_int_equal(buf_append(&b->taken, "", 1), 0);
	b->taken.len--;
	assert_string_equal((const char *)buf_head(&b->taken), text);
}

#define bench_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* --- what is sent --- */

static void test_envelope(void **state)
{
	struct bench *b = *state;
	moment before = clock_now();

	sink_open(b);
	publish(b, 0, 0, 0);
	add(b, EVENT_EXIT, 7);
	await(b, b->n_taken == 1 && publisher_is_idle(b->publisher));
	assert_string_equal(b->ns, "k8s.io");
	assert_string_equal(b->header, "k8s.io");
	assert_true(b->time >= before && b->time <= clock_now());
	assert_taken(b, "exit 7,");
}

/* All kinds, in the order in which they were made; those made before the publisher come too. */
static void test_order(void **state)
{
	struct bench *b = *state;

	sink_open(b);
	add(b, EVENT_CREATE, 1);
	publish(b, 0, 0, 0);
	for (int kind = EVENT_START; kind < _EVENT_KIND_MAX; kind++)
		add(b, (enum event_kind)kind, 5);
	await(b, b->n_taken == _EVENT_KIND_MAX && publisher_is_idle(b->publisher));
	assert_taken(b, "create,start 5,oom,exit 5,delete,exec-added,exec-started,paused,resumed,"
			"checkpointed,");
}

/* The next one goes out when the one before it has been answered, and not earlier. */
static void test_one_at_a_time(void **state)
{
	struct bench *b = *state;

	sink_open(b);
	b->holds = true;
	publish(b, 0, 0, 0);
	for (int i = 1; i <= 3; i++)
		add(b, EVENT_START, i);
	for (size_t i = 1; i <= 3; i++) {
		await(b, b->held);
		turn(b);
		turn(b);
		assert_int_equal(b->n_seen, i);
		assert_false(publisher_is_idle(b->publisher));
		ttrpc_call_reply(TAKE_PTR(b->held), NULL);
	}
	await(b, publisher_is_idle(b->publisher));
	assert_taken(b, "start 1,start 2,start 3,");
}

/* Idle, it holds nothing and waits for nothing. */
static void test_idle(void **state)
{
	struct bench *b = *state;

	sink_open(b);
	publish(b, 0, 0, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			event_base_get_num_events(b->base, EVENT_BASE_COUNT_ADDED), b->timers);
		add(b, EVENT_START, i);
		assert_false(publisher_is_idle(b->publisher));
		await(b, publisher_is_idle(b->publisher));
		await(b, ttrpc_server_n_connections(b->sink) == 0);
	}
	assert_int_equal(b->n_taken, 3);
}

/* --- when the other side is not there --- */

static void test_absent(void **state)
{
	struct bench *b = *state;

	publish(b, 0, 10, 20);
	for (int i = 1; i <= 3; i++) {
		add(b, EVENT_START, i);
		turn(b);
	}
	assert_false(publisher_is_idle(b->publisher));
	sink_open(b);
	await(b, publisher_is_idle(b->publisher));
	assert_taken(b, "start 1,start 2,start 3,");
}

/* A socket that nobody serves any more. */
static void test_dead_socket(void **state)
{
	struct bench *b = *state;
	int fd = listen_at(b->path);

	close(fd);
	publish(b, 0, 10, 20);
	add(b, EVENT_START, 1);
	turn(b);
	unlink(b->path);
	sink_open(b);
	await(b, publisher_is_idle(b->publisher));
	assert_taken(b, "start 1,");
}

static void test_refused(void **state)
{
	struct bench *b = *state;

	sink_open(b);
	b->n_refuse = 5;
	publish(b, 0, 5, 10);
	add(b, EVENT_START, 1);
	add(b, EVENT_EXIT, 2);
	await(b, publisher_is_idle(b->publisher));
	assert_int_equal(b->n_seen, 7);
	assert_taken(b, "start 1,exit 2,");
}

/* The waits grow: what is away for long is not asked for all the time. */
static void test_waits_grow(void **state)
{
	struct bench *b = *state;
	int64_t begin = clock_monotonic_ms();

	sink_open(b);
	b->n_refuse = SIZE_MAX;
	publish(b, 0, 10, 640);
	add(b, EVENT_START, 1);
	await(b, b->n_seen == 8);
	assert_true(clock_monotonic_ms() - begin >= 10 + 20 + 40 + 80 + 160 + 320 + 640);
	b->n_refuse = 0;
	await(b, publisher_is_idle(b->publisher));
	/* after a success they are short again */
	b->n_refuse = 1;
	begin = clock_monotonic_ms();
	add(b, EVENT_START, 2);
	await(b, publisher_is_idle(b->publisher));
	assert_true(clock_monotonic_ms() - begin < 640);
}

/* It dies with an event in hand: that one comes again, and first. */
static void test_connection_breaks(void **state)
{
	struct bench *b = *state;

	sink_open(b);
	b->holds = true;
	publish(b, 0, 10, 20);
	add(b, EVENT_START, 1);
	add(b, EVENT_START, 2);
	await(b, b->held);
	sink_close(b);
	b->holds = false;
	turn(b);
	sink_open(b);
	await(b, publisher_is_idle(b->publisher));
	assert_taken(b, "start 1,start 1,start 2,");
}

/* No answer: the connection is given up, and with it the late answer. */
static void test_deadline(void **state)
{
	struct bench *b = *state;

	sink_open(b);
	b->holds = true;
	publish(b, 500, 10, 20);
	add(b, EVENT_START, 1);
	add(b, EVENT_START, 2);
	await(b, b->held);
	b->holds = false;
	await(b, publisher_is_idle(b->publisher));
	assert_null(b->held); /* the call was ended */
	assert_taken(b, "start 1,start 1,start 2,");
}

/* Deadline and answer in one turn of the loop: one of them counts. */
static void test_deadline_and_answer(void **state)
{
	struct bench *b = *state;
	const struct timespec past = { 0, 510000000 };

	sink_open(b);
	b->holds = true;
	publish(b, 500, 10, 20);
	add(b, EVENT_START, 1);
	await(b, b->held);
	ttrpc_call_reply(TAKE_PTR(b->held), NULL);
	nanosleep(&past, NULL); /* not to let anything settle: the deadline is to pass */
	b->holds = false;
	await(b, publisher_is_idle(b->publisher));
	assert_true(b->n_taken == 1 || b->n_taken == 2);
	add(b, EVENT_START, 2);
	await(b, publisher_is_idle(b->publisher));
	assert_int_equal(b->n_seen, b->n_taken);
	assert_true(b->n_taken <= 3);
}

/* A connection to a raw listener, once it is there. */
static int accept_one(struct bench *b, int fd)
{
	int got = -1;

	await(b, (got = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	return got;
}

/* It answers and is gone before the next event is out: that one waits, and comes once. */
static void test_answer_and_end(void **state)
{
	static const uint8_t answer[10] = { [7] = 1, [8] = 2 }; /* stream 1, a response */
	struct bench *b = *state;
	int fd = listen_at(b->path), peer;
	char request[4096];

	publish(b, 0, 10, 20);
	add(b, EVENT_START, 1);
	add(b, EVENT_START, 2);
	peer = accept_one(b, fd);
	assert_true(read(peer, request, sizeof(request)) > 0);
	assert_int_equal(write(peer, answer, sizeof(answer)), sizeof(answer));
	close(peer);
	close(fd);
	unlink(b->path);
	turn(b);
	sink_open(b);
	await(b, publisher_is_idle(b->publisher));
	assert_taken(b, "start 2,");
}

/* --- what is kept --- */

/* While it is away more happens than the ring holds: exits and OOMs are all there, in order. */
static void test_overrun(void **state)
{
	_cleanup_buf_ struct buf exits = BUF_INIT;
	struct bench *b = *state;
	const char *text;
	char one[32];
	int n = 0;

	publish(b, 0, 10, 20);
	for (int i = 1; i <= 20000; i++) {
		add(b, i % 10 == 0 ? EVENT_EXIT : i == 5 ? EVENT_OOM : EVENT_START, i);
		if (i % 10 != 0 && i != 5)
			continue;
		snprintf(one, sizeof(one), i == 5 ? "oom," : "exit %d,", i);
		assert_int_equal(buf_append(&exits, one, strlen(one)), 0);
	}
	assert_int_equal(buf_append(&exits, "", 1), 0);
	sink_open(b);
	await(b, publisher_is_idle(b->publisher));
	assert_int_equal(buf_append(&b->taken, "", 1), 0);
	assert_true(b->n_taken < 2000 + 1 + LIMIT_RING_EVENTS);
	/* what is neither is left out of the comparison, but must be in order as well */
	text = (const char *)buf_head(&exits);
	for (char *save, *word = strtok_r((char *)buf_head(&b->taken), ",", &save); word;
		word = strtok_r(NULL, ",", &save)) {
		const char *number = strchr(word, ' ');

		assert_true(!number || atoi(number) > n);
		n = number ? atoi(number) : n;
		if (strncmp(word, "start", 5) == 0)
			continue;
		assert_int_equal(strncmp(word, text, strlen(word)), 0);
		text += strlen(word) + 1;
	}
	assert_int_equal(*text, '\0');
	assert_int_equal(n, 20000);
}

/* The ring loses what is just being sent: it is neither sent again nor is another skipped. */
static void test_lost_while_sent(void **state)
{
	struct bench *b = *state;
	char want[64];

	sink_open(b);
	b->holds = true;
	publish(b, 0, 10, 20);
	add(b, EVENT_START, 1);
	await(b, b->held);
	b->holds = false;
	for (int i = 2; i <= 20000; i++)
		add(b, i == 2 ? EVENT_EXIT : EVENT_START, i);
	ttrpc_call_reply(TAKE_PTR(b->held), NULL);
	await(b, publisher_is_idle(b->publisher));
	snprintf(want, sizeof(want), "start 1,exit 2,start ");
	assert_memory_equal(buf_head(&b->taken), want, strlen(want));
	assert_int_equal(strncmp((char *)buf_head(&b->taken) + strlen(want), "1,", 2) == 0, 0);
	snprintf(want, sizeof(want), "start 19999,start 20000,");
	assert_memory_equal(buf_head(&b->taken) + b->taken.len - strlen(want), want, strlen(want));
}

/* Where nobody takes exits, there is an end to what is kept, before a process starts. */
static void test_bound(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct bench *b = *state;

	publish(b, 0, 10, 20);
	for (unsigned i = 1; i <= LIMIT_OWED_EXITS; i++)
		add(b, EVENT_EXIT, (pid_t)i);
	assert_error(publisher_reserve(b->publisher, &err), &err, CODE_RESOURCE_EXHAUSTED,
		"8192 exits wait for containerd to take their events");
	sink_open(b);
	await(b, publisher_is_idle(b->publisher));
	assert_int_equal(b->n_taken, LIMIT_OWED_EXITS);
	assert_ok(publisher_reserve(b->publisher, &err), &err);
	publisher_release(b->publisher);
}

/* --- ends --- */

static void on_idle(void *userdata)
{
	struct bench *b = userdata;

	b->n_idle++;
}

/* A shim that ends does not wait out a long wait. */
static void test_hurry(void **state)
{
	struct bench *b = *state;
	int64_t begin;

	publish(b, 0, 50, 10000000);
	add(b, EVENT_EXIT, 1);
	begin = clock_monotonic_ms();
	await(b, clock_monotonic_ms() - begin >= 1650); /* by now it waits for 1.5 s more */
	begin = clock_monotonic_ms();
	publisher_hurry(b->publisher, on_idle, b);
	assert_int_equal(b->n_idle, 0);
	sink_open(b);
	await(b, b->n_idle > 0);
	assert_true(clock_monotonic_ms() - begin < 1000);
	assert_true(publisher_is_idle(b->publisher));
	assert_taken(b, "exit 1,");
}

static void test_free_in_every_state(void **state)
{
	struct bench *b = *state;

	publish(b, 0, 10, 20);
	publisher_free(b->publisher); /* idle */
	publish(b, 0, 10, 20);
	add(b, EVENT_EXIT, 1);
	publisher_free(b->publisher); /* waiting */
	sink_open(b);
	b->holds = true;
	publish(b, 0, 10, 20);
	await(b, b->held);
	publisher_free(b->publisher); /* sending */
	b->publisher = NULL;
	add(b, EVENT_START, 2); /* nobody listens to the ring any more */
	await(b, !b->held);
	publisher_free(NULL);
}

static void test_none(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)state;
	assert_true(publisher_is_idle(NULL));
	assert_ok(publisher_reserve(NULL, &err), &err);
	publisher_release(NULL);
	publisher_hurry(NULL, on_idle, NULL);
}

static void test_addresses(void **state)
{
	struct bench *b = *state;
	struct error err = ERROR_INIT;
	char url[120];

	assert_ok(publisher_check_address("/run/x", &err), &err);
	assert_ok(publisher_check_address("unix:///run/x", &err), &err);
	assert_error(publisher_check_address("run/x", &err), &err, CODE_INVALID_ARGUMENT,
		"ttrpc address \"run/x\" is not the absolute path of a socket");
	assert_error(publisher_check_address("unix://", &err), &err, CODE_INVALID_ARGUMENT,
		"ttrpc address \"unix://\" is not the absolute path of a socket");
	sink_open(b);
	snprintf(url, sizeof(url), "unix://%s", b->path);
	strcpy(b->other, b->path);
	strcpy(b->path, url);
	publish(b, 0, 10, 20);
	strcpy(b->path, b->other);
	add(b, EVENT_START, 1);
	await(b, b->n_taken == 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		bench_test(test_envelope),
		bench_test(test_order),
		bench_test(test_one_at_a_time),
		bench_test(test_idle),
		bench_test(test_absent),
		bench_test(test_dead_socket),
		bench_test(test_refused),
		bench_test(test_waits_grow),
		bench_test(test_connection_breaks),
		bench_test(test_deadline),
		bench_test(test_deadline_and_answer),
		bench_test(test_answer_and_end),
		bench_test(test_overrun),
		bench_test(test_lost_while_sent),
		bench_test(test_bound),
		bench_test(test_hurry),
		bench_test(test_free_in_every_state),
		bench_test(test_none),
		bench_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
