/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines of the three runtimes, and their environment. The lines are what runc 1.1.5,
 * crun 1.8.1 and runsc 20221219 took in a real life of a container each.
 */
#include "common/runtime.h"

#include "common/limits.h"
#include "test/unit/unit.h"

/* As runtime_init() makes it, without a search. */
static struct runtime make(enum runtime_kind kind)
{
	struct runtime rt = RUNTIME_INIT;

	rt.kind = kind;
	rt.command = strdup(runtime_kind_name(kind));
	rt.root = strdup("/run/r");
	rt.deadline_ms = RUNTIME_DEADLINE_MS;
	return rt;
}

static char *join(const struct argv *a)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	for (size_t i = 0; i < a->n; i++)
		fprintf(f, "%s%s", i ? " " : "", a->v[i]);
	fclose(f);
	return text;
}

static void expect(
	const struct runtime *rt, const struct runtime_request *request, const char *line)
{
	struct error err = ERROR_INIT;
	struct argv a = ARGV_INIT;
	char *text;

	assert_ok(runtime_argv(rt, request, &a, &err), &err);
	assert_null(a.v[a.n]);
	text = join(&a);
	assert_string_equal(text, line);
	free(text);
	argv_deinit(&a);
}

/* The same words after the program's name for all three. */
static void expect_all(const struct runtime_request *request, const char *rest)
{
	for (int kind = 0; kind < _RUNTIME_KIND_MAX; kind++) {
		struct runtime rt = make((enum runtime_kind)kind);
		char line[512];

		snprintf(line, sizeof(line), "%s %s", rt.command, rest);
		expect(&rt, request, line);
		runtime_deinit(&rt);
	}
}

#define Q(...) (&(const struct runtime_request){ __VA_ARGS__ })
#define GLOBAL "--root=/run/r --log=/l --log-format=json "

static void test_lines_of_each_verb(void **state)
{
	(void)state;
	expect_all(Q(.verb = RUNTIME_CREATE, .id = "web", .log = "/l", .bundle = "/b",
			   .pid_file = "/p", .console_socket = "/s"),
		GLOBAL "create --bundle /b --pid-file /p --console-socket /s web");
	expect_all(Q(.verb = RUNTIME_RUN, .id = "web", .log = "/l", .bundle = "/b", .detach = true),
		GLOBAL "run --bundle /b --detach web");
	expect_all(Q(.verb = RUNTIME_START, .id = "web", .log = "/l"), GLOBAL "start web");
	expect_all(Q(.verb = RUNTIME_EXEC, .id = "web", .log = "/l", .process = "/f",
			   .pid_file = "/p", .console_socket = "/s", .detach = true),
		GLOBAL "exec --process /f --detach --pid-file /p --console-socket /s web");
	expect_all(Q(.verb = RUNTIME_KILL, .id = "web", .log = "/l", .signal = 15),
		GLOBAL "kill web 15");
	expect_all(Q(.verb = RUNTIME_KILL, .id = "web", .log = "/l", .signal = 9, .all = true),
		GLOBAL "kill --all web 9");
	expect_all(Q(.verb = RUNTIME_DELETE, .id = "web", .log = "/l"), GLOBAL "delete web");
	expect_all(Q(.verb = RUNTIME_DELETE, .id = "web", .log = "/l", .force = true),
		GLOBAL "delete --force web");
	expect_all(Q(.verb = RUNTIME_STATE, .id = "web", .log = "/l"), GLOBAL "state web");
	expect_all(Q(.verb = RUNTIME_LIST, .log = "/l"), GLOBAL "list --format json");
	expect_all(Q(.verb = RUNTIME_PS, .id = "web", .log = "/l"), GLOBAL "ps --format json web");
	expect_all(Q(.verb = RUNTIME_PAUSE, .id = "web", .log = "/l"), GLOBAL "pause web");
	expect_all(Q(.verb = RUNTIME_RESUME, .id = "web", .log = "/l"), GLOBAL "resume web");
	expect_all(Q(.verb = RUNTIME_STATE, .id = "web"), "--root=/run/r state web");
}

static void expect_kind(
	enum runtime_kind kind, const struct runtime_request *request, const char *rest)
{
	struct runtime rt = make(kind);
	char line[1024];

	snprintf(line, sizeof(line), "%s %s", rt.command, rest);
	expect(&rt, request, line);
	runtime_deinit(&rt);
}

static void expect_refused(
	enum runtime_kind kind, const struct runtime_request *request, const char *sentence)
{
	struct runtime rt = make(kind);
	struct error err = ERROR_INIT;
	struct argv a = ARGV_INIT;

	assert_error(runtime_argv(&rt, request, &a, &err), &err, CODE_UNIMPLEMENTED, sentence);
	assert_null(a.v);
	runtime_deinit(&rt);
}

static void test_looking(void **state)
{
	struct argv options = ARGV_INIT;

	(void)state;
	assert_int_equal(argv_add(&options, "-e"), 0);
	expect_kind(RUNTIME_RUNC, Q(.verb = RUNTIME_STATS, .id = "web", .log = "/l"),
		GLOBAL "events --stats web");
	expect_kind(RUNTIME_RUNSC, Q(.verb = RUNTIME_STATS, .id = "web"),
		"--root=/run/r events --stats web");
	expect_kind(
		RUNTIME_RUNC, Q(.verb = RUNTIME_EVENTS, .id = "web"), "--root=/run/r events web");
	expect_kind(RUNTIME_RUNC, Q(.verb = RUNTIME_EVENTS, .id = "web", .interval_ms = 1500),
		"--root=/run/r events --interval 1500ms web");
	expect_kind(RUNTIME_RUNSC, Q(.verb = RUNTIME_EVENTS, .id = "web", .interval_ms = 1500),
		"--root=/run/r events --interval 2 web");
	expect_kind(RUNTIME_RUNSC, Q(.verb = RUNTIME_EVENTS, .id = "web", .interval_ms = 3000),
		"--root=/run/r events --interval 3 web");
	expect_all(Q(.verb = RUNTIME_TOP, .id = "web"), "--root=/run/r ps --format table web");
	expect_kind(RUNTIME_RUNC, Q(.verb = RUNTIME_TOP, .id = "web", .ps_options = &options),
		"--root=/run/r ps --format table web -e");
	expect_kind(RUNTIME_RUNSC, Q(.verb = RUNTIME_WAIT, .id = "web"), "--root=/run/r wait web");
	expect_kind(RUNTIME_RUNSC, Q(.verb = RUNTIME_WAIT, .id = "web", .wait_pid = 7),
		"--root=/run/r wait --pid 7 web");
	expect_kind(RUNTIME_RUNC, Q(.verb = RUNTIME_FEATURES), "--root=/run/r features");
	expect_all(Q(.verb = RUNTIME_VERSION, .id = "web", .log = "/l"), "--version");
	expect_kind(RUNTIME_RUNC, Q(.verb = RUNTIME_UPDATE, .id = "web", .resources = "-"),
		"--root=/run/r update --resources - web");
	expect_kind(RUNTIME_CRUN, Q(.verb = RUNTIME_UPDATE, .id = "web", .resources = "/f"),
		"--root=/run/r update --resources /f web");
	expect_refused(RUNTIME_CRUN, Q(.verb = RUNTIME_TOP, .id = "web", .ps_options = &options),
		"crun ps has no further options");
	expect_refused(RUNTIME_RUNSC, Q(.verb = RUNTIME_TOP, .id = "web", .ps_options = &options),
		"runsc ps has no further options");
	argv_deinit(&options);
}

/* Of every option of both messages, and those that are the runtime's alone. */
static void test_checkpoints(void **state)
{
	static const char *const namespaces[] = { "network", "ipc", NULL };
	const struct runtime_criu all = {
		.image_path = "/i",
		.work_path = "/w",
		.parent_path = "../p",
		.leave_running = true,
		.pre_dump = true,
		.open_tcp = true,
		.external_unix_sockets = true,
		.terminal = true,
		.file_locks = true,
		.lazy_pages = true,
		.auto_dedup = true,
		.cgroups_mode = "soft",
		.empty_namespaces = namespaces,
		.page_server = "1.2.3.4:5",
		.lsm_profile = "apparmor:x",
		.lsm_mount_context = "c",
	};
	const struct runtime_criu paths = { .image_path = "/i", .work_path = "/w" };
	struct runtime rt = make(RUNTIME_RUNC);

	(void)state;
	expect(&rt, Q(.verb = RUNTIME_CHECKPOINT, .id = "web", .criu = &all),
		"runc --root=/run/r checkpoint --image-path /i --work-path /w --parent-path ../p "
		"--leave-running --pre-dump --tcp-established --ext-unix-sk --shell-job "
		"--file-locks --lazy-pages --auto-dedup --manage-cgroups-mode soft "
		"--empty-ns network --empty-ns ipc --page-server 1.2.3.4:5 web");
	rt.no_pivot = true;
	expect(&rt,
		Q(.verb = RUNTIME_RESTORE, .id = "web", .criu = &all, .bundle = "/b",
			.pid_file = "/p", .console_socket = "/s", .detach = true,
			.no_subreaper = true),
		"runc --root=/run/r restore --bundle /b --detach --pid-file /p --console-socket /s "
		"--no-pivot --no-subreaper --image-path /i --work-path /w --tcp-established "
		"--ext-unix-sk --shell-job --file-locks --lazy-pages --auto-dedup "
		"--manage-cgroups-mode soft --empty-ns network --empty-ns ipc "
		"--lsm-profile apparmor:x --lsm-mount-context c web");
	runtime_deinit(&rt);
	expect_all(Q(.verb = RUNTIME_CHECKPOINT, .id = "web", .criu = &paths),
		"--root=/run/r checkpoint --image-path /i --work-path /w web");
	expect_all(Q(.verb = RUNTIME_RESTORE, .id = "web", .criu = &paths, .bundle = "/b",
			   .detach = true),
		"--root=/run/r restore --bundle /b --detach --image-path /i --work-path /w web");
	expect_all(Q(.verb = RUNTIME_CHECKPOINT, .id = "web"), "--root=/run/r checkpoint web");
}

enum { RUNC = 1 << RUNTIME_RUNC, CRUN = 1 << RUNTIME_CRUN, RUNSC = 1 << RUNTIME_RUNSC };

#define CRIU(...)                                                                                  \
	.criu = &(const struct runtime_criu)                                                       \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static const char *const one_namespace[] = { "network", NULL };

/*
 * A request for one flag, and who lacks it. crun's checkpoint and restore are those of its own
 * source, built with CRIU. runsc's --leave-running goes on with another process, which is not what
 * was asked for.
 */
static const struct flag {
	unsigned lacking;
	const char *flag, *value;
	struct runtime_request request;
} flags[] = {
	{ RUNC | CRUN, "--user-log", "/x", { .verb = RUNTIME_CREATE, .user_log = "/x" } },
	{ RUNSC, "--no-pivot", NULL, { .verb = RUNTIME_CREATE } },
	{ RUNSC, "--no-new-keyring", NULL, { .verb = RUNTIME_CREATE } },
	{ 0, "--pid-file", "/x", { .verb = RUNTIME_RUN, .pid_file = "/x" } },
	{ 0, "--console-socket", "/x", { .verb = RUNTIME_RUN, .console_socket = "/x" } },
	{ RUNC | CRUN, "--user-log", "/x", { .verb = RUNTIME_RUN, .user_log = "/x" } },
	{ RUNSC, "--no-pivot", NULL, { .verb = RUNTIME_RUN } },
	{ RUNSC, "--no-new-keyring", NULL, { .verb = RUNTIME_RUN } },
	{ RUNSC, "--no-subreaper", NULL, { .verb = RUNTIME_RUN, .no_subreaper = true } },
	{ RUNC | CRUN, "--internal-pid-file", "/x",
		{ .verb = RUNTIME_EXEC, .internal_pid_file = "/x" } },
	{ RUNC | CRUN, "--pid", "12", { .verb = RUNTIME_KILL, .kill_pid = 12 } },
	{ RUNSC, "--parent-path", "p", { .verb = RUNTIME_CHECKPOINT, CRIU(.parent_path = "p") } },
	{ RUNSC, "--leave-running", NULL,
		{ .verb = RUNTIME_CHECKPOINT, CRIU(.leave_running = true) } },
	{ RUNSC, "--pre-dump", NULL, { .verb = RUNTIME_CHECKPOINT, CRIU(.pre_dump = true) } },
	{ RUNSC, "--tcp-established", NULL,
		{ .verb = RUNTIME_CHECKPOINT, CRIU(.open_tcp = true) } },
	{ RUNSC, "--ext-unix-sk", NULL,
		{ .verb = RUNTIME_CHECKPOINT, CRIU(.external_unix_sockets = true) } },
	{ RUNSC, "--shell-job", NULL, { .verb = RUNTIME_CHECKPOINT, CRIU(.terminal = true) } },
	{ RUNSC, "--file-locks", NULL, { .verb = RUNTIME_CHECKPOINT, CRIU(.file_locks = true) } },
	{ CRUN | RUNSC, "--lazy-pages", NULL,
		{ .verb = RUNTIME_CHECKPOINT, CRIU(.lazy_pages = true) } },
	{ CRUN | RUNSC, "--auto-dedup", NULL,
		{ .verb = RUNTIME_CHECKPOINT, CRIU(.auto_dedup = true) } },
	{ RUNSC, "--manage-cgroups-mode", "soft",
		{ .verb = RUNTIME_CHECKPOINT, CRIU(.cgroups_mode = "soft") } },
	{ CRUN | RUNSC, "--empty-ns", "network",
		{ .verb = RUNTIME_CHECKPOINT, CRIU(.empty_namespaces = one_namespace) } },
	{ CRUN | RUNSC, "--page-server", "a:1",
		{ .verb = RUNTIME_CHECKPOINT, CRIU(.page_server = "a:1") } },
	{ RUNC | CRUN, "--user-log", "/x", { .verb = RUNTIME_RESTORE, .user_log = "/x" } },
	{ CRUN | RUNSC, "--no-pivot", NULL, { .verb = RUNTIME_RESTORE } },
	{ CRUN, "--no-subreaper", NULL, { .verb = RUNTIME_RESTORE, .no_subreaper = true } },
	{ RUNSC, "--lsm-profile", "l", { .verb = RUNTIME_RESTORE, CRIU(.lsm_profile = "l") } },
	{ RUNSC, "--lsm-mount-context", "l",
		{ .verb = RUNTIME_RESTORE, CRIU(.lsm_mount_context = "l") } },
};

/* Refused by name, or "VERB FLAG VALUE ID", and nothing else of it. */
static void check_flag(const struct flag *f, enum runtime_kind kind)
{
	const char *verb = runtime_verb_name(f->request.verb);
	struct runtime_request q = f->request;
	struct runtime rt = make(kind);
	struct error err = ERROR_INIT;
	struct argv a = ARGV_INIT;
	char text[128];

	q.id = "web";
	rt.no_pivot = strcmp(f->flag, "--no-pivot") == 0;
	rt.no_new_keyring = strcmp(f->flag, "--no-new-keyring") == 0;
	if (f->lacking & 1u << kind) {
		snprintf(text, sizeof(text), "%s %s has no %s", rt.command, verb, f->flag);
		assert_error(runtime_argv(&rt, &q, &a, &err), &err, CODE_UNIMPLEMENTED, text);
		assert_null(a.v);
	} else {
		snprintf(text, sizeof(text), "%s --root=/run/r %s %s%s%s web%s", rt.command, verb,
			f->flag, f->value ? " " : "", f->value ? f->value : "",
			q.verb == RUNTIME_KILL ? " 0" : "");
		expect(&rt, &q, text);
	}
	runtime_deinit(&rt);
}

static void test_flags_that_a_runtime_lacks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		for (int kind = 0; kind < _RUNTIME_KIND_MAX; kind++)
			check_flag(&flags[i], (enum runtime_kind)kind);
}

/* What differs, but for the words: what each is for is in the header. */
static void test_ways_of_a_runtime(void **state)
{
	static const struct runtime runc = { .kind = RUNTIME_RUNC },
				    crun = { .kind = RUNTIME_CRUN },
				    runsc = { .kind = RUNTIME_RUNSC };

	(void)state;
	assert_true(runtime_is_sandbox(&runsc));
	assert_false(runtime_is_sandbox(&runc) || runtime_is_sandbox(&crun));
	assert_true(runtime_abbreviates_ids(&runsc));
	assert_false(runtime_abbreviates_ids(&runc) || runtime_abbreviates_ids(&crun));
	assert_true(runtime_dead_stays_paused(&runsc));
	assert_false(runtime_dead_stays_paused(&runc) || runtime_dead_stays_paused(&crun));
	assert_true(runtime_run_goes_apart(&crun));
	assert_false(runtime_run_goes_apart(&runc) || runtime_run_goes_apart(&runsc));
	assert_false(runtime_kill_thaws(&crun));
	assert_true(runtime_kill_thaws(&runc) && runtime_kill_thaws(&runsc));
}

static void test_verbs_that_a_runtime_lacks(void **state)
{
	struct runtime rt = make(RUNTIME_RUNSC);

	(void)state;
	expect_refused(
		RUNTIME_RUNSC, Q(.verb = RUNTIME_UPDATE, .id = "web"), "runsc has no update");
	expect_refused(RUNTIME_RUNSC, Q(.verb = RUNTIME_FEATURES), "runsc has no features");
	expect_refused(RUNTIME_RUNC, Q(.verb = RUNTIME_WAIT, .id = "web"), "runc has no wait");
	expect_refused(RUNTIME_CRUN, Q(.verb = RUNTIME_WAIT, .id = "web"), "crun has no wait");
	expect_refused(RUNTIME_CRUN, Q(.verb = RUNTIME_STATS, .id = "web"), "crun has no stats");
	expect_refused(RUNTIME_CRUN, Q(.verb = RUNTIME_EVENTS, .id = "web"), "crun has no events");
	/* some have them: theirs to say */
	expect_kind(RUNTIME_CRUN, Q(.verb = RUNTIME_FEATURES), "--root=/run/r features");
	assert_false(runtime_has(&rt, RUNTIME_UPDATE));
	assert_true(runtime_has(&rt, RUNTIME_CHECKPOINT));
	runtime_deinit(&rt);
}

static void test_flags_of_runsc_alone(void **state)
{
	(void)state;
	expect_kind(RUNTIME_RUNSC,
		Q(.verb = RUNTIME_CREATE, .id = "web", .bundle = "/b", .user_log = "/u"),
		"--root=/run/r create --bundle /b --user-log /u web");
	expect_kind(RUNTIME_RUNSC,
		Q(.verb = RUNTIME_EXEC, .id = "web", .process = "/f", .internal_pid_file = "/n"),
		"--root=/run/r exec --process /f --internal-pid-file /n web");
	expect_kind(RUNTIME_RUNSC,
		Q(.verb = RUNTIME_KILL, .id = "web", .kill_pid = 12, .signal = 9),
		"--root=/run/r kill --pid 12 web 9");
}

static void test_log_as_text(void **state)
{
	struct runtime rt = make(RUNTIME_CRUN);

	(void)state;
	rt.log_text = true;
	expect(&rt, Q(.verb = RUNTIME_STATE, .id = "web", .log = "/l"),
		"crun --root=/run/r --log=/l --log-format=text state web");
	runtime_deinit(&rt);
}

/* A request full of everything: each verb takes what it knows and no more. */
static void test_what_a_verb_does_not_take(void **state)
{
	struct runtime_request q = { .id = "web",
		.bundle = "/b",
		.pid_file = "/p",
		.console_socket = "/s",
		.process = "/f",
		.detach = true,
		.signal = 9,
		.all = true,
		.force = true };

	(void)state;
	q.verb = RUNTIME_CREATE;
	expect_all(&q, "--root=/run/r create --bundle /b --pid-file /p --console-socket /s web");
	q.verb = RUNTIME_START;
	expect_all(&q, "--root=/run/r start web");
	q.verb = RUNTIME_KILL;
	expect_all(&q, "--root=/run/r kill --all web 9");
	q.verb = RUNTIME_DELETE;
	expect_all(&q, "--root=/run/r delete --force web");
	q.verb = RUNTIME_LIST;
	expect_all(&q, "--root=/run/r list --format json");
}

static void test_options(void **state)
{
	struct runtime rt = make(RUNTIME_RUNC);
	struct error err = ERROR_INIT;

	(void)state;
	rt.systemd_cgroup = rt.no_pivot = rt.no_new_keyring = true;
	assert_ok(runtime_add_option(&rt, "criu=/opt/criu", &err), &err);
	assert_ok(runtime_add_option(&rt, "debug", &err), &err);
	expect(&rt, Q(.verb = RUNTIME_CREATE, .id = "web", .bundle = "/b"),
		"runc --root=/run/r --systemd-cgroup --criu=/opt/criu --debug create --bundle /b "
		"--no-pivot --no-new-keyring web");
	expect(&rt, Q(.verb = RUNTIME_STATE, .id = "web"),
		"runc --root=/run/r --systemd-cgroup --criu=/opt/criu --debug state web");
	runtime_deinit(&rt);
}

static void test_what_a_runtime_lacks(void **state)
{
	struct runtime rt = make(RUNTIME_RUNSC);
	struct error err = ERROR_INIT;
	struct argv a = ARGV_INIT;

	(void)state;
	rt.no_pivot = true;
	assert_error(
		runtime_argv(&rt, Q(.verb = RUNTIME_CREATE, .id = "web", .bundle = "/b"), &a, &err),
		&err, CODE_UNIMPLEMENTED, "runsc create has no --no-pivot");
	rt.no_pivot = false;
	rt.no_new_keyring = true;
	assert_error(
		runtime_argv(&rt, Q(.verb = RUNTIME_RUN, .id = "web", .bundle = "/b"), &a, &err),
		&err, CODE_UNIMPLEMENTED, "runsc run has no --no-new-keyring");
	assert_int_equal(a.n, 0);
	/* where they do not matter they do not hinder */
	expect(&rt, Q(.verb = RUNTIME_START, .id = "web"), "runsc --root=/run/r start web");
	runtime_deinit(&rt);
}

static void test_option_names(void **state)
{
	static const char *const bad[] = { "", "=x", "-x", "--debug", "a b=c", "a_b", "a\n",
		"a/b" };
	struct runtime rt = make(RUNTIME_RUNSC);
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_error(
			runtime_add_option(&rt, bad[i], &err), &err, CODE_INVALID_ARGUMENT, NULL);
	assert_ok(runtime_add_option(&rt, "overlay2=all:memory = \"x\"", &err), &err);
	assert_int_equal(rt.options.n, 1);
	runtime_deinit(&rt);
}

static void check_kind(struct bed *bed, const char *kind, const char *name, enum runtime_kind is)
{
	struct error err = ERROR_INIT;
	struct runtime rt;
	char path[128];

	write_script(bed->dir, name, "#!/bin/sh\n");
	snprintf(path, sizeof(path), "%s/%s", bed->path, name);
	assert_ok(runtime_init(&rt, kind, path, "/r", 0, &err), &err);
	assert_int_equal(rt.kind, is);
	assert_string_equal(rt.command, path);
	assert_string_equal(rt.root, "/r");
	assert_int_equal(rt.deadline_ms, RUNTIME_DEADLINE_MS);
	runtime_deinit(&rt);
}

static void test_kind_of_a_command(void **state)
{
	check_kind(*state, NULL, "runc", RUNTIME_RUNC);
	check_kind(*state, "", "crun", RUNTIME_CRUN);
	check_kind(*state, "", "crun-1.14", RUNTIME_CRUN);
	check_kind(*state, "", "runsc.debug", RUNTIME_RUNSC);
	check_kind(*state, "", "crunch", RUNTIME_RUNC);
	check_kind(*state, "", "youki", RUNTIME_RUNC);
	check_kind(*state, "runsc", "youki", RUNTIME_RUNSC);
	check_kind(*state, "runc", "crun", RUNTIME_RUNC);
}

static void test_finding_the_command(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	struct runtime rt;
	char *path = strdup(getenv("PATH")), expected[128];

	write_script(bed->dir, "crun", "#!/bin/sh\n");
	write_text(bed->dir, "plain", "");
	setenv("PATH", bed->path, 1);
	assert_ok(runtime_init(&rt, NULL, "crun", "/r", 5, &err), &err);
	snprintf(expected, sizeof(expected), "%s/crun", bed->path);
	assert_string_equal(rt.command, expected);
	assert_int_equal(rt.deadline_ms, 5);
	runtime_deinit(&rt);
	/* the kind names the command, and runc is what is meant without either */
	assert_ok(runtime_init(&rt, "crun", NULL, "/r", 0, &err), &err);
	assert_string_equal(rt.command, expected);
	runtime_deinit(&rt);
	assert_error(runtime_init(&rt, NULL, NULL, "/r", 0, &err), &err, CODE_NOT_FOUND,
		"runtime \"runc\": no program of this name in PATH");
	assert_error(runtime_init(&rt, NULL, "/no/runc", "/r", 0, &err), &err, CODE_NOT_FOUND,
		"runtime \"/no/runc\": No such file or directory");
	assert_error(runtime_init(&rt, "youki", "crun", "/r", 0, &err), &err, CODE_INVALID_ARGUMENT,
		"runtime kind \"youki\" is none of runc, crun, runsc");
	assert_error(runtime_init(&rt, NULL, bed->path, "/r", 0, &err), &err,
		CODE_PERMISSION_DENIED, NULL);
	assert_error(runtime_init(&rt, NULL, "plain", "/r", 0, &err), &err, CODE_PERMISSION_DENIED,
		"runtime \"plain\": Permission denied");
	setenv("PATH", path, 1);
	free(path);
}

/* A relative command means the same after the program has changed its folder. */
static void test_command_is_made_absolute(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	char *before = getcwd(NULL, 0), expected[128];
	struct runtime rt;

	write_script(bed->dir, "runc", "#!/bin/sh\n");
	assert_int_equal(chdir(bed->path), 0);
	assert_ok(runtime_init(&rt, NULL, "./runc", "/r", 0, &err), &err);
	assert_int_equal(chdir(before), 0);
	snprintf(expected, sizeof(expected), "%s/./runc", bed->path);
	assert_string_equal(rt.command, expected);
	runtime_deinit(&rt);
	free(before);
}

static void test_copy(void **state)
{
	struct runtime rt = make(RUNTIME_CRUN), copy = make(RUNTIME_RUNSC);
	struct error err = ERROR_INIT;

	(void)state;
	rt.systemd_cgroup = true;
	assert_ok(runtime_add_option(&rt, "debug", &err), &err);
	assert_int_equal(runtime_copy(&copy, &rt), 0);
	runtime_deinit(&rt);
	assert_int_equal(copy.kind, RUNTIME_CRUN);
	expect(&copy, Q(.verb = RUNTIME_STATE, .id = "web"),
		"crun --root=/run/r --systemd-cgroup --debug state web");
	runtime_deinit(&copy);
	runtime_deinit(&copy);
}

static bool has_variable(const struct argv *env, const char *name)
{
	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], name, strlen(name)) == 0 && env->v[i][strlen(name)] == '=')
			return true;
	return false;
}

/* `runc start` hangs on NOTIFY_SOCKET; none of these is meant for a runtime. */
static void test_environment(void **state)
{
	static const char *const gone[] = { "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID",
		"LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM",
		"INVOCATION_ID", "MAINPID", "TTRPC_ADDRESS" };
	static const char *const kept[] = { "PATH", "CLEAT_TEST", "NOTIFY_SOCKETS",
		"MY_LISTEN_FDS" };
	struct argv env = ARGV_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++)
		setenv(gone[i], "1", 1);
	for (size_t i = 1; i < sizeof(kept) / sizeof(*kept); i++)
		setenv(kept[i], "1", 1);
	assert_int_equal(runtime_env(&env), 0);
	for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++)
		assert_false(has_variable(&env, gone[i]));
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		assert_true(has_variable(&env, kept[i]));
	argv_deinit(&env);
	for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++)
		unsetenv(gone[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_of_each_verb),
		cmocka_unit_test(test_looking),
		cmocka_unit_test(test_checkpoints),
		cmocka_unit_test(test_flags_that_a_runtime_lacks),
		cmocka_unit_test(test_ways_of_a_runtime),
		cmocka_unit_test(test_verbs_that_a_runtime_lacks),
		cmocka_unit_test(test_flags_of_runsc_alone),
		cmocka_unit_test(test_log_as_text),
		cmocka_unit_test(test_what_a_verb_does_not_take),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_what_a_runtime_lacks),
		cmocka_unit_test(test_option_names),
		bed_test(test_kind_of_a_command),
		bed_test(test_finding_the_command),
		bed_test(test_command_is_made_absolute),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
