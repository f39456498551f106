/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging programs of binary:// and binary-v2://: what they are started with, when they count as ready,
 * and that they get every byte. Their ends: test_races_logger_end.c.
 * deadline: 180
 */
#include "test/integration/races.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "test/integration/bed_logger.h"

#define MIB16 ((size_t)16 << 20)
/* 16 MiB to each, made of different bytes */
#define MUCH "[\"/bin/tool\",\"seq\",\"random\",\"7\",\"16M\",\"--\",\"burst\",\"16M\",\"2\"]"

/* Makes it the next process's stdout, and (as with containerd) so its stderr. */
static void use(struct race *race, const char *scheme, const char *query)
{
	free(race->bed->out);
	race->bed->out = bed_logger(race->bed, scheme, "log", query);
}

static void run_to_end(struct race *race, uint32_t status)
{
	race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), status);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), status);
	race_await_no_children(race);
}

static void assert_logged(const struct race *race, const char *file, const char *text)
{
	_cleanup_free_ char *all = bed_logged(race->bed, file);

	assert_string_equal(all, text);
}

static bool is_there(const struct race *race, const char *name)
{
	_cleanup_free_ char *path = bed_format("%s/%s", race->bed->dir, name);

	return access(path, F_OK) == 0;
}

/* --- bytes --- */

static void test_every_byte(void **state)
{
	struct race *race = *state;

	use(race, "binary", "ready=close");
	bed_config(race->bed, MUCH, false);
	run_to_end(race, 0);
	bed_check_logged(race->bed, "log/out", 7, MIB16);
	bed_check_logged(race->bed, "log/err", 1, MIB16);
	assert_int_equal(bed_count_logged(race->bed, "log/runs", "start "), 1);
	assert_int_equal(bed_count_logged(race->bed, "log/runs", "end"), 1);
	assert_int_equal(bed_count_logged(race->bed, "log/runs", "term"), 0);
}

/* The same URI for both, as containerd's own client gives it: one program. Another one: two. */
static void test_each_stream_where_it_says(void **state)
{
	struct race *race = *state;
	struct bed *bed = race->bed;
	_cleanup_free_ char *a = bed_logger(bed, "binary", "a", "");
	_cleanup_free_ char *b = bed_logger(bed, "binary-v2", "b", "");
	_cleanup_free_ char *file = bed_format("file://%s/plain", bed->dir);
	const struct {
		const char *exec_id, *out, *err;
	} cases[] = { { "e1", a, a }, { "e2", a, b }, { "e3", file, b } };

	bed_config(bed, "[\"/bin/tool\",\"pause\"]", false);
	race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
	for (size_t i = 0; i < 3; i++) {
		const char *args =
			"[\"/bin/tool\",\"seq\",\"args\",\"one\",\"--\",\"err\",\"two\"]";
		const char *id = cases[i].exec_id;

		bed_exec_logged(bed, id, args, cases[i].out, cases[i].err, false);
		race_ok(race_call(race, "Start", id));
		assert_int_equal(race_ok(race_call(race, "Wait", id)), 0);
		race_ok(race_call(race, "Delete", id));
	}
	/* 1: all to a. 2: stdout to a, stderr to b. 3: stdout to the file, stderr to b. */
	assert_logged(race, "a/out", "one\none\n");
	assert_logged(race, "a/err", "two\n");
	assert_logged(race, "b/out", "");
	assert_logged(race, "b/err", "two\ntwo\n");
	assert_logged(race, "plain", "one\n");
}

static void test_terminal(void **state)
{
	struct race *race = *state;
	_cleanup_free_ char *uri = bed_logger(race->bed, "binary-v2", "log", "");

	bed_config(race->bed, "[\"/bin/tool\",\"lines\",\"20000\"]", true);
	bed_create_logged(race->bed, uri, uri, true);
	race_ok(race_call(race, "Start", ""));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 0);
	race_ok(race_call(race, "Delete", ""));
	race_await_no_children(race);
	assert_int_equal(bed_count_logged(race->bed, "log/out", "line "), 20000);
	assert_int_equal(bed_count_logged(race->bed, "log/out", "line 20000\r\n"), 1);
	assert_logged(race, "log/err", "");
	assert_int_equal(bed_count_logged(race->bed, "log/runs", "end"), 1);
}

/* --- what it is started with --- */

static void test_arguments_and_environment(void **state)
{
	struct race *race = *state;
	_cleanup_free_ char *args =
		bed_format("%s/log\nlook\n1\na b\nc +%%d\nempty\n\nnone\n\n", race->bed->dir);
	_cleanup_free_ char *env =
		bed_format("CONTAINER_ID=%s\nCONTAINER_NAMESPACE=default\n", race->bed->id);
	_cleanup_free_ char *fds = NULL;
	unsigned n[6];

	use(race, "binary", "look=1&a+b=c%20%2b%25d&empty=&&none&a%20b=again#fragment");
	bed_config(race->bed, "[\"/bin/tool\",\"exit\",\"4\"]", false);
	run_to_end(race, 4);
	assert_logged(race, "log/args", args);
	assert_logged(race, "log/env", env);
	fds = bed_logged(race->bed, "log/fds");
	assert_int_equal(sscanf(fds,
				 "0 /dev/null\n1 /dev/null\n2 /dev/null\n3 pipe:[%u]\n"
				 "4 pipe:[%u]\n5 pipe:[%u]\n%u",
				 &n[0], &n[1], &n[2], &n[3]),
		3);
	assert_true(n[0] != n[1] && n[1] != n[2] && n[0] != n[2]);
}

static void test_exec_has_its_own(void **state)
{
	struct race *race = *state;
	struct bed *bed = race->bed;
	_cleanup_free_ char *uri = bed_logger(bed, "binary", "exec", "look=1");

	use(race, "binary", "");
	bed_config(bed, "[\"/bin/tool\",\"pause\"]", false);
	race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
	bed_exec_logged(bed, "e1", "[\"/bin/tool\",\"random\",\"3\",\"1M\"]", uri, uri, false);
	assert_logged(race, "exec/runs", ""); /* it begins when the exec does */
	race_ok(race_call(race, "Start", "e1"));
	assert_int_equal(race_ok(race_call(race, "Wait", "e1")), 0);
	race_ok(race_call(race, "Delete", "e1"));
	bed_check_logged(bed, "exec/out", 3, 1 << 20);
	assert_logged(race, "exec/env", "CONTAINER_ID=e1\nCONTAINER_NAMESPACE=default\n");
	assert_int_equal(bed_count_logged(bed, "exec/runs", "end"), 1);
	assert_int_equal(bed_count_logged(bed, "log/runs", "end"), 0);
	/* one that is never started, and one that cannot be */
	bed_exec_logged(bed, "e2", "[\"/bin/tool\",\"pause\"]", uri, uri, false);
	race_ok(race_call(race, "Delete", "e2"));
	assert_int_equal(bed_count_logged(bed, "exec/runs", "start "), 1);
	for (int terminal = 0; terminal < 2; terminal++) {
		const char *id = terminal ? "e4" : "e3";

		bed_exec_logged(bed, id, "[\"/nope\"]", uri, uri, terminal);
		assert_int_not_equal(race_land(race_call(race, "Start", id)), 0);
		bed_await_logged(bed, "exec/runs", "end", 2u + (unsigned)terminal);
	}
	assert_int_equal(bed_count_logged(bed, "exec/runs", "term"), 0);
}

/* --- readiness --- */

static void test_create_waits_until_it_is_ready(void **state)
{
	struct race *race = *state;
	struct flight *create;

	use(race, "binary-v2", "await=@/go");
	bed_config(race->bed, "[\"/bin/tool\",\"exit\",\"0\"]", false);
	race_script(race, "create touch @/asked\n");
	create = race_create(race, false);
	bed_await_logged(race->bed, "log/runs", "start ", 1);
	assert_true(race_pending(create));
	race_assert_answers(race);
	assert_false(is_there(race, "asked"));
	race_touch(race, "go");
	race_ok(create);
	race_await_file(race, "asked");
}

static void test_end_of_file_is_ready_for_the_first_kind(void **state)
{
	struct race *race = *state;

	use(race, "binary", "ready=close");
	race_ok(race_create(race, false));
	assert_int_equal(bed_count_logged(race->bed, "log/runs", "ready"), 1);
}

static void refuse(
	struct race *race, const char *scheme, const char *query, int code, const char *sentence)
{
	_cleanup_free_ char *tool = realpath("build/test/tool", NULL);
	_cleanup_free_ char *whole = bed_format("stdout: logger %s %s", tool, sentence);

	use(race, scheme, query);
	bed_config(race->bed, "[\"/bin/tool\",\"pause\"]", false);
	race_script(race, "create touch @/asked\n");
	race_refused(race_create(race, false), code, whole);
	race_await_no_children(race);
	race_await_fds(race, race->n_fds);
	assert_false(is_there(race, "asked"));
	assert_int_equal(race->n_events, 0);
}

static void test_a_byte_is_wanted_by_the_second_kind(void **state)
{
	refuse(*state, "binary-v2", "ready=close", CODE_INTERNAL,
		"closed its descriptor 5 without a byte, it was killed");
}

static void test_end_before_it_is_ready(void **state)
{
	refuse(*state, "binary-v2", "before=3", CODE_INTERNAL,
		"ended before it was ready, with status 3");
}

/* With a child of its own, which goes too. */
static void test_hang_before_it_is_ready(void **state)
{
	struct race *race = *state;
	int64_t begun = clock_monotonic_ms();

	race->bed->deadline_ms = 1500;
	refuse(race, "binary", "ready=never&child=600000&term=ignore", CODE_DEADLINE_EXCEEDED,
		"was not ready in 1.5 s, it was killed");
	assert_in_range(clock_monotonic_ms() - begun, 1500, 10000);
}

/* The second of two fails: the first is ended, too. */
static void test_one_of_two_is_not_ready(void **state)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	struct race *race = *state;
	_cleanup_free_ char *a = bed_logger(race->bed, "binary-v2", "a", "");
	_cleanup_free_ char *b = bed_logger(race->bed, "binary-v2", "b", "before=7");
	Google__Protobuf__Any any;
	uint8_t room[1024];

	r.id = race->bed->id;
	r.bundle = race->bed->bundle;
	r.stdout = a;
	r.stderr = b;
	r.options = bed_options(race->bed, room, &any);
	bed_refused_like(race->bed, TASK, "Create", &r,
		&containerd__task__v2__create_task_response__descriptor, CODE_INTERNAL,
		"stderr: logger ");
	race_await_no_children(race);
}

static void test_no_program(void **state)
{
	static const struct {
		const char *uri, *sentence;
		int code;
	} cases[] = {
		{ "binary:///nope",
			"stdout binary:///nope: logger /nope: No such file or directory",
			CODE_NOT_FOUND },
		{ "binary-v2:///etc/passwd",
			"stdout binary-v2:///etc/passwd: logger /etc/passwd: Permission denied",
			CODE_PERMISSION_DENIED },
		{ "binary:///etc", "stdout binary:///etc: logger /etc: Permission denied",
			CODE_PERMISSION_DENIED },
	};
	struct race *race = *state;
	_cleanup_free_ char *path = bed_format("%s/garbage", race->bed->dir);
	_cleanup_free_ char *sentence =
		bed_format("stdout: logger %s cannot be run: Exec format error", path);
	FILE *f = fopen(path, "we");

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		free(race->bed->out);
		race->bed->out = strdup(cases[i].uri);
		race_refused(race_create(race, false), cases[i].code, cases[i].sentence);
	}
	/* what can be told only by trying */
	assert_non_null(f);
	fputs("no program\n", f);
	fclose(f);
	assert_int_equal(chmod(path, 0755), 0);
	free(race->bed->out);
	race->bed->out = bed_format("binary://%s", path);
	race_refused(race_create(race, false), CODE_INTERNAL, sentence);
}

/* The runtime fails once the logger is ready: it sees the end, and is gone. */
static void test_create_fails(void **state)
{
	struct race *race = *state;

	use(race, "binary", "");
	race_script(race, "create fail no luck\n");
	assert_int_not_equal(race_land(race_create(race, false)), 0);
	race_await_no_children(race);
	assert_int_equal(bed_count_logged(race->bed, "log/runs", "start "), 1);
}

#define FAKE(test) cmocka_unit_test_setup_teardown(test, race_setup_fake, race_teardown)

int main(void)
{
#define BOTH(name)                                                                                 \
	{ #name " (scripted)", name, race_setup_fake, race_teardown, NULL },                       \
	{                                                                                          \
#name " (runc)", name, race_setup_runc, race_teardown, NULL                        \
	}
	static const struct CMUnitTest tests[] = {
		BOTH(test_every_byte),
		BOTH(test_each_stream_where_it_says),
		BOTH(test_terminal),
		FAKE(test_arguments_and_environment),
		BOTH(test_exec_has_its_own),
		FAKE(test_create_waits_until_it_is_ready),
		FAKE(test_end_of_file_is_ready_for_the_first_kind),
		FAKE(test_a_byte_is_wanted_by_the_second_kind),
		FAKE(test_end_before_it_is_ready),
		FAKE(test_hang_before_it_is_ready),
		FAKE(test_one_of_two_is_not_ready),
		FAKE(test_no_program),
		FAKE(test_create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
