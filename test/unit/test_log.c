/* SPDX-License-Identifier: Apache-2.0 */
/* The log: one line an entry, whatever is in it, and never a wait for whoever reads it. */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"

/* What the log wrote since it was pointed at *fd: a pipe's reading end, emptied. */
static const char *drain(int fd)
{
	static char text[1 << 20];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int reading_end = -1, writing_end = -1;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(fd_pipe(&reading_end, &writing_end, O_NONBLOCK), 0);
	log_init(LOG_LEVEL_DEBUG, writing_end);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_init(LOG_LEVEL_INFO, STDERR_FILENO);
	fd_close(&reading_end);
	fd_close(&writing_end);
	return 0;
}

/* The line after its time, which is checked to be one that is now. */
static const char *after_time(const char *line)
{
	char stamp[CLOCK_TEXT_MAX] = "";
	moment m, now = clock_now();

	assert_int_equal(strncmp(line, "time=\"", 6), 0);
	memcpy(stamp, line + 6, 30);
	assert_int_equal(clock_parse(stamp, &m), 0);
	assert_true(m <= now && now - m < INT64_C(60000000000));
	assert_int_equal(strncmp(line + 36, "\" ", 2), 0);
	return line + 38;
}

static void test_a_line(void **state)
{
	(void)state;
	log_info(
		"container created", F_STR("id", "web"), F_INT("pid", 42), F_STR("path", "/run/x"));
	assert_string_equal(after_time(drain(reading_end)),
		"level=info msg=\"container created\" id=web pid=42 path=/run/x\n");
	log_error("bare");
	assert_string_equal(after_time(drain(reading_end)), "level=error msg=\"bare\"\n");
	log_debug("x", F_STR("none", NULL), F_INT("low", INT64_MIN));
	assert_string_equal(after_time(drain(reading_end)),
		"level=debug msg=\"x\" none=\"\" low=-9223372036854775808\n");
}

static void test_levels(void **state)
{
	(void)state;
	log_init(LOG_LEVEL_WARNING, writing_end);
	assert_false(log_enabled(LOG_LEVEL_INFO));
	assert_true(log_enabled(LOG_LEVEL_WARNING));
	log_info("quiet");
	assert_string_equal(drain(reading_end), "");
	log_warn("loud");
	assert_string_equal(after_time(drain(reading_end)), "level=warning msg=\"loud\"\n");
	log_init(LOG_LEVEL_DEBUG, -1);
	assert_false(log_enabled(LOG_LEVEL_ERROR));
	log_error("to nobody");
}

/* Nothing in a value or message makes a second line, or a second field. */
static void test_nothing_can_be_forged(void **state)
{
	const char *line;

	(void)state;
	log_info("a\nlevel=error msg=\"b\"", F_STR("id", "x\ntime=\"2026\" level=error msg=forged"),
		F_STR("quote", "\" admin=true \""), F_STR("slash", "\\"),
		F_STR("bell", "\a\x1b[2J\x7f"), F_STR("blank", "a b"), F_STR("equals", "a=b"));
	line = after_time(drain(reading_end));
	assert_string_equal(line,
		"level=info msg=\"a\\nlevel=error msg=\\\"b\\\"\" "
		"id=\"x\\ntime=\\\"2026\\\" level=error msg=forged\" "
		"quote=\"\\\" admin=true \\\"\" slash=\"\\\\\" bell=\"\\x07\\x1b[2J\\x7f\" "
		"blank=\"a b\" equals=\"a=b\"\n");
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void test_a_long_value_is_cut_and_the_line_ends(void **state)
{
	_cleanup_free_ char *huge = malloc((1 << 20) + 1);
	size_t sizes[] = { 1900, 1990, 2000, 2020, 2047, 2048, 2049, 1 << 20 };

	(void)state;
	assert_non_null(huge);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const char *line;

		memset(huge, i % 2 ? '\n' : 'a', sizes[i]);
		huge[sizes[i]] = '\0';
		log_info("m", F_STR("huge", huge), F_STR("after", "lost perhaps"));
		line = drain(reading_end);
		assert_true(strlen(line) <= 2048);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	}
}

/* Lines into a full FIFO are lost; the caller goes on at once, and the log lives on after it. */
static void test_a_full_fifo_costs_the_line(void **state)
{
	int n = 0;

	(void)state;
	alarm(20);
	while (n < 5000) {
		errno = 99;
		log_info("filling", F_INT("n", n++));
		assert_int_equal(errno, 99);
	}
	alarm(0);
	assert_true(strlen(drain(reading_end)) > 32 * 1024);
	log_info("again");
	assert_string_equal(after_time(drain(reading_end)), "level=info msg=\"again\"\n");
}

static void test_a_fifo_without_reader(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	fd_close(&reading_end);
	errno = 99;
	log_info("to nobody");
	assert_int_equal(errno, 99);
	signal(SIGPIPE, SIG_DFL);
}

static void test_a_file_is_appended_to(void **state)
{
	char path[] = "/tmp/test-log-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	_cleanup_buf_ struct buf text = BUF_INIT;

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	log_init(LOG_LEVEL_INFO, fd);
	log_info("one");
	log_info("two");
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &text, 4096), 0);
	assert_int_equal(buf_append(&text, "", 1), 0);
	assert_non_null(strstr((char *)buf_head(&text), "level=info msg=\"one\"\ntime=\""));
	assert_non_null(strstr((char *)buf_head(&text), "level=info msg=\"two\"\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_can_be_forged, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_long_value_is_cut_and_the_line_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_full_fifo_costs_the_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_fifo_without_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_file_is_appended_to, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
