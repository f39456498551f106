/* SPDX-License-Identifier: Apache-2.0 */
/* What a Create's options say of the runtime, for each type of options there is. */
#include "shim/runtime_wish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "linux_runc.pb-c.h"
#include "monitor.pb-c.h"
#include "runc_options.pb-c.h"

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

	if (runtime_wish_parse(any, "/run/cleat", "moby", &w, &err) != 0)
		fail_msg("%s", error_message(&err));
	return w;
}

static void refused(const Google__Protobuf__Any *any, const char *want)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct runtime_wish w = RUNTIME_WISH_INIT;

	assert_int_equal(
		runtime_wish_parse(any, "/run/cleat", "moby", &w, &err), CODE_INVALID_ARGUMENT);
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
	assert_int_equal(runtime_wish_plain("crun", "/r", "n", &w, NULL), 0);
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
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		Google__Protobuf__Any any = any_of(urls[i], &o.base, room);
		_cleanup_runtime_wish_ struct runtime_wish w = parse(&any);

		assert_string_equal(w.command, "/usr/bin/crun");
		assert_string_equal(w.root, "/run/containerd/runc/moby");
		assert_true(w.no_pivot && w.no_new_keyring && w.systemd_cgroup);
		assert_int_equal(w.io_uid, 7);
		assert_int_equal(w.io_gid, 8);
	}
	o.root = (char *)"";
	{
		Google__Protobuf__Any any = any_of(urls[0], &o.base, room);
		_cleanup_runtime_wish_ struct runtime_wish w = parse(&any);

		assert_string_equal(w.root, "/run/cleat/r/moby");
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
	any = any_of("types.containerd.io/containerd.linux.runc.CreateOptions", &c.base, room);
	w = parse(&any);
	assert_true(w.no_pivot);
	assert_false(w.no_new_keyring);
	assert_int_equal(w.io_gid, 5);
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
	assert_int_equal(
		runtime_wish_parse(&any, "/run/cleat", "moby", &w, &err), CODE_RESOURCE_EXHAUSTED);
	free(bytes);
}

/* A program that can be executed, and one that can't be found. */
static void test_resolve(void **state)
{
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(runtime_wish_plain("/bin/sh", "/r", "n", &w, NULL), 0);
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
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_greedy),
		cmocka_unit_test(test_resolve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
