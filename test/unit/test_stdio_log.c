/* SPDX-License-Identifier: Apache-2.0 */
/* Formatted logs from a process's streams to the file: ends, stops, locks, gaps. The formats: test_log_split.c. */
#include "shim/stdio_log.h"

#include "test/unit/stdio_bed.h"

struct logged {
	struct bed *b;
	struct stdio_logs *logs;
	int n_threads; /* that there were before: a sanitizer has one of its own */
};

static int n_threads(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	int n = 0;

	while (fgets(line, sizeof(line), f))
		sscanf(line, "Threads: %d", &n);
	return n;
}

static struct logged begin_logs(struct bed *b)
{
	struct logged l = { .b = b, .n_threads = n_threads() };

	assert_int_equal(stdio_logs_new(b->base, &l.logs), 0);
	return l;
}

static char *log_uri(struct bed *b, const char *name, const char *query)
{
	char *uri;

	assert_true(asprintf(&uri, "cri://%s/%s%s", b->dir, name, query) > 0);
	return uri;
}

static struct stdio *open_logged(struct logged *l, const char *out, const char *err)
{
	return open_stdio(l->b, &(struct stdio_spec){ .out = out, .err = err, .logs = l->logs });
}

static bool is_alone(void *userdata)
{
	return n_threads() == ((struct logged *)userdata)->n_threads;
}

/* The text of a stream that is in the file. */
static char *text_of(struct bed *b, const char *name, const char *stream, size_t *ret_n)
{
	_cleanup_fclose_ FILE *f = fopen(bed_path(b, name), "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0, n = 0;
	char *text = NULL;
	ssize_t length;

	assert_non_null(f);
	while ((length = getline(&line, &size, f)) > 0) {
		bool full = line[38] == 'F';
		char *grown;
		size_t part = (size_t)length - 40 - !full;

		assert_true(length >= 41 && line[length - 1] == '\n' && line[29] == 'Z');
		if (strncmp(line + 31, stream, 6) != 0)
			continue;
		grown = realloc(text, n + part);
		assert_non_null(grown);
		text = grown;
		memcpy(text + n, line + 40, part);
		n += part;
	}
	*ret_n = n;
	return text;
}

static void expect_text(struct bed *b, const char *name, const char *stream, const char *wanted)
{
	size_t n;
	_cleanup_free_ char *text = text_of(b, name, stream, &n);

	assert_int_equal(n, strlen(wanted));
	assert_memory_equal(text, wanted, n);
}

static int say(void *arg)
{
	(void)arg;
	return write(1, "out\nrest", 8) != 8 || write(2, "err\n", 4) != 4;
}

static void test_two_streams(void **state)
{
	struct bed *b = *state;
	struct logged l = begin_logs(b);
	_cleanup_free_ char *uri = log_uri(b, "new/log", "");
	struct stdio *s = open_logged(&l, uri, uri);

	assert_int_equal(n_threads(), l.n_threads + 1);
	assert_false(stdio_is_drained(s));
	bed_join_ok(b, start(b, s, say, NULL));
	assert_true(bed_until(b, is_drained, s));
	assert_int_equal(counters(s).out_in, 8);
	assert_int_equal(counters(s).out_out, 8);
	assert_int_equal(counters(s).err_out, 4);
	expect_text(b, "new/log", "stdout", "out\nrest");
	expect_text(b, "new/log", "stderr", "err\n");
	assert_true(bed_until(b, is_alone, &l));
	stdio_free(s);
	stdio_logs_free(l.logs);
}

/* Until nobody reads any more. */
static int say_and_wait(void *arg)
{
	char byte;

	(void)arg;
	signal(SIGPIPE, SIG_IGN);
	if (write(1, "begun", 5) != 5 || read(0, &byte, 1) != 0)
		return 1;
	while (write(1, "late", 4) == 4)
		;
	return errno != EPIPE;
}

static bool has_begun(void *userdata)
{
	return counters(userdata).out_in == 5;
}

/* What was read is written, and the process is not held up. */
static void test_stopped(void **state)
{
	struct bed *b = *state;
	struct logged l = begin_logs(b);
	_cleanup_free_ char *uri = log_uri(b, "log", ""), *text = NULL;
	struct stdio *s = open_stdio(
		b, &(struct stdio_spec){
			   .in = bed_fifo(b, "in"), .out = uri, .err = uri, .logs = l.logs });
	pid_t pid = start(b, s, say_and_wait, NULL);
	size_t n;

	assert_true(bed_until(b, has_begun, s));
	stdio_abandon(s);
	assert_true(stdio_is_cut_off(s));
	bed_join_ok(b, pid);
	assert_true(bed_until(b, is_alone, &l));
	text = text_of(b, "log", "stdout", &n);
	assert_true(n >= 5 && n == counters(s).out_in && n == counters(s).out_out);
	assert_memory_equal(text, "begun", 5);
	stdio_free(s);
	stdio_logs_free(l.logs);
}

/* Never started, and freed while it is read: nothing is left, whoever frees first. */
static void test_freed_early(void **state)
{
	struct bed *b = *state;
	struct logged l = begin_logs(b);
	_cleanup_free_ char *uri = log_uri(b, "log", ""), *other = log_uri(b, "other", "");
	struct stdio *s = open_logged(&l, uri, other);
	struct bytes out = { .seed = 3, .n = 64 * MIB, .open_end = true };
	pid_t pid;

	stdio_free(s);
	assert_true(bed_until(b, is_alone, &l));
	s = open_logged(&l, uri, other);
	pid = start(b, s, write_actor, &out);
	stdio_free(s);
	stdio_logs_free(l.logs);
	assert_int_not_equal(bed_join(b, pid), -1);
	assert_true(is_alone(&l));
}

static void test_one_writer(void **state)
{
	struct bed *b = *state;
	struct logged l = begin_logs(b);
	_cleanup_free_ char *uri = log_uri(b, "log", ""), *file = file_uri(b, "log", "");
	_cleanup_error_ struct error err = ERROR_INIT;
	struct stdio *s = open_logged(&l, uri, uri), *second = NULL;
	struct stdio_spec spec = { .err = uri, .logs = l.logs };

	assert_int_equal(stdio_open(b->base, &spec, &second, &err), CODE_FAILED_PRECONDITION);
	assert_non_null(strstr(error_message(&err), "another process's log is written there"));
	stdio_free(s);
	assert_true(bed_until(b, is_alone, &l));
	/* nor beside who appends to it */
	s = open_stdio(b, &(struct stdio_spec){ .out = file });
	assert_int_equal(stdio_open(b->base, &spec, &second, &err), CODE_FAILED_PRECONDITION);
	stdio_free(s);
	s = open_logged(&l, uri, uri);
	stdio_free(s);
	stdio_logs_free(l.logs);
}

/* A line that an earlier writer has not ended is ended. */
static void test_torn_before(void **state)
{
	struct bed *b = *state;
	struct logged l = begin_logs(b);
	_cleanup_free_ char *uri = log_uri(b, "log", "");
	FILE *f = fopen(bed_path(b, "log"), "we");
	char line[8];
	struct stdio *s;

	fputs("torn", f);
	fclose(f);
	s = open_logged(&l, uri, uri);
	bed_join_ok(b, start(b, s, say, NULL));
	assert_true(bed_until(b, is_drained, s));
	stdio_free(s);
	f = fopen(bed_path(b, "log"), "re");
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "torn\n");
	fclose(f);
	stdio_logs_free(l.logs);
}

/* Where nothing can be moved the old file is written on, and no record is lost. */
static void test_no_rotation(void **state)
{
	struct bed *b = *state;
	struct logged l = begin_logs(b);
	_cleanup_free_ char *uri = log_uri(b, "log", "?max-size=4k&max-files=2");
	struct bytes out = { .seed = 5, .n = MIB, .open_end = true };
	struct stdio *s = open_logged(&l, uri, uri);
	_cleanup_free_ char *text = NULL;
	size_t n;

	/* a folder in its place */
	assert_int_equal(mkdir(bed_path(b, "log.1"), 0700), 0);
	bed_join_ok(b, start(b, s, write_actor, &out));
	assert_true(bed_until(b, is_drained, s));
	assert_int_equal(counters(s).out_out, MIB);
	text = text_of(b, "log", "stdout", &n);
	assert_int_equal(n, MIB);
	stdio_free(s);
	stdio_logs_free(l.logs);
}

/* The last rotation has moved the file and could not make the next one: the one after that goes well. */
static void test_rotates_after_failure(void **state)
{
	struct bed *b = *state;
	_cleanup_free_ char *path = strdup(bed_path(b, "log"));
	const struct log_file_options options = {
		.path = path, .format = LOG_CRI, .max_size = 4096, .max_files = 3
	};
	struct log_file f = LOG_FILE_INIT;
	FILE *before = fopen(path, "we");

	fputs("before\n", before);
	fclose(before);
	assert_int_equal(log_file_open(&options, &f, NULL), 0);
	assert_int_equal(rename(path, bed_path(b, "log.1")), 0);
	log_file_rotate(&f);
	assert_int_equal(f.news.rotation, 0);
	assert_int_equal(f.size, 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(access(bed_path(b, "log.2"), F_OK), 0);
	log_file_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_streams, bed_setup, bed_teardown),
		cmocka_unit_test_setup_teardown(test_stopped, bed_setup, bed_teardown),
		cmocka_unit_test_setup_teardown(test_freed_early, bed_setup, bed_teardown),
		cmocka_unit_test_setup_teardown(test_one_writer, bed_setup, bed_teardown),
		cmocka_unit_test_setup_teardown(test_torn_before, bed_setup, bed_teardown),
		cmocka_unit_test_setup_teardown(test_no_rotation, bed_setup, bed_teardown),
		cmocka_unit_test_setup_teardown(
			test_rotates_after_failure, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
