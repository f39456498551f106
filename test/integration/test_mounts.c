/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rootfs lists that are mounted, seen from inside a real container and from outside, and gone with it:
 * overlays of many layers, mapped ids, read-only, mounts in each other. Needs root.
 * deadline: 300
 */
#include "test/integration/bed_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/file.h"

#define N(a) (sizeof(a) / sizeof(*(a)))
#define MAPS ";uidmap=0:100000:65536;gidmap=0:100000:65536"

static int setup_runc(void **state)
{
	int r = bed_setup_runc(state);
	struct bed *bed = *state;

	bed_take_rootfs(bed);
	bed_put_folder(bed, "u");
	bed_put_folder(bed, "w");
	return r;
}

/* What the init has printed. The caller frees. */
static char *output(const struct bed *bed)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(fd_read_file(AT_FDCWD, bed->out + strlen("file://"), &b, 1u << 20), 0);
	return bed_format("%.*s", (int)b.len, (const char *)buf_head(&b));
}

/* Nothing is mounted any more, and the folder that was made for it is gone. */
static void assert_rootfs_is_gone(const struct bed *bed)
{
	_cleanup_free_ char *rootfs = bed_place(bed, "$R");
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(access(rootfs, F_OK), -1);
	assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &b, 16u << 20), 0);
	assert_null(memmem(buf_head(&b), b.len, bed->dir, strlen(bed->dir)));
}

/* Of the created container: started, it must print that and end with 0; then it is deleted. */
static void assert_prints(struct bed *bed, const char *text)
{
	_cleanup_free_ char *printed = NULL;
	uint32_t status;

	bed_start(bed, "");
	status = bed_wait(bed, "");
	bed_delete(bed, "");
	printed = output(bed);
	assert_string_equal(printed, text);
	assert_int_equal(status, 0);
	assert_rootfs_is_gone(bed);
}

static void assert_owner(const struct bed *bed, const char *at, unsigned owner)
{
	_cleanup_free_ char *path = bed_place(bed, at);
	struct stat st;

	if (lstat(path, &st) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(st.st_uid, owner);
	assert_int_equal(st.st_gid, owner);
}

/*
 * n layers in folders with names of that width, the bundle's rootfs below them all, and an upper
 * folder. Layer N, from the uppermost on, has a file /N and its own /which; the lowest has /lowest.
 */
static char *make_layers(const struct bed *bed, int n, int width, const char *more)
{
	char *options = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&options, &size);

	bed_put_folder(bed, "l");
	bed_put_file(bed, "lower/lowest", "lowest\n", 0);
	fputs("upperdir=$D/u;workdir=$D/w;lowerdir=", f);
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *name = bed_format("l/%0*d", width, i);
		_cleanup_free_ char *file = bed_format("%s/%d", name, i);
		_cleanup_free_ char *which = bed_format("%s/which", name);
		_cleanup_free_ char *text = bed_format("layer %d\n", i);

		bed_put_folder(bed, name);
		bed_put_file(bed, file, text, 0);
		bed_put_file(bed, which, text, 0);
		fprintf(f, "$D/%s:", name);
	}
	fprintf(f, "$D/lower%s", more);
	fclose(f);
	return options;
}

/* --- many layers --- */

#define SEES                                                                                       \
	"[\"/bin/tool\",\"chain\",\"touch\",\"/new\",\"--\",\"file\",\"/0\",\"/99\",\"/which\","   \
	"\"/lowest\",\"/new\"]"

static void run_a_hundred(struct bed *bed, int width)
{
	_cleanup_free_ char *options = make_layers(bed, 100, width, "");
	const struct bed_mount overlay = { "overlay", "overlay", NULL, options };

	bed_config(bed, SEES, false);
	bed_created_on(bed, &overlay, 1);
	assert_prints(bed, "0 0 layer 0\n0 0 layer 99\n0 0 layer 0\n0 0 lowest\n0 0 \n");
	assert_owner(bed, "$D/u/new", 0);
}

/* Past a page as they are given, within it relative to the folder that they have in common. */
static void test_a_hundred_layers(void **state)
{
	run_a_hundred(*state, 33);
}

/* Past a page whichever way they are named. */
static void test_a_hundred_layers_of_long_names(void **state)
{
	if (bed_kernel_is_before(6, 8)) {
		print_message("# skip overlay takes its layers one by one from Linux 6.8 on\n");
		skip();
	}
	run_a_hundred(*state, 120);
}

/* --- mapped ids --- */

/* config.json with a user namespace in which 100000 and so on are 0 and so on. */
static void config_mapped(struct bed *bed, const char *args)
{
	static const char network[] = "{\"type\":\"network\"}]";
	static const char maps[] = "{\"type\":\"network\"},{\"type\":\"user\"}],"
				   "\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,"
				   "\"size\":65536}],\"gidMappings\":[{\"containerID\":0,"
				   "\"hostID\":100000,\"size\":65536}]";
	_cleanup_free_ char *path = bed_format("%s/config.json", bed->bundle), *text = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *at;

	bed_config(bed, args, false);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &b, 1u << 20), 0);
	assert_int_equal(buf_append(&b, "", 1), 0);
	at = strstr((const char *)buf_head(&b), network);
	assert_non_null(at);
	text = bed_format("%.*s%s%s", (int)(at - (const char *)buf_head(&b)),
		(const char *)buf_head(&b), maps, at + strlen(network));
	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644), 0);
	/* its root is nobody out here, and has to find its way */
	assert_int_equal(chmod(bed->dir, 0711), 0);
}

static void own(const struct bed *bed, const char *at, unsigned owner)
{
	_cleanup_free_ char *path = bed_place(bed, at);

	assert_int_equal(chown(path, owner, owner), 0);
}

static void lacks_user_namespaces(const struct bed *bed)
{
	bed_lacks(bed, "runsc", "shows the files of its sandbox by ids of its own");
}

static void test_mapped_layers(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *options = make_layers(bed, 100, 33, MAPS);
	const struct bed_mount overlay = { "overlay", "overlay", NULL, options };

	lacks_user_namespaces(bed);
	own(bed, "$D/lower/lowest", 7);
	own(bed, "$D/u", 100000); /* as the snapshotter has it */
	config_mapped(bed, SEES);
	bed_created_on(bed, &overlay, 1);
	assert_owner(bed, "$R/0", 100000);
	assert_owner(bed, "$R/99", 100000);
	assert_owner(bed, "$R/lowest", 100007);
	assert_owner(bed, "$D/lower/lowest", 7);
	assert_prints(bed, "0 0 layer 0\n0 0 layer 99\n0 0 layer 0\n7 7 lowest\n0 0 \n");
	assert_owner(bed, "$D/u/new", 100000);
}

static void test_mapped_bind(void **state)
{
	static const struct bed_mount list[] = { { "bind", "$D/lower", NULL, "rbind;rw" MAPS } };
	struct bed *bed = *state;

	lacks_user_namespaces(bed);
	bed_put_file(bed, "lower/mine", "mine\n", 12);
	config_mapped(
		bed, "[\"/bin/tool\",\"chain\",\"touch\",\"/new\",\"--\",\"file\",\"/mine\"]");
	bed_created_on(bed, list, N(list));
	assert_owner(bed, "$R/mine", 100012);
	assert_owner(bed, "$R/bin/tool", 100000);
	assert_prints(bed, "12 12 mine\n");
	assert_owner(bed, "$D/lower/new", 0);
}

/* The runtime fails on a rootfs that was mounted well: that goes, too. */
static void test_a_create_that_fails_later(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *options = make_layers(bed, 3, 1, MAPS);
	const struct bed_mount overlay = { "overlay", "overlay", NULL, options };
	_cleanup_error_ struct error err = ERROR_INIT;

	bed_lacks(bed, "runsc", "looks for the program at start, not at create");
	own(bed, "$D/u", 100000);
	config_mapped(bed, "[\"/bin/nope\"]");
	assert_int_equal(bed_create_on(bed, &overlay, 1, NULL, &err), CODE_UNKNOWN);
	assert_non_null(strstr(error_message(&err), "OCI runtime create failed: "));
	assert_rootfs_is_gone(bed);
	assert_int_equal(
		unlink(bed->out + strlen("file://")), 0); /* some runtimes print there, too */
	config_mapped(bed, "[\"/bin/tool\",\"file\",\"/which\"]");
	bed_created_on(bed, &overlay, 1);
	assert_prints(bed, "0 0 layer 0\n");
}

/* --- read-only --- */

static void assert_read_only(struct bed *bed, const struct bed_mount *list, size_t n)
{
	_cleanup_free_ char *rootfs = bed_place(bed, "$R");
	struct statvfs st;
	_cleanup_free_ char *printed = NULL;
	uint32_t status;

	bed_config(bed, "[\"/bin/tool\",\"touch\",\"/new\"]", false);
	bed_created_on(bed, list, n);
	assert_int_equal(statvfs(rootfs, &st), 0);
	assert_true(st.f_flag & ST_RDONLY);
	bed_start(bed, "");
	status = bed_wait(bed, "");
	bed_delete(bed, "");
	printed = output(bed);
	assert_non_null(strstr(printed, "/new: Read-only file system"));
	assert_int_not_equal(status, 0);
	assert_rootfs_is_gone(bed);
}

static void test_read_only_bind(void **state)
{
	static const struct bed_mount list[] = { { "bind", "$D/lower", NULL, "rbind;ro" } };
	struct bed *bed = *state;
	_cleanup_free_ char *file = bed_place(bed, "$D/lower/new");

	bed_lacks(bed, "crun", "makes a root writable that config.json does not call read-only");
	assert_read_only(bed, list, N(list));
	assert_int_equal(access(file, F_OK), -1);
}

static void test_read_only_overlay(void **state)
{
	static const struct bed_mount list[] = { { "overlay", "overlay", NULL,
		"lowerdir=$D/u:$D/lower" } };

	assert_read_only(*state, list, N(list));
}

/* --- in each other --- */

static void test_mounts_in_each_other(void **state)
{
	static const struct bed_mount list[] = {
		{ "overlay", "overlay", NULL, "lowerdir=$D/lower;upperdir=$D/u;workdir=$D/w" },
		{ "bind", "$D/tree", "tmp", "rbind" },
		{ "tmpfs", "tmpfs", "tmp/a", "mode=700" },
		{ "bind", "$D/tree/b", "/tmp/../tmp/a/", "bind;ro" },
	};
	struct bed *bed = *state;

	bed_put_folder(bed, "tree");
	bed_put_folder(bed, "tree/a");
	bed_put_folder(bed, "tree/b");
	bed_put_file(bed, "tree/b/deep", "deep\n", 0);
	bed_config(bed, "[\"/bin/tool\",\"file\",\"/tmp/a/deep\",\"/tmp/b/deep\"]", false);
	bed_created_on(bed, list, N(list));
	assert_prints(bed, "0 0 deep\n0 0 deep\n");
}

int main(void)
{
#define RUNC(name)                                                                                 \
	{                                                                                          \
#name " (runc)", name, setup_runc, bed_teardown, NULL                              \
	}
	static const struct CMUnitTest tests[] = {
		RUNC(test_a_hundred_layers),
		RUNC(test_a_hundred_layers_of_long_names),
		RUNC(test_mapped_layers),
		RUNC(test_mapped_bind),
		RUNC(test_a_create_that_fails_later),
		RUNC(test_read_only_bind),
		RUNC(test_read_only_overlay),
		RUNC(test_mounts_in_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
