/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.json and runtime: as containerd's own shim writes and reads them, with what only we have
 * beside it.
 */
#include "shim/options_file.h"

#include "common/cleanup.h"
#include "common/json.h"
#include "common/limits.h"
#include "runc_options.pb-c.h"
#include "test/unit/unit.h"

/* A program that is there under any name. */
static void make_program(struct bed *bed, const char *name, char ret[static 128])
{
	snprintf(ret, 128, "%s/%s", bed->path, name);
	write_script(bed->dir, name, "#!/bin/sh\n");
}

static void write_wish(struct bed *bed, const struct runtime_wish *w)
{
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	struct error err = ERROR_INIT;

	assert_ok(runtime_wish_resolve(w, "web", &rt, &err), &err);
	assert_ok(options_file_write(bed->dir, w, &rt, "moby", &err), &err);
}

/* options.json without our key, as text; *ret_ours: that key's. */
static void split(struct bed *bed, char **ret_theirs, char **ret_ours)
{
	_cleanup_json_ json_t *j = NULL;
	struct error err = ERROR_INIT;

	assert_ok(json_read_file(bed->dir, "options.json", 65536, "options.json", &j, &err), &err);
	*ret_ours = json_text(json_object_get(j, "cleat"));
	json_object_del(j, "cleat");
	*ret_theirs = json_text(j);
}

static void expect(struct bed *bed, const char *theirs, const char *ours, const char *runtime)
{
	_cleanup_free_ char *got_theirs = NULL, *got_ours = NULL, *got_runtime = NULL;
	struct stat st;

	split(bed, &got_theirs, &got_ours);
	got_runtime = read_text(bed->dir, "runtime");
	assert_string_equal(got_theirs, theirs);
	assert_string_equal(got_ours, ours);
	assert_string_equal(got_runtime, runtime);
	assert_int_equal(fstatat(bed->dir, "options.json", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(fstatat(bed->dir, "runtime", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static struct runtime_wish wish_of(const Containerd__Runc__V1__Options *o)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct runtime_wish w = RUNTIME_WISH_INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	uint8_t room[1024];

	any.type_url = (char *)"containerd.runc.v1.Options";
	any.value.data = room;
	any.value.len = protobuf_c_message_pack(&o->base, room);
	assert_ok(runtime_wish_parse(&any, "/run/cleat/r/moby", "moby", &w, &err), &err);
	return w;
}

/* All that runc's options have, by the keys and in the order of the original. */
static void test_all(void **state)
{
	Containerd__Runc__V1__Options o = CONTAINERD__RUNC__V1__OPTIONS__INIT;
	struct bed *bed = *state;
	char program[128], theirs[512], ours[512];
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;

	make_program(bed, "crun", program);
	o.no_pivot_root = o.no_new_keyring = o.systemd_cgroup = 1;
	o.shim_cgroup = (char *)"/shims";
	o.io_uid = 4294967295u;
	o.io_gid = 8;
	o.binary_name = program;
	o.root = (char *)"/run/\"x\"";
	o.criu_work_path = (char *)"/w";
	w = wish_of(&o);
	write_wish(bed, &w);
	snprintf(theirs, sizeof(theirs),
		"{\"no_pivot_root\":true,\"no_new_keyring\":true,\"shim_cgroup\":\"/shims\","
		"\"io_uid\":4294967295,\"io_gid\":8,\"binary_name\":\"%s\",\"root\":\"/run/"
		"\\\"x\\\"\",\"systemd_cgroup\":true,\"criu_work_path\":\"/w\"}",
		program);
	snprintf(ours, sizeof(ours),
		"{\"kind\":\"crun\",\"command\":\"%s\",\"root\":\"/run/\\\"x\\\"/moby\","
		"\"systemd_cgroup\":true}",
		program);
	expect(bed, theirs, ours, program);
}

static void test_nothing_said(void **state)
{
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	struct bed *bed = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(runtime_wish_plain("", "/run/cleat/r/moby", &w, NULL), 0);
	rt.command = strdup("/usr/sbin/runc"); /* wherever it is */
	rt.root = strdup("/run/cleat/r/moby");
	assert_ok(options_file_write(bed->dir, &w, &rt, "moby", &err), &err);
	expect(bed, "{\"root\":\"/run/cleat/r\"}",
		"{\"kind\":\"runc\",\"command\":\"/usr/sbin/runc\",\"root\":\"/run/cleat/r/moby\"}",
		"");
}

/* Sets have more to say than runc's options can. */
static void test_sets(void **state)
{
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	_cleanup_runtime_set_ struct runtime_set s = RUNTIME_SET_INIT;
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	char program[128], theirs[256], ours[512];

	make_program(bed, "sandbox", program);
	assert_int_equal(runtime_wish_plain(program, "/run/cleat/r/moby", &w, NULL), 0);
	free(w.kind);
	w.kind = strdup("runsc");
	w.deadline_ms = 1500;
	argv_add(&w.options, "platform=ptrace");
	argv_add(&w.options, "ignore-cgroups");
	write_wish(bed, &w);
	snprintf(theirs, sizeof(theirs), "{\"binary_name\":\"%s\",\"root\":\"/run/cleat/r\"}",
		program);
	/* the root as it is before each container gets one of its own */
	snprintf(ours, sizeof(ours),
		"{\"kind\":\"runsc\",\"command\":\"%s\",\"root\":\"/run/cleat/r/moby\","
		"\"options\":[\"platform=ptrace\",\"ignore-cgroups\"],\"deadline_ms\":1500}",
		program);
	expect(bed, theirs, ours, program);
	assert_ok(options_file_read(bed->dir, "moby", &s, &err), &err);
	assert_string_equal(s.kind, "runsc");
	assert_string_equal(s.command, program);
	assert_string_equal(s.root, "/run/cleat/r/moby");
	assert_int_equal(s.options.n, 2);
	assert_string_equal(s.options.v[1], "ignore-cgroups");
	assert_int_equal(s.deadline_ms, 1500);
	assert_false(s.systemd_cgroup);
}

/* A kind without a command is found by the kind's name, which another shim would not do. */
static void test_kind_alone(void **state)
{
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	struct bed *bed = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(runtime_wish_plain("", "/run/cleat/r/moby", &w, NULL), 0);
	rt.kind = RUNTIME_CRUN;
	rt.command = strdup("/usr/bin/crun");
	rt.root = strdup(w.root);
	/* and a root that is no namespace's can be told in our own words only */
	free(w.root);
	w.root = strdup("/run/elsewhere");
	assert_ok(options_file_write(bed->dir, &w, &rt, "moby", &err), &err);
	expect(bed, "{\"binary_name\":\"/usr/bin/crun\"}",
		"{\"kind\":\"crun\",\"command\":\"/usr/bin/crun\",\"root\":\"/run/elsewhere\"}",
		"/usr/bin/crun");
}

/* What is there is replaced, and nothing else is left. */
static void test_again(void **state)
{
	Containerd__Runc__V1__Options o = CONTAINERD__RUNC__V1__OPTIONS__INIT;
	struct bed *bed = *state;
	_cleanup_runtime_wish_ struct runtime_wish w = wish_of(&o);
	_cleanup_free_ char *outside = NULL;

	write_text(bed->dir, "outside", "as it was");
	assert_int_equal(symlinkat("outside", bed->dir, "options.json"), 0);
	write_text(bed->dir, "runtime", "a name that is longer than what comes");
	free(w.command);
	w.command = strdup("/bin/sh");
	write_wish(bed, &w);
	write_wish(bed, &w);
	assert_int_equal(count_names(bed->dir, "."), 3);
	outside = read_text(bed->dir, "outside");
	assert_string_equal(outside, "as it was");
}

static void test_cannot_be_written(void **state)
{
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	char *large = malloc(LIMIT_OPTIONS_JSON + 1);
	int gone;

	assert_int_equal(runtime_wish_plain("/bin/sh", "/run/cleat/r/moby", &w, NULL), 0);
	assert_ok(runtime_wish_resolve(&w, "web", &rt, &err), &err);
	w.shim_cgroup = strdup("/\xff");
	assert_error(options_file_write(bed->dir, &w, &rt, "moby", &err), &err,
		CODE_INVALID_ARGUMENT,
		"options.json: a value is not valid UTF-8, and cannot be kept");
	memset(large, 'x', LIMIT_OPTIONS_JSON);
	large[LIMIT_OPTIONS_JSON] = '\0';
	free(w.shim_cgroup);
	w.shim_cgroup = large;
	assert_error(options_file_write(bed->dir, &w, &rt, "moby", &err), &err,
		CODE_RESOURCE_EXHAUSTED, "options.json: larger than 1048576 bytes");
	assert_int_equal(count_names(bed->dir, "."), 0);
	strcpy(w.shim_cgroup, "/x");
	assert_int_equal(mkdirat(bed->dir, "gone", 0700), 0);
	gone = openat(bed->dir, "gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(unlinkat(bed->dir, "gone", AT_REMOVEDIR), 0);
	assert_error(options_file_write(gone, &w, &rt, "moby", &err), &err, CODE_NOT_FOUND,
		"options.json: No such file or directory");
	close(gone);
}

/* Files that containerd's own shim wrote. */
static void test_theirs(void **state)
{
	static const struct {
		const char *options, *runtime; /* NULL: not there */
		const char *command, *root;    /* as they are read; NULL: not said */
		bool systemd_cgroup;
	} cases[] = {
		{ "{}", "", NULL, NULL, false },
		{ "{}", NULL, NULL, NULL, false },
		{ NULL, "", NULL, NULL, false },
		{ NULL, "crun", "crun", NULL, false },
		{ "{\"io_uid\":7,\"task_api_version\":3}", "/usr/bin/crun", "/usr/bin/crun", NULL,
			false },
		{ "{\"binary_name\":\"/opt/runc\",\"root\":\"/run/x\",\"systemd_cgroup\":true}",
			"other", "/opt/runc", "/run/x/moby", true },
	};
	struct bed *bed = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_runtime_set_ struct runtime_set s = RUNTIME_SET_INIT;
		struct error err = ERROR_INIT;

		unlinkat(bed->dir, "options.json", 0);
		unlinkat(bed->dir, "runtime", 0);
		if (cases[i].options)
			write_text(bed->dir, "options.json", cases[i].options);
		if (cases[i].runtime)
			write_text(bed->dir, "runtime", cases[i].runtime);
		assert_ok(options_file_read(bed->dir, "moby", &s, &err), &err);
		assert_null(s.kind);
		if (cases[i].command)
			assert_string_equal(s.command, cases[i].command);
		else
			assert_null(s.command);
		if (cases[i].root)
			assert_string_equal(s.root, cases[i].root);
		else
			assert_null(s.root);
		assert_int_equal(s.systemd_cgroup, cases[i].systemd_cgroup);
	}
}

static void read_refused(struct bed *bed, int code, const char *sentence)
{
	struct runtime_set s = RUNTIME_SET_INIT;
	struct error err = ERROR_INIT;

	assert_error(options_file_read(bed->dir, "moby", &s, &err), &err, code, sentence);
	assert_true(!s.kind && !s.command && !s.root);
}

static void options_refused(struct bed *bed, const char *text, const char *sentence)
{
	write_text(bed->dir, "options.json", text);
	read_refused(bed, CODE_INVALID_ARGUMENT, sentence);
}

static void test_refused(void **state)
{
	struct bed *bed = *state;

	read_refused(bed, CODE_NOT_FOUND, "runtime: No such file or directory");
	options_refused(bed, "", NULL);
	options_refused(bed, "[]", "options.json: not an object");
	options_refused(bed, "{\"binary_name\":1}", "options.json: binary_name: not a string");
	options_refused(bed, "{\"root\":[]}", "options.json: root: not a string");
	options_refused(bed, "{\"root\":\"run\"}", "options.json: root: not an absolute path");
	options_refused(bed, "{\"binary_name\":\"bin/x\"}",
		"options.json: binary_name: neither a name nor an absolute path");
	options_refused(bed, "{\"cleat\":[]}", "options.json: cleat:1: not an object");
	options_refused(bed, "{\"cleat\":{\"root\":\"x\"}}",
		"options.json: cleat:1: root: not an absolute path");
	options_refused(bed, "{\"cleat\":{\"options\":[\"--debug\"]}}",
		"options.json: cleat:1: options: an option must be NAME or NAME=VALUE, without "
		"dashes");
	write_text(bed->dir, "options.json", "{}");
	write_text(bed->dir, "runtime", "../runc");
	read_refused(bed, CODE_INVALID_ARGUMENT, "runtime: neither a name nor an absolute path");
	write_file(bed->dir, "runtime", "runc\0x", 6, 0600);
	read_refused(bed, CODE_INVALID_ARGUMENT, "runtime: neither a name nor an absolute path");
}

/* Not through links, and no more than there may be. */
static void test_not_files(void **state)
{
	struct bed *bed = *state;
	char path[128];

	write_text(bed->dir, "outside", "{}");
	assert_int_equal(symlinkat("outside", bed->dir, "options.json"), 0);
	read_refused(bed, CODE_INVALID_ARGUMENT, "options.json: Too many levels of symbolic links");
	assert_int_equal(unlinkat(bed->dir, "options.json", 0), 0);
	assert_int_equal(mkfifoat(bed->dir, "options.json", 0600), 0);
	read_refused(bed, CODE_INVALID_ARGUMENT, "options.json: not a regular file");
	assert_int_equal(unlinkat(bed->dir, "options.json", 0), 0);
	write_text(bed->dir, "options.json", "{}");
	snprintf(path, sizeof(path), "%s/options.json", bed->path);
	for (size_t n = LIMIT_OPTIONS_JSON + 1; n <= 10 * LIMIT_OPTIONS_JSON;
		n += 9 * LIMIT_OPTIONS_JSON - 1) {
		assert_int_equal(truncate(path, (off_t)n), 0);
		read_refused(
			bed, CODE_RESOURCE_EXHAUSTED, "options.json: larger than 1048576 bytes");
	}
	write_text(bed->dir, "options.json", "{}");
	write_text(bed->dir, "runtime", "");
	snprintf(path, sizeof(path), "%s/runtime", bed->path);
	assert_int_equal(truncate(path, 4097), 0);
	read_refused(bed, CODE_RESOURCE_EXHAUSTED, NULL);
}

/* At the limit of what is written, it can be read. */
static void test_limit(void **state)
{
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	_cleanup_runtime_set_ struct runtime_set s = RUNTIME_SET_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	struct stat st;
	size_t n;

	assert_int_equal(runtime_wish_plain("/bin/sh", "/run/cleat/r/moby", &w, NULL), 0);
	assert_ok(runtime_wish_resolve(&w, "web", &rt, &err), &err);
	w.shim_cgroup = strdup("x");
	assert_ok(options_file_write(bed->dir, &w, &rt, "moby", &err), &err);
	assert_int_equal(fstatat(bed->dir, "options.json", &st, 0), 0);
	n = LIMIT_OPTIONS_JSON - (size_t)st.st_size + 1;
	free(w.shim_cgroup);
	w.shim_cgroup = malloc(n + 1);
	memset(w.shim_cgroup, 'x', n);
	w.shim_cgroup[n] = '\0';
	assert_ok(options_file_write(bed->dir, &w, &rt, "moby", &err), &err);
	assert_int_equal(fstatat(bed->dir, "options.json", &st, 0), 0);
	assert_int_equal(st.st_size, LIMIT_OPTIONS_JSON);
	assert_ok(options_file_read(bed->dir, "moby", &s, &err), &err);
	assert_string_equal(s.command, "/bin/sh");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		bed_test(test_all),
		bed_test(test_nothing_said),
		bed_test(test_sets),
		bed_test(test_kind_alone),
		bed_test(test_again),
		bed_test(test_cannot_be_written),
		bed_test(test_theirs),
		bed_test(test_refused),
		bed_test(test_not_files),
		bed_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
