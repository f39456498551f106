/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process object of an exec. What it must hold was read off runc 1.1.5, whose `exec` with
 * flags starts from config.json's process.
 */
#include "common/bundle.h"
#include "common/json.h"
#include "test/unit/unit.h"

#define CONFIG                                                                                     \
	"{\"process\":{\"terminal\":true,\"consoleSize\":{\"height\":1,\"width\":2},"              \
	"\"user\":{\"uid\":1000,\"gid\":100,\"additionalGids\":[5,6]},\"args\":[\"sh\"],"          \
	"\"env\":[\"PATH=/bin\",\"A=1\"],\"cwd\":\"/home\",\"capabilities\":{"                     \
	"\"bounding\":[\"CAP_KILL\"],\"effective\":[\"CAP_KILL\"],"                                \
	"\"inheritable\":[\"CAP_KILL\"],\"permitted\":[\"CAP_KILL\"]},"                            \
	"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":18446744073709551615,"                  \
	"\"soft\":1024}],\"oomScoreAdj\":7,\"apparmorProfile\":\"old\"}}"

static struct bundle load(struct bed *bed, const char *config)
{
	struct bundle b = BUNDLE_INIT;
	struct error err = ERROR_INIT;

	write_text(bed->dir, "config.json", config);
	assert_ok(bundle_load(bed->path, &b, &err), &err);
	return b;
}

/* The process for a wish, as text; the caller frees. */
static char *make(struct bed *bed, const char *config, const struct exec_wish *wish)
{
	struct bundle b = load(bed, config);
	struct error err = ERROR_INIT;
	json_t *process = NULL;
	char *text;

	assert_ok(bundle_exec_process(&b, wish, &process, &err), &err);
	text = json_text(process);
	json_decref(process);
	bundle_deinit(&b);
	return text;
}

static void refuse(
	struct bed *bed, const char *config, const struct exec_wish *wish, const char *sentence)
{
	struct bundle b = load(bed, config);
	struct error err = ERROR_INIT;
	json_t *process = NULL;

	assert_error(bundle_exec_process(&b, wish, &process, &err), &err, CODE_INVALID_ARGUMENT,
		sentence);
	assert_null(process);
	bundle_deinit(&b);
}

static const char *const ls[] = { "ls", "-l", NULL };

static void test_inherits(void **state)
{
	const struct exec_wish wish = { .args = ls };
	char *text = make(*state, CONFIG, &wish);

	assert_string_equal(text,
		"{\"terminal\":false,\"consoleSize\":{\"height\":1,\"width\":2},"
		"\"user\":{\"uid\":1000,\"gid\":100,\"additionalGids\":[5,6]},"
		"\"env\":[\"PATH=/bin\",\"A=1\"],\"cwd\":\"/home\",\"capabilities\":{"
		"\"bounding\":[\"CAP_KILL\"],\"effective\":[\"CAP_KILL\"],"
		"\"inheritable\":[\"CAP_KILL\"],\"permitted\":[\"CAP_KILL\"]},"
		"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":18446744073709551615,"
		"\"soft\":1024}],\"oomScoreAdj\":7,\"apparmorProfile\":\"old\","
		"\"args\":[\"ls\",\"-l\"]}");
	free(text);
}

static void test_wishes(void **state)
{
	static const char *const env[] = { "A=2", "B=3", NULL };
	static const char *const caps[] = { "CAP_SYS_ADMIN", NULL };
	const struct exec_wish wish = {
		.args = ls,
		.cwd = "/tmp",
		.env = env,
		.user = "7:8",
		.caps = caps,
		.terminal = true,
		.no_new_privs = true,
		.apparmor = "new",
		.process_label = "label",
		.width = 80,
		.height = 25,
	};
	char *text = make(*state, CONFIG, &wish);

	assert_string_equal(text,
		"{\"terminal\":true,\"consoleSize\":{\"width\":80,\"height\":25},"
		"\"user\":{\"uid\":7,\"gid\":8,\"additionalGids\":[5,6]},"
		"\"env\":[\"PATH=/bin\",\"A=1\",\"A=2\",\"B=3\"],\"cwd\":\"/tmp\","
		"\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_SYS_ADMIN\"],"
		"\"effective\":[\"CAP_KILL\",\"CAP_SYS_ADMIN\"],\"inheritable\":[\"CAP_KILL\"],"
		"\"permitted\":[\"CAP_KILL\",\"CAP_SYS_ADMIN\"],\"ambient\":[\"CAP_SYS_ADMIN\"]},"
		"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":18446744073709551615,"
		"\"soft\":1024}],\"oomScoreAdj\":7,\"apparmorProfile\":\"new\","
		"\"args\":[\"ls\",\"-l\"],\"noNewPrivileges\":true,\"selinuxLabel\":\"label\"}");
	free(text);
}

/* A process that names almost nothing: what is asked for is made. */
static void test_from_a_bare_process(void **state)
{
	static const char *const env[] = { "A=2", NULL };
	static const char *const caps[] = { "CAP_KILL", NULL };
	const struct exec_wish wish = { .args = ls, .env = env, .user = "7", .caps = caps };
	char *text = make(*state,
		"{\"process\":{\"cwd\":\"/\",\"env\":null,\"capabilities\":null,\"user\":null}}",
		&wish);

	assert_string_equal(text,
		"{\"cwd\":\"/\",\"env\":[\"A=2\"],\"capabilities\":{\"bounding\":[\"CAP_KILL\"],"
		"\"effective\":[\"CAP_KILL\"],\"permitted\":[\"CAP_KILL\"],"
		"\"ambient\":[\"CAP_KILL\"]},\"user\":{\"uid\":7},\"args\":[\"ls\",\"-l\"],"
		"\"terminal\":false}");
	free(text);
}

static void test_users(void **state)
{
	static const char *const bad[] = { ":", "root", "1:", ":1", "-1", "1:2:3", "4294967296",
		"1:4294967296", "1 ", "0x1", "99999999999999999999" };
	struct exec_wish wish = { .args = ls };
	char sentence[96], *text;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		wish.user = bad[i];
		snprintf(sentence, sizeof(sentence),
			"user \"%s\" must be UID or UID:GID, in numbers", bad[i]);
		refuse(*state, CONFIG, &wish, sentence);
	}
	wish.user = "4294967295:0";
	text = make(*state, CONFIG, &wish);
	assert_non_null(strstr(text, "\"user\":{\"uid\":4294967295,\"gid\":0,"));
	free(text);
	wish.user = "5"; /* the group stays */
	text = make(*state, CONFIG, &wish);
	assert_non_null(strstr(text, "\"user\":{\"uid\":5,\"gid\":100,"));
	free(text);
}

static void test_refusals(void **state)
{
	static const char *const nothing[] = { NULL };
	static const char *const bytes[] = { "ls", "\xff\xfe", NULL };
	struct bed *bed = *state;
	struct exec_wish wish = { .args = nothing };
	char sentence[256];

	refuse(bed, CONFIG, &wish, "exec: args must not be empty");
	wish.args = NULL;
	refuse(bed, CONFIG, &wish, "exec: args must not be empty");
	wish.args = bytes;
	refuse(bed, CONFIG, &wish, "what is to be executed must be valid UTF-8");
	wish.args = ls;
	wish.cwd = "relative";
	refuse(bed, CONFIG, &wish, "exec: cwd must be an absolute path");
	wish.cwd = NULL;
	refuse(bed, "{\"process\":{}}", &wish, "exec: cwd must be an absolute path");
	snprintf(sentence, sizeof(sentence), "%s/config.json: process is missing", bed->path);
	refuse(bed, "{}", &wish, sentence);
}

static void check_spec(const char *text, int code, const char *sentence)
{
	struct error err = ERROR_INIT;
	json_t *process = NULL;

	assert_error(process_spec_parse(text, strlen(text), &process, &err), &err, code, sentence);
	assert_int_equal(process != NULL, code == CODE_OK);
	json_decref(process);
}

static void test_specs_of_clients(void **state)
{
	(void)state;
	check_spec("{\"args\":[\"sh\"],\"cwd\":\"/\",\"whatever\":[1]}", CODE_OK, NULL);
	check_spec("{\"args\":[],\"cwd\":\"/\"}", CODE_INVALID_ARGUMENT,
		"process spec: args must not be empty");
	check_spec(
		"{\"cwd\":\"/\"}", CODE_INVALID_ARGUMENT, "process spec: args must not be empty");
	check_spec("{\"args\":[1],\"cwd\":\"/\"}", CODE_INVALID_ARGUMENT,
		"process spec: args[0] must be a string");
	check_spec("{\"args\":\"sh\",\"cwd\":\"/\"}", CODE_INVALID_ARGUMENT,
		"process spec: args must be an array");
	check_spec("{\"args\":[\"sh\"]}", CODE_INVALID_ARGUMENT,
		"process spec: cwd must be an absolute path");
	check_spec("{\"args\":[\"sh\"],\"cwd\":\"x\"}", CODE_INVALID_ARGUMENT,
		"process spec: cwd must be an absolute path");
	check_spec("{\"args\":[\"sh\"],\"cwd\":7}", CODE_INVALID_ARGUMENT,
		"process spec: cwd must be a string");
	check_spec("{\"args\":[\"sh\"],\"cwd\":\"/\",\"env\":{}}", CODE_INVALID_ARGUMENT,
		"process spec: env must be an array");
	check_spec("{\"args\":[\"sh\"],\"cwd\":\"/\",\"terminal\":1}", CODE_INVALID_ARGUMENT,
		"process spec: terminal must be true or false");
	check_spec("[]", CODE_INVALID_ARGUMENT, "process spec: must be an object");
	check_spec("", CODE_INVALID_ARGUMENT, NULL);
	check_spec("{\"args\":[\"sh\"],\"cwd\":\"/\"", CODE_INVALID_ARGUMENT, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_inherits),
		bed_test(test_wishes),
		bed_test(test_from_a_bare_process),
		bed_test(test_users),
		bed_test(test_refusals),
		cmocka_unit_test(test_specs_of_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
