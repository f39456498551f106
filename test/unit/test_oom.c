/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch of a group's OOM kills: both versions' files in a folder of ours, whose notices this
 * test gives itself.
 */
#include "shim/oom.h"

#include <sys/eventfd.h>

#include "common/cleanup.h"
#include "test/unit/unit.h"

#define CONTROL "oom_kill_disable 0\nunder_oom 0\noom_kill "
#define EVENTS	"low 0\nhigh 0\nmax 9\noom 9\noom_kill "

struct fixture {
	struct event_base *base;
	struct cgroup_folders folders;
	struct oom_watch *watch;
	unsigned n_told;
};

static void on_rise(void *userdata)
{
	struct fixture *f = userdata;

	f->n_told++;
	event_base_loopbreak(f->base);
}

static void begin(struct fixture *f, const struct bed *bed, bool is_v1, bool from_zero)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	*f = (struct fixture){ .base = event_base_new(), .folders = CGROUP_FOLDERS_INIT };
	assert_non_null(f->base);
	if (is_v1)
		f->folders.v1[CGROUP_MEMORY] = bed->dir;
	else
		f->folders.v2 = bed->dir;
	assert_int_equal(
		oom_watch_new(f->base, &f->folders, from_zero, on_rise, f, &f->watch, &err), 0);
}

static void end(struct fixture *f)
{
	oom_watch_free(f->watch);
	event_base_free(f->base);
}

/* The eventfd that was registered, told by what was written to the control file. */
static void notify_v1(const struct bed *bed)
{
	char *text = read_text(bed->dir, "cgroup.event_control");
	int notice, counter;

	assert_int_equal(sscanf(text, "%d %d", &notice, &counter), 2);
	free(text);
	assert_int_equal(eventfd_write(notice, 1), 0);
}

/* Written in place: the watch has the file open. */
static void put(const struct bed *bed, const char *name, const char *text, unsigned n)
{
	_cleanup_close_ int fd = openat(bed->dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char line[128];
	int len = snprintf(line, sizeof(line), "%s%u\n", text, n);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, line, (size_t)len), len);
}

/* Runs the loop for as long as anything could still be looked at again. */
static void run(struct fixture *f)
{
	const struct timeval longest = { 3, 0 };

	assert_int_equal(event_base_loopexit(f->base, &longest), 0);
	assert_int_equal(event_base_dispatch(f->base), 0);
}

static void test_v1_tells(void **state)
{
	const struct bed *bed = *state;
	struct fixture f;

	put(bed, "memory.oom_control", CONTROL, 0);
	put(bed, "cgroup.event_control", "", 0);
	begin(&f, bed, true, false);
	assert_false(oom_watch_look(f.watch));
	assert_int_equal(oom_watch_last_rise(f.watch), 0);
	put(bed, "memory.oom_control", CONTROL, 1);
	notify_v1(bed);
	run(&f);
	assert_int_equal(f.n_told, 1);
	assert_true(oom_watch_last_rise(f.watch) > 0);
	assert_false(oom_watch_look(f.watch)); /* that one has been told */
	put(bed, "memory.oom_control", CONTROL, 3);
	assert_true(oom_watch_look(f.watch));
	assert_int_equal(f.n_told, 1); /* who looks is told by the answer */
	end(&f);
}

static void count_up(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	put(userdata, "memory.oom_control", CONTROL, 1);
}

/* The kernel gives notice before it kills, and counts after that. */
static void test_v1_notice_comes_before_the_count(void **state)
{
	struct bed *bed = *state;
	const struct timeval later = { 0, 50000 };
	struct event *timer;
	struct fixture f;

	put(bed, "memory.oom_control", CONTROL, 0);
	put(bed, "cgroup.event_control", "", 0);
	begin(&f, bed, true, false);
	timer = evtimer_new(f.base, count_up, bed);
	assert_non_null(timer);
	assert_int_equal(evtimer_add(timer, &later), 0);
	notify_v1(bed);
	run(&f);
	assert_int_equal(f.n_told, 1);
	event_free(timer);
	end(&f);
}

/* A notice about a group above: nothing of ours was killed, and the loop has nothing left to do. */
static void test_v1_notice_without_a_kill(void **state)
{
	const struct bed *bed = *state;
	struct fixture f;
	int idle;

	put(bed, "memory.oom_control", CONTROL, 5);
	put(bed, "cgroup.event_control", "", 0);
	begin(&f, bed, true, false);
	idle = event_base_get_num_events(f.base, EVENT_BASE_COUNT_ADDED);
	notify_v1(bed);
	run(&f);
	assert_int_equal(f.n_told, 0);
	assert_int_equal(event_base_get_num_events(f.base, EVENT_BASE_COUNT_ADDED), idle);
	end(&f);
}

static void test_v2_tells(void **state)
{
	const struct bed *bed = *state;
	struct fixture f;

	put(bed, "memory.events", EVENTS, 2);
	begin(&f, bed, false, false);
	put(bed, "memory.events", EVENTS, 2);
	put(bed, "memory.events", EVENTS, 4);
	run(&f);
	assert_int_equal(f.n_told, 1);
	assert_false(oom_watch_look(f.watch));
	end(&f);
}

/* In a group that was made for the container whatever was counted is its own. */
static void test_from_zero(void **state)
{
	const struct bed *bed = *state;
	struct fixture f;

	put(bed, "memory.events", EVENTS, 1);
	begin(&f, bed, false, true);
	assert_true(oom_watch_look(f.watch));
	assert_false(oom_watch_look(f.watch));
	end(&f);
}

static void test_no_notice_still_counts(void **state)
{
	const struct bed *bed = *state;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct fixture f = { .base = event_base_new(), .folders = CGROUP_FOLDERS_INIT };

	put(bed, "memory.oom_control", CONTROL, 0); /* and no cgroup.event_control */
	f.folders.v1[CGROUP_MEMORY] = bed->dir;
	assert_int_equal(oom_watch_new(f.base, &f.folders, false, on_rise, &f, &f.watch, &err),
		CODE_UNAVAILABLE);
	assert_non_null(f.watch);
	put(bed, "memory.oom_control", CONTROL, 1);
	assert_true(oom_watch_look(f.watch));
	end(&f);
}

static void test_nothing_to_watch(void **state)
{
	const struct bed *bed = *state;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct fixture f = { .base = event_base_new(), .folders = CGROUP_FOLDERS_INIT };

	assert_int_equal(oom_watch_new(f.base, &f.folders, false, on_rise, &f, &f.watch, &err),
		CODE_NOT_FOUND);
	assert_null(f.watch);
	f.folders.v2 = bed->dir; /* the memory controller is not there */
	assert_int_equal(oom_watch_new(f.base, &f.folders, false, on_rise, &f, &f.watch, &err),
		CODE_NOT_FOUND);
	assert_null(f.watch);
	assert_false(oom_watch_look(NULL));
	assert_int_equal(oom_watch_last_rise(NULL), 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_v1_tells),
		bed_test(test_v1_notice_comes_before_the_count),
		bed_test(test_v1_notice_without_a_kill),
		bed_test(test_v2_tells),
		bed_test(test_from_zero),
		bed_test(test_no_notice_still_counts),
		bed_test(test_nothing_to_watch),
	};

	return cmocka_run_group_tests_name("oom", tests, NULL, NULL);
}
