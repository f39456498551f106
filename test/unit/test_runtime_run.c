/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking calls: of scripts that stand in for a runtime, and of the runtimes that are here. */
#include "common/runtime.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/runtime_look.h"
#include "common/spawn.h"
#include "test/unit/unit.h"

static struct runtime script(struct bed *bed, const char *text, uint32_t deadline_ms)
{
	struct error err = ERROR_INIT;
	struct runtime rt;
	char path[128];

	write_script(bed->dir, "runc", text);
	snprintf(path, sizeof(path), "%s/runc", bed->path);
	assert_ok(runtime_init(&rt, NULL, path, "/r", deadline_ms, &err), &err);
	return rt;
}

/* Runs and judges; without a log. */
static void expect(
	struct bed *bed, const char *text, uint32_t deadline_ms, int code, const char *sentence)
{
	const struct runtime_request request = { .verb = RUNTIME_STATE, .id = "web" };
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct runtime rt = script(bed, text, deadline_ms);
	struct error err = ERROR_INIT;

	assert_ok(runtime_run(&rt, &request, &o, &err), &err);
	assert_error(runtime_judge(&rt, RUNTIME_STATE, &o, NULL, &err), &err, code, sentence);
	runtime_outcome_deinit(&o);
	runtime_deinit(&rt);
}

static void test_endings(void **state)
{
	expect(*state, "#!/bin/sh\nexit 0\n", 0, CODE_OK, NULL);
	expect(*state, "#!/bin/sh\necho cause >&2; exit 1\n", 0, CODE_UNKNOWN, "runc state: cause");
	expect(*state, "#!/bin/sh\nexit 42\n", 0, CODE_UNKNOWN,
		"runc state: exited with 42 without a word");
	expect(*state, "#!/bin/sh\nkill -SEGV $$\n", 0, CODE_UNKNOWN,
		"runc state: killed by signal 11 without a word");
	expect(*state, "#!/bin/sh\nsleep 100\n", 150, CODE_DEADLINE_EXCEEDED,
		"runc state: no answer in 150 ms");
	expect(*state, "#!/bin/sh\nsleep 100\n", 1000, CODE_DEADLINE_EXCEEDED,
		"runc state: no answer in 1 s");
}

/* The words of the command line arrive one by one, and the environment is clean. */
static void test_arguments_and_environment(void **state)
{
	const struct runtime_request request = {
		.verb = RUNTIME_CREATE, .id = "web", .bundle = "/a b", .pid_file = "/p"
	};
	struct runtime rt = script(*state,
		"#!/bin/sh\nfor w; do echo \"[$w]\"; done; echo \"<$NOTIFY_SOCKET$CLEAT_TEST>\"\n",
		0);
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;
	static const char expected[] = "[--root=/r]\n[create]\n[--bundle]\n[/a b]\n[--pid-file]\n"
				       "[/p]\n[web]\n<kept>\n";

	setenv("NOTIFY_SOCKET", "/run/x", 1);
	setenv("CLEAT_TEST", "kept", 1);
	assert_ok(runtime_run(&rt, &request, &o, &err), &err);
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(o.out.len, strlen(expected));
	assert_memory_equal(buf_head(&o.out), expected, o.out.len);
	runtime_outcome_deinit(&o);
	runtime_deinit(&rt);
}

/* At the limits of what is kept, one above, far above. */
static void check_kept(struct bed *bed, size_t out, size_t err_bytes)
{
	const struct runtime_request request = { .verb = RUNTIME_LIST };
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;
	struct runtime rt;
	char text[128];

	snprintf(text, sizeof(text),
		"#!/bin/sh\nhead -c %zu /dev/zero\nhead -c %zu /dev/zero >&2\n", out, err_bytes);
	rt = script(bed, text, 0);
	assert_ok(runtime_run(&rt, &request, &o, &err), &err);
	assert_int_equal(o.out.len, out < LIMIT_RUNTIME_JSON ? out : LIMIT_RUNTIME_JSON);
	assert_int_equal(
		o.err.len, err_bytes < LIMIT_RUNTIME_STDERR ? err_bytes : LIMIT_RUNTIME_STDERR);
	assert_int_equal(o.out_overflow, out > LIMIT_RUNTIME_JSON);
	runtime_outcome_deinit(&o);
	runtime_deinit(&rt);
}

static void test_limits(void **state)
{
	check_kept(*state, LIMIT_RUNTIME_JSON, LIMIT_RUNTIME_STDERR);
	check_kept(*state, LIMIT_RUNTIME_JSON + 1, LIMIT_RUNTIME_STDERR + 1);
	check_kept(*state, 3 * LIMIT_RUNTIME_JSON, 100 * LIMIT_RUNTIME_STDERR);
}

static void test_noise_instead_of_json(void **state)
{
	const struct runtime_request request = { .verb = RUNTIME_STATE, .id = "web" };
	struct runtime rt = script(
		*state, "#!/bin/sh\necho 'oops, no JSON'; head -c 3000000 /dev/urandom\n", 0);
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;
	struct runtime_state s;

	assert_ok(runtime_run(&rt, &request, &o, &err), &err);
	assert_ok(runtime_judge(&rt, RUNTIME_STATE, &o, NULL, &err), &err);
	assert_error(runtime_read_state(&rt, &o.out, &s, &err), &err, CODE_INTERNAL,
		"runc state: not the JSON that was expected: oops, no JSON");
	runtime_outcome_deinit(&o);
	runtime_deinit(&rt);
}

/* A container that create leaves behind has our pipes. */
static void test_container_holds_stdout(void **state)
{
	const struct runtime_request request = {
		.verb = RUNTIME_CREATE, .id = "web", .bundle = "/b"
	};
	struct runtime rt = script(*state, "#!/bin/sh\nsleep 100 & echo $!\n", 0);
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;
	int64_t begun = clock_monotonic_ms();

	assert_ok(runtime_run(&rt, &request, &o, &err), &err);
	assert_true(clock_monotonic_ms() - begun < 5000);
	assert_ok(runtime_judge(&rt, RUNTIME_CREATE, &o, NULL, &err), &err);
	assert_int_equal(kill(atoi((const char *)buf_head(&o.out)), SIGKILL), 0);
	runtime_outcome_deinit(&o);
	runtime_deinit(&rt);
}

/* What is given to a run is its stdin whole, and nothing else ever is. */
static void test_input(void **state)
{
	struct runtime_request request = {
		.verb = RUNTIME_UPDATE, .id = "web", .resources = "-", .input = "{\"a\":1}"
	};
	struct runtime rt = script(*state, "#!/bin/sh\necho \"$3 $(cat)\"\n", 0);
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;

	assert_ok(runtime_run(&rt, &request, &o, &err), &err);
	assert_int_equal(buf_append(&o.out, "", 1), 0);
	assert_string_equal((const char *)buf_head(&o.out), "--resources {\"a\":1}\n");
	runtime_outcome_deinit(&o);
	request.input = NULL;
	assert_ok(runtime_run(&rt, &request, &o, &err), &err);
	assert_int_equal(buf_append(&o.out, "", 1), 0);
	assert_string_equal((const char *)buf_head(&o.out), "--resources \n");
	runtime_outcome_deinit(&o);
	runtime_deinit(&rt);
}

/* The spec of an exec is a private file for as long as the run, whether that goes well or not. */
static void test_process_spec(void **state)
{
	struct bed *bed = *state;
	const struct runtime_request request = {
		.verb = RUNTIME_EXEC, .id = "web", .process_spec = "{\"cwd\":\"/\"}"
	};
	struct runtime rt =
		script(bed, "#!/bin/sh\nstat -c %a \"$4\"; cat \"$4\"; dirname \"$4\"\n", 0);
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;
	char expected[128];

	assert_int_equal(mkdirat(bed->dir, "tmp", 0700), 0);
	snprintf(expected, sizeof(expected), "%s/tmp", bed->path);
	setenv("TMPDIR", expected, 1);
	assert_ok(runtime_run(&rt, &request, &o, &err), &err);
	snprintf(expected, sizeof(expected), "600\n{\"cwd\":\"/\"}%s/tmp\n", bed->path);
	assert_int_equal(buf_append(&o.out, "", 1), 0);
	assert_string_equal((const char *)buf_head(&o.out), expected);
	assert_int_equal(count_names(bed->dir, "tmp"), 0);
	runtime_outcome_deinit(&o);
	assert_int_equal(unlinkat(bed->dir, "runc", 0), 0);
	assert_error(runtime_run(&rt, &request, &o, &err), &err, CODE_NOT_FOUND, NULL);
	assert_int_equal(count_names(bed->dir, "tmp"), 0);
	unsetenv("TMPDIR");
	runtime_deinit(&rt);
}

/* Its temporary folder: TMPDIR, and /tmp where that says nothing. */
static void test_process_spec_without_a_folder(void **state)
{
	const struct runtime_request request = {
		.verb = RUNTIME_EXEC, .id = "web", .process_spec = "{}"
	};
	struct runtime rt = script(*state, "#!/bin/sh\ndirname \"$4\"\n", 0);
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;

	setenv("TMPDIR", "", 1);
	assert_ok(runtime_run(&rt, &request, &o, &err), &err);
	assert_int_equal(buf_append(&o.out, "", 1), 0);
	assert_string_equal((const char *)buf_head(&o.out), "/tmp\n");
	runtime_outcome_deinit(&o);
	unsetenv("TMPDIR");
	runtime_deinit(&rt);
}

/* One that cannot be written whole is no spec: nothing is run, and nothing of it stays. */
static void test_process_spec_that_cannot_be_written(void **state)
{
	struct bed *bed = *state;
	const struct runtime_request request = {
		.verb = RUNTIME_EXEC, .id = "web", .process_spec = "{\"cwd\":\"/\"}"
	};
	struct runtime rt = script(bed, "#!/bin/sh\nmkdir \"${0%/*}/run\"\n", 0);
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;
	struct rlimit before, small;
	char folder[128], sentence[256];
	int r;

	assert_int_equal(mkdirat(bed->dir, "tmp", 0700), 0);
	snprintf(folder, sizeof(folder), "%s/tmp", bed->path);
	snprintf(sentence, sizeof(sentence), "runc exec: %s: File too large", rt.command);
	setenv("TMPDIR", folder, 1);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ 5, before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	r = runtime_run(&rt, &request, &o, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	unsetenv("TMPDIR");
	assert_int_not_equal(r, 0);
	assert_string_equal(error_message(&err), sentence);
	error_clear(&err);
	assert_false(is_there(bed->dir, "run"));
	assert_int_equal(count_names(bed->dir, "tmp"), 0);
	runtime_deinit(&rt);
}

/* What a run logs at a level; the caller frees. */
static char *logged(struct bed *bed, enum log_level level, const struct runtime *rt,
	const struct runtime_request *request)
{
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;
	int fd = openat(bed->dir, "log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), r;

	assert_true(fd >= 0);
	log_init(level, fd);
	r = runtime_run(rt, request, &o, &err);
	log_init(LOG_LEVEL_INFO, STDERR_FILENO);
	assert_ok(r, &err);
	runtime_outcome_deinit(&o);
	close(fd);
	return read_text(bed->dir, "log");
}

/* Every command line and how it ended, for who debugs, and for nobody else. */
static void test_log(void **state)
{
	struct bed *bed = *state;
	struct runtime_request request = { .verb = RUNTIME_KILL, .id = "web", .signal = 9 };
	struct runtime rt = script(bed, "#!/bin/sh\nexit 7\n", 0);
	char begun[256], ended[256], *text;

	text = logged(bed, LOG_LEVEL_DEBUG, &rt, &request);
	snprintf(begun, sizeof(begun),
		" level=debug msg=\"runtime call\" command=\"%s --root=/r kill web 9\"\n",
		rt.command);
	snprintf(ended, sizeof(ended),
		" level=debug msg=\"runtime call ended\" command=%s wait_status=%d timed_out=0\n",
		rt.command, 7 << 8);
	assert_non_null(strstr(text, begun));
	assert_non_null(strstr(strstr(text, begun), ended));
	free(text);
	text = logged(bed, LOG_LEVEL_INFO, &rt, &request);
	assert_string_equal(text, "");
	free(text);
	runtime_deinit(&rt);
	rt = script(bed, "#!/bin/sh\nexec sleep 100\n", 100);
	text = logged(bed, LOG_LEVEL_DEBUG, &rt, &request);
	assert_non_null(strstr(text, " wait_status=9 timed_out=1\n"));
	free(text);
	runtime_deinit(&rt);
}

/* A line of the log has its bound, a command line has none. */
static void test_log_of_a_long_line(void **state)
{
	const struct runtime_request request = { .verb = RUNTIME_LIST };
	struct runtime rt = script(*state, "#!/bin/sh\nexit 0\n", 0);
	struct error err = ERROR_INIT;
	char *text;

	for (int i = 0; i < 1000; i++)
		assert_ok(runtime_add_option(&rt, "debug", &err), &err);
	text = logged(*state, LOG_LEVEL_DEBUG, &rt, &request);
	assert_non_null(strstr(text, " --root=/r --debug --debug "));
	assert_true(strlen(text) < 3000);
	assert_non_null(strstr(text, " wait_status=0 timed_out=0\n"));
	free(text);
	runtime_deinit(&rt);
}

static void test_group(void **state)
{
	const struct runtime_request request = { .verb = RUNTIME_LIST };
	struct runtime rt = script(*state, "#!/bin/sh\ncut -d' ' -f5 /proc/$$/stat\n", 0);
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;

	assert_ok(runtime_run(&rt, &request, &o, &err), &err);
	assert_int_not_equal(atoi((const char *)buf_head(&o.out)), getpgrp());
	runtime_outcome_deinit(&o);
	rt.same_group = true;
	assert_ok(runtime_run(&rt, &request, &o, &err), &err);
	assert_int_equal(atoi((const char *)buf_head(&o.out)), getpgrp());
	runtime_outcome_deinit(&o);
	runtime_deinit(&rt);
}

/* The run of a caller that is killed goes with it: here it lets go of the FIFO. */
static void test_death_signal(void **state)
{
	struct bed *bed = *state;
	const struct runtime_request request = { .verb = RUNTIME_LIST };
	struct runtime rt =
		script(bed, "#!/bin/sh\nexec 9>\"${0%/*}/alive\"\necho >&9\nexec sleep 100\n", 0);
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct pollfd alive = { .events = POLLIN };
	char byte;
	pid_t pid;

	rt.death_signal = SIGKILL;
	assert_int_equal(mkfifoat(bed->dir, "alive", 0600), 0);
	alive.fd = openat(bed->dir, "alive", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	pid = fork_child();
	if (pid == 0)
		_exit(runtime_run(&rt, &request, &o, NULL) != 0);
	assert_int_equal(poll(&alive, 1, 20000), 1);
	assert_int_equal(read(alive.fd, &byte, 1), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(poll(&alive, 1, 20000), 1);
	assert_int_equal(read(alive.fd, &byte, 1), 0);
	close(alive.fd);
	runtime_deinit(&rt);
}

struct followed {
	unsigned n, n_broken, stop_after;
};

static bool count_event(const struct runtime_event *e, void *userdata)
{
	struct followed *f = userdata;

	f->n_broken += e->kind == RUNTIME_EVENT_BROKEN;
	return ++f->n != f->stop_after;
}

static bool follow(struct bed *bed, const char *text, struct followed *f)
{
	const struct runtime_request request = {
		.verb = RUNTIME_EVENTS, .id = "web", .interval_ms = 100
	};
	struct runtime rt = script(bed, text, 50);
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;
	bool stopped = false;

	assert_ok(runtime_follow(&rt, &request, count_event, f, &o, &stopped, &err), &err);
	if (!stopped)
		assert_ok(runtime_judge(&rt, RUNTIME_EVENTS, &o, NULL, &err), &err);
	runtime_outcome_deinit(&o);
	runtime_deinit(&rt);
	return stopped;
}

/*
 * A stream has no deadline, tells what is broken in it and what has no line end, and ends when its
 * reader has enough.
 */
static void test_following(void **state)
{
	struct followed f = { 0 };
	int64_t begun = clock_monotonic_ms();

	assert_false(follow(*state,
		"#!/bin/sh\necho '{\"type\":\"oom\",\"id\":\"a\"}'; echo '{\"type'; sleep 0.2\n"
		"echo '{\"type\":\"oom\",\"id\":\"b\"}'; printf '{\"type\":\"oom\",\"id\":\"c\"}'\n",
		&f));
	assert_int_equal(f.n, 4);
	assert_int_equal(f.n_broken, 1);
	f = (struct followed){ .stop_after = 2 };
	assert_true(follow(*state,
		"#!/bin/sh\nwhile :; do echo '{\"type\":\"oom\",\"id\":\"a\"}'; done\n", &f));
	assert_int_equal(f.n, 2);
	f = (struct followed){ .stop_after = 1 };
	assert_true(follow(
		*state, "#!/bin/sh\necho '{\"type\":\"oom\",\"id\":\"a\"}'; sleep 100\n", &f));
	assert_true(clock_monotonic_ms() - begun < 20000);
}

static void test_vanished_runtime(void **state)
{
	struct bed *bed = *state;
	const struct runtime_request request = { .verb = RUNTIME_LIST };
	struct runtime rt = script(bed, "#!/bin/sh\n", 0);
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;
	char sentence[256];

	assert_int_equal(unlinkat(bed->dir, "runc", 0), 0);
	snprintf(
		sentence, sizeof(sentence), "runc list: %s: No such file or directory", rt.command);
	assert_error(runtime_run(&rt, &request, &o, &err), &err, CODE_NOT_FOUND, sentence);
	runtime_deinit(&rt);
}

static struct runtime_outcome call(const struct runtime *rt, enum runtime_verb verb)
{
	const struct runtime_request request = { .verb = verb, .id = "cleat-unit-none" };
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;

	assert_ok(runtime_run(rt, &request, &o, &err), &err);
	return o;
}

/* What a runtime tells about itself. */
static void check_itself(const struct runtime *rt)
{
	struct runtime_outcome o = call(rt, RUNTIME_VERSION);
	struct runtime_version v;
	struct runtime_features f;
	struct error err = ERROR_INIT;
	int r;

	assert_ok(runtime_judge(rt, RUNTIME_VERSION, &o, NULL, &err), &err);
	assert_ok(runtime_read_version(rt, &o.out, &v, &err), &err);
	assert_true(*v.version && *v.spec);
	runtime_version_deinit(&v);
	runtime_outcome_deinit(&o);
	if (!runtime_has(rt, RUNTIME_FEATURES))
		return;
	o = call(rt, RUNTIME_FEATURES);
	r = runtime_judge(rt, RUNTIME_FEATURES, &o, NULL, &err);
	if (r == 0) {
		assert_ok(runtime_read_features(rt, &o.out, &f, &err), &err);
		runtime_features_deinit(&f);
	} else {
		/* crun has them since 1.9 */
		assert_int_equal(rt->kind, RUNTIME_CRUN);
		assert_error(r, &err, CODE_UNKNOWN, "crun features: unknown command features");
	}
	runtime_outcome_deinit(&o);
}

/* The real ones: no container is listed, none is there to be asked for. */
static void check_real(struct bed *bed, const char *name)
{
	struct runtime_outcome o;
	struct error err = ERROR_INIT;
	struct runtime_state *list;
	struct runtime rt;
	char root[128];
	size_t n = 99;

	snprintf(root, sizeof(root), "%s/%s", bed->path, name);
	assert_ok(runtime_init(&rt, NULL, name, root, 0, &err), &err);
	o = call(&rt, RUNTIME_LIST);
	assert_ok(runtime_judge(&rt, RUNTIME_LIST, &o, NULL, &err), &err);
	assert_ok(runtime_read_list(&rt, &o.out, &list, &n, &err), &err);
	assert_int_equal(n, 0);
	runtime_states_free(list, n);
	runtime_outcome_deinit(&o);
	check_itself(&rt);
	for (int verb = 0; verb < _RUNTIME_VERB_MAX; verb++) {
		if (verb == RUNTIME_CREATE || verb == RUNTIME_RUN || verb == RUNTIME_EXEC ||
			verb == RUNTIME_LIST || verb >= RUNTIME_STATS)
			continue;
		o = call(&rt, (enum runtime_verb)verb);
		assert_error(runtime_judge(&rt, (enum runtime_verb)verb, &o, NULL, &err), &err,
			CODE_NOT_FOUND, NULL);
		runtime_outcome_deinit(&o);
	}
	runtime_deinit(&rt);
}

static void test_real_runtimes(void **state)
{
	static const char *const names[] = { "runc", "crun", "runsc" };
	int tried = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *path = NULL;

		if (geteuid() != 0 || spawn_find_program(names[i], &path) < 0)
			continue;
		free(path);
		check_real(*state, names[i]);
		tried++;
	}
	if (tried == 0)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_endings),
		bed_test(test_arguments_and_environment),
		bed_test(test_limits),
		bed_test(test_noise_instead_of_json),
		bed_test(test_container_holds_stdout),
		bed_test(test_input),
		bed_test(test_process_spec),
		bed_test(test_process_spec_without_a_folder),
		bed_test(test_process_spec_that_cannot_be_written),
		bed_test(test_log),
		bed_test(test_log_of_a_long_line),
		bed_test(test_group),
		bed_test(test_death_signal),
		bed_test(test_following),
		bed_test(test_vanished_runtime),
		bed_test(test_real_runtimes),
	};

	if (!has_pidfds())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
