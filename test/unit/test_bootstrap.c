/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands on the stdin of `start`, in both dialects, put together from descriptors and by protoc;
 * and what is answered.
 */
#include "shim/bootstrap.h"

#include <limits.h>

#include "test/unit/bootstrap_bed.h"

static void take(struct buf *b, struct bootstrap *ret)
{
	struct error err = ERROR_INIT;

	assert_ok(parse(b, ret, &err), &err);
	buf_deinit(b);
}

static void refused(struct buf *b, const char *sentence)
{
	struct bootstrap s = BOOTSTRAP_INIT;
	struct error err = ERROR_INIT;

	assert_error(parse(b, &s, &err), &err, CODE_INVALID_ARGUMENT, sentence);
	assert_true(s.dialect == BOOTSTRAP_FLAGS && !s.options && !s.socket_dir);
	buf_deinit(b);
}

static void check_runc(const struct bootstrap *s)
{
	struct buf want = make_runc();

	assert_non_null(s->options);
	assert_string_equal(s->options->type_url, RUNC_NAME);
	assert_int_equal(s->options->value.len, want.len);
	assert_memory_equal(s->options->value.data, buf_head(&want), want.len);
	buf_deinit(&want);
}

static void check_nothing_said(const struct bootstrap *s)
{
	assert_false(s->debug);
	assert_true(
		!s->ttrpc_address && !s->grpc_address && !s->containerd_binary && !s->socket_dir);
}

static void test_empty(void **state)
{
	struct bootstrap s = BOOTSTRAP_INIT;
	struct buf b = BUF_INIT;

	(void)state;
	take(&b, &s);
	assert_int_equal(s.dialect, BOOTSTRAP_FLAGS);
	assert_null(s.options);
	check_nothing_said(&s);
}

static void test_params(void **state)
{
	_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT;
	struct buf b = make_params();

	(void)state;
	take(&b, &s);
	assert_int_equal(s.dialect, BOOTSTRAP_PARAMS);
	assert_true(s.debug);
	assert_string_equal(s.ttrpc_address, "/run/containerd/containerd.sock.ttrpc");
	assert_string_equal(s.grpc_address, "/run/containerd/containerd.sock");
	assert_string_equal(s.containerd_binary, "/usr/bin/containerd");
	assert_string_equal(s.socket_dir, "/run/k3s/s");
	check_runc(&s);
}

/* The two fields that make it one are enough. */
static void test_params_bare(void **state)
{
	_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT;
	struct buf b = make_head("web", "default");

	(void)state;
	take(&b, &s);
	assert_int_equal(s.dialect, BOOTSTRAP_PARAMS);
	assert_null(s.options);
	check_nothing_said(&s);
}

static void test_levels(void **state)
{
	static const struct {
		int64_t level;
		bool debug;
	} levels[] = { { INT_MIN, true }, { -9, true }, { -8, true }, { -4, true }, { -3, true },
		{ -2, false }, { -1, false }, { 0, false }, { 4, false }, { 8, false },
		{ 12, false }, { INT_MAX, false } };

	(void)state;
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT;
		struct buf b = make_head("web", "default");

		put_number(&b, PARAMS, "log_level", levels[i].level);
		take(&b, &s);
		assert_int_equal(s.debug, levels[i].debug);
	}
}

/* Every type of options that a Create takes, by each of its names. */
static void test_options(void **state)
{
	static const char *const types[] = { RUNC_NAME,
		"types.containerd.io/containerd.runc.v1.Options",
		"containerd.linux.runc.CreateOptions", "containerd.linux.runc.RuncOptions",
		"runtimeoptions.v1.Options", "cri.runtimeoptions.v1.Options",
		"cleat.shim.v1.RuntimeOptions" };

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT;
		struct buf b = make_any(types[i], "", 0);

		take(&b, &s);
		assert_int_equal(s.dialect, BOOTSTRAP_FLAGS);
		assert_string_equal(s.options->type_url, types[i]);
		assert_int_equal(s.options->value.len, 0);
		check_nothing_said(&s);
	}
}

static void test_options_value(void **state)
{
	_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT;
	struct buf b = make_runc_any();

	(void)state;
	take(&b, &s);
	assert_int_equal(s.dialect, BOOTSTRAP_FLAGS);
	check_runc(&s);
}

/* Among extensions it is the first of a type that is known; those of others are others' matter. */
static void test_extensions(void **state)
{
	_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT, none = BOOTSTRAP_INIT;
	struct buf b = make_head("web", "default"), any = BUF_INIT;

	(void)state;
	put_message(&b, PARAMS, "extensions", &any); /* without a value */
	put_extension(&b, &any);		     /* with an empty one */
	any = make_any("containerd.io/cri.v1.PodSandboxConfig", WORST, strlen(WORST));
	put_extension(&b, &any);
	any = make_runc_any();
	put_extension(&b, &any);
	any = make_any("runtimeoptions.v1.Options", WORST, strlen(WORST));
	put_extension(&b, &any);
	take(&b, &s);
	check_runc(&s);
	b = make_head("web", "default");
	any = make_any("containerd.io/nri.v1.PluginConfig", "\x01", 1);
	put_extension(&b, &any);
	take(&b, &none);
	assert_int_equal(none.dialect, BOOTSTRAP_PARAMS);
	assert_null(none.options);
}

/* Fields come in any order, and a later containerd may have more of them. */
static void test_forward(void **state)
{
	_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT;
	struct buf b = BUF_INIT;

	(void)state;
	put_text(&b, PARAMS, "socket_dir", "/x");
	put_text(&b, PARAMS, "namespace", "default");
	put_varint(&b, 10 << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
	put_varint(&b, 2);
	buf_append(&b, "\0\xff", 2);
	put_text(&b, PARAMS, "instance_id", "web");
	take(&b, &s);
	assert_int_equal(s.dialect, BOOTSTRAP_PARAMS);
	assert_string_equal(s.socket_dir, "/x");
}

/*
 * One text that is both. The options say binary_name; their bytes read as a namespace, since the
 * field's tag and length are the characters '2' and '0'.
 */
static void test_both(void **state)
{
	static const char name[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	_cleanup_bootstrap_ struct bootstrap params = BOOTSTRAP_INIT, id = BOOTSTRAP_INIT,
					     ns = BOOTSTRAP_INIT;
	struct buf options = BUF_INIT, b;
	struct error err = ERROR_INIT;
	char as_ns[64];

	(void)state;
	assert_int_equal(strlen(name), '0');
	put_text(&options, RUNC, "binary_name", name);
	snprintf(as_ns, sizeof(as_ns), "20%s", name);
	assert_int_equal(options.len, strlen(as_ns));
	assert_memory_equal(buf_head(&options), as_ns, options.len);
	b = make_any(RUNC_NAME, buf_head(&options), options.len);
	assert_ok(bootstrap_parse(buf_head(&b), b.len, RUNC_NAME, as_ns, &params, &err), &err);
	assert_int_equal(params.dialect, BOOTSTRAP_PARAMS);
	assert_null(params.options);
	assert_ok(bootstrap_parse(buf_head(&b), b.len, RUNC_NAME, "default", &id, &err), &err);
	assert_int_equal(id.dialect, BOOTSTRAP_FLAGS);
	assert_int_equal(id.options->value.len, options.len);
	assert_ok(bootstrap_parse(buf_head(&b), b.len, "web", as_ns, &ns, &err), &err);
	assert_int_equal(ns.dialect, BOOTSTRAP_FLAGS);
	buf_deinit(&b);
	buf_deinit(&options);
}

/* A container that is called as the options' type: the namespace tells. */
static void test_named_as_the_type(void **state)
{
	_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT, t = BOOTSTRAP_INIT;
	struct buf any = make_runc_any(), b = make_head(RUNC_NAME, "default");
	struct error err = ERROR_INIT;

	(void)state;
	assert_ok(bootstrap_parse(buf_head(&any), any.len, RUNC_NAME, "default", &s, &err), &err);
	assert_int_equal(s.dialect, BOOTSTRAP_FLAGS);
	check_runc(&s);
	put_extension(&b, &any);
	assert_ok(bootstrap_parse(buf_head(&b), b.len, RUNC_NAME, "default", &t, &err), &err);
	assert_int_equal(t.dialect, BOOTSTRAP_PARAMS);
	check_runc(&t);
	/* of another one, it is an Any of options with too much in it */
	assert_error(bootstrap_parse(buf_head(&b), b.len, "web", "default", &t, &err), &err,
		CODE_INVALID_ARGUMENT, NULL);
	buf_deinit(&b);
}

static void test_others(void **state)
{
	struct buf b = make_head("web2", "default");

	(void)state;
	put_text(&b, PARAMS, "containerd_version", "v2.3.0");
	refused(&b, "stdin is for container \"web2\" in namespace \"default\", but -id and "
		    "-namespace are \"web\" and \"default\"");
	b = make_head("web", "k8s.io\n");
	put_number(&b, PARAMS, "log_level", 4);
	refused(&b, "stdin is for container \"web\" in namespace \"k8s.io\", but -id and "
		    "-namespace are \"web\" and \"default\"");
	b = make_head("web2", "default");
	refused(&b, "stdin: options of type \"web2\" are not known");
	put_text(&b, PARAMS, "instance_id", "web");
	refused(&b, "stdin: options of type \"web\" are not known");
}

static void test_refused(void **state)
{
	struct buf b = make_any("some.other.Options", "", 0), any;

	(void)state;
	refused(&b, "stdin: options of type \"some.other.Options\" are not known");
	b = make_any("", "", 0);
	refused(&b, "stdin: options of type \"\" are not known");
	b = make_any(RUNC_NAME, WORST, strlen(WORST));
	refused(&b, "stdin: options are not a containerd.runc.v1.Options");
	b = make_head("web", "default");
	any = make_any(RUNC_NAME, WORST, strlen(WORST));
	put_extension(&b, &any);
	refused(&b, "stdin: options are not a containerd.runc.v1.Options");
	b = make_runc_any();
	put_number(&b, PARAMS, "log_level", 4);
	refused(&b, "the 68 bytes on stdin are neither BootstrapParams nor an Any of options");
	b = make_head("web", "default");
	put_text(&b, PARAMS, "socket_dir", "run/s");
	refused(&b, "stdin: socket_dir \"run/s\" is not an absolute path");
	buf_append(&b, "{\"id\": \"web\"}", 13);
	refused(&b, "the 13 bytes on stdin are neither BootstrapParams nor an Any of options");
}

/* C's strings end at a NUL, protobuf's do not. */
static void test_strings(void **state)
{
	struct buf b = BUF_INIT, runc = BUF_INIT;

	(void)state;
	put_bytes(&b, PARAMS, "instance_id", "web\0x", 5);
	put_text(&b, PARAMS, "namespace", "default");
	refused(&b, "the 16 bytes on stdin are neither BootstrapParams nor an Any of options");
	b = make_head("web", "default");
	put_text(&b, PARAMS, "socket_dir", "/run/\xff");
	refused(&b, "the 22 bytes on stdin are neither BootstrapParams nor an Any of options");
	put_bytes(&runc, RUNC, "binary_name", "/usr/bin/runc\0", 14);
	b = make_any(RUNC_NAME, buf_head(&runc), runc.len);
	buf_deinit(&runc);
	refused(&b, "stdin: options are not a containerd.runc.v1.Options");
}

static void test_read(void **state)
{
	_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT, t = BOOTSTRAP_INIT;
	struct buf b = make_params();
	struct error err = ERROR_INIT;
	int master, slave, from, to;

	(void)state;
	/* a pipe, as containerd gives one: to its end */
	assert_int_equal(fd_pipe(&from, &to, 0), 0);
	assert_int_equal(fd_write_all(to, buf_head(&b), b.len), 0);
	close(to);
	assert_ok(bootstrap_read(from, "web", "default", &s, &err), &err);
	assert_int_equal(s.dialect, BOOTSTRAP_PARAMS);
	check_runc(&s);
	/* which is there now */
	assert_ok(bootstrap_read(from, "web", "default", &t, &err), &err);
	assert_int_equal(t.dialect, BOOTSTRAP_FLAGS);
	close(from);
	buf_deinit(&b);
	/* nobody types it */
	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(master >= 0 && unlockpt(master) == 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	assert_ok(bootstrap_read(slave, "web", "default", &t, &err), &err);
	assert_int_equal(t.dialect, BOOTSTRAP_FLAGS);
	close(slave);
	close(master);
	assert_true(bootstrap_read(slave, "web", "default", &t, &err) == (int)err.code);
	assert_non_null(strstr(error_message(&err), "stdin: "));
	error_clear(&err);
}

static void test_answer(void **state)
{
	static const char plain[] = "unix:///run/containerd/s/0123\n";
	static const char result[] = "\x08\x02"
				     "\x12\x1dunix:///run/containerd/s/0123"
				     "\x1a\x05ttrpc";
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(bootstrap_answer(BOOTSTRAP_FLAGS, "/run/containerd/s/0123", &b), 0);
	assert_int_equal(b.len, strlen(plain));
	assert_memory_equal(buf_head(&b), plain, b.len);
	buf_deinit(&b);
	assert_int_equal(bootstrap_answer(BOOTSTRAP_PARAMS, "/run/containerd/s/0123", &b), 0);
	assert_int_equal(b.len, strlen(result));
	assert_memory_equal(buf_head(&b), result, b.len);
	buf_deinit(&b);
}

/* The same bytes from protoc, over the same .proto files, and back. */
static void test_protoc(void **state)
{
	static const char text[] =
		"instance_id: \"web\" namespace: \"default\" log_level: LOG_LEVEL_DEBUG\n"
		"containerd_version: \"v2.3.0\"\n"
		"containerd_ttrpc_address: \"/run/containerd/containerd.sock.ttrpc\"\n"
		"containerd_grpc_address: \"/run/containerd/containerd.sock\"\n"
		"containerd_binary: \"/usr/bin/containerd\" socket_dir: \"/run/k3s/s\"\n"
		"extensions { value { type_url: \"" RUNC_NAME "\" value: \"\\032\\006/shims"
		"2\\r/usr/bin/crun:\\t/run/crunH\\001\" } }\n";
	static const char runc[] = "shim_cgroup: \"/shims\" binary_name: \"/usr/bin/crun\"\n"
				   "root: \"/run/crun\" systemd_cgroup: true\n";
	struct buf ours = make_params(), theirs, answer = BUF_INIT;

	(void)state;
	if (!has_protoc())
		skip();
	theirs = run_protoc("--encode", "containerd.runtime.bootstrap.v1.BootstrapParams",
		"bootstrap.proto", text, strlen(text));
	assert_same(&ours, &theirs);
	buf_deinit(&ours);
	buf_deinit(&theirs);
	ours = make_runc();
	theirs = run_protoc("--encode", RUNC_NAME, "runc_options.proto", runc, strlen(runc));
	assert_same(&ours, &theirs);
	buf_deinit(&ours);
	buf_deinit(&theirs);
	assert_int_equal(bootstrap_answer(BOOTSTRAP_PARAMS, "/s", &answer), 0);
	theirs = run_protoc("--decode", "containerd.runtime.bootstrap.v1.BootstrapResult",
		"bootstrap.proto", buf_head(&answer), answer.len);
	assert_int_equal(buf_append(&theirs, "", 1), 0);
	assert_string_equal((const char *)buf_head(&theirs),
		"version: 2\naddress: \"unix:///s\"\nprotocol: \"ttrpc\"\n");
	buf_deinit(&answer);
	buf_deinit(&theirs);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_params_bare),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_options_value),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_both),
		cmocka_unit_test(test_named_as_the_type),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_strings),
		bed_test(test_read),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_protoc),
	};

	return has_pidfds() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
