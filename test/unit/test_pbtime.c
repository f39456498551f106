/* SPDX-License-Identifier: Apache-2.0 */
/* Moments and the wire's timestamps, both ways. */
#include "common/pbtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check(moment m, int64_t seconds, int32_t nanos)
{
	Google__Protobuf__Timestamp t;

	assert_ptr_equal(pbtime_set(&t, m), &t);
	assert_int_equal(t.seconds, seconds);
	assert_int_equal(t.nanos, nanos);
	assert_int_equal(pbtime_get(&t), m);
}

static void test_both_ways(void **state)
{
	(void)state;
	check(1, 0, 1);
	check(1500000000, 1, 500000000);
	check(1767323045678901234, 1767323045, 678901234);
	check(-1, -1, 999999999);
	check(INT64_MAX, 9223372036, 854775807);
}

static void test_none(void **state)
{
	Google__Protobuf__Timestamp t;

	(void)state;
	assert_null(pbtime_set(&t, 0));
	assert_int_equal(pbtime_get(NULL), 0);
}

/* What a peer may send and no clock of ours has. */
static void test_impossible(void **state)
{
	static const struct {
		int64_t seconds;
		int32_t nanos;
	} bad[] = { { INT64_MAX, 0 }, { INT64_MIN, 0 }, { 9223372036, 854775808 }, { 1, -1 },
		{ 1, 1000000000 } };
	Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		t.seconds = bad[i].seconds;
		t.nanos = bad[i].nanos;
		assert_int_equal(pbtime_get(&t), 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_impossible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
