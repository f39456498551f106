/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shim as a process of its host: whose it is said to be by its arguments, which signals it passes
 * over, what it starts a runtime with and logs of it, and that it ends when nobody needs it any more.
 * deadline: 60
 */
#include "test/integration/bed.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"

/* A file of /proc, whose zero bytes are spaces now. */
static char *read_proc(pid_t pid, const char *name)
{
	_cleanup_free_ char *path = bed_format("/proc/%d/%s", pid, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf data = BUF_INIT;
	char *text;

	assert_true(fd >= 0);
	assert_int_equal(fd_read_all(fd, &data, 1u << 20), 0);
	text = calloc(1, data.len + 1);
	memcpy(text, buf_head(&data), data.len);
	for (size_t i = 0; i < data.len; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part, text);
}

/* --- whose it is --- */

static void test_arguments(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *line = read_proc(bed->shim.pid, "cmdline");
	_cleanup_free_ char *whose = bed_format(" -namespace default -id %s ", bed->id);

	assert_has(line, whose);
	/* in a session of its own: no terminal's end reaches it */
	assert_int_equal(getsid(bed->shim.pid), bed->shim.pid);
	assert_int_equal(getpgid(bed->shim.pid), bed->shim.pid);
}

/* --- signals --- */

static void test_signals_that_it_passes_over(void **state)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGPIPE };
	struct bed *bed = *state;

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		assert_int_equal(pidref_signal(&bed->shim, signals[i]), 0);
		bed_assert_alive(bed);
	}
	bed_create(bed, false);
	bed_start(bed, "");
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		assert_int_equal(pidref_signal(&bed->shim, signals[i]), 0);
		bed_assert_alive(bed);
	}
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__RUNNING);
	bed_finish(bed);
}

/* --- what a runtime is started with --- */

#define N_FILES 321

static struct rlimit old_limit;
static mode_t old_umask;

/* Whoever starts the shim has a limit, a umask and variables of a service of systemd. */
static int setup_as_service(void **state)
{
	struct rlimit few;
	int r;

	getrlimit(RLIMIT_NOFILE, &old_limit);
	few = old_limit;
	few.rlim_cur = N_FILES;
	setrlimit(RLIMIT_NOFILE, &few);
	old_umask = umask(027);
	setenv("NOTIFY_SOCKET", "/run/nobody", 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("WATCHDOG_USEC", "1000000", 1);
	setenv("JOURNAL_STREAM", "8:1", 1);
	setenv("CLEAT_TEST_KEPT", "yes", 1);
	r = bed_setup_fake(state);
	setrlimit(RLIMIT_NOFILE, &old_limit);
	umask(old_umask);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("LISTEN_FDS");
	unsetenv("WATCHDOG_USEC");
	unsetenv("JOURNAL_STREAM");
	unsetenv("CLEAT_TEST_KEPT");
	return r;
}

/* The soft limit of descriptors. */
static unsigned long limit_of(pid_t pid)
{
	_cleanup_free_ char *limits = read_proc(pid, "limits");
	const char *line = strstr(limits, "Max open files");
	unsigned long soft = 0;

	assert_non_null(line);
	assert_int_equal(sscanf(line, "Max open files %lu", &soft), 1);
	return soft;
}

/* Its own limit is raised; a runtime, and by it the container, has the one that we were started with. */
static void test_limits_of_runtime(void **state)
{
	struct bed *bed = *state;
	pid_t pid = (pid_t)bed_create(bed, false);
	_cleanup_free_ char *status = read_proc(pid, "status");

	assert_int_equal(limit_of(pid), N_FILES);
	assert_int_equal(limit_of(bed->shim.pid), old_limit.rlim_max);
	assert_has(status, "Umask:\t0027");
	bed_finish(bed);
}

static void test_environment_of_runtime(void **state)
{
	static const char *const gone[] = { "NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_",
		"JOURNAL_STREAM" };
	struct bed *bed = *state;
	_cleanup_free_ char *script = bed_format("create env-to %s/env\n", bed->dir);
	_cleanup_free_ char *path = bed_format("%s/env", bed->dir);
	_cleanup_buf_ struct buf env = BUF_INIT;
	const char *text;

	bed_script(bed, script);
	bed_create(bed, false);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &env, 1u << 20), 0);
	assert_int_equal(buf_append(&env, "", 1), 0);
	text = (const char *)buf_head(&env);
	assert_has(text, "CLEAT_TEST_KEPT=yes");
	for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++)
		if (strstr(text, gone[i]))
			fail_msg("%s is in the runtime's environment: %s", gone[i], text);
	bed_finish(bed);
}

/* Names in the container's folder that begin so. */
static int count_files(const struct bed *bed, const char *beginning)
{
	_cleanup_free_ char *path = bed_format("%s/root/c/default/%s", bed->dir, bed->id);
	_cleanup_closedir_ DIR *dir = opendir(path);
	const struct dirent *entry;
	int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += strncmp(entry->d_name, beginning, strlen(beginning)) == 0;
	return n;
}

/* The files of a run, an exec's process spec among them, go with it however it ends. */
static void test_files_of_runs(void **state)
{
	struct bed *bed = *state;
	Containerd__Task__V2__StartRequest r = CONTAINERD__TASK__V2__START_REQUEST__INIT;

	r.id = bed->id;
	bed_create(bed, false);
	bed_start(bed, "");
	bed_exec(bed, "good", "[\"/bin/tool\",\"pause\"]", false);
	bed_start(bed, "good");
	assert_int_equal(count_files(bed, "exec-"), 0);
	assert_int_equal(count_files(bed, "runtime-"), 0);
	bed_script(bed, "exec fail no such luck\n");
	bed_exec(bed, "bad", "[\"/bin/tool\",\"pause\"]", false);
	r.exec_id = (char *)"bad";
	bed_refused_like(bed, TASK, "Start", &r, &containerd__task__v2__start_response__descriptor,
		CODE_UNKNOWN, "");
	assert_int_equal(count_files(bed, "exec-"), 0);
	assert_int_equal(count_files(bed, "runtime-"), 0);
	assert_int_equal(count_files(bed, "log"), 1);
	bed_script(bed, "");
	bed_finish(bed);
}

/* At its deadline a run goes with what it has started, and with nothing else. */
static void test_run_that_hangs_with_a_child(void **state)
{
	struct bed *bed = *state;
	Containerd__Task__V2__PauseRequest r = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
	_cleanup_free_ char *name = bed_format("task/%d/children", bed->shim.pid);
	_cleanup_free_ char *init = NULL, *children = NULL;
	int64_t end;

	r.id = bed->id;
	bed->deadline_ms = 1000;
	init = bed_format("%u ", bed_create(bed, false));
	bed_start(bed, "");
	bed_script(bed, "pause grandchild-hang\n");
	bed_refused_like(bed, TASK, "Pause", &r, EMPTY, CODE_DEADLINE_EXCEEDED,
		"runc pause: no answer in 1 s");
	/* its child is the shim's from now on, and to be reaped */
	end = clock_monotonic_ms() + 10000;
	do {
		free(children);
		children = read_proc(bed->shim.pid, name);
	} while (strcmp(children, init) != 0 && clock_monotonic_ms() < end);
	assert_string_equal(children, init);
	bed_script(bed, "");
	bed_finish(bed);
}

/* --- what it tells who debugs --- */

/* A run's command line, and behind it how that ended. */
static void assert_logged(struct bed *bed, const char *log, const char *verb, const char *end)
{
	_cleanup_free_ char *whose = bed_format(" %s\"\n", bed->id);
	_cleanup_free_ char *word = bed_format(" %s ", verb);
	_cleanup_free_ char *ended =
		bed_format(" level=debug msg=\"runtime call ended\" runtime=%s "
			   "call=%s %s\n",
			bed->fake_path, verb, end);
	const char *line = log;

	while ((line = strstr(line, " level=debug msg=\"runtime call\" command=\""))) {
		const char *next = strchr(line, '\n') + 1;
		const char *found = memmem(line, (size_t)(next - line), word, strlen(word));

		if (found && memmem(found, (size_t)(next - found), whose, strlen(whose))) {
			assert_has(next, ended);
			return;
		}
		line = next;
	}
	fail_msg("no command line of %s is in: %s", verb, log);
}

/* The bed's shims are started with -debug. */
static void test_log_of_runs(void **state)
{
	struct bed *bed = *state;
	Containerd__Task__V2__PauseRequest r = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
	_cleanup_free_ char *path = bed_format("%s/root/c/default/%s/log", bed->dir, bed->id);
	_cleanup_buf_ struct buf log = BUF_INIT;

	r.id = bed->id;
	bed_create(bed, false);
	bed_start(bed, "");
	bed_script(bed, "pause fail no such luck\n");
	bed_refused_like(bed, TASK, "Pause", &r, EMPTY, CODE_UNKNOWN, "");
	assert_int_equal(fd_read_file(AT_FDCWD, path, &log, 1u << 20), 0);
	assert_int_equal(buf_append(&log, "", 1), 0);
	assert_logged(bed, (const char *)buf_head(&log), "create", "wait_status=0 error=\"\"");
	assert_logged(bed, (const char *)buf_head(&log), "start", "wait_status=0 error=\"\"");
	assert_logged(bed, (const char *)buf_head(&log), "pause",
		"wait_status=256 error=\"runc pause: no such luck\"");
	bed_script(bed, "");
	bed_finish(bed);
}

/* --- when nobody needs it --- */

/* The container is gone: 10 s after the last client has left. (The minute: test_shim_idle.c.) */
static void test_ends_after_delete(void **state)
{
	struct bed *bed = *state;
	struct pollfd end = { .fd = bed->shim.fd, .events = POLLIN };
	_cleanup_free_ char *folder = bed_format("%s/root/c/default/%s", bed->dir, bed->id);
	int64_t begun;

	bed_create(bed, false);
	bed_finish(bed);
	assert_int_equal(poll(&end, 1, 0), 0);
	ttrpc_client_free(bed->client);
	bed->client = NULL;
	begun = clock_monotonic_ms();
	bed_await_end(bed);
	/* the shim sees that we have left a moment later than we; its clock is coarse */
	assert_in_range(clock_monotonic_ms() - begun, 9900, 20000);
	assert_int_equal(access(bed->socket, F_OK), -1);
	assert_int_equal(access(folder, F_OK), -1);
}

int main(void)
{
#define FAKE(name)    cmocka_unit_test_setup_teardown(name, bed_setup_fake, bed_teardown)
#define SERVICE(name) cmocka_unit_test_setup_teardown(name, setup_as_service, bed_teardown)
	static const struct CMUnitTest tests[] = {
		FAKE(test_arguments),
		FAKE(test_signals_that_it_passes_over),
		SERVICE(test_limits_of_runtime),
		SERVICE(test_environment_of_runtime),
		FAKE(test_run_that_hangs_with_a_child),
		FAKE(test_files_of_runs),
		FAKE(test_log_of_runs),
		FAKE(test_ends_after_delete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
