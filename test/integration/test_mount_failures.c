/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rootfs lists that cannot be mounted, by Create over a real shim: each is told by a sentence that
 * names what is wrong, and leaves nothing: no mount (of the whole table), file, process, descriptor or
 * event, and a shim that answers as before and makes a good container after all of them.
 * In a mount namespace of the program's own, which its shims share; needs root.
 * deadline: 300
 */
#include "test/integration/bed_mounts.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/limits.h"

#define MAX_LIST 4
#define N(a)	 (sizeof(a) / sizeof(*(a)))
#define NOENT	 "No such file or directory"
#define LOWER                                                                                      \
	{                                                                                          \
		"bind", "$D/lower", NULL, "rbind"                                                  \
	}
#define MAPS ";uidmap=0:100000:65536;gidmap=0:100000:65536"

struct failing {
	struct bed_mount list[MAX_LIST]; /* up to the first without a type */
	int code;
	const char *sentence; /* its beginning */
};

static const struct failing cases[] = {
	/* types and sources */
	{ { { "nosuchfs", "none" } }, CODE_INTERNAL, "mount nosuchfs on $R: No such device" },
	{ { { "fuse3.sshfs", "x" } }, CODE_INVALID_ARGUMENT,
		"mount fuse3.sshfs on $R: type \"fuse3.sshfs\" is not supported" },
	{ { { "bind", "$D/none", NULL, "rbind" } }, CODE_NOT_FOUND,
		"mount bind of $D/none on $R: " NOENT },
	{ { { "bind", "lower", NULL, "rbind" } }, CODE_INVALID_ARGUMENT,
		"mount bind on $R: the source of a bind must be an absolute path" },
	{ { { "bind", "$D/loop", NULL, "bind" } }, CODE_INVALID_ARGUMENT,
		"mount bind of $D/loop on $R: Too many levels of symbolic links" },
	{ { { "bind", "$D/file", NULL, "bind" } }, CODE_INVALID_ARGUMENT,
		"mount bind of $D/file on $R: Not a directory" },
	{ { { "ext4", "$D/none" } }, CODE_NOT_FOUND, "mount ext4 of $D/none on $R: " NOENT },
	{ { { "ext4", "$D/file" } }, CODE_INTERNAL,
		"mount ext4 of $D/file on $R: Block device required" },
	/* options */
	{ { { "tmpfs", "tmpfs", NULL, "bogus=1" } }, CODE_INVALID_ARGUMENT,
		"mount tmpfs on $R: options \"bogus=1\": Invalid argument" },
	{ { { "tmpfs", "tmpfs", NULL, "nosuid;size=much" } }, CODE_INVALID_ARGUMENT,
		"mount tmpfs on $R: options \"size=much\": Invalid argument" },
	{ { { "bind", "$D/lower", NULL, "rbind;loop" } }, CODE_INVALID_ARGUMENT,
		"mount bind of $D/lower on $R: option \"loop\" is not supported" },
	{ { { "ext4", "$D/file", NULL, "X-containerd.mkfs.size=9" } }, CODE_INVALID_ARGUMENT,
		"mount ext4 of $D/file on $R: option \"X-containerd.mkfs.size=9\" is not supported" },
	{ { { "bind", "$D/lower", NULL,
		  "bind;private;shared;private;shared;private;shared;private;shared;private" } },
		CODE_INVALID_ARGUMENT,
		"mount bind of $D/lower on $R: too many options of propagation" },
	{ { { "", "none", NULL, "remount;ro" } }, CODE_INVALID_ARGUMENT,
		"mount on $R: Invalid argument" },
	/* overlay */
	{ { { "overlay", "overlay", NULL, "lowerdir=$D/lower:$D/none" } }, CODE_NOT_FOUND,
		"mount overlay on $R: lowerdir $D/none: " NOENT },
	{ { { "overlay", "overlay", NULL, "lowerdir=$D/file:$D/lower" } }, CODE_INVALID_ARGUMENT,
		"mount overlay on $R: lowerdir $D/file: Not a directory" },
	{ { { "overlay", "overlay", NULL, "lowerdir=$D/lower;upperdir=$D/none;workdir=$D/w" } },
		CODE_NOT_FOUND, "mount overlay on $R: upperdir $D/none: " NOENT },
	{ { { "overlay", "overlay", NULL, "lowerdir=$D/lower;upperdir=$D/u;workdir=$D/none" } },
		CODE_NOT_FOUND, "mount overlay on $R: workdir $D/none: " NOENT },
	{ { { "overlay", "overlay", NULL, "lowerdir=$D/lower;upperdir=$D/u;workdir=$D/other" } },
		CODE_INVALID_ARGUMENT,
		"mount overlay on $R: upperdir $D/u and workdir $D/other are not on one mount" },
	{ { { "overlay", "overlay", NULL, "lowerdir=$D/lower;upperdir=$D/ro/u;workdir=$D/ro/w" } },
		CODE_INTERNAL, "mount overlay on $R: upperdir $D/ro/u: Read-only file system" },
	{ { { "overlay", "overlay", NULL, "lowerdir=$D/lower;bogus" } }, CODE_INVALID_ARGUMENT,
		"mount overlay on $R: options \"lowerdir=$D/lower,bogus\": Invalid argument" },
	{ { { "overlay", "overlay" } }, CODE_INVALID_ARGUMENT, "mount overlay on $R: Invalid arg" },
	/* half-way */
	{ { LOWER, { "bind", "$D/none", "tmp", "bind" } }, CODE_NOT_FOUND,
		"mount bind of $D/none on $R/tmp: " NOENT },
	{ { LOWER, { "tmpfs", "tmpfs", "tmp" }, { "tmpfs", "tmpfs", "dev", "bogus" } },
		CODE_INVALID_ARGUMENT, "mount tmpfs on $R/dev: options \"bogus\": " },
	{ { { "overlay", "overlay", NULL, "lowerdir=$D/lower;upperdir=$D/u;workdir=$D/w" },
		  { "bind", "$D/lower", "tmp", "rbind" }, { "tmpfs", "tmpfs", "tmp/tmp" },
		  { "nosuchfs", "none", "tmp/dev" } },
		CODE_INTERNAL, "mount nosuchfs on $R/tmp/dev: No such device" },
	{ { { "bind", "$D/shared", NULL, "rbind" }, { "tmpfs", "tmpfs", "in" },
		  { "tmpfs", "tmpfs", "in/none" } },
		CODE_NOT_FOUND, "mount tmpfs on $R/in/none: target: " NOENT },
	/* targets */
	{ { LOWER, { "tmpfs", "tmpfs", "../../outside" } }, CODE_NOT_FOUND,
		"mount tmpfs on $R/../../outside: target: " NOENT },
	{ { LOWER, { "tmpfs", "tmpfs", "way-out" } }, CODE_NOT_FOUND,
		"mount tmpfs on $R/way-out: target: " NOENT },
	{ { LOWER, { "tmpfs", "tmpfs", "round" } }, CODE_INVALID_ARGUMENT,
		"mount tmpfs on $R/round: target: Too many levels of symbolic links" },
	{ { LOWER, { "tmpfs", "tmpfs", "bin/tool" } }, CODE_INVALID_ARGUMENT,
		"mount tmpfs on $R/bin/tool: Not a directory" },
	{ { LOWER, { "tmpfs", "tmpfs", "bin/tool/x" } }, CODE_INVALID_ARGUMENT,
		"mount tmpfs on $R/bin/tool/x: target: Not a directory" },
	{ { { "tmpfs", "tmpfs", "rather/deep" } }, CODE_NOT_FOUND,
		"mount tmpfs on $R/rather/deep: target: " NOENT },
	/* mapped ids */
	{ { { "bind", "$D/lower", NULL, "rbind;uidmap=0:1:1" } }, CODE_INVALID_ARGUMENT,
		"mount bind of $D/lower on $R: option \"uidmap\" does not go without \"gidmap\"" },
	{ { { "bind", "$D/lower", NULL, "rbind;uidmap=0:x:1;gidmap=0:1:1" } },
		CODE_INVALID_ARGUMENT,
		"mount bind of $D/lower on $R: option \"uidmap=0:x:1\" is no mapping of ids" },
	{ { { "bind", "$D/lower", NULL, "rbind;uidmap=0:9:5,3:20:5;gidmap=0:1:1" } },
		CODE_INVALID_ARGUMENT, "mount bind of $D/lower on $R: uidmap: Invalid argument" },
	{ { LOWER, { "bind", "/proc", "proc", "bind" MAPS } }, CODE_FAILED_PRECONDITION,
		"mount bind of /proc on $R/proc: its file system does not map ids on this kernel" },
	{ { { "overlay", "overlay", NULL, "lowerdir=$D/lower:/proc" MAPS } },
		CODE_FAILED_PRECONDITION,
		"mount overlay on $R: lowerdir /proc: its file system does not map ids" },
	{ { { "overlay", "overlay", NULL, "lowerdir=$D/lower:$D/none" MAPS } }, CODE_NOT_FOUND,
		"mount overlay on $R: lowerdir $D/none: " NOENT },
	{ { { "overlay", "overlay", NULL,
		  "lowerdir=$D/lower;upperdir=$D/u;workdir=$D/other" MAPS } },
		CODE_INVALID_ARGUMENT,
		"mount overlay on $R: upperdir $D/u and workdir $D/other are not on one mount" },
	{ { LOWER, { "overlay", "overlay", "tmp", "lowerdir=$D/lower:$D/u" MAPS },
		  { "nosuchfs", "none", "tmp/dev" } },
		CODE_INTERNAL, "mount nosuchfs on $R/tmp/dev: No such device" },
};

/* --- the folders that the cases are about --- */

static void make_link(const struct bed *bed, const char *to, const char *at)
{
	_cleanup_free_ char *target = bed_place(bed, to), *path = bed_place(bed, at);

	assert_int_equal(symlink(target, path), 0);
}

static void mount_at(const struct bed *bed, const char *at, unsigned long flags)
{
	_cleanup_free_ char *path = bed_place(bed, at);

	assert_int_equal(mount("tmpfs", path, "tmpfs", flags, NULL), 0);
}

static void unmount_at(const struct bed *bed, const char *at)
{
	_cleanup_free_ char *path = bed_place(bed, at);

	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static int setup_folders(void **state)
{
	static const char *const folders[] = { "u", "w", "other", "ro", "outside", "shared" };
	struct bed *bed = *state;
	_cleanup_free_ char *ro = bed_place(bed, "$D/ro"), *shared = bed_place(bed, "$D/shared");

	bed_take_rootfs(bed);
	for (size_t i = 0; i < N(folders); i++)
		bed_put_folder(bed, folders[i]);
	bed_put_file(bed, "file", "no file system", 0);
	make_link(bed, "loop", "$D/loop");
	make_link(bed, "round", "$D/lower/round");
	make_link(bed, "$D/outside", "$D/lower/way-out");
	mount_at(bed, "$D/other", 0);
	mount_at(bed, "$D/ro", 0);
	bed_put_folder(bed, "ro/u");
	bed_put_folder(bed, "ro/w");
	assert_int_equal(mount("none", ro, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	/* what is mounted on a copy of it shows in it as well, and has to go there, too */
	mount_at(bed, "$D/shared", 0);
	bed_put_folder(bed, "shared/in");
	assert_int_equal(mount("none", shared, NULL, MS_SHARED, NULL), 0);
	return 0;
}

static int setup_fake(void **state)
{
	return bed_setup_fake(state) || setup_folders(state);
}

static int setup_runc(void **state)
{
	return bed_setup_runc(state) || setup_folders(state);
}

static int teardown(void **state)
{
	const struct bed *bed = *state;

	unmount_at(bed, "$D/other");
	unmount_at(bed, "$D/ro");
	unmount_at(bed, "$D/shared");
	return bed_teardown(state);
}

/* --- failing --- */

static void assert_no_task(struct bed *bed)
{
	Containerd__Task__V2__StateRequest r = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;

	r.id = bed->id;
	bed_refused_like(bed, TASK, "State", &r, &containerd__task__v2__state_response__descriptor,
		CODE_NOT_FOUND, "");
	bed_assert_alive(bed);
}

static void create_fails(struct bed *bed, const struct bed_mount *list, size_t n, int code,
	const char *sentence, const char *before)
{
	_cleanup_free_ char *want = bed_place(bed, sentence);
	_cleanup_error_ struct error err = ERROR_INIT;
	int r = bed_create_on(bed, list, n, NULL, &err);

	if (r != code || strncmp(error_message(&err), want, strlen(want)) != 0)
		fail_msg("%s \"%s\"\n  instead of %s \"%s\"", code_name(r), error_message(&err),
			code_name(code), want);
	assert_no_task(bed);
	bed_assert_surroundings(bed, before, want);
}

static void each_case(struct bed *bed)
{
	_cleanup_free_ char *before = bed_surroundings(bed);

	for (size_t i = 0; i < N(cases); i++) {
		size_t n = 0;

		while (n < MAX_LIST && cases[i].list[n].type)
			n++;
		create_fails(bed, cases[i].list, n, cases[i].code, cases[i].sentence, before);
	}
}

/* The list that works after all of those that do not. */
static void one_that_works(struct bed *bed)
{
	static const struct bed_mount good[] = {
		{ "overlay", "overlay", NULL, "lowerdir=$D/lower;upperdir=$D/u;workdir=$D/w" },
		{ "tmpfs", "tmpfs", "tmp", "nosuid" },
	};

	bed_created_on(bed, good, N(good));
	bed_start(bed, "");
	bed_finish(bed);
}

static void test_lists(void **state)
{
	struct bed *bed = *state;

	each_case(bed);
	one_that_works(bed);
}

/* The same where the folder was there before: it stays, with what is in it. */
static void test_lists_on_a_folder_that_is_there(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *rootfs = bed_place(bed, "$R"), *file = bed_place(bed, "$R/mine");

	assert_int_equal(mkdir(rootfs, 0700), 0);
	bed_put_file(bed, "bundle/rootfs/mine", "mine", 0);
	each_case(bed);
	one_that_works(bed);
	assert_int_equal(access(file, F_OK), 0);
}

/* --- what needs a preparation of its own --- */

static void test_rootfs_that_cannot_be_made(void **state)
{
	static const struct bed_mount lower[] = { LOWER };
	struct bed *bed = *state;
	_cleanup_free_ char *rootfs = bed_place(bed, "$R"), *before = NULL;

	assert_int_equal(mount(bed->bundle, bed->bundle, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, bed->bundle, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	before = bed_surroundings(bed);
	create_fails(bed, lower, 1, CODE_INTERNAL, "rootfs $R: Read-only file system", before);
	assert_int_equal(umount2(bed->bundle, 0), 0);
	free(before);

	assert_int_equal(symlink("../outside", rootfs), 0);
	before = bed_surroundings(bed);
	create_fails(bed, lower, 1, CODE_INVALID_ARGUMENT,
		"mount bind of $D/lower on $R: target: Not a directory", before);
	assert_int_equal(unlink(rootfs), 0);
	free(before);

	bed_put_file(bed, "bundle/rootfs", "", 0);
	before = bed_surroundings(bed);
	create_fails(bed, lower, 1, CODE_INVALID_ARGUMENT,
		"mount bind of $D/lower on $R: target: Not a directory", before);
	assert_int_equal(unlink(rootfs), 0);
	one_that_works(bed);
}

static void test_long_options(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *before = bed_surroundings(bed);
	_cleanup_free_ char *option = bed_format("%05000d", 7);
	_cleanup_free_ char *path = bed_format("lowerdir=$D/lower:/%05000d", 7);
	_cleanup_free_ char *maps = bed_format("bind;uidmap=%05000d:1:1;gidmap=0:1:1", 7);
	const struct bed_mount tmpfs = { "tmpfs", "tmpfs", NULL, option };
	const struct bed_mount overlay = { "overlay", "overlay", NULL, path };
	const struct bed_mount mapped = { "bind", "$D/none", NULL, maps };

	create_fails(bed, &tmpfs, 1, CODE_INVALID_ARGUMENT,
		"mount tmpfs on $R: 5000 bytes of options are too many", before);
	if (bed_kernel_is_before(6, 8))
		create_fails(bed, &overlay, 1, CODE_RESOURCE_EXHAUSTED, "mount overlay on $R: 50",
			before);
	else
		create_fails(bed, &overlay, 1, CODE_INVALID_ARGUMENT,
			"mount overlay on $R: lowerdir /0000000", before);
	create_fails(
		bed, &mapped, 1, CODE_NOT_FOUND, "mount bind of $D/none on $R: " NOENT, before);
}

/* An overlay of $D/lower and n folders of their own below it. The caller frees. */
static char *layers_option(const struct bed *bed, size_t n)
{
	char *option = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&option, &size);

	fputs("lowerdir=$D/lower", f);
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *path = bed_format("%s/m/%zu", bed->dir, i);

		if (mkdir(path, 0755) < 0)
			assert_int_equal(errno, EEXIST);
		fprintf(f, ":%s", path);
	}
	fclose(f);
	return option;
}

/* Overlay takes 500: at that, one above, and far above, where the options are past a page as well. */
static void test_too_many_layers(void **state)
{
	/* before Linux 6.8 the page is all there is */
	const size_t above[] = { 501, bed_kernel_is_before(6, 8) ? 501 : 1500 };
	struct bed *bed = *state;
	_cleanup_free_ char *before = NULL, *option = NULL;
	struct bed_mount overlay = { "overlay", "overlay", NULL, NULL };

	bed_put_folder(bed, "m");
	before = bed_surroundings(bed);
	for (size_t i = 0; i < N(above); i++) {
		_cleanup_free_ char *too_many = layers_option(bed, above[i] - 1);

		overlay.options = too_many;
		create_fails(bed, &overlay, 1, CODE_INVALID_ARGUMENT,
			"mount overlay on $R: options \"lowerdir=$D/lower:$D/m/0:", before);
	}
	overlay.options = option = layers_option(bed, 499);
	bed_created_on(bed, &overlay, 1);
	bed_start(bed, "");
	bed_finish(bed);
}

/* At the limit, one above, and far above it: with the limit's own sentence only past it. */
static void test_too_many_mounts(void **state)
{
	static const size_t above[] = { LIMIT_MOUNTS + 1, 1000, 50000 };
	struct bed *bed = *state;
	_cleanup_free_ char *before = bed_surroundings(bed);
	struct bed_mount *list = calloc(50000, sizeof(*list));

	for (size_t i = 0; i < 50000; i++)
		list[i] = (struct bed_mount){ "bind", "$D/lower", NULL, "bind" };
	for (size_t i = 0; i < N(above); i++) {
		_cleanup_free_ char *sentence = bed_format("container %s: %zu mounts for its "
							   "rootfs, and %u is the limit",
			bed->id, above[i], LIMIT_MOUNTS);

		create_fails(bed, list, above[i], CODE_RESOURCE_EXHAUSTED, sentence, before);
	}
	list[LIMIT_MOUNTS - 1].source = "$D/none";
	create_fails(bed, list, LIMIT_MOUNTS, CODE_NOT_FOUND, "mount bind of $D/none on $R: " NOENT,
		before);
	list[LIMIT_MOUNTS - 1].source = "$D/lower";
	bed_created_on(bed, list, LIMIT_MOUNTS);
	bed_start(bed, "");
	bed_finish(bed);
	free(list);
}

/* A shim whose only Create failed tells of no event, and ends when it is told to. */
static void test_state_after_a_failure(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *before = bed_surroundings(bed);
	uint32_t events;

	create_fails(bed, cases[0].list, 1, cases[0].code, cases[0].sentence, before);
	events = bed_subscribe(bed, 0);
	bed_expect_quiet(bed, events);
	/* the teardown's Shutdown ends it, and looks for what is left */
}

int main(void)
{
#define BOTH(name)                                                                                 \
	{ #name " (scripted)", name, setup_fake, teardown, NULL },                                 \
	{                                                                                          \
#name " (runc)", name, setup_runc, teardown, NULL                                  \
	}
	static const struct CMUnitTest tests[] = {
		BOTH(test_lists),
		BOTH(test_lists_on_a_folder_that_is_there),
		BOTH(test_rootfs_that_cannot_be_made),
		BOTH(test_long_options),
		BOTH(test_too_many_layers),
		BOTH(test_too_many_mounts),
		BOTH(test_state_after_a_failure),
	};

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		perror("a mount namespace of our own");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
