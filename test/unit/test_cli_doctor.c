/* SPDX-License-Identifier: Apache-2.0 */
/* What the doctor says of facts about hosts that this one is not. */
#include "supervisor/cli/doctor_judge.h"

#include "test/unit/unit.h"

#define _cleanup_finding_ __attribute__((cleanup(doctor_finding_deinit)))

static void test_kernels(void **state)
{
	static const struct {
		const char *release;
		enum doctor_state wanted;
	} cases[] = {
		{ "5.10.0-30-amd64", DOCTOR_OK },
		{ "5.10", DOCTOR_OK },
		{ "6.1.0", DOCTOR_OK },
		{ "10.0", DOCTOR_OK },
		{ "5.9.16", DOCTOR_ERROR },
		{ "5.1.0", DOCTOR_ERROR },
		{ "4.19.0", DOCTOR_ERROR },
		{ "mine", DOCTOR_WARNING },
		{ "", DOCTOR_WARNING },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_finding_ struct doctor_finding f = DOCTOR_FINDING_INIT;

		assert_int_equal(judge_kernel(cases[i].release, &f), 0);
		assert_int_equal(f.state, cases[i].wanted);
		assert_non_null(f.found);
		assert_int_equal(f.advice == NULL, f.state == DOCTOR_OK);
	}
}

#define V1                                                                                         \
	"33 32 0:28 / /sys/fs/cgroup/cpu rw,nosuid shared:9 - cgroup cgroup rw,cpu\n"              \
	"34 32 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
#define V2	"35 32 0:30 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define UNIFIED "36 32 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
#define OTHERS                                                                                     \
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"                                  \
	"31 22 0:27 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n"
#define ELSEWHERE "40 22 0:33 / /mnt/cgroup rw - cgroup2 cgroup2 rw\n"

static void test_cgroups(void **state)
{
	static const struct {
		const char *mountinfo, *found;
		enum doctor_state wanted;
	} cases[] = {
		{ OTHERS V1, "version 1", DOCTOR_OK },
		{ OTHERS V1 ELSEWHERE, "version 1", DOCTOR_OK },
		{ OTHERS V2, "version 2", DOCTOR_OK },
		{ OTHERS V1 UNIFIED, "versions 1 and 2 (hybrid)", DOCTOR_WARNING },
		{ UNIFIED V1 OTHERS, "versions 1 and 2 (hybrid)", DOCTOR_WARNING },
		{ OTHERS, "none in /sys/fs/cgroup", DOCTOR_WARNING },
		{ "", "none in /sys/fs/cgroup", DOCTOR_WARNING },
		{ "\n\n - \n - cgroup\n1 - cgroup2", "none in /sys/fs/cgroup", DOCTOR_WARNING },
		{ "1 2 3 / /sys/fs/cgroup rw - a-type-that-is-longer-than-any x rw",
			"none in /sys/fs/cgroup", DOCTOR_WARNING },
		{ "35 32 0:30 / /sys/fs/cgroup rw - cgroup2", "version 2", DOCTOR_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_finding_ struct doctor_finding f = DOCTOR_FINDING_INIT;

		assert_int_equal(judge_cgroups(cases[i].mountinfo, &f), 0);
		assert_string_equal(f.found, cases[i].found);
		assert_int_equal(f.state, cases[i].wanted);
		assert_int_equal(f.advice == NULL, f.state == DOCTOR_OK);
	}
}

static void test_user_namespaces(void **state)
{
	static const struct {
		struct userns_limits limits;
		const char *advice; /* to an ordinary user */
		enum doctor_state wanted;
	} cases[] = {
		{ { 96365, -1, -1 }, NULL, DOCTOR_OK },
		{ { 96365, 1, 0 }, NULL, DOCTOR_OK },
		{ { 0, 1, -1 }, "as root: sysctl -w user.max_user_namespaces=15000", DOCTOR_ERROR },
		{ { 96365, 0, -1 }, "as root: sysctl -w kernel.unprivileged_userns_clone=1",
			DOCTOR_ERROR },
		{ { 96365, -1, 1 },
			"as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
			DOCTOR_WARNING },
		{ { -1, -1, -1 }, "boot a kernel that has user namespaces", DOCTOR_ERROR },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_finding_ struct doctor_finding user = DOCTOR_FINDING_INIT,
							root = DOCTOR_FINDING_INIT;

		assert_int_equal(judge_userns(&cases[i].limits, false, &user), 0);
		assert_int_equal(user.state, cases[i].wanted);
		if (cases[i].advice)
			assert_string_equal(user.advice, cases[i].advice);
		else
			assert_null(user.advice);
		assert_int_equal(judge_userns(&cases[i].limits, true, &root), 0);
		assert_int_equal(root.state, DOCTOR_OK);
		assert_null(root.advice);
	}
}

static void test_subids(void **state)
{
	static const struct {
		const char *text;
		unsigned long wanted; /* of user web, 1000 */
	} cases[] = {
		{ "", 0 },
		{ "web:100000:65536\n", 65536 },
		{ "web:100000:65536", 65536 },
		{ "1000:100000:65536\n", 65536 },
		{ "webby:100000:65536\nwe:1:2\n10000:1:2\n", 0 },
		{ "root:1:2\nweb:100000:65536\nweb:300000:10\n1000:400000:1\n", 65547 },
		{ "web:100000\n65536:1:2\n", 0 },
		{ "web\nweb:\nweb::\nweb:x:y\n", 0 },
		{ "web:100000:-1\n", 0 },
		{ "#web:100000:65536\n", 0 },
		{ "\n:\n::\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(count_subids(cases[i].text, "web", 1000), cases[i].wanted);
	assert_int_equal(count_subids("web:1:2\n1000:1:7\n", NULL, 1000), 7);
}

/* The last word counts, and nothing of the former is left. */
static void test_finding(void **state)
{
	_cleanup_finding_ struct doctor_finding f = DOCTOR_FINDING_INIT;

	(void)state;
	assert_int_equal(doctor_find(&f, "%d", 1), 0);
	assert_int_equal(doctor_find(&f, "%d of %s", 2, "three"), 0);
	assert_int_equal(doctor_advise(&f, DOCTOR_ERROR, "do %s", "it"), 0);
	assert_string_equal(f.found, "2 of three");
	assert_string_equal(f.advice, "do it");
	assert_int_equal(f.state, DOCTOR_ERROR);
	doctor_finding_deinit(&f);
	assert_null(f.found);
	assert_int_equal(f.state, DOCTOR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_kernels),
		bed_test(test_cgroups),
		bed_test(test_user_namespaces),
		bed_test(test_subids),
		bed_test(test_finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
