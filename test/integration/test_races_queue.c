/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for whom (design, section 4): two Starts of one process and of two, Pause, Resume and
 * the init's Delete behind each other, a Kill that waits for nobody; callers that leave; what is
 * asked of the runtime after a deadline; and the one exit that may be told after the init's.
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
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"

#define ALIVE	"[\"/bin/tool\",\"pause\"]"
#define CREATED CONTAINERD__V1__TYPES__STATUS__CREATED
#define RUNNING CONTAINERD__V1__TYPES__STATUS__RUNNING
#define PAUSING CONTAINERD__V1__TYPES__STATUS__PAUSING
#define PAUSED	CONTAINERD__V1__TYPES__STATUS__PAUSED
#define STOPPED CONTAINERD__V1__TYPES__STATUS__STOPPED

static void create_running(struct race *race)
{
	race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
}

/* A running container whose Pause has begun, and waits for the file "go". */
static struct flight *pause_waiting(struct race *race)
{
	struct flight *pause;

	create_running(race);
	race_script(race, "pause touch @/began\npause wait @/go\n");
	pause = race_call(race, "Pause", NULL);
	race_await_file(race, "began");
	return pause;
}

/* --- Starts --- */

static void test_two_starts(void **state)
{
	struct race *race = *state;
	struct flight *first, *second;

	race_ok(race_create(race, false));
	race_script(race, "start once:touch @/began\nstart wait @/go\n");
	first = race_call(race, "Start", "");
	race_await_file(race, "began");
	second = race_call(race, "Start", "");
	assert_true(race_pending(second));
	assert_true(race_pending(first));
	race_touch(race, "go");
	race_ok(first);
	race_refused(second, CODE_FAILED_PRECONDITION, "cannot start a running process");
	assert_int_equal(race_count_events(race, "start", ""), 1);
}

static void test_two_starts_of_one_exec(void **state)
{
	struct race *race = *state;
	struct flight *first, *second;

	create_running(race);
	bed_exec(race->bed, "e", ALIVE, false);
	race_script(race, "exec touch @/began\nexec wait @/go\n");
	first = race_call(race, "Start", "e");
	race_await_file(race, "began");
	second = race_call(race, "Start", "e");
	assert_true(race_pending(second));
	race_touch(race, "go");
	race_ok(first);
	race_refused(second, CODE_FAILED_PRECONDITION, "cannot start a running process");
	assert_int_equal(race_ok(race_call(race, "Pids", NULL)), 2);
}

/* The queue is the process's own: an exec that hangs in its start holds up no other, nor the init's. */
static void test_starts_side_by_side(void **state)
{
	struct race *race = *state;
	struct flight *slow;

	create_running(race);
	bed_exec(race->bed, "slow", ALIVE, false);
	bed_exec(race->bed, "quick", "[\"/bin/tool\",\"exit\",\"4\"]", false);
	race_script(race, "exec once:touch @/began\nexec once:wait @/go\n");
	slow = race_call(race, "Start", "slow");
	race_await_file(race, "began");
	race_ok(race_call(race, "Start", "quick"));
	assert_int_equal(race_ok(race_call(race, "Wait", "quick")), 4);
	assert_int_equal(race_ok(race_call(race, "Delete", "quick")), 4);
	race_ok(race_call(race, "Pause", NULL));
	race_ok(race_call(race, "Resume", NULL));
	assert_true(race_pending(slow));
	race_touch(race, "go");
	race_ok(slow);
}

/* --- Pause, Resume, the init's Delete --- */

static void test_resume_waits_for_pause(void **state)
{
	struct race *race = *state;
	struct flight *pause = pause_waiting(race), *resume = race_call(race, "Resume", NULL);
	unsigned paused, resumed;

	assert_true(race_pending(resume));
	race_assert_answers(race);
	race_touch(race, "go");
	race_ok_order(pause, &paused);
	race_ok_order(resume, &resumed);
	assert_true(paused < resumed);
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	race_await_event(race, "resumed", "");
	assert_int_equal(race_count_events(race, "paused", ""), 1);
}

static void test_two_pauses(void **state)
{
	struct race *race = *state;
	struct flight *first = pause_waiting(race), *second = race_call(race, "Pause", NULL);

	assert_true(race_pending(second));
	race_touch(race, "go");
	race_ok(first);
	race_refused(second, CODE_FAILED_PRECONDITION, "cannot pause a paused container");
	assert_int_equal(bed_status(race->bed, ""), PAUSED);
	assert_int_equal(race_count_events(race, "paused", ""), 1);
	race_ok(race_call(race, "Resume", NULL));
}

/* Which of two runs of the runtime came first: each adds its arguments to one file. */
static bool is_first(const struct race *race, const char *verb)
{
	_cleanup_free_ char *path = bed_format("%s/order", race->bed->dir);
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *end;

	assert_int_equal(fd_read_file(AT_FDCWD, path, &text, 1u << 20), 0);
	end = memchr(buf_head(&text), '\n', text.len);
	assert_non_null(end);
	return memmem(
		buf_head(&text), (size_t)(end - (const char *)buf_head(&text)), verb, strlen(verb));
}

static void test_delete_waits_for_pause(void **state)
{
	struct race *race = *state;
	struct flight *pause, *delete;

	create_running(race);
	race_script(race, "pause touch @/began\npause wait @/go\npause argv-to @/order\n"
			  "delete argv-to @/order\n");
	pause = race_call(race, "Pause", NULL);
	race_await_file(race, "began");
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 137);
	delete = race_call(race, "Delete", "");
	assert_true(race_pending(delete));
	assert_true(race_pending(pause));
	race_touch(race, "go");
	race_land(pause); /* the runtime finds it stopped */
	assert_int_equal(race_ok(delete), 137);
	assert_true(is_first(race, "\"pause\""));
	assert_int_equal(race_count_events(race, "paused", ""), 0);
}

/* --- Kill --- */

static void test_kill_while_pause_hangs(void **state)
{
	struct race *race = *state;
	struct flight *pause = pause_waiting(race);

	assert_int_equal(bed_status(race->bed, ""), PAUSING);
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 137);
	assert_int_equal(bed_status(race->bed, ""), STOPPED);
	assert_true(race_pending(pause));
	race_touch(race, "go");
	race_land(pause);
}

/* Neither KILL nor a signal through the runtime waits for another that hangs there. */
static void test_kill_while_kill_hangs(void **state)
{
	struct race *race = *state;
	struct flight *term, *usr1;

	create_running(race);
	race_script(race, "kill once:touch @/began\nkill wait @/go\nkill touch @/through\n");
	term = race_kill(race, "", SIGWINCH);
	race_await_file(race, "began");
	usr1 = race_kill(race, "", SIGURG);
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 137);
	assert_true(race_pending(term));
	assert_true(race_pending(usr1));
	race_touch(race, "go");
	race_refused(term, CODE_NOT_FOUND, "process already finished");
	race_refused(usr1, CODE_NOT_FOUND, "process already finished");
}

/* Of an exec, while the start of another hangs. */
static void test_kill_of_exec_while_start_hangs(void **state)
{
	struct race *race = *state;
	struct flight *start;

	create_running(race);
	bed_exec(race->bed, "old", ALIVE, false);
	race_ok(race_call(race, "Start", "old"));
	bed_exec(race->bed, "new", ALIVE, false);
	race_script(race, "exec touch @/began\nexec wait @/go\n");
	start = race_call(race, "Start", "new");
	race_await_file(race, "began");
	race_ok(race_kill(race, "old", SIGTERM));
	assert_int_equal(race_ok(race_call(race, "Wait", "old")), 0);
	race_refused(race_kill(race, "new", SIGKILL), CODE_FAILED_PRECONDITION,
		"process not created: exec new was not started");
	assert_true(race_pending(start));
	race_touch(race, "go");
	race_ok(start);
}

/* --- callers that leave --- */

static void test_caller_leaves_start(void **state)
{
	struct race *race = *state;
	struct flight *start;

	race_ok(race_create(race, false));
	race_script(race, "start touch @/began\nstart wait @/go\n");
	start = race_call_apart(race, "Start", "", 0);
	race_await_file(race, "began");
	race_leave(start);
	assert_int_equal(bed_status(race->bed, ""), CREATED);
	race_touch(race, "go");
	race_await_event(race, "start", "");
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

static void test_caller_leaves_delete(void **state)
{
	struct race *race = *state;
	struct flight *delete;

	create_running(race);
	race_ok(race_kill(race, "", SIGKILL));
	race_ok(race_call(race, "Wait", ""));
	race_script(race, "delete touch @/began\ndelete wait @/go\n");
	delete = race_call_apart(race, "Delete", "", 0);
	race_await_file(race, "began");
	race_leave(delete);
	race_touch(race, "go");
	race_await_event(race, "delete", "");
	race_refused(race_call(race, "State", ""), CODE_NOT_FOUND, "container ID: not found");
}

/* Its deadline ends a Wait; the process, and who else waits, are none the worse for it. */
static void test_deadline_of_caller_passes_in_wait(void **state)
{
	struct race *race = *state;
	struct flight *other, *wait;

	create_running(race);
	other = race_call(race, "Wait", "");
	wait = race_call_apart(race, "Wait", "", 200);
	race_refused(wait, CODE_DEADLINE_EXCEEDED, "*");
	assert_true(race_pending(other));
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(other), 137);
}

/* --- after a deadline --- */

static size_t count_lines(const struct race *race, const char *name)
{
	_cleanup_free_ char *path = bed_format("%s/%s", race->bed->dir, name);
	_cleanup_buf_ struct buf text = BUF_INIT;
	size_t n = 0;

	assert_int_equal(fd_read_file(AT_FDCWD, path, &text, 1u << 20), 0);
	for (size_t i = 0; i < text.len; i++)
		n += ((const char *)buf_head(&text))[i] == '\n';
	return n;
}

/* The runtime's state is asked once, and decides. */
static void test_state_is_asked_once(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = 1000;
	race_ok(race_create(race, false));
	race_script(race, "start after:hang\nstate argv-to @/asked\n");
	race_refused(race_call(race, "Start", ""), CODE_DEADLINE_EXCEEDED,
		"runc start: no answer in 1 s");
	assert_int_equal(count_lines(race, "asked"), 1);
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

/* --- exits that have to wait --- */

/*
 * An exec is dead, and known to be, while its terminal is still awaited, which never comes: whatever
 * else ends meanwhile, it is not told of one that has never been started.
 */
static void test_dead_while_its_terminal_is_awaited(void **state)
{
	struct race *race = *state;
	struct flight *start;

	race->bed->deadline_ms = 1000;
	create_running(race);
	bed_exec(race->bed, "new", ALIVE, true);
	bed_exec(race->bed, "other", "[\"/bin/tool\",\"exit\",\"4\"]", false);
	race_script(race, "exec once:no-console\nexec once:init-exits 3\n"
			  "exec once:after:touch @/returned\n");
	start = race_call(race, "Start", "new");
	race_await_file(race, "returned");
	race_ok(race_call(race, "Start", "other"));
	assert_int_equal(race_ok(race_call(race, "Wait", "other")), 4);
	race_refused(start, CODE_INTERNAL, "runc exec handed over no terminal");
	assert_int_equal(race_count_events(race, "exec-started", "new"), 0);
	assert_int_equal(race_count_events(race, "exit", "new"), 0);
	assert_int_equal(bed_status(race->bed, "new"), CREATED);
	race_ok(race_call(race, "Delete", "new"));
}

static void check_record(struct bed *bed, const char *exec_id, size_t n, uint32_t status)
{
	Cleat__Shim__V1__ExitRecordsRequest r = CLEAT__SHIM__V1__EXIT_RECORDS_REQUEST__INIT;
	Cleat__Shim__V1__ExitRecordsResponse *ok;

	r.exec_id = (char *)exec_id;
	ok = bed_ok(bed, MONITOR, "ExitRecords", &r,
		&cleat__shim__v1__exit_records_response__descriptor);
	assert_int_equal(ok->n_records, n);
	if (n > 0)
		assert_int_equal(ok->records[0]->status, status);
	bed_free(ok);
}

/* What is reaped is on record, however long it is until it may be told. */
static void test_on_record_before_it_is_told(void **state)
{
	struct race *race = *state;
	struct flight *wait;

	create_running(race);
	bed_exec(race->bed, "e", ALIVE, false);
	race_ok(race_call(race, "Start", "e"));
	wait = race_call(race, "Wait", "");
	race_ok(race_kill(race, "", SIGKILL));
	while (bed_status(race->bed, "") != STOPPED)
		;
	check_record(race->bed, "", 1, 137);
	check_record(race->bed, "e", 0, 0);
	assert_true(race_pending(wait));
	assert_int_equal(race_count_events(race, "exit", ""), 0);
	race_ok(race_kill(race, "e", SIGTERM));
	assert_int_equal(race_ok(wait), 137);
	check_record(race->bed, "e", 1, 0);
}

/* --- mounts --- */

static bool is_mounted(const struct race *race)
{
	_cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf text = BUF_INIT;

	assert_int_equal(fd_read_all(fd, &text, 16u << 20), 0);
	return memmem(buf_head(&text), text.len, race->bed->bundle, strlen(race->bed->bundle));
}

/* What Create has mounted goes with a create that hangs, or whose runtime is killed in the middle. */
static void create_fails_on_mounts(
	struct race *race, const char *script, int code, const char *sentence)
{
	struct flight *create;

	race_script(race, script);
	create = race_create_on(race, race->bed->runtime_root);
	race_await_file(race, "began");
	assert_true(is_mounted(race));
	race_touch(race, "go");
	race_refused(create, code, sentence);
	assert_false(is_mounted(race));
	race_await_no_children(race);
	race_refused(race_call(race, "State", ""), CODE_NOT_FOUND, "container ID: not found");
}

static void test_create_hangs_on_mounts(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = 1000;
	create_fails_on_mounts(race, "create touch @/began\ncreate hang\n", CODE_DEADLINE_EXCEEDED,
		"runc create: no answer in 1 s");
}

static void test_create_crashes_on_mounts(void **state)
{
	create_fails_on_mounts(*state, "create touch @/began\ncreate wait @/go\ncreate crash\n",
		CODE_UNKNOWN, "runc create: killed by signal 9 without a word");
}

/* --- the one exception --- */

/*
 * An exec that the shim cannot end, as it has no cgroup to find it in, outlives its init for longer
 * than the ten seconds that are waited for it: the init's exit is told, and the exec's when it comes.
 */
static void test_exec_missing_after_its_time(void **state)
{
	struct race *race = *state;
	const struct race_event *init, *exec;
	int64_t begun;

	create_running(race);
	bed_exec(race->bed, "e", ALIVE, false);
	race_ok(race_call(race, "Start", "e"));
	begun = clock_monotonic_ms();
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 137);
	/* the clock of events is coarse */
	assert_in_range(clock_monotonic_ms() - begun, 9900, 20000);
	assert_int_equal(race_count_events(race, "exit", "e"), 0);
	assert_int_equal(bed_status(race->bed, "e"), RUNNING);
	race->late_exec = "e";
	race_ok(race_kill(race, "e", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "e")), 137);
	init = race_await_event(race, "exit", "");
	exec = race_await_event(race, "exit", "e");
	assert_true(init->order < exec->order);
	assert_int_equal(race_ok(race_call(race, "Delete", "e")), 137);
}

#define FAKE(test) cmocka_unit_test_setup_teardown(test, race_setup_fake, race_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE(test_two_starts),
		FAKE(test_two_starts_of_one_exec),
		FAKE(test_starts_side_by_side),
		FAKE(test_resume_waits_for_pause),
		FAKE(test_two_pauses),
		FAKE(test_delete_waits_for_pause),
		FAKE(test_kill_while_pause_hangs),
		FAKE(test_kill_while_kill_hangs),
		FAKE(test_kill_of_exec_while_start_hangs),
		FAKE(test_caller_leaves_start),
		FAKE(test_caller_leaves_delete),
		FAKE(test_deadline_of_caller_passes_in_wait),
		FAKE(test_state_is_asked_once),
		FAKE(test_dead_while_its_terminal_is_awaited),
		FAKE(test_on_record_before_it_is_told),
		FAKE(test_create_hangs_on_mounts),
		FAKE(test_create_crashes_on_mounts),
		FAKE(test_exec_missing_after_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
