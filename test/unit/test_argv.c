/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of strings as execve(2) wants them. */
#include "common/argv.h"

#include "test/unit/unit.h"

static void test_ends_with_null_at_every_length(void **state)
{
	struct argv a = ARGV_INIT;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		assert_int_equal(argv_addf(&a, "word %zu", i), 0);
		assert_int_equal(a.n, i + 1);
		assert_null(a.v[a.n]);
	}
	assert_string_equal(a.v[0], "word 0");
	assert_string_equal(a.v[999], "word 999");
	argv_deinit(&a);
	assert_null(a.v);
	argv_deinit(&a);
}

static void test_keeps_copies(void **state)
{
	struct argv a = ARGV_INIT;
	char word[] = "before";

	(void)state;
	assert_int_equal(argv_add(&a, word), 0);
	strcpy(word, "after");
	assert_string_equal(a.v[0], "before");
	assert_int_equal(argv_add(&a, ""), 0);
	assert_string_equal(a.v[1], "");
	argv_deinit(&a);
}

static void test_copy_replaces(void **state)
{
	struct argv from = ARGV_INIT, to = ARGV_INIT;

	(void)state;
	assert_int_equal(argv_add(&from, "a"), 0);
	assert_int_equal(argv_add(&from, "b"), 0);
	assert_int_equal(argv_add(&to, "old"), 0);
	assert_int_equal(argv_copy(&to, &from), 0);
	argv_deinit(&from);
	assert_int_equal(to.n, 2);
	assert_string_equal(to.v[0], "a");
	assert_string_equal(to.v[1], "b");
	assert_null(to.v[2]);
	assert_int_equal(argv_copy(&to, &from), 0);
	assert_int_equal(to.n, 0);
	argv_deinit(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_with_null_at_every_length),
		cmocka_unit_test(test_keeps_copies),
		cmocka_unit_test(test_copy_replaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
