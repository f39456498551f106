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
#include "shim/mount_overlay.h"
#include "shim/mount_spec.h"
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
	static const char *const refused[] = { "loop", "loop=/dev/loop3", "uidmap=0:1000:10",
		"gidmap=0:1000:10", "X-containerd.mkfs.size=3" };

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

int main(void)
{
	const struct CMUnitTest parsers[] = {
		cmocka_unit_test(test_options_become_flags_and_data),
		cmocka_unit_test(test_options_that_are_refused),
		cmocka_unit_test(test_types_and_sources_that_are_refused),
		cmocka_unit_test(test_list_as_bytes),
		cmocka_unit_test(test_lower_folders_made_relative),
	};

	return cmocka_run_group_tests(parsers, NULL, NULL);
}
