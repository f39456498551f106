/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events forwarded by a real shim, started as containerd starts one, to a sink that is there, comes
 * late, is stopped, killed, slow or refuses. Whatever it does, what it has taken in the end is what
 * the shim told its other subscribers, complete and in order.
 * deadline: 300
 * waits: may run beside others
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/pbtime.h"
#include "common/run.h"
#include "common/shim_start.h"
#include "events.pb-c.h"
#include "test/integration/bed.h"
#include "test/integration/bed_sink.h"

#define STOPPED_MS 10000

struct bench {
	struct bed *bed;
	struct sink sink;
	uint32_t stream; /* of the shim's events, from the first */
};

/* --- setup --- */

static int setup(void **state, int (*setup_bed)(void **state))
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_int_equal(setup_bed((void **)&b->bed), 0);
	sink_init(&b->sink, b->bed->sink);
	b->stream = bed_subscribe(b->bed, 0);
	*state = b;
	return 0;
}

static int setup_runc(void **state)
{
	return setup(state, bed_setup_forwarding_runc);
}

static int setup_fake(void **state)
{
	return setup(state, bed_setup_forwarding_fake);
}

/* A bed whose shim is started as cleat does it, with a stray variable around. */
static int setup_stray(void **state)
{
	setenv("TTRPC_ADDRESS", "/tmp/cleat-test-stray", 1);
	return setup(state, bed_setup_fake);
}

static int teardown(void **state)
{
	struct bench *b = *state;
	int r;

	unsetenv("TTRPC_ADDRESS");
	sink_deinit(&b->sink);
	r = bed_teardown((void **)&b->bed);
	free(b);
	return r;
}

/* --- what happens in the container --- */

static void pause_and_resume(struct bed *bed)
{
	Containerd__Task__V2__PauseRequest p = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
	Containerd__Task__V2__ResumeRequest r = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;

	p.id = r.id = bed->id;
	bed_done(bed, TASK, "Pause", &p);
	bed_done(bed, TASK, "Resume", &r);
}

/* An exec that exits with that status: four events. */
static void run_exec(struct bed *bed, int number, int status)
{
	_cleanup_free_ char *id = bed_format("probe-%d", number);
	_cleanup_free_ char *args = bed_format("[\"/bin/tool\",\"exit\",\"%d\"]", status);

	bed_exec(bed, id, args, false);
	bed_start(bed, id);
	assert_int_equal(bed_wait(bed, id), status);
	assert_int_equal(bed_delete(bed, id), status);
}

/* From create to delete, with n execs between: 6 + 4 n events. */
static size_t live(struct bed *bed, int n)
{
	bed_create(bed, false);
	bed_start(bed, "");
	for (int i = 0; i < n; i++)
		run_exec(bed, i, 3 + i);
	pause_and_resume(bed);
	bed_finish(bed);
	return 6 + 4 * (size_t)n;
}

static void begin_shut_down(struct bed *bed)
{
	Containerd__Task__V2__ShutdownRequest r = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;

	r.id = bed->id;
	bed_done(bed, TASK, "Shutdown", &r);
}

static void shut_down(struct bed *bed)
{
	begin_shut_down(bed);
	bed_await_end(bed);
}

/* Removes what a shim has left that ended with its container. */
static void remove_rest(struct bed *bed)
{
	_cleanup_(run_result_deinit) struct run_result run = RUN_RESULT_INIT;
	char *argv[] = { (char *)"cleat-shim", (char *)"-root", bed->root, (char *)"-namespace",
		(char *)"default", (char *)"-id", bed->id, (char *)"delete", NULL };
	const struct run_options options = {
		.argv = argv, .out_limit = 4096, .err_limit = 4096, .deadline_ms = CALL_MS
	};

	assert_int_equal(run_program(&options, &run), 0);
	assert_int_equal(run.wait_status, 0);
}

/* The median time of State, in milliseconds, must be one that nobody minds. */
static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void assert_fast(struct bed *bed)
{
	int64_t times[51];
	size_t n = sizeof(times) / sizeof(*times);

	for (size_t i = 0; i < n; i++) {
		moment begin = clock_now();

		bed_status(bed, "");
		times[i] = clock_now() - begin;
	}
	qsort(times, n, sizeof(*times), by_time);
	assert_true(times[n / 2] < 10 * 1000000);
}

/* --- what the sink has --- */

static bool is_same(const struct sink_event *got, const Cleat__Shim__V1__Event *want)
{
	return strcmp(got->topic, want->topic) == 0 && got->time == pbtime_get(want->time) &&
	       strcmp(got->type, want->event->type_url) == 0 &&
	       got->n_payload == want->event->value.len &&
	       memcmp(got->payload, want->event->value.data, got->n_payload) == 0;
}

/* The shim's next event as it told it to us; NULL at the end, which only the shim's brings. */
static Cleat__Shim__V1__Event *next_told(struct bench *b)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;

	if (ttrpc_client_next(b->bed->client, b->stream, CALL_MS, &m, &err) != 0)
		fail_msg("%s", error_message(&err));
	return (Cleat__Shim__V1__Event *)m;
}

/*
 * The sink has n events, or more where some came twice in a row, and each is what the shim told its
 * subscriber.
 */
static void assert_complete(struct bench *b, size_t n, bool may_repeat)
{
	const struct sink_memory *m = b->sink.memory;
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		Cleat__Shim__V1__Event *told = next_told(b);

		assert_non_null(told);
		assert_int_equal(told->missed, 0);
		if (at >= m->n || !is_same(&m->events[at], told))
			fail_msg("event %zu is %s instead of %s", at,
				at < m->n ? m->events[at].topic : "nothing", told->topic);
		assert_string_equal(m->events[at].ns, "default");
		at++;
		while (may_repeat && at < m->n && is_same(&m->events[at], told))
			at++;
		bed_free(told);
	}
	assert_int_equal(m->n, at);
}

/* --- the sink is there --- */

static void test_life(void **state)
{
	static const char *const topics[] = { "create", "start", "exec-added", "exec-started",
		"exit", "delete", "paused", "resumed", "exit", "delete" };
	struct bench *b = *state;
	size_t n;

	sink_start(&b->sink);
	n = live(b->bed, 1);
	assert_int_equal(n, sizeof(topics) / sizeof(*topics));
	sink_await(&b->sink, n);
	for (size_t i = 0; i < n; i++) {
		assert_memory_equal(b->sink.memory->events[i].topic, "/tasks/", 7);
		assert_string_equal(b->sink.memory->events[i].topic + 7, topics[i]);
	}
	shut_down(b->bed);
	assert_complete(b, n, false);
	assert_int_equal(b->sink.memory->n_calls, n);
}

/* --- it is not --- */

static void test_absent_at_start(void **state)
{
	struct bench *b = *state;
	size_t n;

	bed_create(b->bed, false);
	bed_start(b->bed, "");
	run_exec(b->bed, 0, 5);
	assert_fast(b->bed);
	sink_start(&b->sink);
	sink_await(&b->sink, 6);
	bed_finish(b->bed);
	n = 8;
	sink_await(&b->sink, n);
	shut_down(b->bed);
	assert_complete(b, n, false);
}

/* Stopped for 10 s, with an event in hand or without: then all of it, and nothing twice. */
static void test_stopped(void **state)
{
	struct bench *b = *state;
	int64_t end, left;

	sink_start(&b->sink);
	bed_create(b->bed, false);
	sink_await(&b->sink, 1);
	sink_signal(&b->sink, SIGSTOP);
	end = clock_monotonic_ms() + STOPPED_MS;
	bed_start(b->bed, "");
	run_exec(b->bed, 0, 5);
	while (clock_monotonic_ms() < end - 500) {
		assert_fast(b->bed);
		poll(NULL, 0, 200);
	}
	bed_finish(b->bed);
	left = end - clock_monotonic_ms();
	poll(NULL, 0, left > 0 ? (int)left : 0); /* the 10 s are what is tested */
	sink_signal(&b->sink, SIGCONT);
	sink_await(&b->sink, 8);
	shut_down(b->bed);
	assert_complete(b, 8, false);
}

/* Killed and started again, again and again: what it had in hand may come twice. */
static void test_killed(void **state)
{
	struct bench *b = *state;
	size_t n = 2;

	bed_create(b->bed, false);
	bed_start(b->bed, "");
	for (int i = 0; i < 8; i++) {
		sink_start(&b->sink);
		b->sink.memory->delay_ms = i % 2 ? 30 : 0;
		run_exec(b->bed, i, i);
		n += 4;
		if (i % 3 == 0)
			sink_await(&b->sink, n);
		sink_kill(&b->sink);
	}
	bed_finish(b->bed);
	n += 2;
	sink_start(&b->sink);
	sink_await(&b->sink, n);
	shut_down(b->bed);
	assert_complete(b, n, true);
}

static void test_refuses(void **state)
{
	struct bench *b = *state;

	b->sink.memory->refuses = true;
	sink_start(&b->sink);
	bed_create(b->bed, false);
	bed_start(b->bed, "");
	run_exec(b->bed, 0, 5);
	sink_await_calls(&b->sink, 3);
	assert_int_equal(b->sink.memory->n, 0);
	assert_fast(b->bed);
	b->sink.memory->refuses = false;
	sink_await(&b->sink, 6);
	bed_finish(b->bed);
	sink_await(&b->sink, 8);
	shut_down(b->bed);
	assert_complete(b, 8, false);
}

static void test_slow(void **state)
{
	struct bench *b = *state;

	b->sink.memory->delay_ms = 150;
	sink_start(&b->sink);
	bed_create(b->bed, false);
	bed_start(b->bed, "");
	run_exec(b->bed, 0, 5);
	run_exec(b->bed, 1, 6);
	assert_fast(b->bed);
	assert_true(b->sink.memory->n < 10); /* it is still busy with them */
	bed_finish(b->bed);
	sink_await(&b->sink, 12);
	shut_down(b->bed);
	assert_complete(b, 12, false);
}

/* --- more than the ring holds --- */

/* The shim's own memory in kB: its heap, stack and data. A sanitizer keeps what was freed: then 0. */
static unsigned long private_kb(struct bed *bed)
{
	_cleanup_free_ char *path = bed_format("/proc/%d/smaps_rollup", bed->shim.pid);
	const char *variant = getenv("VARIANT");
	FILE *f = fopen(path, "re");
	unsigned long kb = 0;
	char line[256];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) && sscanf(line, "Anonymous: %lu", &kb) != 1)
		;
	fclose(f);
	assert_true(kb > 0);
	return variant && strcmp(variant, "asan") == 0 ? 0 : kb;
}

#define MANY 1200

/* Thousands of events while nobody takes one: every exit comes all the same, with its status. */
static void test_overrun(void **state)
{
	const struct sink_memory *m;
	struct bench *b = *state;
	unsigned long before;
	int n_exits = 0;

	sink_start(&b->sink);
	bed_create(b->bed, false);
	bed_start(b->bed, "");
	sink_await(&b->sink, 2);
	sink_signal(&b->sink, SIGSTOP);
	before = private_kb(b->bed);
	for (int i = 0; i < MANY; i++)
		run_exec(b->bed, i, i % 256);
	assert_fast(b->bed);
	print_message("# its memory grew from %lu to %lu kB\n", before, private_kb(b->bed));
	assert_true(private_kb(b->bed) < before + 1024 || before == 0);
	bed_kill(b->bed, "", SIGKILL);
	bed_wait(b->bed, "");
	bed_delete(b->bed, "");
	sink_signal(&b->sink, SIGCONT);
	m = b->sink.memory;
	for (size_t i = 0; n_exits <= MANY; i++) {
		Containerd__Events__TaskExit *e;
		_cleanup_free_ char *id = bed_format("probe-%d", n_exits);

		sink_await(&b->sink, i + 1);
		assert_true(i == 0 || m->events[i].time >= m->events[i - 1].time);
		if (strcmp(m->events[i].topic, "/tasks/exit") != 0)
			continue;
		e = containerd__events__task_exit__unpack(
			NULL, m->events[i].n_payload, m->events[i].payload);
		assert_string_equal(e->id, n_exits < MANY ? id : b->bed->id);
		assert_int_equal(e->exit_status, n_exits < MANY ? n_exits % 256 : 128 + SIGKILL);
		containerd__events__task_exit__free_unpacked(e, NULL);
		n_exits++;
	}
	shut_down(b->bed);
	assert_true(m->n < 4u * MANY + 4); /* the ring did lose some, or this tests nothing */
	assert_string_equal(m->events[m->n - 1].topic, "/tasks/delete");
}

/* --- ends --- */

/* A shim that is shut down with events to tell tells them first. */
static void test_end_flushes(void **state)
{
	struct bench *b = *state;

	b->sink.memory->delay_ms = 100;
	sink_start(&b->sink);
	live(b->bed, 0);
	shut_down(b->bed);
	assert_complete(b, 6, false);
}

/* Also one that is told to end with its container, by SIGTERM. */
static void test_sigterm_flushes(void **state)
{
	struct bench *b = *state;

	b->sink.memory->delay_ms = 50;
	sink_start(&b->sink);
	bed_create(b->bed, false);
	bed_start(b->bed, "");
	assert_int_equal(pidref_signal(&b->bed->shim, SIGTERM), 0);
	bed_await_end(b->bed);
	assert_complete(b, 3, false);
	assert_string_equal(b->sink.memory->events[2].topic, "/tasks/exit");
	remove_rest(b->bed);
}

/* One that has been shut down is there for them until containerd is back. */
static void test_end_waits(void **state)
{
	struct bench *b = *state;

	sink_start(&b->sink);
	sink_signal(&b->sink, SIGSTOP);
	live(b->bed, 0);
	begin_shut_down(b->bed);
	poll(NULL, 0, STOPPED_MS); /* longer than clients get that do not read */
	sink_signal(&b->sink, SIGCONT);
	bed_await_end(b->bed);
	assert_complete(b, 6, false);
}

/* Where nobody takes them it ends all the same, after 30 s. */
static void test_end_is_bounded(void **state)
{
	struct bench *b = *state;
	int64_t begin, took;

	sink_start(&b->sink);
	sink_signal(&b->sink, SIGSTOP);
	live(b->bed, 0);
	begin = clock_monotonic_ms();
	begin_shut_down(b->bed);
	poll(NULL, 0, 25000);
	bed_await_end(b->bed);
	took = clock_monotonic_ms() - begin;
	assert_true(took > 29000 && took < 35000);
}

/* --- on and off --- */

/* cleat's own way to start a shim: what stands in the environment by chance does nothing. */
static void test_stray_variable(void **state)
{
	struct bench *b = *state;

	free(b->sink.path);
	b->sink.path = strdup(getenv("TTRPC_ADDRESS"));
	sink_start(&b->sink);
	live(b->bed, 1);
	shut_down(b->bed);
	assert_int_equal(b->sink.memory->n_calls, 0);
}

/* What is no address is refused before there is a shim. */
static void test_bad_address(void **state)
{
	struct bench *b = *state;
	_cleanup_(run_result_deinit) struct run_result run = RUN_RESULT_INIT;
	char *argv[] = { (char *)"cleat-shim", (char *)"-root", b->bed->root, (char *)"-namespace",
		(char *)"default", (char *)"-id", (char *)"other", (char *)"-ttrpc-address",
		(char *)"run/x", (char *)"start", NULL };
	const struct run_options options = {
		.argv = argv, .out_limit = 4096, .err_limit = 4096, .deadline_ms = CALL_MS
	};
	const char *want = "cleat-shim: ttrpc address \"run/x\" is not the absolute path of a "
			   "socket\n";

	assert_int_equal(run_program(&options, &run), 0);
	assert_true(run.wait_status != 0);
	assert_int_equal(run.err.len, strlen(want));
	assert_memory_equal(buf_head(&run.err), want, strlen(want));
}

int main(void)
{
#define BOTH(name)                                                                                 \
	{ #name " (scripted)", name, setup_fake, teardown, NULL },                                 \
	{                                                                                          \
#name " (runc)", name, setup_runc, teardown, NULL                                  \
	}
#define FAKE(name) cmocka_unit_test_setup_teardown(name, setup_fake, teardown)
	static const struct CMUnitTest tests[] = {
		BOTH(test_life),
		BOTH(test_absent_at_start),
		{ "test_stopped (runc)", test_stopped, setup_runc, teardown, NULL },
		BOTH(test_killed),
		BOTH(test_refuses),
		BOTH(test_slow),
		FAKE(test_overrun),
		BOTH(test_end_flushes),
		BOTH(test_sigterm_flushes),
		FAKE(test_end_waits),
		FAKE(test_end_is_bounded),
		cmocka_unit_test_setup_teardown(test_stray_variable, setup_stray, teardown),
		FAKE(test_bad_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
