/* SPDX-License-Identifier: Apache-2.0 */
/* Options of checkpoints and restores: which message says what, and what is refused. */
#include "shim/criu.h"

#include "runc_options.pb-c.h"
#include "test/unit/unit.h"

/* An Any of the bytes, under that name. */
static Google__Protobuf__Any any_of(const char *type, const char *bytes, size_t n)
{
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)type;
	any.value.data = (uint8_t *)bytes;
	any.value.len = n;
	return any;
}

/* Field 8 is "/eight", field 9 "/nine". */
static const char paths[] = "\x42\x06/eight\x4a\x05/nine";

static void test_paths_by_type(void **state)
{
	_cleanup_criu_ struct criu a = CRIU_INIT, b = CRIU_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	Google__Protobuf__Any any =
		any_of("types.containerd.io/containerd.runc.v1.CheckpointOptions", paths,
			sizeof(paths) - 1);

	(void)state;
	assert_ok(criu_of_checkpoint(&any, &a, &err), &err);
	assert_string_equal(a.image_path, "/eight");
	assert_string_equal(a.work_path, "/nine");
	any.type_url = (char *)"containerd.linux.runc.CheckpointOptions";
	assert_ok(criu_of_checkpoint(&any, &b, &err), &err);
	assert_string_equal(b.image_path, "/nine");
	assert_string_equal(b.work_path, "/eight");
}

static void test_none(void **state)
{
	_cleanup_criu_ struct criu c = CRIU_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	(void)state;
	assert_ok(criu_of_checkpoint(NULL, &c, &err), &err);
	assert_ok(criu_of_checkpoint(&any, &c, &err), &err);
	assert_null(c.image_path);
	assert_false(c.exit);
}

static void test_wrong(void **state)
{
	_cleanup_criu_ struct criu c = CRIU_INIT;
	struct error err = ERROR_INIT;
	Google__Protobuf__Any any = any_of("containerd.runc.v1.Options", paths, 3);

	(void)state;
	assert_error(criu_of_checkpoint(&any, &c, &err), &err, CODE_INVALID_ARGUMENT,
		"options of type \"containerd.runc.v1.Options\" are not known");
	any.type_url = (char *)"x/containerd.runc.v1.CheckpointOptions";
	assert_error(criu_of_checkpoint(&any, &c, &err), &err, CODE_INVALID_ARGUMENT,
		"options are not a containerd.runc.v1.CheckpointOptions");
}

static void refuse_restore(const Cleat__Shim__V1__CriuOptions *o, const char *sentence)
{
	_cleanup_criu_ struct criu c = CRIU_INIT;
	struct error err = ERROR_INIT;

	assert_error(criu_of_restore(o, &c, &err), &err, CODE_INVALID_ARGUMENT, sentence);
}

/* What is a checkpoint's alone is refused by name for a restore. */
static void test_restore(void **state)
{
	Cleat__Shim__V1__CriuOptions o = CLEAT__SHIM__V1__CRIU_OPTIONS__INIT;
	_cleanup_criu_ struct criu c = CRIU_INIT, copy = CRIU_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	char *namespaces[] = { (char *)"network", (char *)"ipc" };
	struct runtime_criu view;

	(void)state;
	o.exit = 1;
	refuse_restore(&o, "a restore has no exit");
	o.exit = 0;
	o.pre_dump = 1;
	refuse_restore(&o, "a restore has no pre_dump");
	o.pre_dump = 0;
	o.parent_path = (char *)"../p";
	refuse_restore(&o, "a restore has no parent_path");
	o.parent_path = (char *)"";
	o.page_server = (char *)"a:1";
	refuse_restore(&o, "a restore has no page_server");
	o.page_server = (char *)"";
	o.lazy_pages = o.auto_dedup = o.open_tcp = 1;
	o.work_path = (char *)"/w";
	o.cgroups_mode = (char *)"soft";
	o.lsm_profile = (char *)"t:n";
	o.lsm_mount_context = (char *)"ctx";
	o.empty_namespaces = namespaces;
	o.n_empty_namespaces = 2;
	assert_ok(criu_of_restore(&o, &c, &err), &err);
	assert_int_equal(criu_copy(&copy, &c), 0);
	view = criu_view(&copy);
	assert_true(view.lazy_pages && view.auto_dedup && view.open_tcp && !view.file_locks);
	assert_string_equal(view.work_path, "/w");
	assert_string_equal(view.cgroups_mode, "soft");
	assert_string_equal(view.lsm_profile, "t:n");
	assert_string_equal(view.lsm_mount_context, "ctx");
	assert_string_equal(view.empty_namespaces[1], "ipc");
	assert_null(view.empty_namespaces[2]);
	assert_null(view.image_path);
	assert_ptr_not_equal(view.work_path, c.work_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_by_type),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
