/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process has written is still on its way when the shim is told to end, or the container is
 * deleted: a reader that reads gets all of it, and who waits for it is answered.
 */
#include "test/integration/races.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"

#define N_LAST 100000 /* more than a FIFO holds; what it does not is in the pipe before it */
/* ready, and at TERM so many bytes, and the end */
#define LAST_WORDS "[\"/bin/tool\",\"chain\",\"trap\",\"TERM\",\"0\",\"--\",\"burst\",\"100000\"]"

/* Makes a FIFO the next process's stdout. Its reading end, which blocks. */
static int make_fifo(struct race *race)
{
	struct bed *bed = race->bed;
	int fd;

	free(bed->out);
	bed->out = bed_format("%s/fifo", bed->dir);
	assert_int_equal(mkfifo(bed->out, 0600), 0);
	fd = open(bed->out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fd_set_nonblock(fd, false), 0);
	return fd;
}

/* How many bytes there are until the end. */
static size_t read_to_end(int fd)
{
	size_t total = 0;
	char block[4096];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		total += (size_t)n;
	assert_int_equal(n, 0);
	return total;
}

static void start_ready(struct race *race, int fd, const char *args)
{
	char ready[6];

	bed_config(race->bed, args, false);
	race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
	assert_int_equal(read(fd, ready, sizeof(ready)), sizeof(ready));
}

/* The container speaks its last words into a FIFO that nobody reads yet, and its exit is told. */
static void terminate_unread(struct race *race, int fd)
{
	struct flight *wait;

	start_ready(race, fd, LAST_WORDS);
	wait = race_call(race, "Wait", "");
	assert_true(race_pending(wait));
	assert_int_equal(pidref_signal(&race->bed->shim, SIGTERM), 0);
	assert_int_equal(race_ok(wait), 0);
}

static void test_last_words_before_sigterm_ends_it(void **state)
{
	struct race *race = *state;
	_cleanup_close_ int fd = make_fifo(race);

	terminate_unread(race, fd);
	assert_int_equal(read_to_end(fd), N_LAST);
	race_await_end(race, "0");
}

/* What the FIFO took is all that is left of it then, and the two seconds that it may hold up. */
static void test_last_words_that_nobody_reads(void **state)
{
	struct race *race = *state;
	_cleanup_close_ int fd = make_fifo(race);
	int64_t begun;

	terminate_unread(race, fd);
	begun = clock_monotonic_ms();
	bed_await_end(race->bed);
	assert_in_range(clock_monotonic_ms() - begun, 1500, 6000);
	assert_in_range(read_to_end(fd), 1, N_LAST - 1);
	race_await_end(race, "0");
}

static void exec_into_out(struct bed *bed, const char *exec_id, const char *args)
{
	Containerd__Task__V2__ExecProcessRequest r =
		CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	const char *spec = bed_spec(args, false);

	any.value = (ProtobufCBinaryData){ strlen(spec), (uint8_t *)spec };
	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	r.spec = &any;
	r.stdout = bed->out;
	bed_done(bed, TASK, "Exec", &r);
}

/* An exec's Delete waits for a reader that does not read, and meanwhile the container goes. */
static void test_container_goes_during_delete_of_exec(void **state)
{
	struct race *race = *state;
	_cleanup_close_ int fd = -1;
	struct flight *delete_exec;

	race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
	fd = make_fifo(race);
	exec_into_out(race->bed, "e", "[\"/bin/tool\",\"burst\",\"100000\"]");
	race_ok(race_call(race, "Start", "e"));
	assert_int_equal(race_ok(race_call(race, "Wait", "e")), 0);
	delete_exec = race_call(race, "Delete", "e");
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 137);
	assert_true(race_pending(delete_exec));
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 137);
	assert_int_equal(race_ok(delete_exec), 0);
	assert_int_equal(race_count_events(race, "delete", "e"), 1);
}

#define FAKE(test) cmocka_unit_test_setup_teardown(test, race_setup_fake, race_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE(test_last_words_before_sigterm_ends_it),
		FAKE(test_last_words_that_nobody_reads),
		FAKE(test_container_goes_during_delete_of_exec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
