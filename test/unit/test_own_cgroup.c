/* SPDX-License-Identifier: Apache-2.0 */
/* Which group is ours; that it is divided is tested where there are groups to divide (test/system). */
#include "common/own_cgroup.h"

#include <errno.h>

#include "test/unit/unit.h"

static void is_in(const char *text, const char *wanted)
{
	char *got = NULL;

	assert_int_equal(own_cgroup_parse(text, &got), 0);
	assert_string_equal(got, wanted);
	free(got);
}

static void test_groups(void **state)
{
	static const char *const others[] = { "", "\n", "0::", "0::\n",
		"1:name=systemd:/a\n0::/a\n", "0::/a\n1:name=systemd:/a\n", "12:pids:/a\n",
		"0:name=x:/a\n" };

	(void)state;
	is_in("0::/system.slice/cleat@web.service\n", "/system.slice/cleat@web.service");
	is_in("0::/a", "/a");
	is_in("0::/\n", "");
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		char *got = NULL;

		assert_int_equal(own_cgroup_parse(others[i], &got), -EOPNOTSUPP);
		assert_null(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_groups) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
