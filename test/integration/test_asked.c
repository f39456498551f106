/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of runtimes beside a container's life, with the real ones: -info's features, and that
 * containerd's own shim takes our options.json for its own when it deletes.
 */
#include <sys/wait.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/run.h"
#include "common/spawn.h"
#include "introspection.pb-c.h"
#include "runc_options.pb-c.h"
#include "shim/options_file.h"
#include "shim/verb_info.h"
#include "test/unit/unit.h"

#define REFERENCE "containerd-shim-runc-v2"

static bool is_here(const char *program)
{
	_cleanup_free_ char *path = NULL;

	return spawn_find_program(program, &path) == 0;
}

/* Options that name a runtime by its program. */
static Google__Protobuf__Any options_of(const char *binary_name, const char *root, uint8_t *room)
{
	Containerd__Runc__V1__Options o = CONTAINERD__RUNC__V1__OPTIONS__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	o.binary_name = (char *)binary_name;
	o.root = (char *)root;
	any.type_url = (char *)"containerd.runc.v1.Options";
	any.value.data = room;
	any.value.len = protobuf_c_message_pack(&o.base, room);
	return any;
}

static Containerd__Types__RuntimeInfo *ask(const char *binary_name)
{
	uint8_t room[256];
	Google__Protobuf__Any options = options_of(binary_name, "", room);
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct error err = ERROR_INIT;
	Containerd__Types__RuntimeInfo *info;

	assert_ok(info_encode("containerd-shim-cleat-v2", &options, &text, &err), &err);
	info = containerd__types__runtime_info__unpack(NULL, text.len, buf_head(&text));
	assert_non_null(info);
	assert_string_equal(info->name, "io.containerd.cleat.v2");
	assert_string_equal(info->version->version, CLEAT_VERSION);
	assert_string_equal(info->options->type_url, options.type_url);
	assert_int_equal(info->options->value.len, options.value.len);
	return info;
}

/* The document that runc prints, byte by byte. */
static void test_runc(void **state)
{
	char *argv[] = { (char *)"runc", (char *)"features", NULL };
	const struct run_options run = {
		.argv = argv, .out_limit = 1u << 20, .err_limit = 4096, .deadline_ms = 30000
	};
	struct run_result own = RUN_RESULT_INIT;
	_cleanup_json_ json_t *j = NULL;
	Containerd__Types__RuntimeInfo *info;
	struct error err = ERROR_INIT;

	(void)state;
	if (!is_here("runc"))
		skip();
	info = ask("runc");
	assert_non_null(info->features);
	assert_string_equal(info->features->type_url,
		"types.containerd.io/opencontainers/runtime-spec/1/features/Features");
	assert_int_equal(run_program(&run, &own), 0);
	assert_int_equal(own.wait_status, 0);
	assert_int_equal(info->features->value.len, own.out.len);
	assert_memory_equal(info->features->value.data, buf_head(&own.out), own.out.len);
	assert_ok(json_parse(buf_head(&own.out), own.out.len, "features", &j, &err), &err);
	assert_non_null(json_object_get(json_object_get(j, "linux"), "namespaces"));
	run_result_deinit(&own);
	containerd__types__runtime_info__free_unpacked(info, NULL);
}

/* Where the command is missing there is no such field, and no failure: crun has it since 1.8.6. */
static void test_others(void **state)
{
	static const char *const names[] = { "crun", "runsc" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *argv[] = { (char *)names[i], (char *)"features", NULL };
		const struct run_options run = { .argv = argv, .deadline_ms = 30000 };
		struct run_result own = RUN_RESULT_INIT;
		Containerd__Types__RuntimeInfo *info;

		if (!is_here(names[i]))
			continue;
		info = ask(names[i]);
		assert_int_equal(run_program(&run, &own), 0);
		assert_int_equal(own.wait_status == 0, info->features != NULL);
		run_result_deinit(&own);
		containerd__types__runtime_info__free_unpacked(info, NULL);
	}
}

/* The reference's delete in a bundle of ours: which runtime does it call, and how? */
static char *delete_by_reference(struct bed *bed)
{
	char *argv[] = { (char *)"sh", (char *)"-c", NULL, NULL };
	struct run_options run = {
		.argv = argv, .out_limit = 65536, .err_limit = 65536, .deadline_ms = 30000
	};
	struct run_result result = RUN_RESULT_INIT;
	char line[256];

	snprintf(line, sizeof(line),
		"cd %s/web && exec " REFERENCE " -namespace moby -id web -address /none "
		"-publish-binary /bin/true delete",
		bed->path);
	argv[2] = line;
	assert_int_equal(run_program(&run, &result), 0);
	if (result.wait_status != 0)
		fail_msg("%.*s", (int)result.err.len, (const char *)buf_head(&result.err));
	run_result_deinit(&result);
	return read_text(bed->dir, "called");
}

static void test_reference_reads(void **state)
{
	struct bed *bed = *state;
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	_cleanup_close_ int bundle = -1;
	_cleanup_free_ char *called = NULL;
	struct error err = ERROR_INIT;
	Google__Protobuf__Any options;
	char program[128], root[128], want[512];
	uint8_t room[512];

	if (!is_here(REFERENCE))
		skip();
	snprintf(program, sizeof(program), "%s/runtime", bed->path);
	snprintf(root, sizeof(root), "%s/root", bed->path);
	write_script(bed->dir, "runtime", "#!/bin/sh\necho \"$@\" >>\"${0%/*}/called\"\n");
	options = options_of(program, root, room);
	assert_ok(runtime_wish_parse(&options, "/run/cleat/r/moby", "moby", &w, &err), &err);
	assert_ok(runtime_wish_resolve(&w, "web", &rt, &err), &err);
	assert_int_equal(mkdirat(bed->dir, "web", 0700), 0);
	bundle = openat(bed->dir, "web", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(bundle >= 0);
	assert_ok(options_file_write(bundle, &w, &rt, "moby", &err), &err);
	called = delete_by_reference(bed);
	snprintf(want, sizeof(want),
		"--root %s/moby --log %s/web/log.json --log-format json delete --force web\n", root,
		bed->path);
	assert_string_equal(called, want);
	fd_close(&bundle);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runc),
		cmocka_unit_test(test_others),
		bed_test(test_reference_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
