/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of mounts as a client asks for it: strings that end in NUL, as the shim hands them to its
 * child. What is decoded is encoded to what decodes again, the same; options become flags, data and
 * mappings, or a sentence of one line; an overlay's layers are found, and no more of them than it has.
 */
#include "shim/mount_spec.h"

#include "common/cleanup.h"
#include "common/text.h"
#include "shim/mount_options.h"
#include "shim/overlay_data.h"
#include "test/fuzz/fuzz_folder.h"

static void check_again(const struct mount_spec *mounts, size_t n)
{
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct mount_spec *back = NULL;
	size_t n_back = 0;

	CHECK(mount_specs_encode(mounts, n, &once) == 0);
	CHECK(mount_specs_decode(&once, &back, &n_back) == 0 && n_back == n);
	CHECK(mount_specs_encode(back, n_back, &twice) == 0);
	CHECK(once.len == twice.len);
	CHECK(once.len == 0 || memcmp(buf_head(&once), buf_head(&twice), once.len) == 0);
	mount_specs_free(back, n_back);
	buf_deinit(&once);
	buf_deinit(&twice);
}

static void check_overlay(const char *data)
{
	_cleanup_argv_ struct argv layers = ARGV_INIT;
	_cleanup_free_ char *shorter = NULL, *dir = NULL, *upper = NULL;
	size_t most = 1;

	for (const char *p = data; *p; p++)
		most += *p == ':' || *p == ',';
	CHECK(overlay_layers(data, &layers) == 0 && layers.n <= most);
	for (size_t i = 0; i < layers.n; i++)
		CHECK(*layers.v[i]);
	CHECK(overlay_value(data, "upperdir=", &upper) == 0);
	if (overlay_make_relative(data, &shorter, &dir) == 0)
		CHECK(*dir == '/' && strlen(shorter) <= strlen(data));
}

static void check_map(const char *lines)
{
	if (!lines)
		return;
	CHECK(*lines && lines[strlen(lines) - 1] == '\n');
	CHECK(strspn(lines, "0123456789 \n") == strlen(lines));
}

static void check_sentence(struct error *err)
{
	CHECK(err->code == CODE_INVALID_ARGUMENT);
	CHECK(err->message && text_is_utf8(err->message));
	for (const char *p = err->message; *p; p++)
		CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void check_one(const struct mount_spec *m)
{
	_cleanup_mount_options_ struct mount_options o = MOUNT_OPTIONS_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *text = mount_spec_text(m, "/r"), *data = NULL;

	CHECK(text && text_is_utf8(text));
	if (mount_options_parse(&o, m, &err) != 0) {
		check_sentence(&err);
		return;
	}
	CHECK(o.n_propagation <= MOUNT_PROPAGATIONS_MAX && !o.uid_map == !o.gid_map);
	check_map(o.uid_map);
	check_map(o.gid_map);
	data = mount_options_data(&o);
	CHECK(data);
	check_overlay(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf in = BUF_INIT;
	struct mount_spec *mounts = NULL;
	size_t n_mounts = 0;

	CHECK(buf_append(&in, data, n) == 0);
	if (mount_specs_decode(&in, &mounts, &n_mounts) == 0) {
		check_again(mounts, n_mounts);
		for (size_t i = 0; i < n_mounts; i++)
			check_one(&mounts[i]);
		mount_specs_free(mounts, n_mounts);
	}
	buf_deinit(&in);
	return 0;
}
