/* SPDX-License-Identifier: Apache-2.0 */
/* Records of descriptors, made ahead: what libevent allocates is counted. */
#include "shim/loop_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/unit/unit.h"

static size_t n_allocations;

static void *count_malloc(size_t n)
{
	n_allocations++;
	return malloc(n);
}

static void *count_realloc(void *p, size_t n)
{
	n_allocations++;
	return realloc(p, n);
}

static void nothing(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)userdata;
}

/* How often libevent allocates when fd, which is free, is watched for the first time. */
static size_t allocations_for(struct event_base *base, int fd)
{
	int watched = eventfd(0, EFD_CLOEXEC);
	struct event *event = event_new(base, fd, EV_READ, nothing, NULL);
	size_t before, n;

	assert_true(watched >= 0 && dup3(watched, fd, O_CLOEXEC) == fd);
	before = n_allocations;
	assert_int_equal(event_add(event, NULL), 0);
	n = n_allocations - before;
	event_free(event);
	close(fd);
	close(watched);
	return n;
}

static int lowest_free(void)
{
	for (int fd = 0;; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return fd;
}

static void test_no_record_is_made_later(void **state)
{
	struct event_base *base = event_base_new();
	int n = 0, before = lowest_free();

	(void)state;
	assert_true(allocations_for(base, 200) > 0); /* what it is about */
	assert_int_equal(loop_slots_ahead(base, &n), 0);
	assert_true(n > before + 64);
	/* the helper has the lowest one open itself */
	for (int fd = before + 1; fd < n; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			assert_int_equal(allocations_for(base, fd), 0);
	event_base_free(base);
}

static void test_more_are_made_when_they_run_short(void **state)
{
	struct event_base *base = event_base_new();
	int n = 0, first, fds[256], n_fds = 0;

	(void)state;
	assert_int_equal(loop_slots_ahead(base, &n), 0);
	first = n;
	assert_int_equal(loop_slots_ahead(base, &n), 0);
	assert_int_equal(n, first);
	while (lowest_free() < first - 4)
		fds[n_fds++] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(loop_slots_ahead(base, &n), 0);
	assert_true(n > first);
	assert_int_equal(allocations_for(base, first + 8), 0);
	while (n_fds > 0)
		close(fds[--n_fds]);
	event_base_free(base);
}

/* The lowest free number is a hole: it is the free ones that count, not where the first of them is. */
static void test_a_hole_is_no_room(void **state)
{
	struct event_base *base = event_base_new();
	int n = 0, first, fds[256] = { 0 }, n_fds = 0;

	(void)state;
	assert_int_equal(loop_slots_ahead(base, &n), 0);
	first = n;
	while (lowest_free() < first - 1)
		fds[n_fds++] = eventfd(0, EFD_CLOEXEC);
	assert_true(n_fds > 40);
	close(fds[0]);
	close(fds[1]);
	assert_true(lowest_free() < first - 64);
	assert_int_equal(loop_slots_ahead(base, &n), 0);
	assert_true(n > first);
	assert_int_equal(allocations_for(base, first + 8), 0);
	/* and where enough are free, wherever, it is not done again */
	for (int i = 2; i < 40; i++)
		close(fds[i]);
	first = n;
	assert_int_equal(loop_slots_ahead(base, &n), 0);
	assert_int_equal(n, first);
	while (n_fds > 40)
		close(fds[--n_fds]);
	event_base_free(base);
}

static void test_nothing_is_left_and_nothing_taken(void **state)
{
	struct event_base *base = event_base_new();
	int n = 0, free_before, own = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct stat before, after;
	bool was_open[1024];

	(void)state;
	assert_int_equal(dup3(own, 50, O_CLOEXEC), 50);
	for (int fd = 0; fd < 1024; fd++)
		was_open[fd] = fcntl(fd, F_GETFD) >= 0;
	assert_int_equal(fstat(50, &before), 0);
	free_before = lowest_free();
	assert_int_equal(loop_slots_ahead(base, &n), 0);
	assert_int_equal(lowest_free(), free_before);
	assert_int_equal(fstat(50, &after), 0);
	assert_int_equal(before.st_rdev, after.st_rdev);
	for (int fd = 0; fd < 1024; fd++)
		assert_true(was_open[fd] == (fcntl(fd, F_GETFD) >= 0));
	close(50);
	close(own);
	event_base_free(base);
}

/* Numbers above the limit cannot be had: it stops there, once. */
static void test_a_low_limit_of_descriptors(void **state)
{
	struct event_base *base = event_base_new();
	struct rlimit old, low;
	int n = 0, after;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)lowest_free() + 8;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_true(loop_slots_ahead(base, &n) < 0);
	after = n;
	assert_int_equal(loop_slots_ahead(base, &n), 0);
	assert_int_equal(n, after);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	event_base_free(base);
}

/* The heap has holes, as after an hour of work: none of them holds a record. */
static void test_records_have_pages_of_their_own(void **state)
{
	enum { N = 4000 };
	static void *pieces[N];
	struct event_base *base;
	struct mallinfo2 before, after;
	int n = 0, first;

	(void)state;
	loop_slots_init();
	base = event_base_new();
	assert_int_equal(loop_slots_ahead(base, &n), 0);
	for (size_t i = 0; i < N; i++)
		pieces[i] = malloc(i % 2 ? 24 : 40);
	for (size_t i = 0; i < N; i += 2)
		free(pieces[i]);
	before = mallinfo2();
	n = 300; /* as if all of those had theirs, and none were free */
	first = lowest_free();
	for (int fd = lowest_free(); fd < n; fd = lowest_free())
		assert_int_equal(eventfd(0, EFD_CLOEXEC), fd);
	assert_int_equal(loop_slots_ahead(base, &n), 0);
	after = mallinfo2();
	assert_true(n >= 300 + 96);
	/* libevent's table of all numbers, of 8 bytes each, is in one piece */
	assert_true(after.uordblks < before.uordblks + 512 * sizeof(void *) + 512);
	close_range((unsigned)first, 299, 0);
	event_base_free(base);
	for (size_t i = 1; i < N; i += 2)
		free(pieces[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_record_is_made_later),
		cmocka_unit_test(test_more_are_made_when_they_run_short),
		cmocka_unit_test(test_a_hole_is_no_room),
		cmocka_unit_test(test_nothing_is_left_and_nothing_taken),
		cmocka_unit_test(test_a_low_limit_of_descriptors),
		cmocka_unit_test(
			test_records_have_pages_of_their_own), /* the last: it takes the hook */
	};

	event_set_mem_functions(count_malloc, count_realloc, free);
	return cmocka_run_group_tests_name("loop_slots", tests, NULL, NULL);
}
