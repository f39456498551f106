/* SPDX-License-Identifier: Apache-2.0 */
/* shim.json and state.json: what is written is read; what was tampered with is refused. */
#include "common/state_dir.h"

#include "common/json.h"
#include "common/limits.h"
#include "test/unit/unit.h"

/* A folder that needs no ROOT: the records only use its descriptor and the id. */
static struct state_dir folder(struct bed *bed)
{
	return (struct state_dir){ .id = (char *)"web", .fd = bed->dir, .lock_fd = -1 };
}

static void test_shim_round_trip(void **state)
{
	const struct shim_record out = {
		.pid = 4194304,
		.start_time = 123456789012345,
		.socket = (char *)"/run/cleat/s/0123456789abcdef",
		.version = (char *)"0.1.0",
		.epoch = UINT64_MAX,
	};
	struct state_dir dir = folder(*state);
	struct error err = ERROR_INIT;
	struct shim_record in;
	struct stat st;

	assert_ok(shim_record_write(&dir, &out, &err), &err);
	assert_int_equal(fstatat(dir.fd, "shim.json", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(shim_record_read(&dir, &in, &err), &err);
	assert_int_equal(in.pid, out.pid);
	assert_int_equal(in.start_time, out.start_time);
	assert_string_equal(in.socket, out.socket);
	assert_string_equal(in.version, out.version);
	assert_true(in.epoch == out.epoch);
	shim_record_deinit(&in);
	shim_record_deinit(&in);
}

static struct exec_record some_execs[] = {
	{ (char *)"probe-1", (char *)"running", 77, 99, (char *)"cri:///var/log/probe" },
	{ (char *)"probe-2", (char *)"created", 0, 0 },
};
static char *some_options[] = { (char *)"platform=ptrace", (char *)"debug", NULL };

static struct container_record sample(void)
{
	return (struct container_record){
		.id = (char *)"web",
		.ns = (char *)"default",
		.bundle = (char *)"/b/\xc3\xaf \"quoted\"",
		.runtime = (char *)"/usr/bin/runsc",
		.runtime_kind = (char *)"runsc",
		.runtime_root = (char *)"/run/cleat/r/default",
		.systemd_cgroup = true,
		.runtime_options = some_options,
		.status = (char *)"paused",
		.pid = 42,
		.start_time = 1234,
		.terminal = true,
		.stdin_uri = (char *)"/in",
		.stdout_uri = (char *)"file:///out",
		.stderr_uri = NULL,
		.rootfs = (char *)"/b/rootfs",
		.rootfs_made = true,
		.created = 1767225845678901234,
		.execs = some_execs,
		.n_execs = 2,
	};
}

static void test_container_round_trip(void **state)
{
	const struct container_record out = sample();
	struct state_dir dir = folder(*state);
	struct container_record in;
	struct error err = ERROR_INIT;

	assert_ok(container_record_write(&dir, &out, &err), &err);
	assert_ok(container_record_read(&dir, &in, &err), &err);
	assert_string_equal(in.id, "web");
	assert_string_equal(in.ns, "default");
	assert_string_equal(in.bundle, out.bundle);
	assert_string_equal(in.runtime, "/usr/bin/runsc");
	assert_string_equal(in.runtime_kind, "runsc");
	assert_string_equal(in.runtime_root, "/run/cleat/r/default");
	assert_true(in.systemd_cgroup);
	assert_string_equal(in.runtime_options[0], "platform=ptrace");
	assert_string_equal(in.runtime_options[1], "debug");
	assert_null(in.runtime_options[2]);
	assert_string_equal(in.status, "paused");
	assert_int_equal(in.pid, 42);
	assert_int_equal(in.start_time, 1234);
	assert_true(in.terminal);
	assert_string_equal(in.stdin_uri, "/in");
	assert_string_equal(in.stdout_uri, "file:///out");
	assert_string_equal(in.stderr_uri, "");
	assert_string_equal(in.rootfs, "/b/rootfs");
	assert_true(in.rootfs_made);
	assert_true(in.created == out.created);
	assert_int_equal(in.n_execs, 2);
	assert_string_equal(in.execs[0].exec_id, "probe-1");
	assert_string_equal(in.execs[0].status, "running");
	assert_int_equal(in.execs[0].pid, 77);
	assert_int_equal(in.execs[0].start_time, 99);
	assert_string_equal(in.execs[0].stdout_uri, "cri:///var/log/probe");
	assert_string_equal(in.execs[0].stderr_uri, "");
	assert_string_equal(in.execs[1].exec_id, "probe-2");
	container_record_deinit(&in);
	container_record_deinit(&in);
}

/* A shim from before there was a field wrote none: nothing is to be unmounted. */
static void test_record_without_rootfs(void **state)
{
	const struct container_record out = sample();
	struct state_dir dir = folder(*state);
	struct container_record in;
	struct error err = ERROR_INIT;
	char *text;
	json_t *j;

	assert_ok(container_record_write(&dir, &out, &err), &err);
	assert_ok(json_read_file(dir.fd, "state.json", 1 << 20, "x", &j, &err), &err);
	json_object_del(j, "rootfs");
	text = json_text(j);
	write_text(dir.fd, "state.json", text);
	json_decref(j);
	free(text);
	assert_ok(container_record_read(&dir, &in, &err), &err);
	assert_string_equal(in.rootfs, "");
	assert_false(in.rootfs_made);
	container_record_deinit(&in);
}

static char *some_cgroups[] = { (char *)"/g/pids/web", (char *)"/g/pids/web/in", NULL };

/* A create that is under way: what ends it, should its shim be killed. */
static void test_making_round_trip(void **state)
{
	struct container_record out = sample(), in;
	struct state_dir dir = folder(*state);
	struct error err = ERROR_INIT;

	out.making.pid = 4194304;
	out.making.start_time = INT64_MAX;
	out.making.cgroups = some_cgroups;
	/* not so (any more): none of it is kept */
	assert_ok(container_record_write(&dir, &out, &err), &err);
	assert_ok(container_record_read(&dir, &in, &err), &err);
	assert_false(in.making.is_so);
	assert_int_equal(in.making.pid, 0);
	assert_null(in.making.cgroups);
	container_record_deinit(&in);

	out.making.is_so = true;
	assert_ok(container_record_write(&dir, &out, &err), &err);
	assert_ok(container_record_read(&dir, &in, &err), &err);
	assert_true(in.making.is_so);
	assert_int_equal(in.making.pid, 4194304);
	assert_true(in.making.start_time == INT64_MAX);
	assert_string_equal(in.making.cgroups[0], "/g/pids/web");
	assert_string_equal(in.making.cgroups[1], "/g/pids/web/in");
	assert_null(in.making.cgroups[2]);
	container_record_deinit(&in);
	container_record_deinit(&in);

	/* before its run, on a host without cgroups */
	out.making.pid = 0;
	out.making.start_time = 0;
	out.making.cgroups = NULL;
	assert_ok(container_record_write(&dir, &out, &err), &err);
	assert_ok(container_record_read(&dir, &in, &err), &err);
	assert_true(in.making.is_so);
	assert_int_equal(in.making.pid, 0);
	assert_true(!in.making.cgroups || !in.making.cgroups[0]);
	container_record_deinit(&in);
}

/* A client's path with bytes that JSON has no word for does not keep the record from being kept. */
static void test_bytes_that_are_no_text(void **state)
{
	struct container_record out = sample(), in;
	struct state_dir dir = folder(*state);
	struct error err = ERROR_INIT;

	out.stdout_uri = (char *)"/out-\xff";
	assert_ok(container_record_write(&dir, &out, &err), &err);
	assert_ok(container_record_read(&dir, &in, &err), &err);
	assert_string_equal(in.stdout_uri, "/out-?");
	container_record_deinit(&in);
}

/* As many execs as there may be, with the longest names. */
static void test_most_execs(void **state)
{
	struct state_dir dir = folder(*state);
	struct container_record out = sample(), in;
	struct error err = ERROR_INIT;
	char id[LIMIT_ID + 1], uri[LIMIT_EXEC_LOG_URI + 1];

	memset(id, 'x', LIMIT_ID);
	id[LIMIT_ID] = '\0';
	memset(uri, 'u', LIMIT_EXEC_LOG_URI);
	uri[LIMIT_EXEC_LOG_URI] = '\0';
	out.n_execs = LIMIT_PROCESSES;
	out.execs = calloc(LIMIT_PROCESSES, sizeof(*out.execs));
	for (size_t i = 0; i < LIMIT_PROCESSES; i++)
		out.execs[i] =
			(struct exec_record){ id, (char *)"running", 4194304, INT64_MAX, uri, uri };
	assert_ok(container_record_write(&dir, &out, &err), &err);
	assert_ok(container_record_read(&dir, &in, &err), &err);
	assert_int_equal(in.n_execs, LIMIT_PROCESSES);
	assert_string_equal(in.execs[LIMIT_PROCESSES - 1].stderr_uri, uri);
	container_record_deinit(&in);
	free(out.execs);
}

static void test_missing(void **state)
{
	struct state_dir dir = folder(*state);
	struct container_record c;
	struct shim_record s;
	struct error err = ERROR_INIT;

	assert_error(container_record_read(&dir, &c, &err), &err, CODE_NOT_FOUND,
		"container web: was not created");
	assert_error(shim_record_read(&dir, &s, &err), &err, CODE_NOT_FOUND,
		"container web: shim.json: No such file or directory");
	/* nobody asked for a sentence */
	assert_int_equal(container_record_read(&dir, &c, NULL), CODE_NOT_FOUND);
	assert_int_equal(shim_record_read(&dir, &s, NULL), CODE_NOT_FOUND);
}

static void refuse_shim(struct bed *bed, const char *text, int code, const char *sentence)
{
	struct state_dir dir = folder(bed);
	struct error err = ERROR_INIT;
	struct shim_record r;

	write_text(bed->dir, "shim.json", text);
	assert_error(shim_record_read(&dir, &r, &err), &err, code, sentence);
	assert_int_equal(shim_record_read(&dir, &r, NULL), code);
}

#define SHIM(v, pid, start, socket, epoch)                                                         \
	"{\"v\":" v ",\"pid\":" pid ",\"start_time\":" start ",\"socket\":" socket                 \
	",\"version\":\"0\",\"epoch\":" epoch "}"

static void test_shim_refused(void **state)
{
	struct bed *bed = *state;

	refuse_shim(bed, SHIM("2", "1", "1", "\"\"", "\"1\""), CODE_FAILED_PRECONDITION,
		"container web: shim.json has version 2, this program knows 1: a newer cleat made "
		"it");
	refuse_shim(bed, SHIM("0", "1", "1", "\"\"", "\"1\""), CODE_INTERNAL,
		"container web: shim.json: has no version");
	refuse_shim(bed, SHIM("\"1\"", "1", "1", "\"\"", "\"1\""), CODE_INTERNAL, NULL);
	refuse_shim(bed, SHIM("1", "0", "1", "\"\"", "\"1\""), CODE_INTERNAL,
		"container web: shim.json: pid is missing or wrong");
	refuse_shim(bed, SHIM("1", "-1", "1", "\"\"", "\"1\""), CODE_INTERNAL, NULL);
	refuse_shim(bed, SHIM("1", "4194305", "1", "\"\"", "\"1\""), CODE_INTERNAL, NULL);
	refuse_shim(bed, SHIM("1", "\"1\"", "1", "\"\"", "\"1\""), CODE_INTERNAL, NULL);
	refuse_shim(bed, SHIM("1", "1", "-1", "\"\"", "\"1\""), CODE_INTERNAL,
		"container web: shim.json: start_time is missing or wrong");
	refuse_shim(bed, SHIM("1", "1", "1", "7", "\"1\""), CODE_INTERNAL,
		"container web: shim.json: socket is missing or wrong");
	refuse_shim(bed, SHIM("1", "1", "1", "\"\"", "7"), CODE_INTERNAL,
		"container web: shim.json: epoch is missing or wrong");
	refuse_shim(bed, SHIM("1", "1", "1", "\"\"", "\"\""), CODE_INTERNAL, NULL);
	refuse_shim(bed, SHIM("1", "1", "1", "\"\"", "\"-1\""), CODE_INTERNAL, NULL);
	refuse_shim(
		bed, SHIM("1", "1", "1", "\"\"", "\"18446744073709551616\""), CODE_INTERNAL, NULL);
	refuse_shim(bed, "[]", CODE_INTERNAL, "container web: shim.json: must be an object");
	refuse_shim(bed, "{\"v\":1}", CODE_INTERNAL, NULL);
	refuse_shim(bed, "{\"v\":1,\"pid\"", CODE_INTERNAL, NULL);
	refuse_shim(bed, "", CODE_INTERNAL, NULL);
}

/* Puts another value at a path of a good state.json. */
static void refuse_container(
	struct bed *bed, const char *outer, const char *key, const char *value, const char *named)
{
	const struct container_record good = sample();
	struct state_dir dir = folder(bed);
	struct error err = ERROR_INIT;
	struct container_record r;
	json_t *j, *obj;
	char *text, sentence[128];

	assert_ok(container_record_write(&dir, &good, &err), &err);
	assert_ok(json_read_file(bed->dir, "state.json", 1 << 20, "x", &j, &err), &err);
	obj = outer ? json_object_get(j, outer) : j;
	if (json_is_array(obj))
		obj = json_array_get(obj, 0);
	if (value)
		json_object_set_new(obj, key, json_loads(value, JSON_DECODE_ANY, NULL));
	else
		json_object_del(obj, key);
	text = json_text(j);
	json_decref(j);
	write_text(bed->dir, "state.json", text);
	free(text);
	snprintf(sentence, sizeof(sentence), "container web: state.json: %s is missing or wrong",
		named);
	assert_error(container_record_read(&dir, &r, &err), &err, CODE_INTERNAL, sentence);
}

static void test_container_refused(void **state)
{
	static const char *const keys[] = { "id", "namespace", "bundle", "runtime", "status", "pid",
		"start_time", "terminal", "stdio", "created", "execs" };
	struct bed *bed = *state;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		refuse_container(bed, NULL, keys[i], NULL, keys[i]);
		refuse_container(bed, NULL, keys[i], "null", keys[i]);
	}
	refuse_container(bed, NULL, "id", "7", "id");
	refuse_container(bed, NULL, "pid", "-1", "pid");
	refuse_container(bed, NULL, "status", "\"flying\"", "status");
	refuse_container(bed, NULL, "terminal", "1", "terminal");
	refuse_container(bed, NULL, "created", "\"yesterday\"", "created");
	refuse_container(bed, NULL, "execs", "{}", "execs");
	refuse_container(bed, NULL, "execs", "[7]", "execs");
	refuse_container(bed, "execs", "exec_id", "7", "execs");
	refuse_container(bed, "execs", "status", "\"flying\"", "execs");
	refuse_container(bed, "execs", "pid", "4194305", "execs");
	refuse_container(bed, "runtime", "command", "7", "runtime");
	refuse_container(bed, "runtime", "kind", NULL, "runtime");
	refuse_container(bed, "runtime", "systemd_cgroup", "\"yes\"", "runtime");
	refuse_container(bed, "runtime", "options", "[7]", "runtime");
	refuse_container(bed, "runtime", "options", "{}", "runtime");
	refuse_container(bed, "stdio", "stdout", "[]", "stdio");
	refuse_container(bed, NULL, "rootfs", "7", "rootfs");
	refuse_container(bed, NULL, "rootfs_made", NULL, "rootfs_made");
	refuse_container(bed, NULL, "rootfs", "null", "rootfs");
	refuse_container(bed, NULL, "rootfs", "\"rootfs\"", "rootfs");
}

#define MAKING(pid, start, cgroups)                                                                \
	"{\"pid\":" pid ",\"start_time\":" start ",\"cgroups\":" cgroups "}"

/* Its numbers are killed by, and its folders removed. */
static void refuse_making(struct bed *bed, const char *value)
{
	refuse_container(bed, NULL, "making", value, "making");
}

static void test_making_refused(void **state)
{
	struct bed *bed = *state;

	refuse_making(bed, "7");
	refuse_making(bed, "null");
	refuse_making(bed, "[]");
	refuse_making(bed, "{}");
	refuse_making(bed, MAKING("-1", "1", "[]"));
	refuse_making(bed, MAKING("4194305", "1", "[]"));
	refuse_making(bed, MAKING("\"1\"", "1", "[]"));
	refuse_making(bed, MAKING("1", "-1", "[]"));
	refuse_making(bed, MAKING("1", "1", "{}"));
	refuse_making(bed, MAKING("1", "1", "[7]"));
	refuse_making(bed, MAKING("1", "1", "[\"/a\",\"a/b\"]"));
	refuse_making(bed, MAKING("1", "1", "[\"\"]"));
}

static void write_execs(struct bed *bed, size_t n)
{
	struct container_record out = sample();
	struct state_dir dir = folder(bed);
	struct error err = ERROR_INIT;

	out.n_execs = n;
	out.execs = calloc(n, sizeof(*out.execs));
	for (size_t i = 0; i < n; i++)
		out.execs[i] = some_execs[1];
	assert_ok(container_record_write(&dir, &out, &err), &err);
	free(out.execs);
}

static void test_more_than_the_limits(void **state)
{
	struct bed *bed = *state;
	struct state_dir dir = folder(bed);
	struct error err = ERROR_INIT;
	struct container_record r;

	write_execs(bed, LIMIT_PROCESSES + 1);
	assert_error(container_record_read(&dir, &r, &err), &err, CODE_INTERNAL,
		"container web: state.json: execs is missing or wrong");
	write_execs(bed, 10 * LIMIT_PROCESSES);
	assert_int_equal(container_record_read(&dir, &r, &err), CODE_INTERNAL);
	error_clear(&err);
	write_execs(bed, 1);
	assert_ok(container_record_read(&dir, &r, &err), &err);
	container_record_deinit(&r);
}

/* At LIMIT_STATE_JSON, one above, far above; spaces after the document do not matter to JSON. */
static void test_size_limit(void **state)
{
	struct bed *bed = *state;
	struct state_dir dir = folder(bed);
	struct error err = ERROR_INIT;
	char *text = malloc(10 * LIMIT_STATE_JSON);
	struct shim_record r;
	static const char good[] = SHIM("1", "1", "1", "\"\"", "\"1\"");

	memset(text, ' ', 10 * LIMIT_STATE_JSON);
	memcpy(text, good, strlen(good));
	write_file(bed->dir, "shim.json", text, LIMIT_STATE_JSON, 0600);
	assert_ok(shim_record_read(&dir, &r, &err), &err);
	shim_record_deinit(&r);
	write_file(bed->dir, "shim.json", text, LIMIT_STATE_JSON + 1, 0600);
	assert_error(shim_record_read(&dir, &r, &err), &err, CODE_RESOURCE_EXHAUSTED,
		"container web: shim.json: larger than 4194304 bytes");
	write_file(bed->dir, "shim.json", text, 10 * LIMIT_STATE_JSON, 0600);
	assert_error(shim_record_read(&dir, &r, &err), &err, CODE_RESOURCE_EXHAUSTED, NULL);
	free(text);
}

static void test_links_are_not_followed(void **state)
{
	struct bed *bed = *state;
	struct state_dir dir = folder(bed);
	struct error err = ERROR_INIT;
	struct shim_record r;

	write_text(bed->dir, "real", SHIM("1", "1", "1", "\"\"", "\"1\""));
	assert_int_equal(symlinkat("real", bed->dir, "shim.json"), 0);
	assert_int_equal(shim_record_read(&dir, &r, &err), CODE_INTERNAL);
	error_clear(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_shim_round_trip),
		bed_test(test_container_round_trip),
		bed_test(test_making_round_trip),
		bed_test(test_bytes_that_are_no_text),
		bed_test(test_most_execs),
		bed_test(test_record_without_rootfs),
		bed_test(test_missing),
		bed_test(test_shim_refused),
		bed_test(test_container_refused),
		bed_test(test_making_refused),
		bed_test(test_more_than_the_limits),
		bed_test(test_size_limit),
		bed_test(test_links_are_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
