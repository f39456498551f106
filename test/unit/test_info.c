/* SPDX-License-Identifier: Apache-2.0 */
/* `-info` over runtimes that are scripts, and `-v`: the bytes that containerd reads. */
#include "shim/verb_info.h"

#include <errno.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "common/runtime.h"
#include "introspection.pb-c.h"
#include "runc_options.pb-c.h"
#include "runtimeoptions.pb-c.h"
#include "test/unit/wire.h"

#define INFO	(&containerd__types__runtime_info__descriptor)
#define VERSION (&containerd__types__runtime_version__descriptor)
#define ANY	(&google__protobuf__any__descriptor)
#define RUNC	(&containerd__runc__v1__options__descriptor)
#define GENERIC (&runtimeoptions__v1__options__descriptor)
#define FEATURES                                                                                   \
	"{ \"ociVersionMin\": \"1.0.0\",\n \"ociVersionMax\": \"1.2.0\", \"new\": [1e3] }\n"
#define TYPE "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

/* An Any, encoded, and decoded for info_encode(). */
struct options {
	struct buf bytes;
	Google__Protobuf__Any *any;
};

static struct options make_options(const char *type, const struct buf *value)
{
	struct options o = { BUF_INIT, NULL };

	put_text(&o.bytes, ANY, "type_url", type);
	put_message(&o.bytes, ANY, "value", value);
	o.any = google__protobuf__any__unpack(NULL, o.bytes.len, buf_head(&o.bytes));
	assert_non_null(o.any);
	return o;
}

/* runc's options, with a script as their program. */
static struct options make_runc(struct bed *bed, const char *name, const char *script)
{
	struct buf value = BUF_INIT;
	struct options o;
	char path[128];

	write_script(bed->dir, name, script);
	snprintf(path, sizeof(path), "%s/%s", bed->path, name);
	put_text(&value, RUNC, "binary_name", path);
	o = make_options("containerd.runc.v1.Options", &value);
	buf_deinit(&value);
	return o;
}

static void options_deinit(struct options *o)
{
	buf_deinit(&o->bytes);
	google__protobuf__any__free_unpacked(o->any, NULL);
}

static struct buf make_info(const char *name, const struct options *o, const char *features)
{
	struct buf info = BUF_INIT, part = BUF_INIT;

	put_text(&info, INFO, "name", name);
	put_text(&part, VERSION, "version", CLEAT_VERSION);
	put_message(&info, INFO, "version", &part);
	buf_deinit(&part);
	if (o)
		put_message(&info, INFO, "options", &o->bytes);
	if (features) {
		put_text(&part, ANY, "type_url", TYPE);
		put_text(&part, ANY, "value", features);
		put_message(&info, INFO, "features", &part);
		buf_deinit(&part);
	}
	return info;
}

static void expect(
	const char *program, const struct options *o, const char *name, const char *features)
{
	struct buf want = make_info(name, o, features), got = BUF_INIT;
	struct error err = ERROR_INIT;

	assert_ok(info_encode(program, o->any, &got, &err), &err);
	assert_same(&got, &want);
	buf_deinit(&want);
	buf_deinit(&got);
}

static void test_features(void **state)
{
	struct bed *bed = *state;
	struct options o = make_runc(bed, "runc",
		"#!/bin/sh\nfor word; do :; done\n[ \"$word\" = features ] || exit 1\n"
		"printf '%s' '" FEATURES "'\n");

	expect("containerd-shim-cleat-v2", &o, "io.containerd.cleat.v2", FEATURES);
	options_deinit(&o);
}

/* The command is not there, is another, prints something else, is killed. */
static void test_no_features(void **state)
{
	static const char *const scripts[] = {
		"#!/bin/sh\necho 'No help topic for features' >&2\nexit 3\n",
		"#!/bin/sh\nexit 0\n",
		"#!/bin/sh\necho '{\"ociVersionMin\":'\n",
		"#!/bin/sh\necho '[]'\n",
		"#!/bin/sh\necho '{\"features\": true}'\n",
		"#!/bin/sh\nkill -KILL $$\n",
	};
	struct bed *bed = *state;

	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		struct options o = make_runc(bed, "runc", scripts[i]);

		expect("containerd-shim-cleat-v2", &o, "io.containerd.cleat.v2", NULL);
		options_deinit(&o);
	}
}

/* Known to have none: it is not run. */
static void test_runsc(void **state)
{
	struct bed *bed = *state;
	struct options o = make_runc(bed, "runsc", "#!/bin/sh\n>\"${0%/*}/ran\"\n");

	expect("containerd-shim-cleat-v2", &o, "io.containerd.cleat.v2", NULL);
	assert_false(is_there(bed->dir, "ran"));
	options_deinit(&o);
}

/* One that does not answer has its deadline. */
static void test_hangs(void **state)
{
	struct bed *bed = *state;
	struct buf value = BUF_INIT;
	struct options o;
	char body[256];

	write_script(bed->dir, "runc", "#!/bin/sh\nexec sleep 1000\n");
	snprintf(body, sizeof(body), "{\"command\": \"%s/runc\", \"deadline_ms\": 200}", bed->path);
	put_text(&value, GENERIC, "config_body", body);
	o = make_options("types.containerd.io/runtimeoptions.v1.Options", &value);
	buf_deinit(&value);
	expect("containerd-shim-cleat-v2", &o, "io.containerd.cleat.v2", NULL);
	options_deinit(&o);
}

/* As containerd has it from the program's name, whatever folder that is in. */
static void test_names(void **state)
{
	static const struct {
		const char *program, *name;
	} names[] = {
		{ "containerd-shim-cleat-v2", "io.containerd.cleat.v2" },
		{ "/usr/local/bin/containerd-shim-runc-cleat", "io.containerd.runc.cleat" },
		{ "containerd-shim-my-cleat-v3", "io.containerd.my-cleat.v3" },
		{ "cleat-shim", "io.containerd.cleat.v2" },
		{ "/opt/cleat", "io.containerd.cleat.v2" },
		{ "containerd-shim-", "io.containerd.cleat.v2" },
		{ "containerd-shim-cleat", "io.containerd.cleat.v2" },
		{ "containerd-shim--v2", "io.containerd.cleat.v2" },
		{ "containerd-shim-cleat-", "io.containerd.cleat.v2" },
		{ "", "io.containerd.cleat.v2" },
	};
	struct bed *bed = *state;
	struct options o = make_runc(bed, "runsc", "#!/bin/sh\n");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		expect(names[i].program, &o, names[i].name, NULL);
	options_deinit(&o);
}

static void test_refused(void **state)
{
	struct bed *bed = *state;
	struct options o = make_runc(bed, "runc", "#!/bin/sh\n");
	struct buf got = BUF_INIT, none = BUF_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(unlinkat(bed->dir, "runc", 0), 0);
	assert_true(info_encode("x", o.any, &got, &err) == CODE_NOT_FOUND);
	assert_non_null(strstr(error_message(&err), "runtime \"/tmp/"));
	error_clear(&err);
	options_deinit(&o);
	o = make_options("some.other.Options", &none);
	assert_error(info_encode("x", o.any, &got, &err), &err, CODE_INVALID_ARGUMENT,
		"options of type \"some.other.Options\" are not known");
	assert_int_equal(got.len, 0);
	options_deinit(&o);
}

/* protoc's bytes for the same. */
static void test_protoc(void **state)
{
	static const char text[] =
		"name: \"io.containerd.cleat.v2\" version { version: \"" CLEAT_VERSION "\" }\n"
		"options { type_url: \"containerd.runc.v1.Options\" }\n"
		"features { type_url: \"" TYPE "\" value: \"{}\" }\n";
	struct buf ours, theirs;
	struct options o = { BUF_INIT, NULL };

	(void)state;
	if (!has_protoc())
		skip();
	put_text(&o.bytes, ANY, "type_url", "containerd.runc.v1.Options");
	ours = make_info("io.containerd.cleat.v2", &o, "{}");
	theirs = run_protoc("--encode", "containerd.types.RuntimeInfo", "introspection.proto", text,
		strlen(text));
	assert_same(&ours, &theirs);
	buf_deinit(&ours);
	buf_deinit(&theirs);
	buf_deinit(&o.bytes);
}

/* --- the verbs --- */

/* What a verb does with its three streams. */
struct spoken {
	struct buf out, err;
	int status;
};

static struct spoken speak(
	struct bed *bed, int (*verb)(const struct verb_options *), const void *in, size_t n)
{
	const struct verb_options options = { 0 };
	struct spoken s = { BUF_INIT, BUF_INIT, -1 };
	pid_t pid;

	write_file(bed->dir, "in", in, n, 0600);
	write_text(bed->dir, "out", "");
	write_text(bed->dir, "err", "");
	pid = fork_child();
	if (pid == 0) {
		if (dup2(openat(bed->dir, "in", O_RDONLY), 0) < 0 ||
			dup2(openat(bed->dir, "out", O_WRONLY), 1) < 0 ||
			dup2(openat(bed->dir, "err", O_WRONLY), 2) < 0)
			_exit(98);
		program_invocation_short_name = (char *)"containerd-shim-runc-cleat";
		_exit(verb(&options));
	}
	assert_int_equal(waitpid(pid, &s.status, 0), pid);
	assert_int_equal(fd_read_file(bed->dir, "out", &s.out, 65536), 0);
	assert_int_equal(fd_read_file(bed->dir, "err", &s.err, 65536), 0);
	return s;
}

static void expect_spoken(struct spoken *s, int status, const struct buf *out, const char *sentence)
{
	assert_int_equal(buf_append(&s->err, "", 1), 0);
	assert_string_equal((const char *)buf_head(&s->err), sentence);
	assert_true(WIFEXITED(s->status));
	assert_int_equal(WEXITSTATUS(s->status), status);
	assert_same(&s->out, out);
	buf_deinit(&s->out);
	buf_deinit(&s->err);
}

static void test_verb(void **state)
{
	struct bed *bed = *state;
	struct options o = make_runc(bed, "runc", "#!/bin/sh\nprintf '%s' '" FEATURES "'\n");
	struct buf want = make_info("io.containerd.runc.cleat", &o, FEATURES), none = BUF_INIT;
	struct spoken s = speak(bed, verb_info, buf_head(&o.bytes), o.bytes.len);

	expect_spoken(&s, 0, &want, "");
	/* cut off */
	s = speak(bed, verb_info, buf_head(&o.bytes), o.bytes.len - 1);
	expect_spoken(&s, 1, &none,
		"containerd-shim-runc-cleat: the 58 bytes on stdin are not an Any of options\n");
	buf_deinit(&want);
	options_deinit(&o);
}

/* Before -info stands no BootstrapParams, whatever id they would have. */
static void test_verb_params(void **state)
{
	struct spoken s = speak(*state, verb_info, "\x0a\0\x12\0\x18\x04", 6);
	struct buf none = BUF_INIT;

	expect_spoken(&s, 1, &none,
		"containerd-shim-runc-cleat: the 6 bytes on stdin are not an Any of options\n");
}

static void test_version(void **state)
{
	static const char want[] = "containerd-shim-runc-cleat:\n  Version:  " CLEAT_VERSION "\n\n";
	struct spoken s = speak(*state, verb_version, "", 0);
	struct buf out = BUF_INIT;

	buf_append(&out, want, strlen(want));
	expect_spoken(&s, 0, &out, "");
	buf_deinit(&out);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		bed_test(test_features),
		bed_test(test_no_features),
		bed_test(test_runsc),
		bed_test(test_hangs),
		bed_test(test_names),
		bed_test(test_refused),
		cmocka_unit_test(test_protoc),
		bed_test(test_verb),
		bed_test(test_verb_params),
		bed_test(test_version),
	};

	return has_pidfds() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
