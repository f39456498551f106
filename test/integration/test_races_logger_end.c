/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How logging programs of binary:// end: those that die while there is something to read, those that do
 * not end, and those that are there when a process is deleted or the shim is told to end.
 * deadline: 300
 * waits: may run beside others
 */
#include "test/integration/races.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "test/integration/bed_logger.h"

#define MIB16 ((size_t)16 << 20)
/* at TERM so many bytes, and the end */
#define LAST_WORDS                                                                                 \
	"[\"/bin/tool\",\"chain\",\"trap\",\"TERM\",\"0\",\"--\",\"random\",\"5\",\"50000\"]"

static void use(struct race *race, const char *query)
{
	free(race->bed->out);
	race->bed->out = bed_logger(race->bed, "binary-v2", "log", query);
}

static void start(struct race *race, const char *args)
{
	bed_config(race->bed, args, false);
	race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
}

static size_t count(const struct race *race, const char *text)
{
	return bed_count_logged(race->bed, "log/runs", text);
}

/* What the shim's log says, while its folder is there. */
static size_t count_in_log(const struct race *race, const char *text)
{
	_cleanup_free_ char *log = bed_format("root/c/default/%s/log", race->bed->id);

	return bed_count_logged(race->bed, log, text);
}

/* Of the init's stdout: what we have read, and what has come of it. */
static void assert_counted(struct race *race, uint64_t in, uint64_t out)
{
	Cleat__Shim__V1__InfoRequest r = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	Cleat__Shim__V1__InfoResponse *info =
		bed_ok(race->bed, MONITOR, "Info", &r, &cleat__shim__v1__info_response__descriptor);

	assert_int_equal(info->processes[0]->stdout->bytes_in, in);
	assert_int_equal(info->processes[0]->stdout->bytes_out, out);
	bed_free(info);
}

/* --- deaths --- */

/* In the middle, at three places; the process writes on, and all of it is there. */
static void test_dies_and_goes_on(void **state)
{
	struct race *race = *state;

	use(race, "die=3000001&deaths=3");
	start(race,
		"[\"/bin/tool\",\"seq\",\"random\",\"7\",\"16M\",\"--\",\"burst\",\"16M\",\"2\"]");
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 0);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 0);
	bed_check_logged(race->bed, "log/out", 7, MIB16);
	bed_check_logged(race->bed, "log/err", 1, MIB16);
	assert_int_equal(count(race, "start "), 4);
	assert_int_equal(count(race, "end"), 1);
}

/* With most of what there is in the pipe; nobody is there any more who could write more. */
static void test_dies_after_the_process(void **state)
{
	struct race *race = *state;

	use(race, "gate=@/go&die=10&deaths=1");
	start(race, "[\"/bin/tool\",\"random\",\"7\",\"30000\"]");
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 0);
	race_touch(race, "go");
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 0);
	bed_check_logged(race->bed, "log/out", 7, 30000);
	assert_int_equal(count(race, "start "), 2);
}

/* It says that it is ready and is dead, however often; then the process ends before the next is ready. */
static void test_dies_as_it_says_ready(void **state)
{
	struct race *race = *state;

	use(race, "die=0&deaths=4");
	start(race, "[\"/bin/tool\",\"random\",\"7\",\"30000\"]");
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 0);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 0);
	bed_check_logged(race->bed, "log/out", 7, 30000);
	assert_int_equal(count(race, "start "), 5);
}

/* What it has started goes with it: nobody else reads the pipe when the next one does. */
static void test_dies_with_a_child(void **state)
{
	struct race *race = *state;

	use(race, "die=1000&deaths=1&child=600000");
	start(race, "[\"/bin/tool\",\"random\",\"7\",\"30000\"]");
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 0);
	bed_await_logged(race->bed, "log/runs", "end", 1);
	/* one child is there, that of the run that has ended well: its own business */
	assert_true(race_child(race, 0) > 0);
	kill(race_child(race, 0), SIGKILL);
	race_await_no_children(race);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 0);
	bed_check_logged(race->bed, "log/out", 7, 30000);
}

/* The terminal's stream goes through us: nothing else differs. */
static void test_dies_at_a_terminal(void **state)
{
	struct race *race = *state;
	_cleanup_free_ char *uri = bed_logger(race->bed, "binary", "log", "die=100000&deaths=2");

	bed_config(race->bed, "[\"/bin/tool\",\"lines\",\"60000\"]", true);
	bed_create_logged(race->bed, uri, "", true);
	race_ok(race_call(race, "Start", ""));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 0);
	race_ok(race_call(race, "Delete", ""));
	assert_int_equal(bed_count_logged(race->bed, "log/out", "line "), 60000);
	assert_int_equal(bed_count_logged(race->bed, "log/out", "line 60000\r\n"), 1);
	assert_int_equal(count(race, "start "), 3);
}

/* It never stays: the process is held up for a while, never for ever, and what is lost is counted. */
static void test_cannot_be_kept_running(void **state)
{
	struct race *race = *state;

	use(race, "die=0");
	start(race, "[\"/bin/tool\",\"random\",\"7\",\"1M\"]");
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 0);
	assert_int_equal(count(race, "start "), 1 + LOGGER_TRIES);
	race_await_no_children(race);
	assert_int_equal(count_in_log(race, "a logger cannot be kept running"), 1);
	assert_int_equal(
		count_in_log(race, "a logger has ended before the output has"), 1 + LOGGER_TRIES);
	assert_counted(race, 1 << 20, 0);
	assert_int_equal(count_in_log(race, "bytes=1048576"), 1);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 0);
}

/* --- Delete --- */

/* The exit is told at once; Delete waits until the last byte has been read. */
static void test_delete_waits_for_it(void **state)
{
	struct race *race = *state;
	struct flight *delete;

	use(race, "gate=@/go");
	start(race, "[\"/bin/tool\",\"random\",\"7\",\"30000\"]");
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 0);
	delete = race_call(race, "Delete", "");
	assert_true(race_pending(delete));
	race_touch(race, "go");
	assert_int_equal(race_ok(delete), 0);
	race_await_no_children(race);
	bed_check_logged(race->bed, "log/out", 7, 30000);
	assert_int_equal(count(race, "term"), 0);
}

/* Delete waits no longer than for any output; what is in the pipe then is lost. */
static void test_delete_while_it_is_started_again(void **state)
{
	struct race *race = *state;
	int64_t begun = clock_monotonic_ms();
	struct flight *delete;

	use(race, "die=10");
	start(race, "[\"/bin/tool\",\"random\",\"7\",\"30000\"]");
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 0);
	delete = race_call(race, "Delete", "");
	bed_await_logged(race->bed, "log/runs", "start ", 3);
	assert_true(race_pending(delete));
	assert_int_equal(race_ok(delete), 0);
	race_await_no_children(race);
	assert_in_range(clock_monotonic_ms() - begun, DRAIN_DEADLINE_MS, DRAIN_DEADLINE_MS + 5000);
}

/* It sees the end and does not end: told to by SIGTERM once Delete has had its time, then killed. */
static void test_delete_of_one_that_hangs(void **state)
{
	struct race *race = *state;
	int64_t begun;

	use(race, "end=hang&term=ignore");
	start(race, "[\"/bin/tool\",\"random\",\"7\",\"30000\"]");
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 0);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 0);
	begun = clock_monotonic_ms();
	bed_check_logged(race->bed, "log/out", 7, 30000);
	bed_await_logged(race->bed, "log/runs", "term", 1);
	assert_true(race_child(race, 0) > 0);
	/* the shim, which is told to end meanwhile, takes it along */
	race_ok(race_call(race, "Shutdown", ""));
	race_await_line(race);
	bed_await_end(race->bed);
	assert_in_range(clock_monotonic_ms() - begun, LOGGER_TERM_MS - 1000, LOGGER_TERM_MS + 5000);
	assert_int_equal(count(race, "term"), 1);
}

/* --- the shim's end --- */

/* The init, ready for its TERM, speaks its last words. */
static void terminate(struct race *race)
{
	struct flight *wait;

	start(race, LAST_WORDS);
	bed_await_logged(race->bed, "log/out", "ready", 1);
	wait = race_call(race, "Wait", "");
	assert_true(race_pending(wait));
	assert_int_equal(pidref_signal(&race->bed->shim, SIGTERM), 0);
	assert_int_equal(race_ok(wait), 0);
}

static void check_last_words(const struct race *race)
{
	_cleanup_free_ char *command =
		bed_format("tail -c +7 %s/log/out | build/test/tool check 5 50000", race->bed->dir);

	assert_int_equal(system(command), 0);
}

static void test_last_words_before_sigterm_ends_the_shim(void **state)
{
	struct race *race = *state;

	use(race, "gate=@/go&after=6"); /* "ready\n" */
	terminate(race);
	race_touch(race, "go");
	race_await_end(race, "0");
	check_last_words(race);
	assert_int_equal(count(race, "end"), 1);
	assert_int_equal(count(race, "term"), 0);
}

/* Told to end, which it does. */
static void test_sigterm_while_it_hangs(void **state)
{
	struct race *race = *state;

	use(race, "end=hang");
	terminate(race);
	race_await_end(race, "0");
	check_last_words(race);
	assert_int_equal(count(race, "term"), 1);
}

/* There is none then: the shim does not wait for another. */
static void test_sigterm_while_it_is_started_again(void **state)
{
	struct race *race = *state;
	struct flight *wait;

	use(race, "die=0");
	start(race, "[\"/bin/tool\",\"sleep\",\"600000\"]");
	bed_await_logged(race->bed, "log/runs", "start ", 3);
	wait = race_call(race, "Wait", "");
	assert_true(race_pending(wait));
	assert_int_equal(pidref_signal(&race->bed->shim, SIGTERM), 0);
	assert_int_equal(race_ok(wait), 143);
	race_await_end(race, "143");
}

/* A Create that waits for its logger fails, and the shim ends. */
static void test_sigterm_before_it_is_ready(void **state)
{
	struct race *race = *state;
	struct flight *create;

	race->bed->deadline_ms = 3000;
	use(race, "ready=never");
	create = race_create(race, false);
	bed_await_logged(race->bed, "log/runs", "start ", 1);
	assert_true(race_pending(create));
	assert_int_equal(pidref_signal(&race->bed->shim, SIGTERM), 0);
	assert_int_equal(race_land(create), CODE_DEADLINE_EXCEEDED);
	race_await_line(race);
	bed_await_end(race->bed);
}

/* A shim that is killed takes nothing from its logger, which goes on until the container ends. */
static void test_shim_is_killed(void **state)
{
	struct race *race = *state;
	struct bed *bed = race->bed;
	_cleanup_free_ char *command = NULL;
	uint32_t pid;

	use(race, "");
	bed_config(bed, LAST_WORDS, false);
	pid = race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
	bed_await_logged(bed, "log/out", "ready", 1);
	race->unchecked = true;
	assert_int_equal(pidref_signal(&bed->shim, SIGKILL), 0);
	bed_await_end(bed);
	kill((pid_t)pid, SIGTERM);
	bed_await_logged(bed, "log/runs", "end", 1);
	command = bed_format("cleat --root %s delete --force %s", bed->root, bed->id);
	assert_int_equal(system(command), 0);
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
		BOTH(test_dies_and_goes_on),
		FAKE(test_dies_after_the_process),
		FAKE(test_dies_as_it_says_ready),
		FAKE(test_dies_with_a_child),
		BOTH(test_dies_at_a_terminal),
		FAKE(test_cannot_be_kept_running),
		FAKE(test_delete_waits_for_it),
		FAKE(test_delete_while_it_is_started_again),
		FAKE(test_delete_of_one_that_hangs),
		FAKE(test_last_words_before_sigterm_ends_the_shim),
		FAKE(test_sigterm_while_it_hangs),
		FAKE(test_sigterm_while_it_is_started_again),
		FAKE(test_sigterm_before_it_is_ready),
		FAKE(test_shim_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
