/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event ring: what is kept, what readers see, and what can't be lost.
 *
 * no valgrind: it takes the memory away, which valgrind itself does not survive
 */
#include "shim/events.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/limits.h"
#include "common/pbtime.h"
#include "events.pb-c.h"

struct reader {
	struct ring_cursor cursor;
	struct events *events;
	unsigned n_wakes, n_read;
	uint64_t last_seq, n_missed;
	bool reads; /* in its wake */
	struct reader *unsubscribes;
};

static struct events *make(void)
{
	struct events *events;

	assert_int_equal(events_new(&events), 0);
	return events;
}

static void add(struct events *events, enum event_kind kind, pid_t pid)
{
	const struct event_args args = {
		.kind = kind, .container_id = "web", .exec_id = "probe", .pid = pid, .bundle = "/b"
	};

	assert_int_equal(events_add(events, &args), 0);
}

/* Its bytes are what they were when it was made. */
static void check_event(const struct task_event *e)
{
	Containerd__Events__TaskExit *m;

	if (e->kind != EVENT_EXIT)
		return;
	m = containerd__events__task_exit__unpack(NULL, event_n_payload(e), e->payload);
	assert_non_null(m);
	assert_string_equal(m->container_id, "web");
	assert_int_equal(m->pid, e->pid);
	containerd__events__task_exit__free_unpacked(m, NULL);
}

static void read_all(struct reader *r)
{
	const struct task_event *e;
	uint64_t missed;

	while ((e = events_next(&r->cursor, &missed))) {
		assert_int_equal(e->entry.seq, r->last_seq + missed + 1);
		check_event(e);
		r->last_seq = e->entry.seq;
		r->n_missed += missed;
		r->n_read++;
	}
}

static void on_wake(void *userdata)
{
	struct reader *r = userdata;

	r->n_wakes++;
	if (r->reads)
		read_all(r);
	if (r->unsubscribes)
		ring_unsubscribe(&r->unsubscribes->cursor);
}

static void on_nothing(void *userdata)
{
	(void)userdata;
}

static void subscribe(struct reader *r, struct events *events, uint64_t since)
{
	r->events = events;
	r->last_seq = since;
	events_subscribe(events, &r->cursor, since, on_wake, r);
}

static void test_epochs(void **state)
{
	struct events *a = make(), *b = make();

	(void)state;
	assert_true(events_epoch(a) != 0);
	assert_true(events_epoch(a) != events_epoch(b));
	assert_int_equal(events_next_seq(a), 1);
	events_free(a);
	events_free(b);
	events_free(NULL);
}

static void test_order_and_wakes(void **state)
{
	struct reader eager = { .reads = true }, lazy = { 0 };
	struct events *events = make();

	(void)state;
	subscribe(&eager, events, 0);
	subscribe(&lazy, events, 0);
	for (int i = 1; i <= 10; i++)
		add(events, EVENT_OOM, 0);
	assert_int_equal(events_next_seq(events), 11);
	assert_int_equal(eager.n_wakes, 10);
	assert_int_equal(eager.n_read, 10);
	/* one that has something to read already is not woken again */
	assert_int_equal(lazy.n_wakes, 1);
	read_all(&lazy);
	assert_int_equal(lazy.n_read, 10);
	assert_int_equal(lazy.n_missed, 0);
	add(events, EVENT_OOM, 0);
	assert_int_equal(lazy.n_wakes, 2);
	events_free(events);
}

static void test_late_readers(void **state)
{
	struct reader all = { 0 }, some = { 0 }, none = { 0 }, future = { 0 };
	struct events *events = make();

	(void)state;
	for (int i = 1; i <= 10; i++)
		add(events, EVENT_OOM, 0);
	subscribe(&all, events, 0);
	subscribe(&some, events, 7);
	subscribe(&none, events, 10);
	subscribe(&future, events, UINT64_MAX);
	read_all(&all);
	read_all(&some);
	read_all(&none);
	assert_int_equal(all.n_read, 10);
	assert_int_equal(some.n_read, 3);
	assert_int_equal(none.n_read, 0);
	add(events, EVENT_OOM, 0);
	future.last_seq = 10;
	read_all(&future);
	assert_int_equal(future.n_read, 1);
	assert_int_equal(future.n_missed, 0);
	assert_int_equal(none.n_wakes, 1);
	assert_int_equal(all.n_wakes + some.n_wakes, 2);
	events_free(events);
}

/* The smallest events there are: as many as fit, by number or by bytes. */
static unsigned fit(unsigned events, size_t bytes)
{
	size_t by_bytes =
		bytes / ring_room(offsetof(struct task_event, payload) + 2 + strlen("web"));

	return (unsigned)(by_bytes < events ? by_bytes : events);
}

/* Who has not read is kept everything for, up to the limit, and told what was lost beyond it. */
static void test_bounds(void **state)
{
	unsigned full = fit(LIMIT_RING_EVENTS, LIMIT_RING_BYTES);
	unsigned tries[] = { full - 1, full, full + 1, 10 * full };

	(void)state;
	assert_int_equal(full, LIMIT_RING_EVENTS);
	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		struct events *events = make();
		struct reader slow = { 0 }, late = { 0 }, later = { 0 };
		unsigned kept = tries[i] < full ? tries[i] : full;

		subscribe(&slow, events, 0);
		for (unsigned n = 0; n < tries[i]; n++)
			add(events, EVENT_OOM, 0);
		/* what is kept for one is there for all */
		subscribe(&late, events, 0);
		late.last_seq = tries[i] - kept;
		read_all(&late);
		assert_int_equal(late.n_read, kept);
		assert_int_equal(late.n_missed, 0);
		subscribe(&later, events, 1);
		read_all(&later);
		assert_int_equal(later.n_missed, kept < tries[i] ? tries[i] - kept - 1 : 0);
		read_all(&slow);
		assert_int_equal(slow.n_read, kept);
		assert_int_equal(slow.n_missed, tries[i] - kept);
		events_free(events);
	}
}

/* Adds n events that nobody waits for, and looks how many of them somebody who comes late gets. */
static void check_tail(unsigned n, unsigned tail, struct reader *present)
{
	struct events *events = make();
	struct reader all = { 0 }, some = { 0 };
	unsigned kept = n < tail ? n : tail;

	if (present)
		subscribe(present, events, 0);
	for (unsigned i = 0; i < n; i++)
		add(events, EVENT_OOM, 0);
	subscribe(&all, events, 0);
	all.last_seq = n - kept;
	read_all(&all);
	assert_int_equal(all.n_read, kept);
	assert_int_equal(all.n_missed, 0);
	subscribe(&some, events, 1);
	read_all(&some);
	assert_int_equal(some.n_missed, kept < n ? n - kept - 1 : 0);
	assert_int_equal(some.last_seq, n);
	if (present)
		assert_int_equal(present->n_read, n);
	events_free(events);
}

/* Of what everyone has read the newest are kept. */
static void test_tail(void **state)
{
	unsigned tail = fit(RING_TAIL_EVENTS, RING_TAIL_BYTES);
	unsigned tries[] = { tail - 1, tail, tail + 1, 10 * tail, 100 * tail };

	(void)state;
	assert_int_equal(tail, RING_TAIL_EVENTS);
	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		struct reader eager = { .reads = true };

		check_tail(tries[i], tail, NULL);
		check_tail(tries[i], tail, &eager);
	}
}

static char *long_bundle(size_t n)
{
	char *bundle = malloc(n + 1);

	memset(bundle, 'x', n);
	bundle[n] = '\0';
	return bundle;
}

static void add_long(struct events *events, const char *bundle)
{
	const struct event_args args = {
		.kind = EVENT_CREATE, .container_id = "web", .bundle = bundle
	};

	assert_int_equal(events_add(events, &args), 0);
}

/* The bytes of long events count: few of them push out all the others. */
static void test_bound_by_bytes(void **state)
{
	struct events *events = make();
	struct reader r = { 0 };
	char *bundle = long_bundle(100000);

	(void)state;
	for (int i = 0; i < 100; i++)
		add(events, EVENT_OOM, 0);
	subscribe(&r, events, 50);
	for (int i = 0; i < 3; i++)
		add_long(events, bundle);
	read_all(&r);
	assert_int_equal(r.n_read, 2);
	assert_int_equal(r.n_missed, 51);
	free(bundle);
	events_free(events);
}

/* The tail's too; but the newest event is there whatever its size. */
static void test_tail_by_bytes(void **state)
{
	struct events *events = make();
	struct reader r = { .reads = true }, late = { .reads = true }, after = { 0 };
	char *bundle = long_bundle(RING_TAIL_BYTES / 10);

	(void)state;
	for (int i = 0; i < 100; i++)
		add_long(events, bundle);
	subscribe(&r, events, 1);
	read_all(&r);
	assert_int_equal(r.n_read, 9);
	assert_int_equal(r.n_missed, 90);
	free(bundle);
	bundle = long_bundle(2 * RING_TAIL_BYTES);
	add_long(events, bundle);
	subscribe(&late, events, 99);
	read_all(&late);
	assert_int_equal(late.n_read, 1);
	assert_int_equal(late.n_missed, 1);
	add(events, EVENT_OOM, 0);
	subscribe(&after, events, 100);
	read_all(&after);
	assert_int_equal(after.n_read, 1);
	assert_int_equal(after.n_missed, 1);
	free(bundle);
	events_free(events);
}

/* Readers at different places, and events that wander through all of the ring's memory many times. */
static void test_readers_apart(void **state)
{
	struct events *events = make();
	struct reader eager = { .reads = true }, lazy = { 0 }, lost = { 0 };
	const unsigned n = 100000;

	(void)state;
	subscribe(&eager, events, 0);
	subscribe(&lazy, events, 0);
	subscribe(&lost, events, 0);
	for (unsigned i = 1; i <= n; i++) {
		add(events, i % 7 ? EVENT_EXIT : EVENT_CREATE, (pid_t)i);
		if (i % 1000 == 0)
			read_all(&lazy);
	}
	read_all(&lost);
	assert_int_equal(eager.n_read, n);
	assert_int_equal(lazy.n_read, n);
	assert_int_equal(lazy.n_missed, 0);
	assert_int_equal(lost.n_read + lost.n_missed, n);
	assert_true(lost.n_read > 2000 && lost.n_missed > 0);
	events_free(events);
}

/* Asks for no memory itself, for a sanitizer would keep it. */
static unsigned private_kb(void)
{
	char text[4096], *at;
	unsigned kb = 0;
	ssize_t n;
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(n > 0);
	text[n] = '\0';
	at = strstr(text, "Anonymous:");
	assert_true(at && sscanf(at, "Anonymous: %u kB", &kb) == 1 && kb > 0);
	return kb;
}

/* What a slow reader made the ring grow by is the kernel's again once it has read, or has left. */
static void test_gives_memory_back(void **state)
{
	struct events *events = make();
	struct reader reads = { 0 }, leaves = { 0 };
	struct reader *slow[] = { &reads, &leaves };
	unsigned before;

	(void)state;
	for (unsigned i = 0; i < 10 * RING_TAIL_EVENTS; i++)
		add(events, EVENT_START, 42);
	before = private_kb();
	for (size_t i = 0; i < 2; i++) {
		subscribe(slow[i], events, events_next_seq(events) - 1);
		for (unsigned n = 0; n < LIMIT_RING_EVENTS; n++)
			add(events, EVENT_START, 42);
		assert_true(private_kb() > before + 150);
		if (slow[i] == &leaves)
			ring_unsubscribe(&leaves.cursor);
		else
			read_all(&reads);
		reads.reads = true;
		assert_true(private_kb() <= before + 12);
	}
	/* and however many more there are, with a reader that reads */
	for (unsigned i = 0; i < 50000; i++)
		add(events, EVENT_START, 42);
	assert_true(private_kb() <= before + 12);
	events_free(events);
}

/* What is larger than the ring is lost by itself, pushes nothing out, and is counted. */
static void test_too_large(void **state)
{
	struct events *events = make();
	struct reader r = { 0 };
	char *bundle = malloc(LIMIT_RING_BYTES + 1);
	struct event_args args = { .kind = EVENT_CREATE, .container_id = "web", .bundle = bundle };

	(void)state;
	memset(bundle, 'x', LIMIT_RING_BYTES);
	bundle[LIMIT_RING_BYTES] = '\0';
	add(events, EVENT_OOM, 0);
	subscribe(&r, events, 0);
	assert_true(events_add(events, &args) < 0);
	assert_int_equal(r.n_wakes, 0);
	add(events, EVENT_OOM, 0);
	read_all(&r);
	assert_int_equal(r.n_read, 2);
	assert_int_equal(r.n_missed, 1);
	assert_int_equal(r.last_seq, 3);
	free(bundle);
	events_free(events);
}

/* A CREATE whose list of mounts is larger than the ring is told without the list. */
static void test_too_many_mounts(void **state)
{
	char *source = calloc(1, LIMIT_RING_BYTES + 1);
	Containerd__Types__Mount mount, *const list[] = { &mount };
	const struct event_args args = {
		.kind = EVENT_CREATE, .container_id = "web", .rootfs = list, .n_rootfs = 1
	};
	Containerd__Events__TaskCreate *create;
	struct events *events = make();
	struct ring_cursor cursor;
	const struct task_event *e;
	uint64_t missed;

	(void)state;
	memset(source, 'x', LIMIT_RING_BYTES);
	containerd__types__mount__init(&mount);
	mount.source = source;
	assert_int_equal(events_add(events, &args), 0);
	events_subscribe(events, &cursor, 0, on_nothing, NULL);
	e = events_next(&cursor, &missed);
	create = containerd__events__task_create__unpack(NULL, event_n_payload(e), e->payload);
	assert_string_equal(create->container_id, "web");
	assert_int_equal(create->n_rootfs, 0);
	containerd__events__task_create__free_unpacked(create, NULL);
	ring_unsubscribe(&cursor);
	events_free(events);
	free(source);
}

static void test_unsubscribe_in_wake(void **state)
{
	struct reader a = { .reads = true }, b = { .reads = true }, c = { .reads = true };
	struct events *events = make();

	(void)state;
	subscribe(&a, events, 0);
	subscribe(&b, events, 0);
	subscribe(&c, events, 0);
	a.unsubscribes = &b; /* the next one in line */
	c.unsubscribes = &c; /* itself */
	add(events, EVENT_OOM, 0);
	add(events, EVENT_OOM, 0);
	assert_int_equal(a.n_read, 2);
	assert_int_equal(b.n_wakes, 0);
	assert_int_equal(c.n_read, 1);
	ring_unsubscribe(&b.cursor);
	events_free(events);
	ring_unsubscribe(&a.cursor);
}

static void test_never_subscribed(void **state)
{
	struct ring_cursor cursor = { 0 };

	(void)state;
	ring_unsubscribe(&cursor);
}

static void test_end(void **state)
{
	struct reader waiting = { .reads = true }, behind = { 0 };
	struct events *events = make();

	(void)state;
	add(events, EVENT_OOM, 0);
	subscribe(&behind, events, 0);
	subscribe(&waiting, events, 1);
	assert_false(events_has_ended(events));
	events_end(events);
	assert_true(events_has_ended(events));
	assert_int_equal(waiting.n_wakes, 1);
	assert_int_equal(waiting.n_read, 0);
	read_all(&behind);
	assert_int_equal(behind.n_read, 1);
	events_free(events);
}

static void test_payloads(void **state)
{
	char *options[] = { (char *)"ro", (char *)"lowerdir=/a:/b" };
	Containerd__Types__Mount mounts[2], *const list[] = { &mounts[0], &mounts[1] };
	struct events *events = make();
	struct ring_cursor cursor;
	struct event_args args = {
		.container_id = "web",
		.exec_id = "probe",
		.pid = 42,
		.exit_status = 137,
		.exited_at = 1500000000,
		.bundle = "/b",
		.stdin_uri = "/i",
		.stdout_uri = "/o",
		.stderr_uri = "/e",
		.terminal = true,
		.rootfs = list,
		.n_rootfs = 2,
		.checkpoint = "/c",
	};
	Containerd__Events__TaskCreate *create;
	Containerd__Events__TaskExit *exit_;
	Containerd__Events__TaskDelete *delete_;
	const struct task_event *e;
	uint64_t missed;

	(void)state;
	containerd__types__mount__init(&mounts[0]);
	containerd__types__mount__init(&mounts[1]);
	mounts[0].type = (char *)"overlay";
	mounts[0].source = (char *)"over";
	mounts[0].options = options;
	mounts[0].n_options = 2;
	mounts[1].target = (char *)"data";
	for (int kind = 0; kind < _EVENT_KIND_MAX; kind++) {
		args.kind = (enum event_kind)kind;
		assert_int_equal(events_add(events, &args), 0);
		assert_non_null(strstr(event_type_name(args.kind), "containerd.events.Task"));
		assert_int_equal(strncmp(event_topic(args.kind), "/tasks/", 7), 0);
	}
	args.kind = EVENT_EXIT;
	args.exec_id = NULL;
	assert_int_equal(events_add(events, &args), 0);
	events_subscribe(events, &cursor, 0, on_nothing, NULL);

	e = events_next(&cursor, &missed);
	create = containerd__events__task_create__unpack(NULL, event_n_payload(e), e->payload);
	assert_string_equal(create->container_id, "web");
	assert_string_equal(create->bundle, "/b");
	assert_string_equal(create->io->stderr, "/e");
	assert_true(create->io->terminal);
	assert_string_equal(create->checkpoint, "/c");
	assert_int_equal(create->pid, 42);
	assert_int_equal(create->n_rootfs, 2);
	assert_string_equal(create->rootfs[0]->type, "overlay");
	assert_string_equal(create->rootfs[0]->source, "over");
	assert_int_equal(create->rootfs[0]->n_options, 2);
	assert_string_equal(create->rootfs[0]->options[1], "lowerdir=/a:/b");
	assert_string_equal(create->rootfs[1]->target, "data");
	containerd__events__task_create__free_unpacked(create, NULL);

	while (e->kind != EVENT_EXIT)
		e = events_next(&cursor, &missed);
	assert_string_equal(event_topic(e->kind), "/tasks/exit");
	exit_ = containerd__events__task_exit__unpack(NULL, event_n_payload(e), e->payload);
	assert_string_equal(exit_->id, "probe");
	assert_int_equal(exit_->exit_status, 137);
	assert_int_equal(pbtime_get(exit_->exited_at), 1500000000);
	assert_int_equal(e->pid, 42);
	assert_int_equal(e->exit_status, 137);
	containerd__events__task_exit__free_unpacked(exit_, NULL);

	e = events_next(&cursor, &missed);
	delete_ = containerd__events__task_delete__unpack(NULL, event_n_payload(e), e->payload);
	assert_string_equal(delete_->id, "probe");
	assert_int_equal(pbtime_get(delete_->exited_at), 1500000000);
	containerd__events__task_delete__free_unpacked(delete_, NULL);

	/* the init's exit has the container's id where an exec's has the exec's */
	while (e->entry.seq != _EVENT_KIND_MAX + 1)
		e = events_next(&cursor, &missed);
	exit_ = containerd__events__task_exit__unpack(NULL, event_n_payload(e), e->payload);
	assert_string_equal(exit_->id, "web");
	containerd__events__task_exit__free_unpacked(exit_, NULL);
	events_free(events);
}

#ifndef __SANITIZE_ADDRESS__
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#endif

/* Takes all the memory there is; returns a chain to be freed. The sanitizer's heap can't run dry. */
static void **take_all_memory(struct rlimit *old)
{
	void **chain = NULL;
	struct rlimit none = { 0, 0 };

	assert_int_equal(getrlimit(RLIMIT_AS, old), 0);
	none.rlim_max = old->rlim_max;
#ifdef __SANITIZE_ADDRESS__
	return NULL;
#endif
	assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
	for (size_t size = 1 << 20; size >= 8; size = size > 4096 ? size / 2 : size - 8) {
		void **piece;

		while ((piece = malloc(size))) {
			*piece = chain;
			chain = piece;
		}
	}
	return chain;
}

static void give_back(void **chain, const struct rlimit *old)
{
	while (chain) {
		void **next = *chain;

		free(chain);
		chain = next;
	}
	setrlimit(RLIMIT_AS, old);
}

/* Exits with the longest ids there may be, more of them than the ring holds. */
static void test_exit_without_memory(void **state)
{
	char id[LIMIT_ID + 1], exec_id[LIMIT_ID + 1];
	struct event_args args = { .kind = EVENT_EXIT,
		.container_id = id,
		.exec_id = exec_id,
		.pid = INT32_MAX,
		.exit_status = UINT32_MAX,
		.exited_at = INT64_MAX };
	struct events *events = make();
	const struct task_event *e;
	struct ring_cursor cursor;
	Containerd__Events__TaskExit *exit_;
	struct rlimit old;
	void **chain;
	uint64_t missed;
	int n_failed = 0;

	(void)state;
	memset(id, 'i', LIMIT_ID);
	memset(exec_id, 'e', LIMIT_ID);
	id[LIMIT_ID] = exec_id[LIMIT_ID] = '\0';
	events_subscribe(events, &cursor, 0, on_nothing, NULL);
	chain = take_all_memory(&old);
	for (unsigned i = 0; i < 2 * LIMIT_RING_EVENTS; i++)
		n_failed += events_add(events, &args) != 0;
	give_back(chain, &old);
	assert_int_equal(n_failed, 0);
	e = events_next(&cursor, &missed);
	assert_true(missed > LIMIT_RING_EVENTS && e->entry.seq == missed + 1);
	while (e->entry.seq < 2 * LIMIT_RING_EVENTS) {
		e = events_next(&cursor, &missed);
		assert_int_equal(missed, 0);
	}
	exit_ = containerd__events__task_exit__unpack(NULL, event_n_payload(e), e->payload);
	assert_string_equal(exit_->container_id, id);
	assert_string_equal(exit_->id, exec_id);
	assert_int_equal(exit_->exit_status, UINT32_MAX);
	assert_int_equal(pbtime_get(exit_->exited_at), INT64_MAX);
	containerd__events__task_exit__free_unpacked(exit_, NULL);
	assert_null(events_next(&cursor, &missed));
	events_free(events);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_order_and_wakes),
		cmocka_unit_test(test_late_readers),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_bound_by_bytes),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_tail_by_bytes),
		cmocka_unit_test(test_readers_apart),
		cmocka_unit_test(test_gives_memory_back),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_too_many_mounts),
		cmocka_unit_test(test_unsubscribe_in_wake),
		cmocka_unit_test(test_never_subscribed),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_payloads),
		cmocka_unit_test(test_exit_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
