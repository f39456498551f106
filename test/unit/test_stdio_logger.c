/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of a logging program's life, each state and what may end it there, with shell scripts as the
 * programs. What a user sees of it: test/integration/test_races_logger*.c.
 */
#include "shim/stdio_logger.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <event2/event.h>

#include "test/unit/unit.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/reaper.h"

#define DEADLINE_MS 30000

struct stage {
	struct bed *bed;
	struct event_base *base;
	struct reaper *reaper;
	struct loggers *loggers;
	struct logger *logger;
	int signals, out, err; /* the writing ends */
	bool reaps;	       /* at once, in await() */
	unsigned n_started, n_done, n_quiet;
	struct error started;
};

static void on_quiet(void *userdata)
{
	((struct stage *)userdata)->n_quiet++;
}

static void on_done(void *userdata)
{
	((struct stage *)userdata)->n_done++;
}

static void on_started(const struct error *err, void *userdata)
{
	struct stage *s = userdata;

	s->n_started++;
	if (err->code)
		error_set(&s->started, err->code, "%s", error_message(err));
}

static int stage_setup(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));
	struct loggers_options options = { .ns = "ns", .on_quiet = on_quiet, .userdata = s };
	void *bed = NULL;
	sigset_t mask;

	assert_int_equal(bed_setup(&bed), 0);
	s->bed = bed;
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	s->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	s->base = event_base_new();
	s->reaps = true;
	s->out = s->err = -1;
	assert_int_equal(reaper_new(&s->reaper), 0);
	options.base = s->base;
	options.reaper = s->reaper;
	assert_int_equal(loggers_new(&options, &s->loggers), 0);
	*state = s;
	return 0;
}

static int stage_teardown(void **state)
{
	struct stage *s = *state;
	void *bed = s->bed;
	bool is_quiet = loggers_are_quiet(s->loggers);

	logger_release(s->logger);
	loggers_free(s->loggers);
	reaper_dispatch(s->reaper);
	reaper_free(s->reaper);
	event_base_free(s->base);
	error_clear(&s->started);
	fd_close(&s->out);
	fd_close(&s->err);
	close(s->signals);
	free(s);
	assert_true(is_quiet);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	return bed_teardown(&bed);
}

/* --- the loop --- */

static void turn(struct stage *s)
{
	const struct timeval tick = { 0, 2000 };
	struct signalfd_siginfo info;

	event_base_loopexit(s->base, &tick);
	event_base_dispatch(s->base);
	if (!s->reaps)
		return;
	while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		;
	reaper_dispatch(s->reaper);
}

#define AWAIT(s, condition)                                                                        \
	for (int64_t end_ = clock_monotonic_ms() + DEADLINE_MS; !(condition); turn(s))             \
	assert_true(clock_monotonic_ms() < end_)

/* A shell script is the program; its folder is $D there. */
static void make(struct stage *s, bool wants_byte, const char *script)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *text = NULL, *path = NULL;
	struct argv none = ARGV_INIT;
	struct logger_options options = {
		.stream = "stdout",
		.args = &none,
		.wants_byte = wants_byte,
		.id = "web",
		.on_done = on_done,
		.userdata = s,
	};

	assert_true(asprintf(&path, "%s/program", s->bed->path) > 0);
	assert_true(asprintf(&text, "#!/bin/sh\nD=%s\necho start >>$D/runs\n%s\n", s->bed->path,
			    script) > 0);
	write_script(s->bed->dir, "program", text);
	options.path = path;
	assert_ok(logger_new(s->loggers, &options, &s->logger, &err), &err);
	assert_ok(logger_open_pipe(s->logger, LOGGER_OUT, &s->out, &err), &err);
	assert_ok(logger_open_pipe(s->logger, LOGGER_ERR, &s->err, &err), &err);
	assert_true(logger_is_done(s->logger));
}

static void start(struct stage *s, bool wants_byte, const char *script, uint32_t patience_ms)
{
	make(s, wants_byte, script);
	logger_start(s->logger, patience_ms, on_started, s);
	assert_int_equal(s->n_started, 0); /* never from within */
}

/* The process: writes these words, and is gone. */
static void write_and_close(struct stage *s, const char *out, const char *err)
{
	assert_int_equal(fd_write_all(s->out, out, strlen(out)), 0);
	assert_int_equal(fd_write_all(s->err, err, strlen(err)), 0);
	fd_close(&s->out);
	fd_close(&s->err);
}

static bool says(const struct stage *s, const char *name, const char *text)
{
	_cleanup_free_ char *all = NULL;

	if (!is_there(s->bed->dir, name))
		return false;
	all = read_text(s->bed->dir, name);
	return strcmp(all, text) == 0;
}

#define READY "printf x >&5; exec 5>&-\n"
#define READ  "cat <&3 >>$D/out; cat <&4 >>$D/err\n"

/* --- good ones --- */

static void test_reads_to_the_end(void **state)
{
	struct stage *s = *state;

	start(s, true, READY READ, DEADLINE_MS);
	AWAIT(s, s->n_started == 1);
	assert_int_equal(s->started.code, CODE_OK);
	assert_false(logger_is_done(s->logger));
	assert_false(loggers_are_quiet(s->loggers));
	write_and_close(s, "one", "two");
	AWAIT(s, s->n_done == 1 && s->n_quiet == 1);
	assert_true(logger_is_done(s->logger));
	assert_true(says(s, "out", "one") && says(s, "err", "two") && says(s, "runs", "start\n"));
	assert_int_equal(logger_n_lost(s->logger, LOGGER_OUT), 0);
}

/* Each one has descriptions of its own: what the one makes of them the next does not see. */
static void test_the_next_one_has_a_pipe_that_blocks(void **state)
{
	struct stage *s = *state;

	/* so dd sets O_NONBLOCK on what it is given */
	start(s, true,
		"if [ ! -e $D/second ]; then touch $D/second\n" READY
		"dd iflag=nonblock count=0 <&3 2>/dev/null; exit 1; fi\n" READY READ,
		DEADLINE_MS);
	AWAIT(s, s->n_started == 1);
	AWAIT(s, says(s, "runs", "start\nstart\n"));
	turn(s); /* with nothing to read it waits, and does not fail */
	write_and_close(s, "one", "two");
	AWAIT(s, s->n_done == 1);
	assert_true(says(s, "out", "one") && says(s, "err", "two"));
	assert_true(says(s, "runs", "start\nstart\n"));
}

/* --- a death and readiness, in both orders --- */

static bool has_ended(struct stage *s)
{
	struct pollfd p = { .fd = s->signals, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* Its end is seen first: reaped before the loop has had a turn. */
static void end_is_seen_first(struct stage *s, bool wants_byte, const char *script)
{
	start(s, wants_byte, script, DEADLINE_MS);
	s->reaps = false;
	for (int64_t end = clock_monotonic_ms() + DEADLINE_MS; !has_ended(s); poll(NULL, 0, 1))
		assert_true(clock_monotonic_ms() < end);
	reaper_dispatch(s->reaper);
	s->reaps = true;
	AWAIT(s, s->n_started == 1);
}

static void test_byte_then_death(void **state)
{
	struct stage *s = *state;

	end_is_seen_first(
		s, true, "[ -e $D/dead ] || { touch $D/dead; " READY "exit 9; }\n" READY READ);
	assert_int_equal(s->started.code, CODE_OK);
	write_and_close(s, "one", "two");
	AWAIT(s, s->n_done == 1);
	assert_true(says(s, "out", "one") && says(s, "runs", "start\nstart\n"));
}

static void test_death_is_ready_for_the_first_kind(void **state)
{
	struct stage *s = *state;

	end_is_seen_first(s, false, "[ -e $D/dead ] || { touch $D/dead; exit 9; }\n" READ);
	assert_int_equal(s->started.code, CODE_OK);
	write_and_close(s, "one", "two");
	AWAIT(s, s->n_done == 1);
	assert_true(says(s, "out", "one") && says(s, "runs", "start\nstart\n"));
}

static void refused(struct stage *s, int code, const char *words)
{
	_cleanup_free_ char *sentence = NULL;

	assert_true(asprintf(&sentence, "stdout: logger %s/program %s", s->bed->path, words) > 0);
	AWAIT(s, s->n_started == 1 && s->n_done == 1);
	assert_error((int)s->started.code, &s->started, code, sentence);
	assert_true(logger_is_done(s->logger));
	/* who writes is told */
	assert_int_equal(write(s->out, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
}

static void test_death_is_none_for_the_second(void **state)
{
	struct stage *s = *state;

	end_is_seen_first(s, true, "exit 9\n");
	refused(s, CODE_INTERNAL, "ended before it was ready, with status 9");
}

/* The first one's leader ends; a child of it holds 5. */
static void test_death_with_readiness_in_other_hands(void **state)
{
	struct stage *s = *state;

	start(s, false, "sleep 600 & kill -9 $$\n", DEADLINE_MS);
	refused(s, CODE_INTERNAL, "ended before it was ready, with signal 9");
}

static void test_no_byte(void **state)
{
	struct stage *s = *state;

	start(s, true, "exec 5>&-; exec sleep 600\n", DEADLINE_MS);
	refused(s, CODE_INTERNAL, "closed its descriptor 5 without a byte, it was killed");
}

static void test_late(void **state)
{
	struct stage *s = *state;

	start(s, true, "trap '' TERM; sleep 600\n", 300);
	refused(s, CODE_DEADLINE_EXCEEDED, "was not ready in 0.3 s, it was killed");
}

/* Its time is over while its end has not been seen; a child of it holds 5. */
static void test_late_and_dead(void **state)
{
	struct stage *s = *state;
	int64_t end = clock_monotonic_ms() + 600;

	start(s, true, "sleep 600 & exit 9\n", 300);
	s->reaps = false;
	while (!has_ended(s) || clock_monotonic_ms() < end)
		turn(s);
	assert_int_equal(s->n_started, 0);
	s->reaps = true;
	refused(s, CODE_DEADLINE_EXCEEDED, "was not ready in 0.3 s, it was killed");
}

/* --- told to end, in each state --- */

static void test_end_before_it_began(void **state)
{
	struct stage *s = *state;

	make(s, true, READY READ);
	logger_end(s->logger);
	assert_true(logger_is_done(s->logger));
	AWAIT(s, s->n_done == 1);
	assert_false(is_there(s->bed->dir, "runs"));
}

static void test_end_while_it_starts(void **state)
{
	struct stage *s = *state;

	start(s, true, "exec sleep 600\n", DEADLINE_MS);
	logger_end(s->logger);
	refused(s, CODE_UNAVAILABLE, "was ended before it was ready");
}

/* It was killed for being late and has not been reaped yet. */
static void test_end_while_it_is_refused(void **state)
{
	struct stage *s = *state;

	start(s, true, "exec 5>&-; exec sleep 600\n", DEADLINE_MS);
	s->reaps = false;
	for (int64_t end = clock_monotonic_ms() + DEADLINE_MS; !has_ended(s); turn(s))
		assert_true(clock_monotonic_ms() < end);
	logger_end(s->logger);
	assert_false(logger_is_done(s->logger));
	s->reaps = true;
	AWAIT(s, s->n_started == 1 && s->n_done == 1);
	assert_int_equal(s->started.code, CODE_INTERNAL);
}

static void test_end_while_it_reads(void **state)
{
	struct stage *s = *state;

	start(s, true,
		"trap 'echo term >>$D/out; exit' TERM\n" READY "while :; do sleep 0.01; done\n",
		DEADLINE_MS);
	AWAIT(s, s->n_started == 1);
	assert_int_equal(fd_write_all(s->out, "12345", 5), 0);
	logger_end(s->logger);
	logger_end(s->logger); /* harmless */
	AWAIT(s, s->n_done == 1);
	assert_true(says(s, "out", "term\n"));
	assert_int_equal(logger_n_lost(s->logger, LOGGER_OUT), 5);
	assert_int_equal(logger_n_lost(s->logger, LOGGER_ERR), 0);
}

static void test_end_while_it_waits_for_another(void **state)
{
	struct stage *s = *state;

	start(s, true, READY "exit 0\n", DEADLINE_MS);
	AWAIT(s, says(s, "runs", "start\nstart\nstart\n"));
	assert_int_equal(fd_write_all(s->out, "12345", 5), 0);
	logger_end(s->logger);
	AWAIT(s, s->n_done == 1);
	assert_int_equal(logger_n_lost(s->logger, LOGGER_OUT), 5);
}

/* Released it is nobody's, and ends all the same. */
static void test_released_while_it_reads(void **state)
{
	struct stage *s = *state;

	start(s, true, READY READ, DEADLINE_MS);
	AWAIT(s, s->n_started == 1);
	logger_release(s->logger);
	s->logger = NULL;
	assert_false(loggers_are_quiet(s->loggers));
	AWAIT(s, s->n_quiet == 1);
	assert_true(loggers_are_quiet(s->loggers));
	assert_int_equal(s->n_done, 0);
}

static void test_released_before_it_is_ready(void **state)
{
	struct stage *s = *state;

	start(s, true, "exec sleep 600\n", DEADLINE_MS);
	logger_release(s->logger);
	s->logger = NULL;
	AWAIT(s, s->n_quiet == 1);
	assert_int_equal(s->n_started, 0);
}

/* Nothing is left when the shim is gone, whatever it was doing. */
static void test_freed_while_it_reads(void **state)
{
	struct stage *s = *state;

	start(s, true, "trap '' TERM\n" READY "sleep 600\n", DEADLINE_MS);
	AWAIT(s, s->n_started == 1);
	logger_release(s->logger);
	s->logger = NULL;
	loggers_free(s->loggers);
	assert_int_equal(waitpid(-1, NULL, 0) > 0, true);
	loggers_new(&(struct loggers_options){ .base = s->base, .reaper = s->reaper, .ns = "ns" },
		&s->loggers);
}

/* --- given up --- */

/* Held up until then; then read by us, counted, to the end. */
static void test_given_up(void **state)
{
	struct stage *s = *state;
	char block[4096] = "";
	int64_t begun = clock_monotonic_ms();

	start(s, true, READY "exit 1\n", DEADLINE_MS);
	AWAIT(s, s->n_started == 1);
	assert_int_equal(fd_set_nonblock(s->out, true), 0);
	while (write(s->out, block, sizeof(block)) > 0)
		; /* as much as the pipe takes */
	while (write(s->out, block, sizeof(block)) < 0) {
		assert_int_equal(errno, EAGAIN);
		assert_true(clock_monotonic_ms() - begun < DEADLINE_MS);
		turn(s);
	}
	assert_in_range(clock_monotonic_ms() - begun, 2 * LOGGER_RETRY_MAX_MS, DEADLINE_MS);
	assert_false(logger_is_done(s->logger));
	write_and_close(s, "", "two");
	AWAIT(s, s->n_done == 1);
	assert_int_equal(logger_n_lost(s->logger, LOGGER_OUT), 65536 + sizeof(block));
	assert_int_equal(logger_n_lost(s->logger, LOGGER_ERR), 3);
}

/* A program that has gone away meanwhile is tried for as well, and given up. */
static void test_the_program_is_gone(void **state)
{
	struct stage *s = *state;

	start(s, true, "rm $0\n" READY "exit 1\n", DEADLINE_MS);
	AWAIT(s, s->n_started == 1);
	write_and_close(s, "one", "two");
	AWAIT(s, s->n_done == 1);
	assert_true(says(s, "runs", "start\n"));
	assert_int_equal(logger_n_lost(s->logger, LOGGER_OUT), 3);
}

#define stage_test(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		stage_test(test_reads_to_the_end),
		stage_test(test_the_next_one_has_a_pipe_that_blocks),
		stage_test(test_byte_then_death),
		stage_test(test_death_is_ready_for_the_first_kind),
		stage_test(test_death_is_none_for_the_second),
		stage_test(test_death_with_readiness_in_other_hands),
		stage_test(test_no_byte),
		stage_test(test_late),
		stage_test(test_late_and_dead),
		stage_test(test_end_before_it_began),
		stage_test(test_end_while_it_starts),
		stage_test(test_end_while_it_is_refused),
		stage_test(test_end_while_it_reads),
		stage_test(test_end_while_it_waits_for_another),
		stage_test(test_released_while_it_reads),
		stage_test(test_released_before_it_is_ready),
		stage_test(test_freed_while_it_reads),
		stage_test(test_given_up),
		stage_test(test_the_program_is_gone),
	};

	signal(SIGPIPE, SIG_IGN);
	log_init(LOG_LEVEL_ERROR, -1);
	if (!has_pidfds())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
