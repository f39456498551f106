/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that die before anybody has heard of them, exits around the init's, and a runtime that
 * hangs in each of its calls: what is told, in what order, and that the shim answers meanwhile.
 * deadline: 120
 */
#include "test/integration/races.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/file.h"

#define HANG_MS 1000 /* how long a runtime may take where it hangs */
#define ALIVE	"[\"/bin/tool\",\"pause\"]"

#define CREATED CONTAINERD__V1__TYPES__STATUS__CREATED
#define RUNNING CONTAINERD__V1__TYPES__STATUS__RUNNING
#define STOPPED CONTAINERD__V1__TYPES__STATUS__STOPPED
#define PAUSED	CONTAINERD__V1__TYPES__STATUS__PAUSED

/* --- dead before it was known --- */

static void dead_before_create_returns(struct race *race, const char *script, uint32_t status)
{
	race_script(race, script);
	assert_true(race_ok(race_create(race, false)) > 0);
	assert_int_equal(race_await_event(race, "exit", "")->exit_status, status);
	assert_int_equal(race_ok(race_call(race, "Wait", "")), status);
	assert_int_equal(bed_status(race->bed, ""), STOPPED);
	race_refused(race_call(race, "Start", ""), CODE_FAILED_PRECONDITION,
		"cannot start a stopped process");
	assert_int_equal(race_ok(race_call(race, "Delete", "")), status);
	assert_int_equal(race_count_events(race, "start", ""), 0);
}

static void test_dead_before_create_returns(void **state)
{
	dead_before_create_returns(*state, "create init-exits 3\n", 3);
}

static void test_killed_before_create_returns(void **state)
{
	dead_before_create_returns(*state, "create init-killed 9\n", 137);
}

/* The shim has reaped it while the runtime still had to write its pid file. */
static void test_reaped_before_create_returns(void **state)
{
	dead_before_create_returns(*state, "create early-orphan\ncreate init-exits 4\n", 4);
}

/* Reply, then exit; and the exit after the event START. */
static void dead_before_start_returns(struct race *race, const char *script, uint32_t status)
{
	const struct race_event *end;
	unsigned answered;

	race_ok(race_create(race, false));
	race_script(race, script);
	race_ok_order(race_call(race, "Start", ""), &answered);
	end = race_await_event(race, "exit", "");
	assert_int_equal(end->exit_status, status);
	assert_true(answered < end->order);
	assert_int_equal(race_count_events(race, "start", ""), 1);
	assert_int_equal(race_ok(race_call(race, "Wait", "")), status);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), status);
}

static void test_dead_before_start_returns(void **state)
{
	dead_before_start_returns(*state, "start init-exits 7\n", 7);
}

static void test_killed_before_start_returns(void **state)
{
	dead_before_start_returns(*state, "start init-killed 15\n", 143);
}

static void create_running(struct race *race)
{
	race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
}

static void dead_before_exec_returns(struct race *race, const char *script, uint32_t status)
{
	const struct race_event *end;
	unsigned answered;

	create_running(race);
	race_script(race, script);
	bed_exec(race->bed, "e", ALIVE, false);
	assert_true(race_ok_order(race_call(race, "Start", "e"), &answered) > 0);
	end = race_await_event(race, "exit", "e");
	assert_int_equal(end->exit_status, status);
	assert_true(answered < end->order);
	assert_int_equal(race_ok(race_call(race, "Wait", "e")), status);
	assert_int_equal(race_ok(race_call(race, "Delete", "e")), status);
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

static void test_dead_before_exec_returns(void **state)
{
	dead_before_exec_returns(*state, "exec init-exits 5\n", 5);
}

static void test_reaped_before_exec_returns(void **state)
{
	dead_before_exec_returns(*state, "exec early-orphan\nexec init-killed 11\n", 139);
}

static void test_reply_before_exit_of_real_runtime(void **state)
{
	struct race *race = *state;
	unsigned answered;

	bed_config(race->bed, "[\"/bin/tool\",\"exit\",\"9\"]", false);
	race_ok(race_create(race, false));
	race_ok_order(race_call(race, "Start", ""), &answered);
	assert_true(answered < race_await_event(race, "exit", "")->order);
}

/* --- the exit of an exec and the init's --- */

static void remove_pid_namespace(struct bed *bed)
{
	static const char entry[] = "{\"type\":\"pid\"},";
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *path = NULL;
	char *at;

	if (asprintf(&path, "%s/config.json", bed->bundle) < 0)
		abort();
	assert_int_equal(fd_read_file(AT_FDCWD, path, &text, 1u << 20), 0);
	at = memmem(buf_head(&text), text.len, entry, strlen(entry));
	assert_non_null(at);
	memset(at, ' ', strlen(entry));
	assert_int_equal(file_write_atomic(AT_FDCWD, path, buf_head(&text), text.len, 0644), 0);
}

/* An exec outlives its init: the init's exit waits for it. */
static void test_exec_ends_after_init(void **state)
{
	struct race *race = *state;
	struct flight *init;

	remove_pid_namespace(race->bed);
	create_running(race);
	bed_exec(race->bed, "e", ALIVE, false);
	race_ok(race_call(race, "Start", "e"));
	init = race_call(race, "Wait", "");
	race_ok(race_kill(race, "", SIGKILL));
	while (bed_status(race->bed, "") != STOPPED)
		; /* it has been reaped: its exit is on record */
	assert_true(race_pending(init));
	race_ok(race_kill(race, "e", SIGTERM));
	assert_int_equal(race_ok(init), 137);
	assert_int_equal(race_await_event(race, "exit", "e")->exit_status, 0);
}

/* In the host's pid namespace the shim ends what the init left behind. */
static void test_exec_is_ended_with_init_on_host_pids(void **state)
{
	struct race *race = *state;

	bed_lacks(race->bed, "runsc", "tells 128 of an exec whose sandbox was killed");
	remove_pid_namespace(race->bed);
	create_running(race);
	for (int i = 0; i < 3; i++) {
		const char *const ids[] = { "a", "b", "c" };

		bed_exec(race->bed, ids[i], ALIVE, false);
		race_ok(race_call(race, "Start", ids[i]));
	}
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 137);
	assert_int_equal(race_ok(race_call(race, "Wait", "a")), 137);
	assert_int_equal(race_ok(race_call(race, "Wait", "b")), 137);
	assert_int_equal(race_ok(race_call(race, "Wait", "c")), 137);
}

/* With a pid namespace the kernel ends them; the order is the same. */
static void test_exec_is_ended_with_init_by_kernel(void **state)
{
	struct race *race = *state;

	bed_lacks(race->bed, "runsc", "tells 128 of an exec whose sandbox was killed");
	create_running(race);
	bed_exec(race->bed, "a", ALIVE, false);
	bed_exec(race->bed, "b", ALIVE, false);
	race_ok(race_call(race, "Start", "a"));
	race_ok(race_call(race, "Start", "b"));
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 137);
	assert_int_equal(race_ok(race_call(race, "Wait", "a")), 137);
	assert_int_equal(race_ok(race_call(race, "Delete", "a")), 137);
}

/* --- a runtime that hangs --- */

/* The call is under way: State, Connect and Wait are answered; then it ends at its deadline. */
static void ends_late(struct race *race, struct flight *f, const char *sentence)
{
	race_await_file(race, "began");
	race_assert_answers(race);
	assert_true(race_pending(f));
	race_refused(f, CODE_DEADLINE_EXCEEDED, sentence);
}

static void test_create_hangs(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	race_script(race, "create touch @/began\ncreate hang\n");
	ends_late(race, race_create(race, false), "runc create: no answer in 1 s");
	race_refused(race_call(race, "State", ""), CODE_NOT_FOUND, "container ID: not found");
	/* the id is free */
	race_script(race, "");
	create_running(race);
}

/* All of its work is done, and it does not end: what it made is taken back. */
static void test_create_hangs_after_its_work(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	race_script(race, "create after:touch @/began\ncreate after:hang\n");
	ends_late(race, race_create(race, false), "runc create: no answer in 1 s");
	race_await_no_children(race);
	race_script(race, "");
	create_running(race);
}

static void test_create_hangs_with_a_grandchild(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	race_script(race, "create touch @/began\ncreate grandchild-hang\n");
	ends_late(race, race_create(race, false), "runc create: no answer in 1 s");
	race_await_no_children(race);
}

/* Nor does it say what became of it, nor take it away. */
static void test_everything_hangs(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	race_script(race, "create after:touch @/began\n* after:hang\n");
	ends_late(race, race_create(race, false), "runc create: no answer in 1 s");
	race_await_no_children(race);
}

static void test_start_hangs(void **state)
{
	struct race *race = *state;
	struct flight *wait;

	race->bed->deadline_ms = HANG_MS;
	race_ok(race_create(race, false));
	wait = race_call(race, "Wait", "");
	/* what it has said till then is not why it failed */
	race_script(race, "start stderr-noise 300\nstart touch @/began\nstart hang\n");
	ends_late(race, race_call(race, "Start", ""), "runc start: no answer in 1 s");
	assert_int_equal(bed_status(race->bed, ""), CREATED);
	assert_true(race_pending(wait));
	race_script(race, "");
	race_ok(race_call(race, "Start", ""));
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(wait), 137);
}

/* The init runs all the same: the runtime's state tells. */
static void test_start_hangs_after_its_work(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	race_ok(race_create(race, false));
	race_script(race, "start after:touch @/began\nstart after:hang\n");
	ends_late(race, race_call(race, "Start", ""), "runc start: no answer in 1 s");
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	race_await_event(race, "start", "");
}

static void test_exec_hangs(void **state)
{
	struct race *race = *state;
	size_t n;

	race->bed->deadline_ms = HANG_MS;
	create_running(race);
	n = race_shim_fds(race);
	bed_exec(race->bed, "e", ALIVE, false);
	race_script(race, "exec touch @/began\nexec hang\n");
	ends_late(race, race_call(race, "Start", "e"), "runc exec: no answer in 1 s");
	race_script(race, "");
	race_refused(race_call(race, "Start", "e"), CODE_FAILED_PRECONDITION,
		"exec e could not be started before; delete it");
	race_ok(race_call(race, "Delete", "e"));
	race_await_fds(race, n);
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	assert_int_equal(race_ok(race_call(race, "Pids", NULL)), 1);
}

/* It had begun: its process is ended. */
static void test_exec_hangs_after_its_work(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	create_running(race);
	bed_exec(race->bed, "e", ALIVE, false);
	race_script(race, "exec after:touch @/began\nexec after:hang\n");
	ends_late(race, race_call(race, "Start", "e"), "runc exec: no answer in 1 s");
	race_script(race, "");
	/* it has been killed; the kernel may take a moment over it */
	for (int i = 0; i < 10000 && race_ok(race_call(race, "Pids", NULL)) != 1; i++)
		;
	assert_int_equal(race_ok(race_call(race, "Pids", NULL)), 1);
	race_ok(race_call(race, "Delete", "e"));
	assert_int_equal(race_count_events(race, "exit", "e"), 0);
}

static void test_kill_hangs(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	create_running(race);
	race_script(race, "kill touch @/began\nkill hang\n");
	ends_late(race, race_kill(race, "", SIGTERM), "runc kill: no answer in 1 s");
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

static void test_delete_hangs(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	create_running(race);
	race_ok(race_kill(race, "", SIGKILL));
	race_ok(race_call(race, "Wait", ""));
	race_script(race, "delete touch @/began\ndelete hang\n");
	ends_late(race, race_call(race, "Delete", ""), "runc delete: no answer in 1 s");
	assert_int_equal(bed_status(race->bed, ""), STOPPED);
	assert_int_equal(race_count_events(race, "delete", ""), 0);
	race_script(race, "");
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 137);
}

/* Its state says that there is nothing any more: then that is so. */
static void test_delete_hangs_after_its_work(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	create_running(race);
	race_ok(race_kill(race, "", SIGKILL));
	race_ok(race_call(race, "Wait", ""));
	race_script(race, "delete after:hang\n");
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 137);
}

/* After the deadline of create its state is asked, and that hangs as well. */
static void test_state_hangs(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	race_script(race, "create hang\nstate touch @/began\nstate hang\n");
	ends_late(race, race_create(race, false), "runc create: no answer in 1 s");
}

static void test_pause_hangs(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	create_running(race);
	race_script(race, "pause touch @/began\npause hang\n");
	ends_late(race, race_call(race, "Pause", NULL), "runc pause: no answer in 1 s");
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	assert_int_equal(race_count_events(race, "paused", ""), 0);
}

/*
 * What is killed while it is traced stays a zombie that its parent cannot reap: so a runtime looks
 * that hangs in the kernel. Its call ends all the same, some seconds later.
 */
static void test_pause_hangs_in_the_kernel(void **state)
{
	struct race *race = *state;
	pid_t init, runtime;
	struct flight *pause;

	race->bed->deadline_ms = HANG_MS;
	init = (pid_t)race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
	race_script(race, "pause touch @/began\npause hang\n");
	pause = race_call(race, "Pause", NULL);
	race_await_file(race, "began");
	runtime = race_child(race, init);
	assert_int_equal(ptrace(PTRACE_SEIZE, runtime, NULL, NULL), 0);
	race_refused(pause, CODE_DEADLINE_EXCEEDED, "runc pause: no answer in 1 s");
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	assert_int_equal(waitpid(runtime, NULL, __WALL), runtime);
	/* whenever it does end, it is reaped */
	bed_finish(race->bed);
	race_await_no_children(race);
}

static void test_pause_hangs_after_its_work(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	create_running(race);
	race_script(race, "pause after:touch @/began\npause after:hang\n");
	ends_late(race, race_call(race, "Pause", NULL), "runc pause: no answer in 1 s");
	assert_int_equal(bed_status(race->bed, ""), PAUSED);
	race_script(race, "");
	race_ok(race_call(race, "Resume", NULL));
}

static void test_resume_hangs(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	create_running(race);
	race_ok(race_call(race, "Pause", NULL));
	race_script(race, "resume touch @/began\nresume hang\n");
	ends_late(race, race_call(race, "Resume", NULL), "runc resume: no answer in 1 s");
	assert_int_equal(bed_status(race->bed, ""), PAUSED);
	race_script(race, "");
	race_ok(race_call(race, "Resume", NULL));
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

/* Without a cgroup of the container's own, Pids asks the runtime. */
static void test_ps_hangs(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	create_running(race);
	race_script(race, "ps touch @/began\nps hang\n");
	ends_late(race, race_call(race, "Pids", NULL), "runc ps: no answer in 1 s");
}

#define FAKE(test) cmocka_unit_test_setup_teardown(test, race_setup_fake, race_teardown)
#define RUNC(test)                                                                                 \
	{                                                                                          \
#test " (runc)", test, race_setup_runc, race_teardown, NULL                        \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE(test_dead_before_create_returns),
		FAKE(test_killed_before_create_returns),
		FAKE(test_reaped_before_create_returns),
		FAKE(test_dead_before_start_returns),
		FAKE(test_killed_before_start_returns),
		FAKE(test_dead_before_exec_returns),
		FAKE(test_reaped_before_exec_returns),
		RUNC(test_reply_before_exit_of_real_runtime),
		FAKE(test_exec_ends_after_init),
		RUNC(test_exec_is_ended_with_init_on_host_pids),
		RUNC(test_exec_is_ended_with_init_by_kernel),
		FAKE(test_create_hangs),
		FAKE(test_create_hangs_after_its_work),
		FAKE(test_create_hangs_with_a_grandchild),
		FAKE(test_everything_hangs),
		FAKE(test_start_hangs),
		FAKE(test_start_hangs_after_its_work),
		FAKE(test_exec_hangs),
		FAKE(test_exec_hangs_after_its_work),
		FAKE(test_kill_hangs),
		FAKE(test_delete_hangs),
		FAKE(test_delete_hangs_after_its_work),
		FAKE(test_state_hangs),
		FAKE(test_pause_hangs),
		FAKE(test_pause_hangs_in_the_kernel),
		FAKE(test_pause_hangs_after_its_work),
		FAKE(test_resume_hangs),
		FAKE(test_ps_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
