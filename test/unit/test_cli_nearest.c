/* SPDX-License-Identifier: Apache-2.0 */
/* Words that were mistyped: how far from others they are, and which one is told. */
#include "supervisor/cli/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static unsigned int between(const char *a, const char *b, unsigned int limit)
{
	unsigned int one = nearest_distance(a, strlen(a), b, strlen(b), limit);

	/* there and back is as far */
	assert_int_equal(one, nearest_distance(b, strlen(b), a, strlen(a), limit));
	return one;
}

static void test_distance(void **state)
{
	(void)state;
	assert_int_equal(between("list", "list", 9), 0);
	assert_int_equal(between("", "", 9), 0);
	assert_int_equal(between("", "list", 9), 4);
	assert_int_equal(between("lst", "list", 9), 1);
	assert_int_equal(between("lisst", "list", 9), 1);
	assert_int_equal(between("lost", "list", 9), 1);
	assert_int_equal(between("lsit", "list", 9), 1);
	assert_int_equal(between("ilts", "list", 9), 2);
	assert_int_equal(between("kitten", "sitting", 9), 3);
	/* exchanged neighbours are not changed once more: ca, ac, abc would be 2 */
	assert_int_equal(between("ca", "abc", 9), 3);
	assert_int_equal(between("abcdef", "ghijkl", 9), 6);
}

static void test_limit(void **state)
{
	char longest[NEAREST_LENGTH_MAX + 2];

	(void)state;
	assert_int_equal(between("abcdef", "ghijkl", 2), 3);
	assert_int_equal(between("abcdef", "ghcdef", 2), 2);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(
		nearest_distance(longest, NEAREST_LENGTH_MAX, longest, NEAREST_LENGTH_MAX, 2), 0);
	assert_int_equal(
		nearest_distance(longest, NEAREST_LENGTH_MAX, longest + 1, NEAREST_LENGTH_MAX, 2),
		0);
	assert_int_equal(nearest_distance(longest, NEAREST_LENGTH_MAX + 1, longest,
				 NEAREST_LENGTH_MAX + 1, 2),
		3);
}

static const char *pick(const char *typed)
{
	static const char *const words[] = { "list", "ls", NULL, "kill", "delete", "state", "stats",
		"checkpoint" };
	struct nearest n = nearest_to(typed, strlen(typed));

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		nearest_offer(&n, words[i]);
	return n.word;
}

static void test_pick(void **state)
{
	(void)state;
	assert_string_equal(pick("lsit"), "list");
	assert_string_equal(pick("kll"), "kill");
	assert_string_equal(pick("checkpiont"), "checkpoint");
	assert_string_equal(pick("chekpiont"), "checkpoint");
	assert_string_equal(pick("stat"), "state"); /* the first of two */
	assert_string_equal(pick("statsx"), "stats");
	/* too far, or too short to be sure */
	assert_null(pick("chkpiomt"));
	assert_null(pick("lx"));
	assert_null(pick("l"));
	assert_null(pick(""));
	assert_null(pick("ilts"));
	assert_null(pick("nope"));
}

/* What follows the typed word is not looked at: "--fromat=json". */
static void test_length(void **state)
{
	struct nearest n = nearest_to("fromat=json", 6);

	(void)state;
	nearest_offer(&n, "format");
	assert_string_equal(n.word, "format");
	assert_int_equal(n.changes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_pick),
		cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
