/* SPDX-License-Identifier: Apache-2.0 */
/* What a Create's options say of the runtime, for each type of options there is. */
#include "shim/runtime_wish.h"

#include "common/cleanup.h"
#include "linux_runc.pb-c.h"
#include "monitor.pb-c.h"
#include "runc_options.pb-c.h"
#include "runtimeoptions.pb-c.h"
#include "test/unit/unit.h"

/* Packs a message into an Any on the caller's stack. */
static Google__Protobuf__Any any_of(const char *url, const ProtobufCMessage *message, uint8_t *room)
{
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)url;
	any.value.len = protobuf_c_message_pack(message, room);
	any.value.data = room;
	return any;
}

static struct runtime_wish parse(const Google__Protobuf__Any *any)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct runtime_wish w = RUNTIME_WISH_INIT;

	if (runtime_wish_parse(any, "/run/cleat/r/moby", "moby", &w, &err) != 0)
		fail_msg("%s", error_message(&err));
	return w;
}

static void refused(const Google__Protobuf__Any *any, const char *want)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct runtime_wish w = RUNTIME_WISH_INIT;

	assert_int_equal(runtime_wish_parse(any, "/run/cleat/r/moby", "moby", &w, &err),
		CODE_INVALID_ARGUMENT);
	assert_string_equal(error_message(&err), want);
	assert_null(w.root);
}

static void test_none(void **state)
{
	Google__Protobuf__Any empty = GOOGLE__PROTOBUF__ANY__INIT;
	const Google__Protobuf__Any *none[] = { NULL, &empty };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		_cleanup_runtime_wish_ struct runtime_wish w = parse(none[i]);

		assert_string_equal(w.command, "");
		assert_string_equal(w.kind, "");
		assert_string_equal(w.root, "/run/cleat/r/moby");
		assert_string_equal(w.spec_bundle, "");
		assert_false(w.systemd_cgroup || w.no_pivot || w.no_new_keyring);
		assert_int_equal(w.options.n, 0);
	}
}

static void test_plain(void **state)
{
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;

	(void)state;
	assert_int_equal(runtime_wish_plain("crun", "/r/r/n", &w, NULL), 0);
	assert_string_equal(w.command, "crun");
	assert_string_equal(w.root, "/r/r/n");
}

static void test_runc(void **state)
{
	static const char *const urls[] = { "containerd.runc.v1.Options",
		"types.containerd.io/containerd.runc.v1.Options",
		"type.googleapis.com/containerd.runc.v1.Options" };
	Containerd__Runc__V1__Options o = CONTAINERD__RUNC__V1__OPTIONS__INIT;
	uint8_t room[256];

	(void)state;
	o.no_pivot_root = o.no_new_keyring = o.systemd_cgroup = 1;
	o.io_uid = 7;
	o.io_gid = 8;
	o.binary_name = (char *)"/usr/bin/crun";
	o.root = (char *)"/run/containerd/runc";
	o.shim_cgroup = (char *)"/shims";
	o.task_api_address = (char *)"ttrpc+unix:///run/x"; /* nothing to us */
	o.task_api_version = 3;
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		Google__Protobuf__Any any = any_of(urls[i], &o.base, room);
		_cleanup_runtime_wish_ struct runtime_wish w = parse(&any);

		assert_string_equal(w.command, "/usr/bin/crun");
		assert_string_equal(w.root, "/run/containerd/runc/moby");
		assert_true(w.no_pivot && w.no_new_keyring && w.systemd_cgroup);
		assert_int_equal(w.io_uid, 7);
		assert_int_equal(w.io_gid, 8);
		assert_string_equal(w.shim_cgroup, "/shims");
	}
	o.root = o.shim_cgroup = (char *)"";
	{
		Google__Protobuf__Any any = any_of(urls[0], &o.base, room);
		_cleanup_runtime_wish_ struct runtime_wish w = parse(&any);

		assert_string_equal(w.root, "/run/cleat/r/moby");
		assert_null(w.shim_cgroup);
	}
}

static void test_linux_runc(void **state)
{
	Containerd__Linux__Runc__CreateOptions c = CONTAINERD__LINUX__RUNC__CREATE_OPTIONS__INIT;
	Containerd__Linux__Runc__RuncOptions r = CONTAINERD__LINUX__RUNC__RUNC_OPTIONS__INIT;
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	_cleanup_runtime_wish_ struct runtime_wish x = RUNTIME_WISH_INIT;
	Google__Protobuf__Any any;
	uint8_t room[256];

	(void)state;
	c.no_pivot_root = 1;
	c.io_gid = 5;
	c.shim_cgroup = (char *)"/old";
	any = any_of("types.containerd.io/containerd.linux.runc.CreateOptions", &c.base, room);
	w = parse(&any);
	assert_true(w.no_pivot);
	assert_false(w.no_new_keyring);
	assert_int_equal(w.io_gid, 5);
	assert_string_equal(w.shim_cgroup, "/old");
	assert_string_equal(w.root, "/run/cleat/r/moby");
	r.runtime = (char *)"runsc";
	r.runtime_root = (char *)"/x";
	r.systemd_cgroup = 1;
	any = any_of("containerd.linux.runc.RuncOptions", &r.base, room);
	x = parse(&any);
	assert_string_equal(x.command, "runsc");
	assert_string_equal(x.root, "/x/moby");
	assert_true(x.systemd_cgroup);
}

static void test_cleat(void **state)
{
	Cleat__Shim__V1__RuntimeOptions o = CLEAT__SHIM__V1__RUNTIME_OPTIONS__INIT;
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	char *options[] = { (char *)"platform=ptrace", (char *)"ignore-cgroups" };
	Google__Protobuf__Any any;
	uint8_t room[256];

	(void)state;
	o.kind = (char *)"runsc";
	o.command = (char *)"/opt/x";
	o.root = (char *)"/some/where";
	o.no_pivot = 1;
	o.deadline_ms = 1234;
	o.options = options;
	o.n_options = 2;
	o.spec_bundle = (char *)"/state/spec";
	any = any_of("cleat.shim.v1.RuntimeOptions", &o.base, room);
	w = parse(&any);
	assert_string_equal(w.kind, "runsc");
	assert_string_equal(w.command, "/opt/x");
	assert_string_equal(w.root, "/some/where"); /* as it is: no namespace */
	assert_string_equal(w.spec_bundle, "/state/spec");
	assert_int_equal(w.deadline_ms, 1234);
	assert_int_equal(w.options.n, 2);
	assert_string_equal(w.options.v[1], "ignore-cgroups");
	assert_true(w.no_pivot);
}

/* What stands in runtimes.json under a name, in a file or in the options themselves. */
static void test_generic(void **state)
{
	static const char *const urls[] = { "runtimeoptions.v1.Options",
		"cri.runtimeoptions.v1.Options", "types.containerd.io/runtimeoptions.v1.Options" };
	static const char file[] =
		"{\"kind\": \"runsc\", \"command\": \"/opt/runsc\", \"root\": \"/run/fast\",\n"
		"\"options\": [\"network=none\"], \"systemd_cgroup\": true, \"deadline_ms\": 9}\n";
	Runtimeoptions__V1__Options o = RUNTIMEOPTIONS__V1__OPTIONS__INIT;
	struct bed *bed = *state;
	uint8_t room[512];
	char path[128];

	snprintf(path, sizeof(path), "%s/fast.json", bed->path);
	write_text(bed->dir, "fast.json", file);
	o.type_url = (char *)"io.containerd.cleat.v2.options"; /* nothing to us */
	for (size_t i = 0; i < 2 * sizeof(urls) / sizeof(*urls); i++) {
		bool in_place = i % 2;
		Google__Protobuf__Any any;
		_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;

		o.config_path = in_place ? (char *)"" : path;
		/* with a path, the body is not looked at */
		o.config_body.data = (uint8_t *)(in_place ? file : "noise");
		o.config_body.len = strlen((const char *)o.config_body.data);
		any = any_of(urls[i / 2], &o.base, room);
		w = parse(&any);
		assert_string_equal(w.kind, "runsc");
		assert_string_equal(w.command, "/opt/runsc");
		assert_string_equal(w.root, "/run/fast/moby");
		assert_int_equal(w.options.n, 1);
		assert_string_equal(w.options.v[0], "network=none");
		assert_true(w.systemd_cgroup);
		assert_int_equal(w.deadline_ms, 9);
	}
}

/* What a set leaves out is as without options. */
static void test_generic_nothing(void **state)
{
	static const char *const bodies[] = { "", "{}" };
	Runtimeoptions__V1__Options o = RUNTIMEOPTIONS__V1__OPTIONS__INIT;
	uint8_t room[256];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		Google__Protobuf__Any any;
		_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;

		o.config_body.data = (uint8_t *)bodies[i];
		o.config_body.len = strlen(bodies[i]);
		any = any_of("runtimeoptions.v1.Options", &o.base, room);
		w = parse(&any);
		assert_string_equal(w.kind, "");
		assert_string_equal(w.command, "");
		assert_string_equal(w.root, "/run/cleat/r/moby");
		assert_int_equal(w.options.n, 0);
	}
}

static void test_generic_refused(void **state)
{
	Runtimeoptions__V1__Options o = RUNTIMEOPTIONS__V1__OPTIONS__INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct runtime_wish w = RUNTIME_WISH_INIT;
	struct bed *bed = *state;
	Google__Protobuf__Any any;
	char path[128], sentence[256];
	uint8_t room[256];

	o.config_path = (char *)"fast.json";
	any = any_of("runtimeoptions.v1.Options", &o.base, room);
	refused(&any, "config_path \"fast.json\" is not an absolute path");
	snprintf(path, sizeof(path), "%s/fast.json", bed->path);
	o.config_path = path;
	any = any_of("runtimeoptions.v1.Options", &o.base, room);
	assert_int_equal(
		runtime_wish_parse(&any, "/run/cleat/r/moby", "moby", &w, &err), CODE_NOT_FOUND);
	assert_non_null(strstr(error_message(&err), path));
	assert_int_equal(runtime_wish_check(&any, &err), 0); /* the file is not looked at */
	write_text(bed->dir, "fast.json", "{\n\"root\": \"run\"}");
	snprintf(sentence, sizeof(sentence), "%s:2: root: not an absolute path", path);
	refused(&any, sentence);
	o.config_path = (char *)"";
	o.config_body.data = (uint8_t *)"{\"x\":1}";
	o.config_body.len = 7;
	any = any_of("runtimeoptions.v1.Options", &o.base, room);
	refused(&any, "config_body:1: x: not a key that is known");
}

static void test_check(void **state)
{
	Containerd__Runc__V1__Options runc = CONTAINERD__RUNC__V1__OPTIONS__INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	Google__Protobuf__Any any;
	uint8_t room[256];

	(void)state;
	assert_true(runtime_wish_knows("containerd.runc.v1.Options"));
	assert_true(runtime_wish_knows("types.containerd.io/containerd.linux.runc.RuncOptions"));
	assert_false(runtime_wish_knows("containerd.runc.v1.CheckpointOptions"));
	assert_false(runtime_wish_knows(""));
	runc.root = (char *)"relative"; /* decodes */
	any = any_of("containerd.runc.v1.Options", &runc.base, room);
	assert_int_equal(runtime_wish_check(&any, &err), 0);
	any.value.len--;
	assert_error(runtime_wish_check(&any, &err), &err, CODE_INVALID_ARGUMENT,
		"options are not a containerd.runc.v1.Options");
	any.type_url = (char *)"x";
	assert_error(runtime_wish_check(&any, &err), &err, CODE_INVALID_ARGUMENT,
		"options of type \"x\" are not known");
}

static void test_refused(void **state)
{
	Cleat__Shim__V1__RuntimeOptions o = CLEAT__SHIM__V1__RUNTIME_OPTIONS__INIT;
	Containerd__Runc__V1__Options runc = CONTAINERD__RUNC__V1__OPTIONS__INIT;
	static const uint8_t garbage[] = { 0x0f, 0xff };
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	uint8_t room[256];

	(void)state;
	any.type_url = (char *)"types.containerd.io/some.other.Options";
	refused(&any, "options of type \"types.containerd.io/some.other.Options\" are not known");
	any.type_url = (char *)"";
	any.value.data = (uint8_t *)garbage;
	any.value.len = sizeof(garbage);
	refused(&any, "options of type \"\" are not known");
	any.type_url = (char *)"containerd.runc.v1.Options";
	refused(&any, "options are not a containerd.runc.v1.Options");
	any.value.data = (uint8_t *)"\x32\x02x\0"; /* binary_name: C would take it for "x" */
	any.value.len = 4;
	refused(&any, "options are not a containerd.runc.v1.Options");
	o.root = (char *)"relative";
	any = any_of("cleat.shim.v1.RuntimeOptions", &o.base, room);
	refused(&any, "the runtime's root \"relative\" is not an absolute path");
	o.root = (char *)"";
	o.spec_bundle = (char *)"x/y";
	any = any_of("cleat.shim.v1.RuntimeOptions", &o.base, room);
	refused(&any, "spec_bundle \"x/y\" is not an absolute path");
	runc.root = (char *)"x";
	any = any_of("containerd.runc.v1.Options", &runc.base, room);
	refused(&any, "the runtime's root \"x/moby\" is not an absolute path");
}

/* Two bytes of an empty string each ask for sixteen in memory, and more: not for all there is. */
static void test_greedy(void **state)
{
	const size_t n = 4u << 20;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct runtime_wish w = RUNTIME_WISH_INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	uint8_t *bytes = malloc(n);

	(void)state;
	for (size_t i = 0; i < n; i += 2) {
		bytes[i] = 5 << 3 | 2; /* options, "" */
		bytes[i + 1] = 0;
	}
	any.type_url = (char *)"cleat.shim.v1.RuntimeOptions";
	any.value.data = bytes;
	any.value.len = n;
	assert_int_equal(runtime_wish_parse(&any, "/run/cleat/r/moby", "moby", &w, &err),
		CODE_RESOURCE_EXHAUSTED);
	free(bytes);
}

/* A program that can be executed, and one that can't be found. */
static void test_resolve(void **state)
{
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(runtime_wish_plain("/bin/sh", "/r/r/n", &w, NULL), 0);
	w.systemd_cgroup = w.no_pivot = w.no_new_keyring = true;
	w.deadline_ms = 5;
	argv_add(&w.options, "platform=ptrace");
	assert_int_equal(runtime_wish_resolve(&w, "web", &rt, &err), 0);
	assert_string_equal(rt.command, "/bin/sh");
	assert_string_equal(rt.root, "/r/r/n");
	assert_true(rt.systemd_cgroup && rt.no_pivot && rt.no_new_keyring);
	assert_int_equal(rt.deadline_ms, 5);
	assert_string_equal(rt.options.v[0], "platform=ptrace");
	free(w.kind);
	w.kind = strdup("runsc");
	runtime_deinit(&rt);
	assert_int_equal(runtime_wish_resolve(&w, "web", &rt, &err), 0);
	assert_string_equal(rt.root, "/r/r/n/web");
	argv_add(&w.options, "--evil flag");
	assert_int_equal(runtime_wish_resolve(&w, "web", &rt, &err), CODE_INVALID_ARGUMENT);
	argv_deinit(&w.options);
	free(w.command);
	w.command = strdup("cleat-test-no-such-runtime");
	assert_int_equal(runtime_wish_resolve(&w, "web", &rt, &err), CODE_NOT_FOUND);
	assert_non_null(strstr(error_message(&err), "\"cleat-test-no-such-runtime\""));
	assert_string_equal(rt.command, "/bin/sh"); /* unchanged by what failed */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_runc),
		cmocka_unit_test(test_linux_runc),
		cmocka_unit_test(test_cleat),
		bed_test(test_generic),
		cmocka_unit_test(test_generic_nothing),
		bed_test(test_generic_refused),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_greedy),
		cmocka_unit_test(test_resolve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
