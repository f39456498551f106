/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which timer a shim has armed in each of its states: the one of rule (b) of its end (design,
 * section 4) while nobody needs it, and none at all while somebody does. An idle shim does not wake
 * up.
 */
#include <sys/time.h>

#include "common/limits.h"
#include "test/unit/services_bed.h"

static int count_armed(const struct event_base *base, const struct event *e, void *userdata)
{
	size_t *n = userdata;

	(void)base;
	*n += event_pending(e, EV_TIMEOUT, NULL) != 0;
	return 0;
}

static size_t n_armed(const struct fixture *f)
{
	size_t n = 0;

	event_base_foreach_event(f->shim->base, count_armed, &n);
	return n;
}

/* One timer is armed, the idle one, and it comes in about that many milliseconds. */
static void expect_end_in(const struct fixture *f, int64_t ms)
{
	struct timeval now, at;

	assert_true(event_pending(f->shim->idle_timer, EV_TIMEOUT, &at));
	assert_int_equal(n_armed(f), 1);
	gettimeofday(&now, NULL);
	timersub(&at, &now, &at);
	assert_in_range(at.tv_sec * 1000 + at.tv_usec / 1000, ms - 3000, ms + 100);
}

static void turns(struct fixture *f)
{
	for (int i = 0; i < 5; i++)
		turn(f);
}

static void leave(struct fixture *f)
{
	ttrpc_client_free(f->client);
	f->client = NULL;
	turns(f);
}

/* A client, and an answer to it. */
static void come(struct fixture *f)
{
	Containerd__Task__V2__ConnectRequest r = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
	struct answer a;

	f->client = connect_to(f->shim);
	call(f, TASK, "Connect", &r.base, &containerd__task__v2__connect_response__descriptor, &a);
	answer_free(&a);
	turns(f);
}

static void test_without_create(void **state)
{
	struct fixture *f = *state;

	turns(f);
	assert_int_equal(n_armed(f), 0); /* there is a client */
	leave(f);
	expect_end_in(f, IDLE_WITHOUT_CREATE_MS);
	come(f);
	assert_int_equal(n_armed(f), 0);
	leave(f);
	expect_end_in(f, IDLE_WITHOUT_CREATE_MS);
	come(f);
}

static void test_with_container(void **state)
{
	struct fixture *f = *state;

	add_container(f);
	leave(f);
	assert_int_equal(n_armed(f), 0);
	come(f);
	assert_int_equal(n_armed(f), 0);
}

static void test_after_delete(void **state)
{
	struct fixture *f = *state;

	container_free(add_container(f)->container);
	shim_container_changed(f->shim);
	turns(f);
	assert_int_equal(n_armed(f), 0); /* whoever deleted it is still there */
	leave(f);
	expect_end_in(f, IDLE_AFTER_DELETE_MS);
	come(f);
	assert_int_equal(n_armed(f), 0);
}

/* A Create that has failed is one that was: its shim has as long as after a Delete. */
static void test_after_failed_create(void **state)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	struct fixture *f = *state;
	struct answer a;

	r.id = (char *)"web";
	r.bundle = (char *)"/nonexistent";
	call(f, TASK, "Create", &r.base, &containerd__task__v2__create_task_response__descriptor,
		&a);
	assert_int_equal(a.code, CODE_NOT_FOUND);
	answer_free(&a);
	turns(f);
	assert_int_equal(n_armed(f), 0);
	leave(f);
	expect_end_in(f, IDLE_AFTER_DELETE_MS);
	come(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_without_create),
		TEST(test_with_container),
		TEST(test_after_delete),
		TEST(test_after_failed_create),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
