/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts with mapped ids, by the verb, on a tmpfs: who owns a file is asked through the mount.
 * Needs root, and a kernel whose tmpfs maps ids (6.3).
 */
#include "test/unit/mount_bed.h"

#include <sys/statvfs.h>

#define MAPS "uidmap=0:100000:1000;gidmap=0:200000:1000"

static void own(const char *path, uid_t uid, gid_t gid)
{
	write_file(path, "text");
	assert_int_equal(chown(path, uid, gid), 0);
}

static void assert_owner(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
}

static void mount_list(struct list *l, const char *forbidden)
{
	assert_ok(run_verb("mount", ROOTFS, l, forbidden));
	list_clear(l);
}

/* Nothing but the one mount shows while it is there. */
static void assert_one_mount_more(const char *before)
{
	_cleanup_free_ char *now = read_mounts();
	const char *extra = now + strlen(before);

	assert_memory_equal(now, before, strlen(before));
	assert_non_null(strstr(extra, " " ROOTFS " "));
	assert_ptr_equal(strchr(extra, '\n') + 1, now + strlen(now));
}

static void test_bind(void **state)
{
	struct list l = { .n = 0 };
	struct statvfs st;

	own(AREA "/a/of-root", 0, 0);
	own(AREA "/a/of-7", 7, 8);
	own(AREA "/a/of-nobody-here", 1000, 5000);
	list_add(&l, "bind", AREA "/a", NULL, "bind;ro;nosuid;" MAPS);
	mount_list(&l, NULL);
	assert_one_mount_more(*state);
	assert_owner(ROOTFS, 100000, 200000);
	assert_owner(ROOTFS "/of-root", 100000, 200000);
	assert_owner(ROOTFS "/of-7", 100007, 200008);
	assert_owner(ROOTFS "/of-nobody-here", 65534, 65534);
	assert_owner(AREA "/a/of-root", 0, 0);
	assert_int_equal(statvfs(ROOTFS, &st), 0);
	assert_int_equal(st.f_flag & (ST_RDONLY | ST_NOSUID), ST_RDONLY | ST_NOSUID);
	unmount_rootfs();
}

static void test_bind_that_is_written(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	list_add(&l, "bind", AREA "/a", NULL, "bind;" MAPS);
	mount_list(&l, NULL);
	assert_int_equal(chown(ROOTFS "/name", 100005, 200006), 0);
	assert_owner(AREA "/a/name", 5, 6);
	unmount_rootfs();
}

static void test_several_ranges(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	own(AREA "/a/0", 0, 0);
	own(AREA "/a/1", 1, 1);
	own(AREA "/a/9", 9, 9);
	list_add(&l, "bind", AREA "/a", NULL, "bind;uidmap=0:666:1,1:5000:5;gidmap=9:7:1");
	mount_list(&l, NULL);
	assert_owner(ROOTFS "/0", 666, 65534);
	assert_owner(ROOTFS "/1", 5000, 65534);
	assert_owner(ROOTFS "/9", 65534, 7);
	unmount_rootfs();
}

/* rbind takes what is mounted below along, mapped as well; bind leaves it. */
static void test_bind_of_a_tree(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	make_dir(AREA "/a/sub");
	assert_int_equal(mount("sub", AREA "/a/sub", "tmpfs", 0, NULL), 0);
	own(AREA "/a/sub/file", 3, 3);
	list_add(&l, "bind", AREA "/a", NULL, "rbind;" MAPS);
	mount_list(&l, NULL);
	assert_owner(ROOTFS "/sub/file", 100003, 200003);
	unmount_rootfs();
	list_add(&l, "bind", AREA "/a", NULL, "bind;" MAPS);
	mount_list(&l, NULL);
	assert_int_equal(access(ROOTFS "/sub/file", F_OK), -1);
	unmount_rootfs();
	assert_int_equal(umount2(AREA "/a/sub", 0), 0);
}

/* A source that propagates does not tell its peers of the copy. */
static void test_bind_of_a_shared_source(void **state)
{
	struct list l = { .n = 0 };

	assert_int_equal(mount("none", AREA, NULL, MS_SHARED, NULL), 0);
	free(*state);
	*state = read_mounts();
	list_add(&l, "bind", AREA "/a", NULL, "bind;" MAPS);
	mount_list(&l, NULL);
	assert_one_mount_more(*state);
	assert_owner(ROOTFS "/name", 100000, 200000);
	unmount_rootfs();
}

static void make_overlay_folders(void)
{
	make_dir(AREA "/upper");
	make_dir(AREA "/work");
}

#define UPPER "upperdir=" AREA "/upper;workdir=" AREA "/work;"

static void test_overlay(void **state)
{
	struct list l = { .n = 0 };

	make_overlay_folders();
	own(AREA "/a/of-7", 7, 7);
	own(AREA "/b/of-8", 8, 8);
	own(AREA "/upper/of-9", 9, 9);
	list_add(&l, "overlay", "overlay", NULL,
		UPPER "nosuid;lowerdir=" AREA "/a:" AREA "/b;" MAPS);
	mount_list(&l, NULL);
	assert_one_mount_more(*state);
	assert_file(ROOTFS "/name", "a");
	assert_owner(ROOTFS "/name", 100000, 200000);
	assert_owner(ROOTFS "/of-7", 100007, 200007);
	assert_owner(ROOTFS "/of-8", 100008, 200008);
	assert_owner(ROOTFS "/of-9", 9, 9); /* the upper folder has the container's ids already */
	assert_owner(AREA "/a/of-7", 7, 7);
	/* copied up with the ids that it shows */
	assert_int_equal(chmod(ROOTFS "/of-7", 0600), 0);
	assert_owner(AREA "/upper/of-7", 100007, 200007);
	unmount_rootfs();
}

static void run_layers(int n, int width, const char *more)
{
	_cleanup_free_ char *lower = make_layers(n, width, 1);
	struct list l = { .n = 0 };
	char path[200];

	make_overlay_folders();
	list_add(&l, "overlay", "overlay", NULL, more);
	assert_int_equal(argv_add(&l.v[0].options, lower), 0);
	mount_list(&l, NULL);
	assert_layers(n);
	for (int i = 0; i < n; i += n - 1) {
		snprintf(path, sizeof(path), ROOTFS "/file-%d", i);
		assert_owner(path, 100000, 200000);
	}
	unmount_rootfs();
}

static void test_overlay_of_a_hundred(void **state)
{
	(void)state;
	run_layers(100, 20, UPPER MAPS);
}

static void test_overlay_past_a_page(void **state)
{
	(void)state;
	if (kernel_is_before(6, 8))
		skip();
	run_layers(100, 120, UPPER MAPS);
}

/* As many as overlay takes, beside the descriptors that a process has by default. */
static void test_overlay_of_five_hundred(void **state)
{
	(void)state;
	run_layers(499, 3, UPPER MAPS);
}

static void test_any_other_type(void **state)
{
	struct list l = { .n = 0 };

	list_add(&l, "tmpfs", "tmpfs", NULL, "mode=755;size=1m;noexec;" MAPS);
	mount_list(&l, NULL);
	assert_one_mount_more(*state);
	assert_owner(ROOTFS, 100000, 200000);
	unmount_rootfs();
}

/* On top of another of the list, and one on top of it: each is where the next one looks for it. */
static void test_in_a_list(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	make_dir(AREA "/a/sub");
	list_add(&l, "bind", AREA "/a", NULL, "rbind");
	list_add(&l, "overlay", "overlay", "sub", "ro;lowerdir=" AREA "/a:" AREA "/b;" MAPS);
	list_add(&l, "bind", AREA "/b", "sub/sub", "bind");
	mount_list(&l, NULL);
	assert_owner(ROOTFS "/name", 0, 0);
	assert_owner(ROOTFS "/sub/name", 100000, 200000);
	assert_owner(ROOTFS "/sub/sub/name", 0, 0);
	unmount_rootfs();
}

/* --- failures: what is said, and that nothing stays (the teardown compares the mounts) --- */

static void refused(const char *type, const char *source, const char *options,
	const char *forbidden, int code, const char *sentence)
{
	struct list l = { .n = 0 };
	_cleanup_free_ char *want = NULL;

	list_add(&l, "bind", AREA "/b", NULL, "bind"); /* is undone */
	list_add(&l, type, source, NULL, options);
	if (asprintf(&want, "mount %s%s%s on " ROOTFS ": %s", type, *source == '/' ? " of " : "",
		    *source == '/' ? source : "", sentence) < 0)
		abort();
	assert_failed(run_verb("mount", ROOTFS, &l, forbidden), code, want);
	list_clear(&l);
}

static void test_what_cannot_be_mapped(void **state)
{
	(void)state;
	refused("bind", "/proc", "bind;" MAPS, NULL, CODE_FAILED_PRECONDITION,
		"its file system does not map ids on this kernel");
	refused("overlay", "overlay", "lowerdir=" AREA "/a:/proc:" AREA "/b;" MAPS, NULL,
		CODE_FAILED_PRECONDITION,
		"lowerdir /proc: its file system does not map ids on this kernel");
	refused("proc", "proc", MAPS, NULL, CODE_FAILED_PRECONDITION,
		"its file system does not map ids on this kernel");
	refused("bind", AREA "/a", "bind;" MAPS, "mount_setattr", CODE_FAILED_PRECONDITION,
		"this kernel does not map the ids of mounts: Linux 5.12 does");
}

static void test_what_is_mapped_already(void **state)
{
	struct list l = { .n = 0 };

	(void)state;
	list_add(&l, "bind", AREA "/a", NULL, "bind;" MAPS);
	mount_list(&l, NULL);
	list_add(&l, "bind", ROOTFS, NULL, "bind;" MAPS);
	assert_failed(run_verb("mount", AREA "/again", &l, NULL), CODE_PERMISSION_DENIED,
		"mount bind of " ROOTFS " on " AREA "/again: mapped ids: Operation not permitted");
	list_clear(&l);
	unmount_rootfs();
}

static void test_what_is_missing(void **state)
{
	(void)state;
	refused("bind", AREA "/none", "bind;" MAPS, NULL, CODE_NOT_FOUND,
		"No such file or directory");
	refused("overlay", "overlay", "lowerdir=" AREA "/a:" AREA "/none;" MAPS, NULL,
		CODE_NOT_FOUND, "lowerdir " AREA "/none: No such file or directory");
	refused("overlay", "overlay",
		"lowerdir=" AREA "/a:" AREA "/b,upperdir=" AREA "/no,workdir=" AREA "/b;" MAPS,
		NULL, CODE_NOT_FOUND, "upperdir " AREA "/no: No such file or directory");
	refused("overlay", "overlay", "ro;bogus=1;lowerdir=" AREA "/a:" AREA "/b;" MAPS, NULL,
		CODE_INVALID_ARGUMENT,
		"options \"bogus=1,lowerdir=" AREA "/a:" AREA "/b\": Invalid argument");
	refused("nosuchfs", "none", MAPS, NULL, CODE_INTERNAL, "No such device");
}

/* Overlay takes none, mapped or not. */
static void test_layers_in_each_other(void **state)
{
	(void)state;
	make_dir(AREA "/a/in");
	refused("overlay", "overlay", "lowerdir=" AREA "/a/in:" AREA "/a;" MAPS, NULL,
		CODE_INVALID_ARGUMENT,
		"options \"lowerdir=" AREA "/a/in:" AREA "/a\": Too many levels of symbolic links");
	refused("overlay", "overlay", "lowerdir=" AREA "/a:" AREA "/a/in;" MAPS, NULL,
		CODE_PERMISSION_DENIED,
		"lowerdir " AREA "/a/in: mapped ids: Operation not permitted");
}

static void test_ranges_that_overlap(void **state)
{
	(void)state;
	refused("bind", AREA "/a", "bind;uidmap=0:100:10,5:900:10;gidmap=0:1:1", NULL,
		CODE_INVALID_ARGUMENT, "uidmap: Invalid argument");
	refused("bind", AREA "/a", "bind;uidmap=0:1:1;gidmap=0:100:10,20:105:10", NULL,
		CODE_INVALID_ARGUMENT, "gidmap: Invalid argument");
}

/* What it takes is denied, at each step: we are where we were, and undo what was done there. */
static void test_what_is_denied(void **state)
{
	(void)state;
	refused("overlay", "overlay", "lowerdir=" AREA "/a:" AREA "/b;" MAPS, "setns",
		CODE_INTERNAL, "a mount namespace to prepare it in: Function not implemented");
	refused("overlay", "overlay", "lowerdir=" AREA "/a:" AREA "/b;" MAPS, "unshare",
		CODE_INTERNAL, "a user namespace to map ids with: Function not implemented");
}

/* --- from a chroot whose root is no mount: paths mean there what they mean there --- */

static void bind_into(const char *root, const char *path)
{
	char to[200];

	snprintf(to, sizeof(to), "%s%s", root, path);
	make_dir(to);
	assert_int_equal(mount(path, to, NULL, MS_BIND | MS_REC, NULL), 0);
}

/* Libraries, and /proc, through which the child finds its own program. */
static void make_jail(const char *root)
{
	static const char *const names[] = { "/bin", "/sbin", "/lib", "/lib64" };
	char link[200], to[200];

	make_dir(root);
	bind_into(root, "/usr");
	bind_into(root, "/proc");
	bind_into(root, "/dev");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(to, sizeof(to), "%s%s", root, names[i]);
		snprintf(link, sizeof(link), "usr%s", names[i]);
		if (symlink(link, to) < 0)
			fail_msg("%s: %s", to, strerror(errno));
	}
}

static void test_in_a_chroot(void **state)
{
	const char *jail = AREA "/jail";
	struct list l = { .n = 0 };

	(void)state;
	make_jail(jail);
	make_dir(AREA "/jail/l");
	make_dir(AREA "/jail/m");
	own(AREA "/jail/l/of-3", 3, 3);
	own(AREA "/jail/m/of-4", 4, 4);
	list_add(&l, "overlay", "overlay", NULL, "ro;lowerdir=/l:/m;" MAPS);
	assert_ok(run_verb("mount", "/rootfs", &l, jail));
	list_clear(&l);
	assert_owner(AREA "/jail/rootfs/of-3", 100003, 200003);
	assert_owner(AREA "/jail/rootfs/of-4", 100004, 200004);
	assert_ok(run_verb("unmount", "/rootfs", NULL, jail));
	assert_int_equal(umount2(AREA "/jail/usr", MNT_DETACH), 0);
	assert_int_equal(umount2(AREA "/jail/proc", MNT_DETACH), 0);
	assert_int_equal(umount2(AREA "/jail/dev", MNT_DETACH), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		test(test_bind),
		test(test_bind_that_is_written),
		test(test_several_ranges),
		test(test_bind_of_a_tree),
		test(test_bind_of_a_shared_source),
		test(test_overlay),
		test(test_overlay_of_a_hundred),
		test(test_overlay_past_a_page),
		test(test_overlay_of_five_hundred),
		test(test_any_other_type),
		test(test_in_a_list),
		test(test_what_cannot_be_mapped),
		test(test_what_is_mapped_already),
		test(test_what_is_missing),
		test(test_layers_in_each_other),
		test(test_ranges_that_overlap),
		test(test_what_is_denied),
		test(test_in_a_chroot),
	};

	if (argc == 1 && kernel_is_before(6, 3)) {
		printf("1..0 # SKIP tmpfs maps no ids before Linux 6.3\n");
		return 0;
	}
	if (argc == 1 && syscall(SYS_pidfd_open, getpid(), 0) < 0 && errno == ENOSYS) {
		printf("1..0 # SKIP no pidfd_open(2) here: an old valgrind\n");
		return 0;
	}
	return mount_bed_main(argc, argv, tests);
}
