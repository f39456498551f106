/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runtimes answer. Texts marked with a version are as that runtime printed them; the others
 * are what should never come and does.
 */
#include "common/runtime.h"

#include <errno.h>

#include "common/limits.h"
#include "test/unit/unit.h"

#define EXITED(n) ((n) << 8)
#define KILLED(n) (n)

static const struct runtime runc = { .kind = RUNTIME_RUNC, .deadline_ms = 60000 };
static const struct runtime crun = { .kind = RUNTIME_CRUN, .deadline_ms = 1500 };
static const struct runtime runsc = { .kind = RUNTIME_RUNSC, .deadline_ms = 60000 };

static struct buf bytes(const void *data, size_t n)
{
	struct buf b = BUF_INIT;

	assert_int_equal(buf_append(&b, data, n), 0);
	return b;
}

static struct buf text(const char *s)
{
	return bytes(s, strlen(s));
}

struct failure {
	const struct runtime *rt;
	enum runtime_verb verb;
	enum code code;
	const char *log, *printed;
	const char *sentence, *words;
};

static void check_failure(const struct failure *f)
{
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct buf log = text(f->log ? f->log : "");
	struct error err = ERROR_INIT;
	char *words;

	o.wait_status = EXITED(1);
	o.err = text(f->printed ? f->printed : "");
	assert_error(runtime_judge(f->rt, f->verb, &o, f->log ? &log : NULL, &err), &err,
		(int)f->code, f->sentence);
	words = runtime_words(&o, f->log ? &log : NULL);
	if (f->words)
		assert_string_equal(words, f->words);
	else
		assert_null(words);
	free(words);
	buf_deinit(&log);
	runtime_outcome_deinit(&o);
}

static void test_runc_1_1_5(void **state)
{
	static const struct failure failures[] = {
		{ &runc, RUNTIME_STATE, CODE_NOT_FOUND,
			"{\"level\":\"error\",\"msg\":\"container does not exist\","
			"\"time\":\"2026-11-22T02:42:30Z\"}\n",
			"container does not exist\n", "runc state: container does not exist",
			"container does not exist" },
		{ &runc, RUNTIME_CREATE, CODE_UNKNOWN,
			"{\"level\":\"error\",\"msg\":\"runc create failed: unable to start "
			"container process: exec: \\\"/bin/nope\\\": stat /bin/nope: no such file "
			"or directory\",\"time\":\"2026-11-22T02:43:07Z\"}\n",
			NULL,
			"runc create: unable to start container process: exec: \"/bin/nope\": stat "
			"/bin/nope: no such file or directory",
			"runc create failed: unable to start container process: exec: "
			"\"/bin/nope\": stat /bin/nope: no such file or directory" },
		{ &runc, RUNTIME_EXEC, CODE_UNKNOWN,
			"{\"level\":\"error\",\"msg\":\"exec failed: unable to start container "
			"process: exec: \\\"/bin/nope\\\": stat /bin/nope: no such file or "
			"directory\",\"time\":\"2026-11-22T02:42:30Z\"}\n",
			NULL,
			"runc exec: unable to start container process: exec: \"/bin/nope\": stat "
			"/bin/nope: no such file or directory",
			"exec failed: unable to start container process: exec: \"/bin/nope\": stat "
			"/bin/nope: no such file or directory" },
		{ &runc, RUNTIME_CREATE, CODE_ALREADY_EXISTS,
			"{\"level\":\"error\",\"msg\":\"runc create failed: container with given ID "
			"already exists\",\"time\":\"2026-11-22T02:42:30Z\"}\n",
			NULL, "runc create: container with given ID already exists",
			"runc create failed: container with given ID already exists" },
		{ &runc, RUNTIME_DELETE, CODE_UNKNOWN,
			"{\"level\":\"error\",\"msg\":\"cannot delete container web that is not "
			"stopped: running\",\"time\":\"2026-11-22T02:42:30Z\"}\n",
			NULL,
			"runc delete: cannot delete container web that is not stopped: running",
			"cannot delete container web that is not stopped: running" },
		/* before it has read --log it prints in its text format, and its help */
		{ &runc, RUNTIME_LIST, CODE_UNKNOWN, NULL,
			"time=\"2026-11-22T02:42:32Z\" level=error msg=\"flag provided but not "
			"defined: -nosuchflag\"\n",
			"runc list: flag provided but not defined: -nosuchflag",
			"flag provided but not defined: -nosuchflag" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++)
		check_failure(&failures[i]);
}

static void test_crun_1_8_1(void **state)
{
	static const struct failure failures[] = {
		{ &crun, RUNTIME_STATE, CODE_NOT_FOUND,
			"{\"msg\":\"error opening file `/run/r/web/status`: No such file or "
			"directory\",\"level\":\"error\",\"time\":\"2026-11-22T02:43:07.355447Z\"}\n",
			NULL,
			"crun state: error opening file `/run/r/web/status`: No such file or "
			"directory",
			"error opening file `/run/r/web/status`: No such file or directory" },
		{ &crun, RUNTIME_DELETE, CODE_NOT_FOUND,
			"{\"msg\":\"cannot open directory '/run/r/web': No such file or directory\","
			"\"level\":\"error\",\"time\":\"2026-11-22T02:43:07.382226Z\"}\n",
			NULL,
			"crun delete: cannot open directory '/run/r/web': No such file or directory",
			"cannot open directory '/run/r/web': No such file or directory" },
		{ &crun, RUNTIME_CREATE, CODE_ALREADY_EXISTS,
			"{\"msg\":\"container `web` already exists\",\"level\":\"error\","
			"\"time\":\"2026-11-22T02:43:07.470710Z\"}\n",
			NULL, "crun create: container `web` already exists",
			"container `web` already exists" },
		/* these two do not go to the log */
		{ &crun, RUNTIME_CREATE, CODE_UNKNOWN, "",
			"chdir `/tmp/b` failed: No such file or directory\n",

			"crun create: chdir `/tmp/b` failed: No such file or directory",
			"chdir `/tmp/b` failed: No such file or directory" },
		{ &crun, RUNTIME_LIST, CODE_UNKNOWN, "",
			"crun: unrecognized option '--nosuchflag'\nTry `crun --help' or `crun "
			"--usage' for more information.\n",
			"crun list: crun: unrecognized option '--nosuchflag'",
			"crun: unrecognized option '--nosuchflag'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++)
		check_failure(&failures[i]);
}

/* No line ends in its log. */
static void test_runsc_20221219(void **state)
{
	static const struct failure failures[] = {
		{ &runsc, RUNTIME_KILL, CODE_NOT_FOUND,
			"{\"msg\":\"loading container: file does not exist\",\"level\":\"error\","
			"\"time\":\"2026-11-22T02:43:08.816200133Z\"}",
			NULL, "runsc kill: loading container: file does not exist",
			"loading container: file does not exist" },
		{ &runsc, RUNTIME_PS, CODE_NOT_FOUND,
			"{\"msg\":\"loading sandbox: file does not exist\",\"level\":\"error\","
			"\"time\":\"2026-11-22T02:43:08.904103275Z\"}",
			NULL, "runsc ps: loading sandbox: file does not exist",
			"loading sandbox: file does not exist" },
		{ &runsc, RUNTIME_CREATE, CODE_ALREADY_EXISTS,
			"{\"msg\":\"creating container: cannot lock container metadata file: "
			"container already exists\",\"level\":\"error\",\"time\":\"2026\"}",
			NULL,
			"runsc create: creating container: cannot lock container metadata file: "
			"container already exists",
			"creating container: cannot lock container metadata file: container "
			"already exists" },
		{ &runsc, RUNTIME_START, CODE_UNKNOWN,
			"{\"msg\":\"a first one\",\"level\":\"error\",\"time\":\"2026\"}{\"msg\":"
			"\"starting container: cannot start container \\\"web\\\" in state "
			"running\",\"level\":\"error\",\"time\":\"2026\"}{\"msg\":\"a warning\","
			"\"level\":\"warning\",\"time\":\"2026\"}",
			NULL,
			"runsc start: starting container: cannot start container \"web\" in state "
			"running",
			"starting container: cannot start container \"web\" in state running" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++)
		check_failure(&failures[i]);
}

static void test_logs_that_are_not_as_promised(void **state)
{
	static const struct failure failures[] = {
		/* torn in the middle, before and after a whole one */
		{ &runc, RUNTIME_START, CODE_UNKNOWN,
			"el\":\"error\",\"msg\":\"x\"}\n{\"level\":\"error\",\"msg\":\"whole\"}\n"
			"{\"level\":\"error\",\"msg\":\"to",
			NULL, "runc start: whole", "whole" },
		{ &runsc, RUNTIME_START, CODE_UNKNOWN,
			"el\":\"error\",\"msg\":\"x\"}{\"level\":\"error\",\"msg\":\"whole\"}"
			"{\"level\":\"error\",\"msg\":\"to",
			NULL, "runsc start: whole", "whole" },
		/* the last error counts, of any level that ends a call */
		{ &runc, RUNTIME_START, CODE_UNKNOWN,
			"{\"level\":\"error\",\"msg\":\"first\"}\n{\"level\":\"fatal\",\"msg\":"
			"\"last\"}\n{\"level\":\"info\",\"msg\":\"bye\"}\n",
			NULL, "runc start: last", "last" },
		{ &runc, RUNTIME_START, CODE_UNKNOWN,
			"{\"level\":\"error\",\"msg\":\"first\"}\n{\"level\":\"panic\",\"msg\":\"last\"}\n",
			NULL, "runc start: last", "last" },
		{ &runc, RUNTIME_START, CODE_UNKNOWN, NULL,
			"time=\"x\" level=error msg=\"first\"\ntime=\"x\" level=fatal msg=\"last\"\n"
			"time=\"x\" level=warning msg=\"bye\"\n",
			"runc start: last", "last" },
		/* nothing of use in the log: what was printed; wrong types are nothing of use */
		{ &runc, RUNTIME_START, CODE_UNKNOWN,
			"{\"level\":7,\"msg\":\"x\"}\n{\"level\":\"error\",\"msg\":[]}\nnoise\n[1,2]\n"
			"{\"level\":\"info\",\"msg\":\"x\"}\n\"error\"\n",
			"\n  \nprinted\nmore\n", "runc start: printed", "printed" },
		{ &runc, RUNTIME_START, CODE_UNKNOWN, "", "panic: runtime error\n\ngoroutine 1:\n",
			"runc start: panic: runtime error", "panic: runtime error" },
		/* lines of the sentence become one line; containerd's words stay as they are */
		{ &runc, RUNTIME_START, CODE_UNKNOWN,
			"{\"level\":\"error\",\"msg\":\"two\\nlines\\t\\u001b[m\"}\n", NULL,
			"runc start: two lines  [m", "two\nlines\t\x1b[m" },
		{ &runc, RUNTIME_START, CODE_UNKNOWN, NULL, "bad \xff byte\n",
			"runc start: bad ? byte", "bad ? byte" },
		{ &runc, RUNTIME_START, CODE_UNKNOWN, "", "",
			"runc start: exited with 1 without a word", NULL },
		{ &runc, RUNTIME_START, CODE_UNKNOWN, "{\"level\":\"error\",\"msg\":\"\"}\n",
			" \n\n", "runc start: exited with 1 without a word", NULL },
		/* the prefix goes only where it says the verb again */
		{ &runc, RUNTIME_START, CODE_UNKNOWN,
			"{\"level\":\"error\",\"msg\":\"exec failed: x\"}\n", NULL,
			"runc start: exec failed: x", "exec failed: x" },
		{ &runc, RUNTIME_START, CODE_UNKNOWN,
			"{\"level\":\"error\",\"msg\":\"runc start \"}\n", NULL,
			"runc start: runc start", "runc start " },
		/* words that only resemble */
		{ &runc, RUNTIME_EXEC, CODE_UNKNOWN,
			"{\"level\":\"error\",\"msg\":\"container's device does not exist\"}\n",
			NULL, NULL, "container's device does not exist" },
		{ &runc, RUNTIME_EXEC, CODE_UNKNOWN,
			"{\"level\":\"error\",\"msg\":\"user x does not exist\"}\n", NULL, NULL,
			"user x does not exist" },
		{ &runc, RUNTIME_START, CODE_UNKNOWN,
			"{\"level\":\"error\",\"msg\":\"container x already exists\"}\n", NULL,
			NULL, "container x already exists" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++)
		check_failure(&failures[i]);
}

static void check_end(
	const struct runtime *rt, const struct runtime_outcome *o, int code, const char *sentence)
{
	struct error err = ERROR_INIT;

	assert_error(runtime_judge(rt, RUNTIME_CREATE, o, NULL, &err), &err, code, sentence);
}

static void test_how_it_ended(void **state)
{
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;

	(void)state;
	check_end(&runc, &o, CODE_OK, NULL);
	o.wait_status = EXITED(255);
	check_end(&runc, &o, CODE_UNKNOWN, "runc create: exited with 255 without a word");
	o.wait_status = KILLED(9);
	check_end(&runc, &o, CODE_UNKNOWN, "runc create: killed by signal 9 without a word");
	o.timed_out = true;
	check_end(&runc, &o, CODE_DEADLINE_EXCEEDED, "runc create: no answer in 60 s");
	check_end(&crun, &o, CODE_DEADLINE_EXCEEDED, "crun create: no answer in 1500 ms");
	o.deadline_ms = 2000; /* the call's own */
	check_end(&crun, &o, CODE_DEADLINE_EXCEEDED, "crun create: no answer in 2 s");
}

/* Megabytes of noise before the cause, and a cause of megabytes. */
static void test_huge_logs(void **state)
{
	static const char cause[] = "{\"level\":\"error\",\"msg\":\"the cause\"}\n";
	struct runtime_outcome o = { .wait_status = EXITED(1) };
	char *noise = malloc(8 << 20);
	struct error err = ERROR_INIT;
	struct buf log;

	(void)state;
	for (const char *fill = "x\n[{"; *fill; fill++) {
		memset(noise, *fill, 8 << 20);
		noise[(8 << 20) - 1] = '\n';
		log = bytes(noise, 8 << 20);
		assert_int_equal(buf_append(&log, cause, strlen(cause)), 0);
		assert_error(runtime_judge(&runc, RUNTIME_START, &o, &log, &err), &err,
			CODE_UNKNOWN, "runc start: the cause");
		buf_deinit(&log);
	}
	memset(noise, 'x', 60000);
	memcpy(noise, "{\"level\":\"error\",\"msg\":\"", 24);
	memcpy(noise + 60000, "\"}\n", 4);
	log = text(noise);
	assert_int_equal(runtime_judge(&runc, RUNTIME_START, &o, &log, &err), CODE_UNKNOWN);
	assert_true(strlen(error_message(&err)) < 4096 + 32);
	assert_true(strlen(error_message(&err)) > 4096);
	error_clear(&err);
	buf_deinit(&log);
	free(noise);
}

static void test_state_of_each(void **state)
{
	static const char *const answers[] = {
		/* runc 1.1.5 */
		("{\n  \"ociVersion\": \"1.0.2-dev\",\n  \"id\": \"web\",\n  \"pid\": 16159,\n"
		 "  \"status\": \"created\",\n  \"bundle\": \"/tmp/b\",\n"
		 "  \"rootfs\": \"/tmp/b/rootfs\",\n"
		 "  \"created\": \"2026-11-22T02:42:30.199537482Z\",\n  \"owner\": \"\"\n}"),
		/* crun 1.8.1 */
		("{\n    \"ociVersion\": \"1.0.0\",\n    \"id\": \"web\",\n    \"pid\": 16159,\n"
		 "    \"status\": \"created\",\n    \"bundle\": \"/tmp/b\",\n"
		 "    \"rootfs\": \"rootfs\",\n    \"created\": \"2026-11-22T02:43:07.460592Z\",\n"
		 "    \"systemd-scope\": \"\",\n    \"owner\": \"root\"\n}\n\n"),
		/* runsc 20221219 */
		("{\n  \"ociVersion\": \"1.0.2-dev\",\n  \"id\": \"web\",\n"
		 "  \"status\": \"created\",\n  \"pid\": 16159,\n  \"bundle\": \"/tmp/b\"\n}"),
		/* not told yet, or by another's words */
		("{\"id\":\"web\",\"status\":\"created\",\"pid\":16159,\"bundle\":\"/tmp/b\","
		 "\"created\":\"0001-01-01T00:00:00Z\"}"),
		("{\"id\":\"web\",\"status\":\"created\",\"pid\":16159,\"bundle\":\"/tmp/b\","
		 "\"created\":7}"),
	};
	static const moment created[] = { 1795315350199537482, 1795315387460592000, 0, 0, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct buf out = text(answers[i]);
		struct error err = ERROR_INIT;
		struct runtime_state s;

		assert_ok(runtime_read_state(&runc, &out, &s, &err), &err);
		assert_string_equal(s.id, "web");
		assert_string_equal(s.status, "created");
		assert_string_equal(s.bundle, "/tmp/b");
		assert_int_equal(s.pid, 16159);
		assert_int_equal(s.created, created[i]);
		runtime_state_deinit(&s);
		buf_deinit(&out);
	}
}

static void refuse_state(const char *answer, size_t n, const char *quote)
{
	struct buf out = bytes(answer, n);
	struct error err = ERROR_INIT;
	struct runtime_state s;
	char sentence[512];

	snprintf(sentence, sizeof(sentence), "runc state: not the JSON that was expected: %s",
		quote);
	assert_error(runtime_read_state(&runc, &out, &s, &err), &err, CODE_INTERNAL, sentence);
	buf_deinit(&out);
}

#define REFUSE_STATE(answer, quote) refuse_state(answer, sizeof(answer) - 1, quote)

static void test_state_refused(void **state)
{
	char noise[1000], quote[256];

	(void)state;
	REFUSE_STATE("", "it printed nothing");
	REFUSE_STATE("\n\n", "it printed nothing");
	REFUSE_STATE("\n{\"id\":\"web\",\n", "{\"id\":\"web\",");
	REFUSE_STATE("{\"id\":\"a\",\"status\":\"s\",\"pid\":1} x",
		"{\"id\":\"a\",\"status\":\"s\",\"pid\":1} x");
	REFUSE_STATE("null", "null");
	REFUSE_STATE("[]", "[]");
	REFUSE_STATE("{\"id\":\"web\",\"status\":\"created\"}",
		"{\"id\":\"web\",\"status\":\"created\"}");
	REFUSE_STATE("{\"id\":\"web\",\"pid\":1}", "{\"id\":\"web\",\"pid\":1}");
	REFUSE_STATE(
		"{\"id\":\"a\",\"status\":3,\"pid\":1}", "{\"id\":\"a\",\"status\":3,\"pid\":1}");
	REFUSE_STATE(
		"{\"id\":1,\"status\":\"s\",\"pid\":1}", "{\"id\":1,\"status\":\"s\",\"pid\":1}");
	REFUSE_STATE("{\"id\":\"a\",\"status\":\"s\",\"pid\":\"1\"}",
		"{\"id\":\"a\",\"status\":\"s\",\"pid\":\"1\"}");
	REFUSE_STATE("{\"id\":\"a\",\"status\":\"s\",\"pid\":-2}",
		"{\"id\":\"a\",\"status\":\"s\",\"pid\":-2}");
	REFUSE_STATE("{\"id\":\"a\",\"status\":\"s\",\"pid\":4194305}",
		"{\"id\":\"a\",\"status\":\"s\",\"pid\":4194305}");
	REFUSE_STATE("{\"id\":\"a\",\"status\":\"s\",\"pid\":1,\"bundle\":7}",
		"{\"id\":\"a\",\"status\":\"s\",\"pid\":1,\"bundle\":7}");
	REFUSE_STATE("Segmentation \x1b[1mfault\xff\nmore", "Segmentation  [1mfault?");
	memset(noise, 'n', sizeof(noise));
	memset(quote, 'n', 200);
	strcpy(quote + 200, "...");
	refuse_state(noise, sizeof(noise), quote);
}

/* A stopped container has pid 0, with runsc -1, and a bundle may be missing. */
static void test_state_at_its_least(void **state)
{
	static const char *const answers[] = {
		"{\"id\":\"web\",\"status\":\"stopped\",\"pid\":0}",
		"{\"id\":\"web\",\"status\":\"stopped\",\"pid\":-1}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct buf out = text(answers[i]);
		struct error err = ERROR_INIT;
		struct runtime_state s;

		assert_ok(runtime_read_state(&runsc, &out, &s, &err), &err);
		assert_string_equal(s.bundle, "");
		assert_int_equal(s.pid, 0);
		runtime_state_deinit(&s);
		buf_deinit(&out);
	}
}

static void check_list(const char *answer, size_t n, const char *first, pid_t pid)
{
	struct buf out = text(answer);
	struct error err = ERROR_INIT;
	struct runtime_state *list = NULL;
	size_t n_list = 99;

	assert_ok(runtime_read_list(&runc, &out, &list, &n_list, &err), &err);
	assert_int_equal(n_list, n);
	if (n > 0) {
		assert_string_equal(list[0].id, first);
		assert_int_equal(list[0].pid, pid);
	}
	runtime_states_free(list, n_list);
	buf_deinit(&out);
}

static void test_lists(void **state)
{
	(void)state;
	/* nothing, as runc and runsc, and as crun print it */
	check_list("null", 0, NULL, 0);
	check_list("[\n\n]\n", 0, NULL, 0);
	check_list("[{\"ociVersion\":\"1.0.2-dev\",\"id\":\"web\",\"pid\":16159,\"status\":"
		   "\"created\",\"bundle\":\"/tmp/b\",\"rootfs\":\"/tmp/b/rootfs\",\"created\":"
		   "\"2026-11-22T02:42:30.199537482Z\",\"owner\":\"root\"}]",
		1, "web", 16159);
	check_list("[\n    {\n        \"id\": \"web\",\n        \"pid\": 16490,\n"
		   "        \"status\": \"created\",\n        \"bundle\": \"/tmp/b\",\n"
		   "        \"created\": \"2026-11-22T02:43:07.460592Z\",\n"
		   "        \"owner\": \"root\"\n    }\n]\n",
		1, "web", 16490);
}

static void test_lists_refused(void **state)
{
	static const char *const answers[] = { "", "{}", "7", "[null]", "[7]",
		"[{\"id\":\"a\",\"status\":\"s\",\"pid\":1},{\"id\":\"b\"}]",
		"[{\"id\":\"a\",\"status\":\"s\",\"pid\":1}", "ID   PID" };

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct buf out = text(answers[i]);
		struct error err = ERROR_INIT;
		struct runtime_state *list;
		size_t n;

		assert_error(
			runtime_read_list(&runc, &out, &list, &n, &err), &err, CODE_INTERNAL, NULL);
		buf_deinit(&out);
	}
}

/* As Go prints an empty list that nobody made. */
static void test_no_pids(void **state)
{
	static const char *const answers[] = { "null", "[]\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct buf out = text(answers[i]);
		struct error err = ERROR_INIT;
		pid_t *pids = NULL;
		size_t n = 99;

		assert_ok(runtime_read_pids(&runc, &out, &pids, &n, &err), &err);
		assert_int_equal(n, 0);
		free(pids);
		buf_deinit(&out);
	}
}

static void test_pids(void **state)
{
	static const char *const good[] = { "[16159,16240]", "[\n  16159,\n  16240\n]\n" };
	static const char *const bad[] = { "", "{}", "[1,\"2\"]", "[0]", "[-5]", "[4194305]",
		"[1.5]", "[1", "PID\n1\n", "[99999999999999999999]" };
	struct error err = ERROR_INIT;
	pid_t *pids;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct buf out = text(good[i]);

		assert_ok(runtime_read_pids(&crun, &out, &pids, &n, &err), &err);
		assert_int_equal(n, 2);
		assert_int_equal(pids[0], 16159);
		assert_int_equal(pids[1], 16240);
		free(pids);
		buf_deinit(&out);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct buf out = text(bad[i]);

		assert_error(
			runtime_read_pids(&crun, &out, &pids, &n, &err), &err, CODE_INTERNAL, NULL);
		buf_deinit(&out);
	}
}

/* An answer that was cut at the limit of what is kept. */
static void test_answer_past_the_limit(void **state)
{
	char *noise = malloc(LIMIT_RUNTIME_JSON);
	struct error err = ERROR_INIT;
	struct buf out;
	pid_t *pids;
	size_t n;

	(void)state;
	memset(noise, '[', LIMIT_RUNTIME_JSON);
	out = bytes(noise, LIMIT_RUNTIME_JSON);
	assert_error(runtime_read_pids(&runc, &out, &pids, &n, &err), &err, CODE_INTERNAL, NULL);
	buf_deinit(&out);
	free(noise);
}

static void check_pid_file(struct bed *bed, const char *content, pid_t pid, const char *sentence)
{
	struct error err = ERROR_INIT;
	pid_t got = -1;

	write_text(bed->dir, "pid", content);
	assert_error(runtime_read_pid_file(&runc, RUNTIME_CREATE, bed->dir, "pid", &got, &err),
		&err, sentence ? CODE_INTERNAL : CODE_OK, sentence);
	assert_int_equal(got, sentence ? -1 : pid);
}

static void test_pid_files(void **state)
{
	check_pid_file(*state, "16159", 16159, NULL);
	check_pid_file(*state, "1\n", 1, NULL);
	check_pid_file(*state, "4194304", 4194304, NULL);
	check_pid_file(*state, "", 0, "runc create wrote \"\" as its pid");
	check_pid_file(*state, "\n", 0, "runc create wrote \"\" as its pid");
	check_pid_file(*state, "0", 0, "runc create wrote \"0\" as its pid");
	check_pid_file(*state, "abc", 0, "runc create wrote \"abc\" as its pid");
	check_pid_file(*state, "-5", 0, "runc create wrote \"-5\" as its pid");
	check_pid_file(*state, "+5", 0, "runc create wrote \"+5\" as its pid");
	check_pid_file(*state, " 5", 0, "runc create wrote \"5\" as its pid");
	check_pid_file(*state, "5 6", 0, "runc create wrote \"5 6\" as its pid");
	check_pid_file(*state, "5\n\n", 0, "runc create wrote \"5\" as its pid");
	check_pid_file(*state, "4194305", 0, "runc create wrote \"4194305\" as its pid");
	check_pid_file(*state, "99999999999999999999999", 0,
		"runc create wrote \"99999999999999999999999\" as its pid");
	check_pid_file(*state, "111111111111111111111111111111111", 0,
		"runc create wrote no number as its pid");
}

static void test_pid_files_that_are_none(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	pid_t pid = -1;

	assert_error(runtime_read_pid_file(&runc, RUNTIME_EXEC, bed->dir, "pid", &pid, &err), &err,
		CODE_INTERNAL, "runc exec wrote no pid file");
	write_text(bed->dir, "other", "1");
	assert_int_equal(symlinkat("other", bed->dir, "pid"), 0);
	assert_error(runtime_read_pid_file(&runc, RUNTIME_EXEC, bed->dir, "pid", &pid, &err), &err,
		CODE_INTERNAL, NULL);
	assert_int_equal(mkfifoat(bed->dir, "fifo", 0600), 0);
	assert_error(runtime_read_pid_file(&runc, RUNTIME_EXEC, bed->dir, "fifo", &pid, &err), &err,
		CODE_INTERNAL, NULL);
	assert_int_equal(pid, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runc_1_1_5),
		cmocka_unit_test(test_crun_1_8_1),
		cmocka_unit_test(test_runsc_20221219),
		cmocka_unit_test(test_logs_that_are_not_as_promised),
		cmocka_unit_test(test_how_it_ended),
		cmocka_unit_test(test_huge_logs),
		cmocka_unit_test(test_state_of_each),
		cmocka_unit_test(test_state_refused),
		cmocka_unit_test(test_state_at_its_least),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_lists_refused),
		cmocka_unit_test(test_no_pids),
		cmocka_unit_test(test_pids),
		cmocka_unit_test(test_answer_past_the_limit),
		bed_test(test_pid_files),
		bed_test(test_pid_files_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
