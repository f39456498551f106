/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime leaves below its root, with real mounts in a mount namespace of the test. */
#include "common/runtime_leftover.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

#include "test/unit/unit.h"

static int set_up(void **state)
{
	bed_setup(state);
	assert_int_equal(mkdirat(((struct bed *)*state)->dir, "web", 0711), 0);
	return 0;
}

static int tear_down(void **state)
{
	const struct bed *bed = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/web/runc.AbC123", bed->path);
	while (umount2(path, MNT_DETACH) == 0)
		;
	return bed_teardown(state);
}

/* Its root is the test's folder. */
static struct runtime runtime_of(struct bed *bed)
{
	struct runtime rt = RUNTIME_INIT;

	rt.root = bed->path;
	return rt;
}

static void add_mount(const struct bed *bed, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", bed->path, name);
	assert_int_equal(mount("/proc/version", path, "", MS_BIND, NULL), 0);
}

static void a_mount_goes_with_the_folder(void **state)
{
	struct bed *bed = *state;
	const struct runtime rt = runtime_of(bed);

	write_text(bed->dir, "web/runc.AbC123", "");
	add_mount(bed, "web/runc.AbC123");
	add_mount(bed, "web/runc.AbC123");
	write_text(bed->dir, "web/runc.zzzzzz", "");
	write_text(bed->dir, "web/exec.fifo", "");
	assert_int_equal(runtime_leftover_remove(&rt, "web"), 1);
	assert_false(is_there(bed->dir, "web"));
	assert_int_equal(runtime_leftover_remove(&rt, "web"), 0);
}

static void a_container_is_left_alone(void **state)
{
	struct bed *bed = *state;
	const struct runtime rt = runtime_of(bed);

	write_text(bed->dir, "web/state.json", "");
	write_text(bed->dir, "web/exec.fifo", "");
	write_text(bed->dir, "web/runc.AbC123", "");
	add_mount(bed, "web/runc.AbC123");
	assert_int_equal(runtime_leftover_remove(&rt, "web"), 0);
	assert_true(is_there(bed->dir, "web/exec.fifo"));
	assert_true(is_there(bed->dir, "web/runc.AbC123"));
}

static void what_is_not_runcs_stays(void **state)
{
	static const char *const names[] = { "web/runc.AbC1234", "web/runc.AbC12",
		"web/runc.AbC1.3", "web/xrunc.AbC123", "web/notes" };
	struct bed *bed = *state;
	const struct runtime rt = runtime_of(bed);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		write_text(bed->dir, names[i], "");
	assert_int_equal(runtime_leftover_remove(&rt, "web"), -ENOTEMPTY);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_true(is_there(bed->dir, names[i]));
}

static void a_link_is_not_followed(void **state)
{
	struct bed *bed = *state;
	const struct runtime rt = runtime_of(bed);
	char folder[128];

	write_text(bed->dir, "web/runc.AbC123", "");
	snprintf(folder, sizeof(folder), "%s/web", bed->path);
	assert_int_equal(symlinkat(folder, bed->dir, "other"), 0);
	assert_true(runtime_leftover_remove(&rt, "other") < 0);
	assert_true(is_there(bed->dir, "web/runc.AbC123"));
}

static void other_runtimes_and_names_are_left_alone(void **state)
{
	struct bed *bed = *state;
	struct runtime rt = runtime_of(bed);

	write_text(bed->dir, "web/runc.AbC123", "");
	assert_int_equal(runtime_leftover_remove(&rt, "../web"), 0);
	rt.kind = RUNTIME_CRUN;
	assert_int_equal(runtime_leftover_remove(&rt, "web"), 0);
	assert_true(is_there(bed->dir, "web/runc.AbC123"));
	rt.kind = RUNTIME_RUNC;
	rt.root = (char *)"/no/such/root";
	assert_int_equal(runtime_leftover_remove(&rt, "web"), 0);
}

/* --- a root of the container's own --- */

#define RUNSC_STATE "web/web_sandbox:web.state"
#define RUNSC_LOCK  "web/web_sandbox:web.lock"

static void an_own_root_goes_with_its_lock(void **state)
{
	struct bed *bed = *state;
	struct runtime rt = { .kind = RUNTIME_RUNSC };

	rt.root = strdup(bed->path);
	assert_int_equal(runtime_own_root(&rt, "web"), 0);
	write_text(bed->dir, RUNSC_STATE, "");
	write_text(bed->dir, RUNSC_LOCK, "");
	assert_int_equal(runtime_leftover_remove(&rt, "web"), 0);
	assert_true(is_there(bed->dir, RUNSC_LOCK));
	assert_int_equal(unlinkat(bed->dir, RUNSC_STATE, 0), 0);
	write_text(bed->dir, "web/notes", "");
	assert_int_equal(runtime_leftover_remove(&rt, "web"), -ENOTEMPTY);
	assert_int_equal(unlinkat(bed->dir, "web/notes", 0), 0);
	assert_int_equal(runtime_leftover_remove(&rt, "web"), 1);
	assert_false(is_there(bed->dir, "web"));
	assert_int_equal(runtime_leftover_remove(&rt, "web"), 0);
	free(rt.root);
}

/* As an older shim's record has it. */
static void a_shared_root_stays(void **state)
{
	struct bed *bed = *state;
	struct runtime rt = runtime_of(bed);

	rt.kind = RUNTIME_RUNSC;
	assert_int_equal(runtime_leftover_remove(&rt, "web"), 0);
	assert_true(is_there(bed->dir, "web"));
}

static void only_who_abbreviates_ids_has_one(void **state)
{
	struct runtime rt = { .kind = RUNTIME_CRUN };

	(void)state;
	rt.root = strdup("/r");
	assert_int_equal(runtime_own_root(&rt, "web"), 0);
	assert_string_equal(rt.root, "/r");
	free(rt.root);
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
		TEST(an_own_root_goes_with_its_lock),
		TEST(a_shared_root_stays),
		TEST(only_who_abbreviates_ids_has_one),
	};

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
