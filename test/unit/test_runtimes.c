/* SPDX-License-Identifier: Apache-2.0 */
/* runtimes.json: what a set holds, and every mistake with its line and key. */
#include "common/runtimes.h"

#include "common/limits.h"
#include "test/unit/unit.h"

static const char good[] = "{\n"
			   "  \"v\": 1,\n"
			   "  \"runtimes\": {\n"
			   "    \"fast\": {\n"
			   "      \"kind\": \"runsc\", \"command\": \"/usr/bin/runsc\",\n"
			   "      \"root\": \"/run/fast\",\n"
			   "      \"options\": [\"platform=ptrace\", \"ignore-cgroups\"],\n"
			   "      \"systemd_cgroup\": true, \"deadline_ms\": 1500\n"
			   "    },\n"
			   "    \"plain-2\": {}\n"
			   "  }\n"
			   "}\n";

static int find(const char *text, const char *name, struct runtime_set *ret, struct error *err)
{
	return runtimes_find_in("runtimes.json", text, strlen(text), name, ret, err);
}

static void test_sets(void **state)
{
	struct runtime_set s = RUNTIME_SET_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_ok(find(good, "fast", &s, &err), &err);
	assert_string_equal(s.kind, "runsc");
	assert_string_equal(s.command, "/usr/bin/runsc");
	assert_string_equal(s.root, "/run/fast");
	assert_int_equal(s.options.n, 2);
	assert_string_equal(s.options.v[0], "platform=ptrace");
	assert_string_equal(s.options.v[1], "ignore-cgroups");
	assert_true(s.systemd_cgroup);
	assert_int_equal(s.deadline_ms, 1500);
	runtime_set_deinit(&s);
	assert_ok(find(good, "plain-2", &s, &err), &err);
	assert_true(!s.kind && !s.command && !s.root && s.options.n == 0 && !s.systemd_cgroup &&
		    s.deadline_ms == 0);
	runtime_set_deinit(&s);
	assert_error(find(good, "slow", &s, &err), &err, CODE_NOT_FOUND, NULL);
}

static void refused(const char *text, const char *sentence)
{
	struct runtime_set s = RUNTIME_SET_INIT;
	struct error err = ERROR_INIT;
	char whole[256];

	snprintf(whole, sizeof(whole), "runtimes.json:%s", sentence);
	assert_error(find(text, "other", &s, &err), &err, CODE_INVALID_ARGUMENT, whole);
	assert_null(s.kind);
}

#define SET(text) "{\"v\":1,\n\"runtimes\":{\n\"ok\":{},\n\"fast\":{\n" text "\n}}}"

/* Told whichever name is asked for. */
static void test_mistakes(void **state)
{
	(void)state;
	refused("", "1: '[' or '{' expected near end of file");
	refused("{\"v\":1,\n\n oops}", "3: string or '}' expected near 'oops'");
	refused("[]", "1: not an object");
	refused("{\"runtimes\":{}}", "1: v: not a number");
	refused("{\n\"v\":2}", "2: v: not a version that this cleat knows: it knows 1");
	refused("{\"v\":1}", "1: runtimes: not an object");
	refused("{\"v\":1,\n\"runtimes\":[]}", "2: runtimes: not an object");
	refused("{\"v\":1,\"runtimes\":{},\n\"default\":\"x\"}",
		"2: default: not a key that is known");
	refused("{\"v\":1,\"runtimes\":{},\n\"a\\nb\":\"x\"}", "2: a b: not a key that is known");
	refused("{\"v\":1,\"runtimes\":{},\n\"v\":1}", "2: duplicate object key near '\"v\"'");
	refused("{\"v\":1,\"runtimes\":{\n\"fast\":5}}", "2: runtimes.fast: not an object");
	refused("{\"v\":1,\"runtimes\":{\n\"runc\":{}}}",
		"2: runtimes.runc: a name that a runtime has itself");
	refused("{\"v\":1,\"runtimes\":{\n\"a/b\":{}}}",
		"2: runtimes.a/b: a name is of letters, digits, '.', '_' and '-', and 64 bytes at "
		"most");
	refused(SET("\"kind\":\"kata\""), "5: runtimes.fast.kind: none of runc, crun, runsc");
	refused(SET("\n\"kind\":1"), "6: runtimes.fast.kind: not a string");
	refused(SET("\"command\":\"bin/x\""),
		"5: runtimes.fast.command: neither a name nor an absolute path");
	refused(SET("\"command\":\"\""),
		"5: runtimes.fast.command: neither a name nor an absolute path");
	refused(SET("\"root\":\"run\""), "5: runtimes.fast.root: not an absolute path");
	refused(SET("\n\n\"options\":\"debug\""),
		"7: runtimes.fast.options: not a list of strings");
	refused(SET("\"options\":[\"a\",1]"), "5: runtimes.fast.options: not a list of strings");
	refused(SET("\"options\":[\"--debug\"]"),
		"5: runtimes.fast.options: an option must be NAME or NAME=VALUE, without dashes");
	refused(SET("\"systemd_cgroup\":1"),
		"5: runtimes.fast.systemd_cgroup: neither true nor false");
	refused(SET("\"deadline_ms\":0"),
		"5: runtimes.fast.deadline_ms: not a number of milliseconds up to 86400000");
	refused(SET("\"deadline_ms\":86400001"),
		"5: runtimes.fast.deadline_ms: not a number of milliseconds up to 86400000");
	refused(SET("\"path\":\"/x\""), "5: runtimes.fast.path: not a key that is known");
}

/* The place is the key's, not that of a value or another key that reads the same. */
static void test_places(void **state)
{
	(void)state;
	refused("{\"v\":1,\"runtimes\":{\n\"a\":{\"command\":\"options\"},\n\"options\":{\n"
		"\"options\" \n: {}}}}",
		"4: runtimes.options.options: not a list of strings");
	refused("{\"v\":1,\"runtimes\":{\n\"fast\":{\"options\":[\"fast\",\n\"kind\"]},\n"
		"\"x\":{\"kind\":\"runc\"},\n\"y\":{\"kind\":\"\\u006b\"}}}",
		"5: runtimes.y.kind: none of runc, crun, runsc");
	refused("{\"v\":1,\"runtimes\":{\"a\":{},\n\"\\u0062\":{\n\"k\\u0069nd\":0}}}",
		"3: runtimes.b.kind: not a string");
}

static void test_files(void **state)
{
	struct bed *bed = *state;
	struct runtime_set s = RUNTIME_SET_INIT;
	struct error err = ERROR_INIT;
	char path[128], sentence[256];

	snprintf(path, sizeof(path), "%s/r.json", bed->path);
	assert_error(runtimes_find(path, "fast", &s, &err), &err, CODE_NOT_FOUND, NULL);
	write_text(bed->dir, "real.json", good);
	assert_int_equal(symlinkat("real.json", bed->dir, "r.json"), 0);
	assert_ok(runtimes_find(path, "fast", &s, &err), &err);
	runtime_set_deinit(&s);
	write_text(bed->dir, "real.json", "{\"v\":1,\n\"runtimes\":0}");
	snprintf(sentence, sizeof(sentence), "%s:2: runtimes: not an object", path);
	assert_error(runtimes_find(path, "fast", &s, &err), &err, CODE_INVALID_ARGUMENT, sentence);
	assert_int_equal(unlinkat(bed->dir, "r.json", 0), 0);
	assert_int_equal(mkfifoat(bed->dir, "r.json", 0600), 0);
	assert_error(runtimes_find(path, "fast", &s, &err), &err, CODE_INVALID_ARGUMENT, NULL);
}

static int read_set(const char *text, struct runtime_set *ret, struct error *err)
{
	return runtime_set_read_in("config_body", text, strlen(text), ret, err);
}

static void set_refused(const char *text, const char *sentence)
{
	struct runtime_set s = RUNTIME_SET_INIT;
	struct error err = ERROR_INIT;
	char whole[256];

	snprintf(whole, sizeof(whole), "config_body:%s", sentence);
	assert_error(read_set(text, &s, &err), &err, CODE_INVALID_ARGUMENT, whole);
	assert_true(!s.kind && !s.command && !s.root);
}

/* A set without a name around it. */
static void test_alone(void **state)
{
	struct runtime_set s = RUNTIME_SET_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_ok(read_set("{\"kind\":\"crun\",\"command\":\"crun\",\"root\":\"/run/x\","
			   "\"options\":[\"debug\"],\"systemd_cgroup\":true,\"deadline_ms\":7}",
			  &s, &err),
		&err);
	assert_string_equal(s.kind, "crun");
	assert_string_equal(s.command, "crun");
	assert_string_equal(s.root, "/run/x");
	assert_int_equal(s.options.n, 1);
	assert_true(s.systemd_cgroup);
	assert_int_equal(s.deadline_ms, 7);
	runtime_set_deinit(&s);
	assert_ok(read_set("{}", &s, &err), &err);
	assert_true(!s.kind && !s.command && !s.root && s.options.n == 0);
	set_refused("", "1: '[' or '{' expected near end of file");
	set_refused("[]", "1: not an object");
	set_refused("command = \"crun\"\n", "1: '[' or '{' expected near 'command'");
	set_refused("{\n\"kind\":\"kata\"}", "2: kind: none of runc, crun, runsc");
	set_refused("{\"kind\":\"crun\",\n\n\"options\":\"debug\"}",
		"3: options: not a list of strings");
	set_refused("{\"a\x7f\":1}", "1: a: not a key that is known");
	set_refused("{\n\"v\":1,\"runtimes\":{}}", "2: v: not a key that is known");
}

static void test_alone_file(void **state)
{
	struct bed *bed = *state;
	struct runtime_set s = RUNTIME_SET_INIT;
	struct error err = ERROR_INIT;
	char path[128], sentence[256];

	snprintf(path, sizeof(path), "%s/crun.json", bed->path);
	assert_error(runtime_set_read(path, &s, &err), &err, CODE_NOT_FOUND, NULL);
	write_text(bed->dir, "crun.json", "{\"command\": \"/usr/bin/crun\"}\n");
	assert_ok(runtime_set_read(path, &s, &err), &err);
	assert_string_equal(s.command, "/usr/bin/crun");
	runtime_set_deinit(&s);
	write_text(bed->dir, "crun.json", "{\n\"command\": 1}\n");
	snprintf(sentence, sizeof(sentence), "%s:2: command: not a string", path);
	assert_error(runtime_set_read(path, &s, &err), &err, CODE_INVALID_ARGUMENT, sentence);
	write_text(bed->dir, "crun.json", "{\"command\": \"crun\"}");
	assert_int_equal(truncate(path, LIMIT_RUNTIMES_JSON + 1), 0);
	assert_error(runtime_set_read(path, &s, &err), &err, CODE_RESOURCE_EXHAUSTED, NULL);
}

/* At the limit, one above, far above. */
static void test_sizes(void **state)
{
	static const size_t sizes[] = { LIMIT_RUNTIMES_JSON, LIMIT_RUNTIMES_JSON + 1,
		10 * LIMIT_RUNTIMES_JSON };
	struct bed *bed = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/r.json", bed->path);
	for (size_t i = 0; i < 3; i++) {
		struct runtime_set s = RUNTIME_SET_INIT;
		struct error err = ERROR_INIT;
		char *text = malloc(sizes[i]);

		memset(text, ' ', sizes[i]);
		memcpy(text, good, strlen(good));
		write_file(bed->dir, "r.json", text, sizes[i], 0600);
		assert_error(runtimes_find(path, "fast", &s, &err), &err,
			i == 0 ? CODE_OK : CODE_RESOURCE_EXHAUSTED, NULL);
		runtime_set_deinit(&s);
		free(text);
	}
}

static void test_path(void **state)
{
	(void)state;
	unsetenv(RUNTIMES_VARIABLE);
	assert_string_equal(runtimes_path(), "/etc/cleat/runtimes.json");
	setenv(RUNTIMES_VARIABLE, "", 1);
	assert_string_equal(runtimes_path(), "/etc/cleat/runtimes.json");
	setenv(RUNTIMES_VARIABLE, "/x", 1);
	assert_string_equal(runtimes_path(), "/x");
	unsetenv(RUNTIMES_VARIABLE);
}

static void test_names(void **state)
{
	struct bed *bed = *state;
	_cleanup_argv_ struct argv names = ARGV_INIT;
	struct error err = ERROR_INIT;
	char path[128];

	snprintf(path, sizeof(path), "%s/r.json", bed->path);
	assert_error(runtimes_names(path, &names, &err), &err, CODE_NOT_FOUND, NULL);
	write_text(bed->dir, "r.json", "{\"v\": 1, \"runtimes\": {\"b\": {}, \"a\": {}}}");
	assert_ok(runtimes_names(path, &names, &err), &err);
	assert_int_equal(names.n, 2);
	assert_string_equal(names.v[0], "b");
	assert_string_equal(names.v[1], "a");
	write_text(bed->dir, "r.json", "{\"v\": 1, \"runtimes\": {\"b\": {}, \"a\": 1}}");
	assert_error(runtimes_names(path, &names, &err), &err, CODE_INVALID_ARGUMENT, NULL);
	assert_int_equal(names.n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_places),
		bed_test(test_files),
		cmocka_unit_test(test_alone),
		bed_test(test_alone_file),
		bed_test(test_sizes),
		bed_test(test_names),
		cmocka_unit_test(test_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
