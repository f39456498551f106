/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting a rootfs, in a mount namespace of the test's own with a tmpfs to work in. What mounts
 * runs in a forked child, as it does in the shim. Needs root.
 */
#include "test/unit/mount_bed.h"

#include <sys/mount.h>
#include <sys/statvfs.h>

/* --- mounting --- */

static void test_bind_and_back(void **state)
{
	struct list l = { .n = 0 };
	struct stat st;

	(void)state;
	list_add(&l, "bind", AREA "/a", NULL, "rbind;rw");
	umask(077); /* the folder's mode does not hang on ours */
	assert_ok(run_verb("mount", ROOTFS, &l, NULL));
	umask(022);
	assert_file(ROOTFS "/name", "a");
	unmount_rootfs();
	assert_int_equal(stat(ROOTFS, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	unmount_rootfs(); /* nothing there: fine */
	assert_int_equal(rmdir(ROOTFS), 0);
	unmount_rootfs(); /* not even the folder: fine */
	list_clear(&l);
}

static void test_read_only_bind_is_read_only(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	list_add(&l, "bind", AREA "/a", NULL, "bind;ro");
	assert_ok(run_verb("mount", ROOTFS, &l, NULL));
	assert_int_equal(open(ROOTFS "/new", O_WRONLY | O_CREAT, 0600), -1);
	assert_int_equal(errno, EROFS);
	unmount_rootfs();
	write_file(AREA "/a/new", "the source stays writable");
	list_clear(&l);
}

static unsigned long flags_of(const char *path)
{
	struct statvfs st;

	assert_int_equal(statvfs(path, &st), 0);
	return st.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);
}

static void test_bind_flags(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	make_dir(AREA "/strict");
	assert_int_equal(mount("strict", AREA "/strict", "tmpfs", MS_NOSUID | MS_NODEV, NULL), 0);
	list_add(&l, "bind", AREA "/strict", NULL, "bind;ro;noexec");
	list_add(&l, "bind", AREA "/strict", NULL, "bind;suid;nodev");
	assert_ok(run_verb("mount", ROOTFS, &l, NULL));
	assert_int_equal(flags_of(ROOTFS), ST_NODEV);
	assert_int_equal(umount2(ROOTFS, 0), 0);
	/* "ro" does not bring back what the source forbids */
	assert_int_equal(flags_of(ROOTFS), ST_RDONLY | ST_NOEXEC | ST_NOSUID | ST_NODEV);
	unmount_rootfs();
	assert_int_equal(umount2(AREA "/strict", 0), 0);
	list_clear(&l);
}

static void test_propagation(void **state)
{
	struct list l = { .n = 0 };
	_cleanup_free_ char *mounts = NULL;
	char *line;

	(void)state;
	list_add(&l, "bind", AREA "/a", NULL, "bind;shared");
	assert_ok(run_verb("mount", ROOTFS, &l, NULL));
	mounts = read_mounts();
	line = strstr(mounts, " " ROOTFS " ");
	assert_non_null(line);
	*strchr(line, '\n') = '\0';
	assert_non_null(strstr(line, "shared:"));
	unmount_rootfs();
	list_clear(&l);
}

static void test_overlay_of_three(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	make_dir(AREA "/upper");
	make_dir(AREA "/work");
	write_file(AREA "/b/only-b", "b");
	list_add(&l, "overlay", "overlay", NULL,
		"index=off;workdir=" AREA "/work;upperdir=" AREA "/upper;lowerdir=" AREA "/a:" AREA
		"/b");
	assert_ok(run_verb("mount", ROOTFS, &l, NULL));
	assert_file(ROOTFS "/name", "a");
	assert_file(ROOTFS "/only-b", "b");
	write_file(ROOTFS "/new", "new");
	unmount_rootfs();
	assert_file(AREA "/upper/new", "new");
	list_clear(&l);
}

static void run_overlay(const char *lower, int n_layers, const char *more)
{
	struct list l = { .n = 0 };

	make_dir(AREA "/upper");
	make_dir(AREA "/work");
	list_add(&l, "overlay", "overlay", NULL, more);
	assert_int_equal(argv_add(&l.v[0].options, lower), 0);
	assert_ok(run_verb("mount", ROOTFS, &l, NULL));
	assert_layers(n_layers);
	list_clear(&l);
}

/* Far past a page as absolute paths; well below it as relative ones. */
static void test_overlay_of_a_hundred(void **state)
{
	_cleanup_free_ char *lower = make_layers(100, 20, 1);

	(void)state;
	assert_true(strlen(lower) > 4096);
	run_overlay(lower, 100, "upperdir=" AREA "/upper;workdir=" AREA "/work");
	write_file(ROOTFS "/new", "new");
	assert_file(AREA "/upper/new", "new");
	unmount_rootfs();
}

/* Past a page whichever way they are named. */
static void test_overlay_past_a_page(void **state)
{
	_cleanup_free_ char *lower = NULL;

	(void)state;
	if (kernel_is_before(6, 8))
		skip();
	lower = make_layers(100, 120, 1);
	run_overlay(lower, 100, "upperdir=" AREA "/upper;workdir=" AREA "/work;nosuid;ro");
	assert_int_equal(flags_of(ROOTFS), ST_RDONLY | ST_NOSUID);
	unmount_rootfs();
}

/* Each path is longer than fsconfig(2) takes as a string. */
static void test_overlay_of_very_long_paths(void **state)
{
	_cleanup_free_ char *lower = NULL;

	(void)state;
	if (kernel_is_before(6, 13))
		skip();
	lower = make_layers(20, 200, 3);
	run_overlay(lower, 20, "upperdir=" AREA "/upper;workdir=" AREA "/work");
	write_file(ROOTFS "/new", "new");
	unmount_rootfs();
}

/* A kernel that is not old is made so; one that is shows how it says no. */
static void test_overlay_past_a_page_on_an_old_kernel(void **state)
{
	const char *forbidden = kernel_is_before(6, 8) ? NULL : "fsopen";
	_cleanup_free_ char *lower = make_layers(100, 120, 1);
	struct list l = { .n = 0 };
	struct outcome o;

	(void)state;
	list_add(&l, "overlay", "overlay", NULL, "ro");
	assert_int_equal(argv_add(&l.v[0].options, lower), 0);
	o = run_verb("mount", ROOTFS, &l, forbidden);
	assert_failed(o, CODE_RESOURCE_EXHAUSTED,
		"mount overlay on " ROOTFS ": 12108 bytes of options, and this kernel takes a page "
		"of them");
	list_clear(&l);
}

static void test_other_options_past_a_page(void **state)
{
	struct list l = { .n = 0 };
	char data[5001];

	(void)state;
	memset(data, 'x', sizeof(data) - 1);
	data[sizeof(data) - 1] = '\0';
	list_add(&l, "tmpfs", "tmpfs", NULL, data);
	assert_failed(run_verb("mount", ROOTFS, &l, NULL), CODE_INVALID_ARGUMENT,
		"mount tmpfs on " ROOTFS ": 5000 bytes of options are too many");
	list_clear(&l);
}

static void test_nested_mounts_go_innermost_first(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	make_dir(AREA "/a/in side");
	list_add(&l, "bind", AREA "/a", NULL, "rbind");
	list_add(&l, "tmpfs", "tmpfs", "in side", "size=1m");
	list_add(&l, "bind", AREA "/b", "/in side/", "bind");
	assert_ok(run_verb("mount", ROOTFS, &l, NULL));
	assert_file(ROOTFS "/in side/name", "b");
	/* and one on top of it all, which hides them */
	assert_int_equal(mount(AREA "/b", ROOTFS, "", MS_BIND, NULL), 0);
	unmount_rootfs();
	list_clear(&l);
}

static void test_busy_mount_is_detached_and_told(void **state)
{
	struct list l = { .n = 0 };
	struct outcome o;
	int fd;

	(void)state;
	list_add(&l, "tmpfs", "tmpfs", NULL, "");
	assert_ok(run_verb("mount", ROOTFS, &l, NULL));
	fd = open(ROOTFS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	o = run_verb("unmount", ROOTFS, NULL, NULL);
	close(fd);
	assert_ok(o);
	assert_int_equal(o.n_detached, 1);
	list_clear(&l);
}

/* --- failures --- */

static void test_failure_names_the_mount(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	list_add(&l, "nosuchfs", "none", NULL, "");
	assert_failed(run_verb("mount", ROOTFS, &l, NULL), CODE_INTERNAL,
		"mount nosuchfs on " ROOTFS ": No such device");
	list_clear(&l);
	list_add(&l, "bind", AREA "/missing", NULL, "bind");
	assert_failed(run_verb("mount", ROOTFS, &l, NULL), CODE_NOT_FOUND,
		"mount bind of " AREA "/missing on " ROOTFS ": No such file or directory");
	list_clear(&l);
	list_add(&l, "tmpfs", "tmpfs", "missing", "");
	assert_failed(run_verb("mount", ROOTFS, &l, NULL), CODE_NOT_FOUND,
		"mount tmpfs on " ROOTFS "/missing: target: No such file or directory");
	assert_failed(run_verb("mount", AREA "/no/rootfs", &l, NULL), CODE_NOT_FOUND,
		"rootfs " AREA "/no/rootfs: No such file or directory");
	assert_failed(run_verb("mount", "relative", &l, NULL), CODE_INVALID_ARGUMENT,
		"rootfs relative: Invalid argument");
	assert_failed(run_verb("unmount", "/", NULL, NULL), CODE_INVALID_ARGUMENT,
		"unmount /: Invalid argument");
	list_clear(&l);
	/* a folder that we made for nothing is gone again */
	assert_int_equal(access(ROOTFS, F_OK), -1);
}

/* What was there before stays, what the list put there goes, submounts of a bind too. */
static void test_failure_half_way_leaves_nothing(void **state)
{
	struct list l = { .n = 0 };

	make_dir(AREA "/a/sub");
	assert_int_equal(mount("sub", AREA "/a/sub", "tmpfs", 0, NULL), 0);
	make_dir(ROOTFS);
	assert_int_equal(mount("mine", ROOTFS, "tmpfs", 0, NULL), 0);
	write_file(ROOTFS "/mine", "mine");
	free(*state);
	*state = read_mounts();
	list_add(&l, "bind", AREA "/a", NULL, "rbind");
	list_add(&l, "tmpfs", "tmpfs", "sub", "");
	list_add(&l, "tmpfs", "tmpfs", "sub/not-there", "");
	for (int i = 0; i < 20; i++) {
		_cleanup_free_ char *after = NULL;

		assert_failed(run_verb("mount", ROOTFS, &l, NULL), CODE_NOT_FOUND,
			"mount tmpfs on " ROOTFS
			"/sub/not-there: target: No such file or directory");
		after = read_mounts();
		assert_string_equal(after, *state);
	}
	assert_file(ROOTFS "/mine", "mine");
	list_clear(&l);
}

static void test_refused_list_mounts_nothing(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	list_add(&l, "tmpfs", "tmpfs", NULL, "");
	list_add(&l, "ext4", "/image", NULL, "loop");
	assert_failed(run_verb("mount", ROOTFS, &l, NULL), CODE_INVALID_ARGUMENT,
		"mount ext4 of /image on " ROOTFS ": option \"loop\" is not supported");
	assert_int_equal(access(ROOTFS, F_OK), -1);
	list_clear(&l);
}

/* --- targets --- */

/* By whichever way a target tries to leave, what lies outside is not mounted on. */
static void try_escape(const char *target, const char *forbidden, int code)
{
	struct list l = { .n = 0 };
	struct outcome o;
	_cleanup_free_ char *mounts = NULL;

	list_add(&l, "bind", AREA "/a", NULL, "bind");
	list_add(&l, "tmpfs", "escaped", target, "");
	o = run_verb("mount", ROOTFS, &l, forbidden);
	mounts = read_mounts();
	assert_int_equal(o.code, code);
	assert_null(strstr(mounts, " " AREA "/outside "));
	if (code == CODE_OK)
		assert_non_null(strstr(mounts, " " ROOTFS "/outside "));
	unmount_rootfs();
	list_clear(&l);
}

static void test_targets_stay_inside(void **state)
{
	(void)state;
	make_dir(AREA "/outside");
	make_dir(AREA "/a/outside");
	assert_int_equal(symlink("/outside", AREA "/a/absolute"), 0);
	assert_int_equal(symlink("../outside", AREA "/a/dots"), 0);
	assert_int_equal(symlink(AREA "/outside", AREA "/a/far"), 0);
	try_escape("../outside", NULL, CODE_OK);
	try_escape("/../../outside", NULL, CODE_OK);
	try_escape("absolute", NULL, CODE_OK);
	try_escape("dots", NULL, CODE_OK);
	try_escape("far", NULL, CODE_NOT_FOUND);
	try_escape("../outside", "openat2", CODE_INVALID_ARGUMENT);
	try_escape("absolute", "openat2", CODE_INVALID_ARGUMENT);
	try_escape("dots/x", "openat2", CODE_INVALID_ARGUMENT);
	try_escape("./outside//", "openat2", CODE_OK);
}

static void test_rootfs_that_is_a_link_is_refused(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	assert_int_equal(symlink("a", ROOTFS), 0);
	list_add(&l, "tmpfs", "tmpfs", NULL, "");
	assert_failed(run_verb("mount", ROOTFS, &l, NULL), CODE_INVALID_ARGUMENT,
		"mount tmpfs on " ROOTFS ": target: Not a directory");
	list_clear(&l);
}

/* The way to the rootfs may have links: what is mounted is found again by its real name. */
static void test_rootfs_behind_a_link(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	assert_int_equal(symlink("b", AREA "/link"), 0);
	list_add(&l, "tmpfs", "tmpfs", NULL, "");
	assert_ok(run_verb("mount", AREA "/link/rootfs/", &l, NULL));
	assert_ok(run_verb("unmount", AREA "/link/rootfs", NULL, NULL));
	list_clear(&l);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest mounting[] = {
		test(test_bind_and_back),
		test(test_read_only_bind_is_read_only),
		test(test_bind_flags),
		test(test_propagation),
		test(test_overlay_of_three),
		test(test_overlay_of_a_hundred),
		test(test_overlay_past_a_page),
		test(test_overlay_of_very_long_paths),
		test(test_overlay_past_a_page_on_an_old_kernel),
		test(test_other_options_past_a_page),
		test(test_nested_mounts_go_innermost_first),
		test(test_busy_mount_is_detached_and_told),
		test(test_failure_names_the_mount),
		test(test_failure_half_way_leaves_nothing),
		test(test_refused_list_mounts_nothing),
		test(test_targets_stay_inside),
		test(test_rootfs_that_is_a_link_is_refused),
		test(test_rootfs_behind_a_link),
	};

	return mount_bed_main(argc, argv, mounting);
}
