/* SPDX-License-Identifier: Apache-2.0 */
/* Names and numbers of signals, both ways. */
#include "common/signals.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_names_and_numbers(void **state)
{
	(void)state;
	assert_int_equal(signal_parse("TERM"), SIGTERM);
	assert_int_equal(signal_parse("SIGTERM"), SIGTERM);
	assert_int_equal(signal_parse("sigterm"), SIGTERM);
	assert_int_equal(signal_parse("9"), SIGKILL);
	assert_int_equal(signal_parse("64"), 64);
	assert_int_equal(signal_parse("CLD"), SIGCHLD);
}

static void test_real_time(void **state)
{
	(void)state;
	assert_int_equal(signal_parse("RTMIN"), 34);
	assert_int_equal(signal_parse("SIGRTMIN+3"), 37);
	assert_int_equal(signal_parse("rtmin+30"), 64);
	assert_int_equal(signal_parse("RTMAX"), 64);
	assert_int_equal(signal_parse("SIGRTMAX-1"), 63);
	assert_int_equal(signal_parse("RTMAX-30"), 34);
}

static void test_what_is_none(void **state)
{
	static const char *const none[] = { "", "SIG", "0", "65", "99999999999999", "-1", "+9",
		"9 ", "TERMX", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMAX-31", "RTMIN+", "RTMIN3",
		"SIGSIGTERM", "0x9" };

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		if (signal_parse(none[i]) != 0)
			fail_msg("\"%s\" was taken for a signal", none[i]);
}

/* Whatever is printed for a signal is understood as that signal. */
static void test_round_trip(void **state)
{
	char text[SIGNAL_TEXT_MAX];

	(void)state;
	for (int sig = 1; sig <= SIGNAL_MAX; sig++) {
		signal_format(sig, text);
		assert_int_equal(signal_parse(text), sig);
	}
	signal_format(SIGTERM, text);
	assert_string_equal(text, "SIGTERM");
	signal_format(40, text);
	assert_string_equal(text, "SIGRTMIN+6");
	signal_format(33, text);
	assert_string_equal(text, "33");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_numbers),
		cmocka_unit_test(test_real_time),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
