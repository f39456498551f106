/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime that crashes at each point of each call, writes no pid file or a wrong one, makes noise,
 * answers half a JSON, or hands over no terminal: one sentence each, and nothing left of it.
 * deadline: 120
 */
#include "test/integration/races.h"

#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"

#define ALIVE	"[\"/bin/tool\",\"pause\"]"
#define CREATED CONTAINERD__V1__TYPES__STATUS__CREATED
#define RUNNING CONTAINERD__V1__TYPES__STATUS__RUNNING
#define STOPPED CONTAINERD__V1__TYPES__STATUS__STOPPED
#define PAUSED	CONTAINERD__V1__TYPES__STATUS__PAUSED

static void create_running(struct race *race)
{
	race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
}

/* A Create fails so, leaves nothing, and the next one works. */
static void create_fails(
	struct race *race, bool terminal, const char *script, int code, const char *sentence)
{
	size_t n = race_shim_fds(race);

	bed_config(race->bed, ALIVE, terminal);
	race_script(race, script);
	race_refused(race_create(race, terminal), code, sentence);
	race_await_no_children(race);
	race_await_fds(race, n);
	race_refused(race_call(race, "State", ""), CODE_NOT_FOUND, "container ID: not found");
	race_script(race, "");
	bed_config(race->bed, ALIVE, false);
	create_running(race);
	bed_finish(race->bed);
}

/* The Start of an exec fails so; the init goes on, and so does an exec that was there before. */
static void exec_fails(
	struct race *race, bool terminal, const char *script, int code, const char *sentence)
{
	struct bed *bed = race->bed;
	size_t n;

	create_running(race);
	bed_exec(bed, "old", ALIVE, false);
	race_ok(race_call(race, "Start", "old"));
	n = race_shim_fds(race);
	bed_exec(bed, "new", ALIVE, terminal);
	race_script(race, script);
	race_refused(race_call(race, "Start", "new"), code, sentence);
	assert_int_equal(bed_status(bed, "new"), CREATED);
	race_ok(race_call(race, "Delete", "new"));
	race_await_fds(race, n);
	assert_int_equal(bed_status(bed, ""), RUNNING);
	assert_int_equal(bed_status(bed, "old"), RUNNING);
	race_script(race, "");
	race_ok(race_kill(race, "old", SIGTERM));
	assert_int_equal(race_ok(race_call(race, "Wait", "old")), 0);
	assert_int_equal(race_count_events(race, "exec-started", "new"), 0);
}

/* --- crashes --- */

#define KILLED(verb) "runc " verb ": killed by signal 9 without a word"

static void test_create_crashes_before_fork(void **state)
{
	create_fails(*state, false, "create crash\n", CODE_UNKNOWN, KILLED("create"));
}

static void test_create_crashes_after_fork(void **state)
{
	create_fails(*state, false, "create crash-after-fork\n", CODE_UNKNOWN, KILLED("create"));
}

static void test_create_crashes_after_pid_file(void **state)
{
	create_fails(*state, false, "create crash-after-pid\n", CODE_UNKNOWN, KILLED("create"));
}

/* It cannot even take back what it made. */
static void test_create_and_delete_crash(void **state)
{
	struct race *race = *state;

	race_script(race, "create crash-after-fork\ndelete after:crash\n");
	race_refused(race_create(race, false), CODE_UNKNOWN, KILLED("create"));
	race_await_no_children(race);
}

/* In no container of the runtime's, so that its delete ends nothing: it fell to us, and we end it. */
static void test_create_fails_and_leaves_a_process(void **state)
{
	create_fails(*state, false, "create hold-stdout\ncreate fail no such luck\n", CODE_UNKNOWN,
		"OCI runtime create failed: no such luck");
}

static void test_exec_crashes_before_fork(void **state)
{
	exec_fails(*state, false, "exec crash\n", CODE_UNKNOWN, KILLED("exec"));
}

static void test_exec_crashes_after_fork(void **state)
{
	exec_fails(*state, false, "exec crash-after-fork\n", CODE_UNKNOWN, KILLED("exec"));
}

static void test_exec_crashes_after_pid_file(void **state)
{
	struct race *race = *state;

	exec_fails(race, false, "exec crash-after-pid\n", CODE_UNKNOWN, KILLED("exec"));
	/* it was known, and so it was ended */
	assert_int_equal(race_ok(race_call(race, "Pids", NULL)), 1);
}

static void test_start_crashes_before_its_work(void **state)
{
	struct race *race = *state;

	race_ok(race_create(race, false));
	race_script(race, "start crash\n");
	race_refused(race_call(race, "Start", ""), CODE_UNKNOWN, KILLED("start"));
	assert_int_equal(bed_status(race->bed, ""), CREATED);
	race_script(race, "");
	race_ok(race_call(race, "Start", ""));
	assert_int_equal(race_count_events(race, "start", ""), 1);
}

/* The init is through the gate: it is told as what it is. */
static void test_start_crashes_after_its_work(void **state)
{
	struct race *race = *state;

	race_ok(race_create(race, false));
	race_script(race, "start crash-after-fork\n");
	race_refused(race_call(race, "Start", ""), CODE_UNKNOWN, KILLED("start"));
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	race_await_event(race, "start", "");
}

static void test_kill_crashes(void **state)
{
	struct race *race = *state;

	create_running(race);
	race_script(race, "kill crash\n");
	race_refused(race_kill(race, "", SIGTERM), CODE_UNKNOWN, KILLED("kill"));
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

static void test_delete_crashes_before_its_work(void **state)
{
	struct race *race = *state;

	create_running(race);
	race_ok(race_kill(race, "", SIGKILL));
	race_ok(race_call(race, "Wait", ""));
	race_script(race, "delete crash\n");
	race_refused(race_call(race, "Delete", ""), CODE_UNKNOWN, KILLED("delete"));
	assert_int_equal(bed_status(race->bed, ""), STOPPED);
	assert_int_equal(race_count_events(race, "delete", ""), 0);
	race_script(race, "");
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 137);
}

static void test_delete_crashes_after_its_work(void **state)
{
	struct race *race = *state;

	create_running(race);
	race_ok(race_kill(race, "", SIGKILL));
	race_ok(race_call(race, "Wait", ""));
	race_script(race, "delete after:crash\n");
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 137);
}

static void test_pause_crashes(void **state)
{
	struct race *race = *state;

	create_running(race);
	race_script(race, "pause once:crash\npause once:after:crash\n");
	race_refused(race_call(race, "Pause", NULL), CODE_UNKNOWN, KILLED("pause"));
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	race_refused(race_call(race, "Pause", NULL), CODE_UNKNOWN, KILLED("pause"));
	assert_int_equal(bed_status(race->bed, ""), PAUSED);
}

/* Its words are told as those of the call that it was killed in. */
static void test_pause_crashes_behind_noise(void **state)
{
	struct race *race = *state;

	create_running(race);
	race_script(race, "pause stderr-noise 300\npause crash\n");
	race_refused(race_call(race, "Pause", NULL), CODE_UNKNOWN, "OCI runtime pause failed: *");
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

static void test_resume_crashes(void **state)
{
	struct race *race = *state;

	create_running(race);
	race_ok(race_call(race, "Pause", NULL));
	race_script(race, "resume once:crash\nresume once:after:crash\n");
	race_refused(race_call(race, "Resume", NULL), CODE_UNKNOWN, KILLED("resume"));
	assert_int_equal(bed_status(race->bed, ""), PAUSED);
	race_refused(race_call(race, "Resume", NULL), CODE_UNKNOWN, KILLED("resume"));
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	race_await_event(race, "resumed", "");
	assert_int_equal(race_count_events(race, "paused", ""), 1);
	assert_int_equal(race_count_events(race, "resumed", ""), 1);
}

static void test_ps_crashes(void **state)
{
	struct race *race = *state;

	create_running(race);
	race_script(race, "ps crash\n");
	race_refused(race_call(race, "Pids", NULL), CODE_UNKNOWN, KILLED("ps"));
}

/* --- pid files --- */

struct lie {
	const char *script, *words; /* after "VERB ", after "runc VERB " */
};

static const struct lie lies[] = {
	{ "no-pid-file", "wrote no pid file" },
	{ "pid-file 1", "wrote pid 1, which is not a process of this container" },
	{ "pid-file 0", "wrote \"0\" as its pid" },
	{ "pid-file -5", "wrote \"-5\" as its pid" },
	{ "pid-file abc", "wrote \"abc\" as its pid" },
	{ "pid-file empty", "wrote \"\" as its pid" },
	{ "pid-file 99999999999999", "wrote \"99999999999999\" as its pid" },
	{ "pid-file 4194305", "wrote \"4194305\" as its pid" },
	{ "pid-file 11111111111111111111111111111111111111111111111111",
		"wrote no number as its pid" },
};

static void test_create_lies_about_its_pid(void **state)
{
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct race *race = *state;
		char script[256], sentence[256];

		snprintf(script, sizeof(script), "create %s\n", lies[i].script);
		snprintf(sentence, sizeof(sentence), "runc create %s", lies[i].words);
		race_script(race, script);
		race_refused(race_create(race, false), CODE_INTERNAL, sentence);
		race_await_no_children(race);
		race_await_fds(race, race->n_fds);
	}
}

static void test_exec_lies_about_its_pid(void **state)
{
	struct race *race = *state;

	create_running(race);
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		char script[256], sentence[256], id[8];
		size_t n = race_shim_fds(race);

		snprintf(id, sizeof(id), "e%zu", i);
		snprintf(script, sizeof(script), "exec %s\n", lies[i].script);
		snprintf(sentence, sizeof(sentence), "runc exec %s", lies[i].words);
		bed_exec(race->bed, id, ALIVE, false);
		race_script(race, script);
		race_refused(race_call(race, "Start", id), CODE_INTERNAL, sentence);
		race_ok(race_call(race, "Delete", id));
		race_await_fds(race, n);
	}
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

/* The number is of nobody: the runtime's child is dead and reaped by the runtime. */
static void test_create_tells_a_pid_of_nobody(void **state)
{
	struct race *race = *state;

	race_script(race, "create reused-pid\n");
	race_refused(race_create(race, false), CODE_INTERNAL, "runc create wrote pid *");
	race_await_no_children(race);
}

static void test_exec_tells_a_pid_of_nobody(void **state)
{
	struct race *race = *state;

	create_running(race);
	bed_exec(race->bed, "e", ALIVE, false);
	race_script(race, "exec reused-pid\n");
	race_refused(race_call(race, "Start", "e"), CODE_INTERNAL, "runc exec wrote pid *");
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

/* Another exec's pid, or the init's: neither may be taken over, nor killed for it. */
static void test_exec_tells_the_pid_of_another(void **state)
{
	struct race *race = *state;
	char script[64], sentence[128];
	uint32_t pids[2];

	pids[0] = race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
	bed_exec(race->bed, "old", ALIVE, false);
	pids[1] = race_ok(race_call(race, "Start", "old"));
	for (int i = 0; i < 2; i++) {
		const char *id = i == 0 ? "a" : "b";

		snprintf(script, sizeof(script), "exec pid-file %u\n", pids[i]);
		snprintf(sentence, sizeof(sentence),
			"runc exec wrote pid %u, which is another process", pids[i]);
		bed_exec(race->bed, id, ALIVE, false);
		race_script(race, script);
		race_refused(race_call(race, "Start", id), CODE_INTERNAL, sentence);
		race_ok(race_call(race, "Delete", id));
	}
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	assert_int_equal(bed_status(race->bed, "old"), RUNNING);
	race_script(race, "");
	race_ok(race_kill(race, "old", SIGTERM));
	assert_int_equal(race_ok(race_call(race, "Wait", "old")), 0);
}

/* --- noise --- */

/* On create's own streams noise goes where the container's output goes. */
static void test_create_makes_noise(void **state)
{
	struct race *race = *state;
	struct stat st;

	race_script(race, "create stdout-noise 100000\ncreate stderr-noise 100000\n"
			  "create log-noise 1000000\nstart stdout-noise 1000000\n"
			  "start stderr-noise 1000000\nstart log-noise 1000000\n");
	create_running(race);
	race_script(race, "");
	bed_finish(race->bed);
	assert_int_equal(stat(race->bed->out + strlen("file://"), &st), 0);
	assert_in_range(st.st_size, 100000, 100200);
}

static void test_start_fails_behind_noise(void **state)
{
	struct race *race = *state;

	race_ok(race_create(race, false));
	race_script(race, "start stderr-noise 1024000\nstart log-noise 1024000\n"
			  "start fail no such luck\n");
	race_refused(race_call(race, "Start", ""), CODE_UNKNOWN,
		"OCI runtime start failed: no such luck");
	assert_int_equal(bed_status(race->bed, ""), CREATED);
}

static void test_ps_answers_nonsense(void **state)
{
	struct race *race = *state;

	create_running(race);
	race_script(race, "ps print hello\n");
	race_refused(race_call(race, "Pids", NULL), CODE_INTERNAL,
		"runc ps: not the JSON that was expected: hello");
	race_script(race, "ps print\n");
	race_refused(race_call(race, "Pids", NULL), CODE_INTERNAL,
		"runc ps: not the JSON that was expected: it printed nothing");
	race_script(race, "ps half-json\n");
	race_refused(race_call(race, "Pids", NULL), CODE_INTERNAL,
		"runc ps: not the JSON that was expected: [*");
	race_script(race, "");
	assert_int_equal(race_ok(race_call(race, "Pids", NULL)), 1);
}

/* What state says after a killed start decides nothing when it is no answer. */
static void test_state_answers_half(void **state)
{
	struct race *race = *state;

	race_ok(race_create(race, false));
	race_script(race, "start crash\nstate half-json\n");
	race_refused(race_call(race, "Start", ""), CODE_UNKNOWN, KILLED("start"));
	race_script(race, "start crash\nstate stdout-noise 20000000\nstate print\n");
	race_refused(race_call(race, "Start", ""), CODE_UNKNOWN, KILLED("start"));
	assert_int_equal(bed_status(race->bed, ""), CREATED);
}

/* --- terminals --- */

static void test_console_never_comes(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = 1000;
	create_fails(race, true, "create no-console\n", CODE_INTERNAL,
		"runc create handed over no terminal");
}

static void test_console_comes_without_descriptor(void **state)
{
	create_fails(*state, true, "create bad-console\n", CODE_INTERNAL,
		"runc create handed over no terminal: Connection reset by peer");
}

/* What the runtime has written of the init that it is making. */
static pid_t init_pid(struct race *race)
{
	struct bed *bed = race->bed;
	_cleanup_free_ char *path = bed_format("%s/c/default/%s/init.pid", bed->root, bed->id);
	FILE *f = fopen(path, "re");
	int pid = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	return pid;
}

/* Connects to the socket on which the shim awaits a terminal, and says nothing. */
static void hang_up_on_console(struct race *race)
{
	_cleanup_free_ char *pattern =
		bed_format("%s/root/c/default/%s/pty-*", race->bed->dir, race->bed->id);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	glob_t found;

	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", found.gl_pathv[0]);
	globfree(&found);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

/* The patience with the console ends in the middle of the undoing, when there is no console any more. */
static void test_console_breaks_and_undoing_takes_its_time(void **state)
{
	struct race *race = *state;
	struct flight *create;

	race->bed->deadline_ms = 1000;
	bed_config(race->bed, ALIVE, true);
	race_script(race, "create no-console\ncreate init-exits 0\ncreate after:touch @/created\n"
			  "delete after:hang\n");
	create = race_create(race, true);
	race_await_file(race, "created");
	race_await_no_children(race);
	hang_up_on_console(race);
	race_refused(create, CODE_INTERNAL,
		"runc create handed over no terminal: Connection reset by peer");
	race_script(race, "");
	bed_config(race->bed, ALIVE, false);
	create_running(race);
	bed_finish(race->bed);
}

static void test_console_of_exec_never_comes(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = 1000;
	exec_fails(race, true, "exec no-console\n", CODE_INTERNAL,
		"runc exec handed over no terminal");
	assert_int_equal(race_count_events(race, "exit", "new"), 0);
}

/* It was never told of as started: its exit status is not known to anybody, dead as it is. */
static void test_console_of_dead_exec_never_comes(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = 1000;
	create_running(race);
	bed_exec(race->bed, "e", ALIVE, true);
	race_script(race, "exec no-console\nexec init-exits 5\n");
	race_refused(
		race_call(race, "Start", "e"), CODE_INTERNAL, "runc exec handed over no terminal");
	assert_int_equal(race_ok(race_call(race, "Delete", "e")), 255);
	assert_int_equal(race_await_event(race, "delete", "e")->exit_status, 255);
	assert_int_equal(race_count_events(race, "exit", "e"), 0);
}

/*
 * One that is killed while it is traced stays a zombie that its parent cannot reap, as one that
 * hangs in the kernel stays: the Create that has left it ends all the same. Takes ten seconds.
 */
static void test_console_never_comes_of_what_does_not_die(void **state)
{
	struct race *race = *state;
	_cleanup_free_ char *forget = bed_format("%s --root %s delete --force %s",
		race->bed->fake_path, race->bed->runtime_root, race->bed->id);
	struct flight *create;
	pid_t pid;

	race->bed->deadline_ms = 1000;
	bed_config(race->bed, ALIVE, true);
	race_script(race, "create no-console\n"
			  "create after:touch @/created\ncreate after:wait @/go\n"
			  "state fail container does not exist\n");
	create = race_create(race, true);
	race_await_file(race, "created");
	pid = init_pid(race);
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	race_touch(race, "go");
	race_refused(create, CODE_INTERNAL, "runc create handed over no terminal");
	assert_int_equal(waitpid(pid, NULL, __WALL), pid);
	race_await_no_children(race);
	assert_int_equal(system(forget), 0);
}

static void test_console_of_exec_comes_without_descriptor(void **state)
{
	exec_fails(*state, true, "exec bad-console\n", CODE_INTERNAL,
		"runc exec handed over no terminal: Connection reset by peer");
}

#define FAKE(test) cmocka_unit_test_setup_teardown(test, race_setup_fake, race_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE(test_create_crashes_before_fork),
		FAKE(test_create_crashes_after_fork),
		FAKE(test_create_crashes_after_pid_file),
		FAKE(test_create_and_delete_crash),
		FAKE(test_create_fails_and_leaves_a_process),
		FAKE(test_exec_crashes_before_fork),
		FAKE(test_exec_crashes_after_fork),
		FAKE(test_exec_crashes_after_pid_file),
		FAKE(test_start_crashes_before_its_work),
		FAKE(test_start_crashes_after_its_work),
		FAKE(test_kill_crashes),
		FAKE(test_delete_crashes_before_its_work),
		FAKE(test_delete_crashes_after_its_work),
		FAKE(test_pause_crashes),
		FAKE(test_pause_crashes_behind_noise),
		FAKE(test_resume_crashes),
		FAKE(test_ps_crashes),
		FAKE(test_create_lies_about_its_pid),
		FAKE(test_exec_lies_about_its_pid),
		FAKE(test_create_tells_a_pid_of_nobody),
		FAKE(test_exec_tells_a_pid_of_nobody),
		FAKE(test_exec_tells_the_pid_of_another),
		FAKE(test_create_makes_noise),
		FAKE(test_start_fails_behind_noise),
		FAKE(test_ps_answers_nonsense),
		FAKE(test_state_answers_half),
		FAKE(test_console_never_comes),
		FAKE(test_console_comes_without_descriptor),
		FAKE(test_console_breaks_and_undoing_takes_its_time),
		FAKE(test_console_never_comes_of_what_does_not_die),
		FAKE(test_console_of_exec_never_comes),
		FAKE(test_console_of_dead_exec_never_comes),
		FAKE(test_console_of_exec_comes_without_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
