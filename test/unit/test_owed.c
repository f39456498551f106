/* SPDX-License-Identifier: Apache-2.0 */
/* What is owed to containerd: kept, in order, and bounded. */
#include "shim/owed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An event with one byte of payload, which is its number's last. */
static void note(struct owed *owed, enum event_kind kind, uint64_t seq)
{
	struct task_event *e = calloc(1, sizeof(*e) + 1);

	e->kind = kind;
	e->entry.seq = seq;
	e->time = (moment)seq * 1000;
	e->entry.size = offsetof(struct task_event, payload) + 1;
	e->payload[0] = (uint8_t)seq;
	owed_note(owed, e);
	free(e);
}

static void reserve(struct owed *owed, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(owed_reserve(owed, NULL), 0);
}

static void expect(struct owed *owed, enum event_kind kind, uint64_t seq, uint8_t payload)
{
	struct outgoing out;

	assert_true(owed_first(owed, &out));
	assert_int_equal(out.kind, kind);
	assert_int_equal(out.seq, seq);
	assert_int_equal(out.time, seq * 1000);
	assert_int_equal(out.n_payload, 1);
	assert_int_equal(out.payload[0], payload);
	owed_done(owed, seq);
}

static void test_order(void **state)
{
	struct outgoing out;
	struct owed owed;

	(void)state;
	owed_init(&owed);
	assert_false(owed_first(&owed, &out));
	reserve(&owed, 3);
	note(&owed, EVENT_START, 1);
	assert_false(owed_first(&owed, &out));
	note(&owed, EVENT_EXIT, 2);
	note(&owed, EVENT_DELETE, 3);
	note(&owed, EVENT_OOM, 4);
	note(&owed, EVENT_EXIT, 5);
	note(&owed, EVENT_EXIT, 6);
	note(&owed, EVENT_OOM, 7);
	expect(&owed, EVENT_EXIT, 2, 2);
	expect(&owed, EVENT_OOM, 4, 7); /* they all say the same: the newest words serve for each */
	expect(&owed, EVENT_EXIT, 5, 5);
	expect(&owed, EVENT_EXIT, 6, 6);
	expect(&owed, EVENT_OOM, 7, 7);
	assert_false(owed_first(&owed, &out));
	owed_deinit(&owed);
}

/* Of a run of OOMs the newest stays, also when one before it has been taken meanwhile. */
static void test_ooms(void **state)
{
	struct outgoing out;
	struct owed owed;

	(void)state;
	owed_init(&owed);
	note(&owed, EVENT_OOM, 1);
	note(&owed, EVENT_OOM, 2);
	owed_done(&owed, 1);
	expect(&owed, EVENT_OOM, 2, 2);
	assert_false(owed_first(&owed, &out));
	for (uint64_t seq = 3; seq <= 100000; seq++)
		note(&owed, EVENT_OOM, seq);
	reserve(&owed, 1);
	note(&owed, EVENT_EXIT, 100001);
	owed_done(&owed, 99999);
	expect(&owed, EVENT_OOM, 100000, (uint8_t)100000);
	expect(&owed, EVENT_EXIT, 100001, (uint8_t)100001);
	owed_deinit(&owed);
}

/* What was taken by way of the ring is not owed any more. */
static void test_done(void **state)
{
	struct outgoing out;
	struct owed owed;

	(void)state;
	owed_init(&owed);
	reserve(&owed, 100);
	for (uint64_t seq = 1; seq <= 100; seq++)
		note(&owed, EVENT_EXIT, seq);
	owed_done(&owed, 50);
	assert_int_equal(owed.n_exits, 50);
	expect(&owed, EVENT_EXIT, 51, 51);
	owed_done(&owed, 1000);
	assert_false(owed_first(&owed, &out));
	assert_int_equal(owed.n_room, 0);
	owed_deinit(&owed);
}

/* Room is bounded, whether it is used or not, and comes back once exits have been taken. */
static void test_bound(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct owed owed;

	(void)state;
	owed_init(&owed);
	reserve(&owed, LIMIT_OWED_EXITS);
	for (uint64_t seq = 1; seq <= 1000; seq++)
		note(&owed, EVENT_EXIT, seq);
	for (size_t i = 0; i < 3 * LIMIT_OWED_EXITS; i++)
		assert_int_equal(owed_reserve(&owed, &err), CODE_RESOURCE_EXHAUSTED);
	assert_string_equal(
		error_message(&err), "1000 exits wait for containerd to take their events");
	owed_done(&owed, 1);
	reserve(&owed, 1);
	assert_int_equal(owed_reserve(&owed, NULL), CODE_RESOURCE_EXHAUSTED);
	owed_release(&owed);
	reserve(&owed, 1);
	owed_deinit(&owed);
}

/* An exit without room is told by the ring alone; to release more than there is does no harm. */
static void test_without_room(void **state)
{
	struct outgoing out;
	struct owed owed;

	(void)state;
	owed_init(&owed);
	note(&owed, EVENT_EXIT, 1);
	assert_false(owed_first(&owed, &out));
	owed_release(&owed);
	owed_deinit(&owed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_ooms),
		cmocka_unit_test(test_done),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
