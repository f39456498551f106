/* SPDX-License-Identifier: Apache-2.0 */
/* A list of mounts before anything is mounted: its options, its bytes, its lower folders. */
#include "shim/mount_options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "shim/id_map.h"
#include "shim/mount_spec.h"
#include "shim/overlay_data.h"
#include "test/unit/mount_list.h"

static void parse(struct mount_options *o, const char *type, const char *options)
{
	struct list l = { .n = 0 };
	struct error err = ERROR_INIT;

	list_add(&l, type, "/s", NULL, options);
	if (mount_options_parse(o, &l.v[0], &err) != 0)
		fail_msg("%s: %s", options, error_message(&err));
	list_clear(&l);
}

static void test_options_become_flags_and_data(void **state)
{
	struct mount_options o;
	_cleanup_free_ char *data = NULL;

	(void)state;
	parse(&o, "overlay", "ro;nosuid;lowerdir=/x:/y,z;nodev;rw;volatile");
	data = mount_options_data(&o);
	assert_int_equal(o.flags, MS_NOSUID | MS_NODEV);
	assert_int_equal(o.cleared, MS_RDONLY);
	assert_string_equal(data, "lowerdir=/x:/y,z,volatile");
	mount_options_deinit(&o);

	parse(&o, "", "rbind;rslave;ro;defaults;noatime;shared");
	assert_int_equal(o.flags, MS_BIND | MS_REC | MS_RDONLY | MS_NOATIME);
	assert_int_equal(o.n_propagation, 2);
	assert_int_equal(o.propagation[0], MS_SLAVE | MS_REC);
	assert_int_equal(o.propagation[1], MS_SHARED);
	assert_int_equal(o.data.n, 0);
	mount_options_deinit(&o);

	parse(&o, "bind", "suid;exec;dev");
	assert_int_equal(o.flags, MS_BIND);
	assert_int_equal(o.cleared, MS_NOSUID | MS_NOEXEC | MS_NODEV);
	mount_options_deinit(&o);
}

static void test_options_that_are_refused(void **state)
{
	static const char *const refused[] = { "loop", "loop=/dev/loop3",
		"X-containerd.mkfs.size=3" };

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		struct list l = { .n = 0 };
		_cleanup_error_ struct error err = ERROR_INIT;
		char want[200];

		list_add(&l, "ext4", "/img", "a\nb", refused[i]);
		snprintf(want, sizeof(want),
			"mount ext4 of /img on /r/a b: option \"%s\" is not supported", refused[i]);
		assert_int_equal(mount_specs_check(l.v, l.n, "/r", &err), CODE_INVALID_ARGUMENT);
		assert_string_equal(error_message(&err), want);
		list_clear(&l);
	}
}

static void assert_maps_refused(const char *options, const char *sentence)
{
	struct list l = { .n = 0 };
	_cleanup_error_ struct error err = ERROR_INIT;

	list_add(&l, "overlay", "overlay", NULL, options);
	assert_int_equal(mount_specs_check(l.v, l.n, "/r", &err), CODE_INVALID_ARGUMENT);
	assert_string_equal(error_message(&err), sentence);
	list_clear(&l);
}

static void test_mapped_ids(void **state)
{
	struct mount_options o;

	(void)state;
	parse(&o, "overlay", "uidmap=0:1:2;ro;gidmap=0:666:1000,1000:6666:64536;uidmap=0:7:9;x");
	assert_string_equal(o.uid_map, "0 7 9\n"); /* the last one counts */
	assert_string_equal(o.gid_map, "0 666 1000\n1000 6666 64536\n");
	assert_int_equal(o.flags, MS_RDONLY);
	assert_int_equal(o.data.n, 1);
	mount_options_deinit(&o);
	assert_maps_refused("uidmap=0:1:2",
		"mount overlay on /r: option \"uidmap\" does not go without \"gidmap\"");
	assert_maps_refused("gidmap=0:1:2",
		"mount overlay on /r: option \"gidmap\" does not go without \"uidmap\"");
	assert_maps_refused("uidmap=0:1;gidmap=0:1:2",
		"mount overlay on /r: option \"uidmap=0:1\" is no mapping of ids: C:H:S[,C:H:S]...");
	assert_maps_refused("uidmap=0:1:1;gidmap=0:1:2;remount",
		"mount overlay on /r: a remount does not change how ids are mapped");
}

static void test_ranges_of_ids(void **state)
{
	static const char *const wrong[] = { "", "0", "0:0", "0:0:", ":0:1", "0::1", "0:0:0",
		"0:0:1,", ",0:0:1", "0:0:1:1", "0:0:1 ", " 0:0:1", "+0:0:1", "-1:0:1", "0:-1:1",
		"0x1:0:1", "4294967296:0:1", "99999999999999999999:0:1", "4294967295:0:2",
		"0:4294967295:2", "1:0:4294967295,0:0:4294967296", "0:0:1;0:0:1", "a:b:c" };
	_cleanup_free_ char *lines = NULL;
	char many[341 * 16] = "", *end = many;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (id_map_parse(wrong[i], &lines) != -EINVAL)
			fail_msg("\"%s\" passes", wrong[i]);
	assert_int_equal(id_map_parse("4294967295:0:1,0:1:4294967295", &lines), 0);
	assert_string_equal(lines, "4294967295 0 1\n0 1 4294967295\n");
	free(lines);
	lines = NULL;
	for (int i = 0; i < 339; i++)
		end += sprintf(end, "%d:%d:1,", i, i);
	strcpy(end, "400:400:1"); /* the 340th */
	assert_int_equal(id_map_parse(many, &lines), 0);
	strcat(many, ",500:500:1");
	assert_int_equal(id_map_parse(many, &lines), -EINVAL);
}

static void test_types_and_sources_that_are_refused(void **state)
{
	struct list l = { .n = 0 };
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)state;
	list_add(&l, "fuse3.fuse-overlayfs", "overlay", NULL, "");
	assert_int_equal(mount_specs_check(l.v, l.n, "/r", &err), CODE_INVALID_ARGUMENT);
	assert_string_equal(error_message(&err),
		"mount fuse3.fuse-overlayfs on /r: type \"fuse3.fuse-overlayfs\" is not supported");
	list_clear(&l);
	list_add(&l, "bind", "here", NULL, "rbind");
	assert_int_equal(mount_specs_check(l.v, l.n, "/r", &err), CODE_INVALID_ARGUMENT);
	assert_string_equal(error_message(&err),
		"mount bind on /r: the source of a bind must be an absolute path");
	list_clear(&l);
}

static void test_list_as_bytes(void **state)
{
	struct list l = { .n = 0 };
	struct buf bytes = BUF_INIT;
	struct mount_spec *back = NULL;
	size_t n = 0;

	(void)state;
	list_add(&l, "overlay", "overlay", NULL, "lowerdir=/x;ro");
	list_add(&l, "bind", "/s", "t", "");
	assert_int_equal(mount_specs_encode(l.v, l.n, &bytes), 0);
	assert_int_equal(mount_specs_decode(&bytes, &back, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(back[0].type, "overlay");
	assert_string_equal(back[0].target, "");
	assert_int_equal(back[0].options.n, 2);
	assert_string_equal(back[0].options.v[1], "ro");
	assert_string_equal(back[1].target, "t");
	assert_int_equal(back[1].options.n, 0);
	mount_specs_free(back, n);
	bytes.len--; /* cut short */
	assert_int_equal(mount_specs_decode(&bytes, &back, &n), -EINVAL);
	buf_deinit(&bytes);
	list_clear(&l);
}

static void relative_is(const char *data, const char *want_dir, const char *want_data)
{
	_cleanup_free_ char *got_data = NULL, *got_dir = NULL;

	assert_int_equal(overlay_make_relative(data, &got_data, &got_dir), 0);
	assert_string_equal(got_dir, want_dir);
	assert_string_equal(got_data, want_data);
}

static void test_lower_folders_made_relative(void **state)
{
	char *data, *dir;

	(void)state;
	relative_is("workdir=/w,lowerdir=/s/12/fs:/s/1/fs,upperdir=/u", "/s/",
		"workdir=/w,lowerdir=12/fs:1/fs,upperdir=/u");
	relative_is("lowerdir=/s/a:/s/a/b", "/s/", "lowerdir=a:a/b");
	relative_is("lowerdir=/s/a//b:/s/a/c::/s/a/d", "/s/a/", "lowerdir=b:c::d");
	relative_is("lowerdir=/s/x\\:y/a\\,b:/s/x\\:y/c", "/s/x:y/", "lowerdir=a\\,b:c");
	relative_is("lowerdir=/s/t/only", "/s/t/", "lowerdir=only");
	assert_int_equal(overlay_make_relative("lowerdir=/a:/b", &data, &dir), -ENOENT);
	assert_int_equal(overlay_make_relative("lowerdir=a/b:a/c", &data, &dir), -ENOENT);
	assert_int_equal(overlay_make_relative("upperdir=/a", &data, &dir), -ENOENT);
}

static void layers_are(const char *data, const char *const *want, size_t n)
{
	_cleanup_argv_ struct argv layers = ARGV_INIT;

	assert_int_equal(overlay_layers(data, &layers), 0);
	assert_int_equal(layers.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(layers.v[i], want[i]);
}

static void test_layers(void **state)
{
	static const char *const plain[] = { "/b", "c,d", "/e:f" };
	static const char *const single[] = { "/a", "/b:b", "/c" };

	(void)state;
	layers_are("lowerdir=/a,upperdir=/u,lowerdir=/b:c\\,d::/e\\:f", plain, 3);
	layers_are("lowerdir=/a,lowerdir+=/b\\:b,datadir+=/c,workdir=/w", single, 3);
	layers_are("upperdir=/u", NULL, 0);
	layers_are("", NULL, 0);
}

static void test_values(void **state)
{
	char *value;

	(void)state;
	assert_int_equal(
		overlay_value("upperdir=/a,upperdir=/b\\,c,workdir=/w", "upperdir=", &value), 0);
	assert_string_equal(value, "/b,c");
	free(value);
	assert_int_equal(overlay_value("lowerdir=/a", "upperdir=", &value), 0);
	assert_null(value);
}

int main(void)
{
	const struct CMUnitTest parsers[] = {
		cmocka_unit_test(test_options_become_flags_and_data),
		cmocka_unit_test(test_options_that_are_refused),
		cmocka_unit_test(test_mapped_ids),
		cmocka_unit_test(test_ranges_of_ids),
		cmocka_unit_test(test_types_and_sources_that_are_refused),
		cmocka_unit_test(test_list_as_bytes),
		cmocka_unit_test(test_lower_folders_made_relative),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(parsers, NULL, NULL);
}
