/* SPDX-License-Identifier: Apache-2.0 */
/* Events in the words of 2017. */
#include "shim/event2017.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/pbtime.h"

#define TYPE(name) CLEAT__SHIM2017__TYPES__EVENT__EVENT_TYPE__##name

static void test_kinds(void **state)
{
	static const int want[_EVENT_KIND_MAX] = {
		[EVENT_CREATE] = TYPE(CREATE),
		[EVENT_START] = TYPE(START),
		[EVENT_OOM] = TYPE(OOM),
		[EVENT_EXIT] = TYPE(EXIT),
		[EVENT_DELETE] = -1,
		[EVENT_EXEC_ADDED] = -1,
		[EVENT_EXEC_STARTED] = TYPE(EXEC_ADDED), /* its pid is known then */
		[EVENT_PAUSED] = TYPE(PAUSED),
		[EVENT_RESUMED] = -1,
		[EVENT_CHECKPOINTED] = -1,
	};
	struct task_event e = { .pid = 42, .exit_status = 9, .exited_at = 5000000001 };
	Cleat__Shim2017__Types__Event m;
	Google__Protobuf__Timestamp time;

	(void)state;
	for (int kind = 0; kind < _EVENT_KIND_MAX; kind++) {
		bool told;

		e.kind = (enum event_kind)kind;
		told = event2017_fill(&e, "web", &m, &time);
		assert_int_equal(told, want[kind] >= 0);
		if (!told)
			continue;
		assert_int_equal(m.type, want[kind]);
		assert_string_equal(m.id, "web");
		assert_int_equal(m.pid, 42);
		assert_int_equal(m.exit_status, kind == EVENT_EXIT ? 9 : 0);
		assert_int_equal(pbtime_get(m.exited_at), kind == EVENT_EXIT ? 5000000001 : 0);
	}
}

/* The numbers that stand on the wire: EXIT is 0, so that an empty event is an exit. */
static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(TYPE(EXIT), 0);
	assert_int_equal(TYPE(OOM), 1);
	assert_int_equal(TYPE(CREATE), 2);
	assert_int_equal(TYPE(START), 3);
	assert_int_equal(TYPE(EXEC_ADDED), 4);
	assert_int_equal(TYPE(PAUSED), 5);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
