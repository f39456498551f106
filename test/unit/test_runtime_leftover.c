/* SPDX-License-Identifier: Apache-2.0 */
/* What a killed runc leaves below its root, with real mounts in a mount namespace of the test. */
#include "common/runtime_leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"

struct bed {
	char root[64], folder[96];
	struct runtime rt;
};

static void path_of(const struct bed *b, const char *name, char ret[static 128])
{
	snprintf(ret, 128, "%s/%s", b->folder, name);
}

static void add_file(const struct bed *b, const char *name)
{
	char path[128];
	int fd;

	path_of(b, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void add_mount(const struct bed *b, const char *name)
{
	char path[128];

	path_of(b, name, path);
	assert_int_equal(mount("/proc/version", path, "", MS_BIND, NULL), 0);
}

static bool is_there(const struct bed *b, const char *name)
{
	char path[128];

	path_of(b, name, path);
	return access(path, F_OK) == 0;
}

static int set_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	strcpy(b->root, "/tmp/test-leftover-XXXXXX");
	assert_non_null(mkdtemp(b->root));
	snprintf(b->folder, sizeof(b->folder), "%s/web", b->root);
	assert_int_equal(mkdir(b->folder, 0711), 0);
	b->rt = RUNTIME_INIT;
	b->rt.root = b->root;
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bed *b = *state;
	char path[128];

	path_of(b, "runc.AbC123", path);
	while (umount2(path, MNT_DETACH) == 0)
		;
	assert_int_equal(remove_tree(AT_FDCWD, b->root), 0);
	free(b);
	return 0;
}

static void a_mount_goes_with_the_folder(void **state)
{
	struct bed *b = *state;

	add_file(b, "runc.AbC123");
	add_mount(b, "runc.AbC123");
	add_mount(b, "runc.AbC123");
	add_file(b, "runc.zzzzzz");
	add_file(b, "exec.fifo");
	assert_int_equal(runtime_leftover_remove(&b->rt, "web"), 1);
	assert_int_not_equal(access(b->folder, F_OK), 0);
	assert_int_equal(runtime_leftover_remove(&b->rt, "web"), 0);
}

static void a_container_is_left_alone(void **state)
{
	struct bed *b = *state;

	add_file(b, "state.json");
	add_file(b, "exec.fifo");
	add_file(b, "runc.AbC123");
	add_mount(b, "runc.AbC123");
	assert_int_equal(runtime_leftover_remove(&b->rt, "web"), 0);
	assert_true(is_there(b, "exec.fifo"));
	assert_true(is_there(b, "runc.AbC123"));
}

static void what_is_not_runcs_stays(void **state)
{
	static const char *const names[] = { "runc.AbC1234", "runc.AbC12", "runc.AbC1.3",
		"xrunc.AbC123", "notes" };
	struct bed *b = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		add_file(b, names[i]);
	assert_int_equal(runtime_leftover_remove(&b->rt, "web"), -ENOTEMPTY);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_true(is_there(b, names[i]));
}

static void a_link_is_not_followed(void **state)
{
	struct bed *b = *state;
	char link[160];

	add_file(b, "runc.AbC123");
	snprintf(link, sizeof(link), "%s/other", b->root);
	assert_int_equal(symlink(b->folder, link), 0);
	assert_true(runtime_leftover_remove(&b->rt, "other") < 0);
	assert_true(is_there(b, "runc.AbC123"));
}

static void other_runtimes_and_names_are_left_alone(void **state)
{
	struct bed *b = *state;

	add_file(b, "runc.AbC123");
	assert_int_equal(runtime_leftover_remove(&b->rt, "../web"), 0);
	b->rt.kind = RUNTIME_CRUN;
	assert_int_equal(runtime_leftover_remove(&b->rt, "web"), 0);
	assert_true(is_there(b, "runc.AbC123"));
	b->rt.kind = RUNTIME_RUNC;
	b->rt.root = (char *)"/no/such/root";
	assert_int_equal(runtime_leftover_remove(&b->rt, "web"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_mount_goes_with_the_folder),
		TEST(a_container_is_left_alone),
		TEST(what_is_not_runcs_stays),
		TEST(a_link_is_not_followed),
		TEST(other_runtimes_and_names_are_left_alone),
	};

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
