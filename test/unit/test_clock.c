/* SPDX-License-Identifier: Apache-2.0 */
/* Moments and their text: round trips, edges, and what is no moment. */
#include "common/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NS INT64_C(1000000000)

static void assert_text(moment m, const char *wanted)
{
	char text[CLOCK_TEXT_MAX];
	moment back;

	clock_format(m, text);
	assert_string_equal(text, wanted);
	assert_int_equal(clock_parse(text, &back), 0);
	assert_true(back == m);
}

static void test_round_trips(void **state)
{
	(void)state;
	assert_text(0, "1970-01-01T00:00:00.000000000Z");
	assert_text(1, "1970-01-01T00:00:00.000000001Z");
	assert_text(NS - 1, "1970-01-01T00:00:00.999999999Z");
	assert_text(NS, "1970-01-01T00:00:01.000000000Z");
	assert_text(951782400 * NS, "2000-02-29T00:00:00.000000000Z");
	assert_text(1767322845678901234, "2026-01-02T03:00:45.678901234Z");
	assert_text(4102444799 * NS + 5, "2099-12-31T23:59:59.000000005Z");
}

/* The last moment of an int64, and one more. */
static void test_the_end_of_time(void **state)
{
	char text[CLOCK_TEXT_MAX];
	moment m = 77;

	(void)state;
	assert_text(INT64_MAX, "2262-04-11T23:47:16.854775807Z");
	assert_int_equal(clock_parse("2262-04-11T23:47:16.854775808Z", &m), -EINVAL);
	assert_int_equal(clock_parse("2262-04-11T23:47:17Z", &m), -EINVAL);
	assert_int_equal(clock_parse("9999-12-31T23:59:59Z", &m), -EINVAL);
	assert_true(m == 77);
	clock_format(INT64_MIN, text);
	assert_string_equal(text, "1677-09-21T00:12:43.145224192Z");
}

static void test_before_1970(void **state)
{
	char text[CLOCK_TEXT_MAX];
	moment m = 77;

	(void)state;
	clock_format(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999999999Z");
	assert_int_equal(clock_parse(text, &m), -EINVAL);
	assert_true(m == 77);
}

/* Nine digits are ours; others write fewer, or none. */
static void test_fewer_digits(void **state)
{
	moment m;

	(void)state;
	assert_int_equal(clock_parse("1970-01-01T00:00:01Z", &m), 0);
	assert_true(m == NS);
	assert_int_equal(clock_parse("1970-01-01T00:00:01.5Z", &m), 0);
	assert_true(m == NS + NS / 2);
	assert_int_equal(clock_parse("1970-01-01T00:00:01.000001Z", &m), 0);
	assert_true(m == NS + 1000);
}

static void test_what_is_none(void **state)
{
	static const char *const none[] = {
		"",
		"Z",
		"now",
		"1970-01-01",
		"1970-01-01T00:00:01",
		"1970-01-01 00:00:01Z",
		"1970-01-01T00:00:01z",
		"1970-01-01T00:00:01+00:00",
		"1970-01-01T00:00:01Z ",
		" 1970-01-01T00:00:01Z",
		"1970-01-01T00:00:01.Z",
		"1970-01-01T00:00:01.0123456789Z",
		"1970-01-01T00:00:01.-1Z",
		"1970-01-01T24:00:01Z",
		"1970-01-01T00:60:01Z",
		"1970-13-01T00:00:01Z",
		"2026-02-30T00:00:01Z",
		"1970-00-01T00:00:01Z",
		"-970-01-01T00:00:01Z",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		moment m = 77;

		if (clock_parse(none[i], &m) != -EINVAL || m != 77)
			fail_msg("\"%s\" was taken for a moment", none[i]);
	}
}

static void test_the_time_zone_of_the_process_is_nothing_to_it(void **state)
{
	(void)state;
	setenv("TZ", "America/New_York", 1);
	tzset();
	assert_text(1767322845678901234, "2026-01-02T03:00:45.678901234Z");
	unsetenv("TZ");
	tzset();
}

static void test_now(void **state)
{
	moment a = clock_now();
	int64_t from = clock_monotonic_ms();
	moment b = clock_now();

	(void)state;
	assert_true(a > 1700000000 * NS);
	assert_true(b >= a && b - a < 60 * NS);
	assert_true(from > 0 && clock_monotonic_ms() >= from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_the_end_of_time),
		cmocka_unit_test(test_before_1970),
		cmocka_unit_test(test_fewer_digits),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_the_time_zone_of_the_process_is_nothing_to_it),
		cmocka_unit_test(test_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
