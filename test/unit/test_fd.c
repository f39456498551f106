/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: what is read from where, how much of it at most, and what is never waited for. */
#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/file.h"

static char folder[] = "/tmp/test-fd-XXXXXX";
static int dir = -1;

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	close(dir);
	return remove_tree(AT_FDCWD, folder);
}

static void make_file(const char *name, size_t n)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	_cleanup_free_ char *data = malloc(n + 1);

	assert_true(fd >= 0);
	assert_non_null(data);
	memset(data, 'x', n);
	assert_int_equal(fd_write_all(fd, data, n), 0);
}

static int read_file(const char *name, size_t limit, size_t *ret_n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int before = fd_count();
	int r = fd_read_file(dir, name, &b, limit);

	assert_int_equal(fd_count(), before);
	*ret_n = b.len;
	return r;
}

static void test_pipe(void **state)
{
	_cleanup_close_ int r = -1;
	_cleanup_close_ int w = -1;
	char c;

	(void)state;
	assert_int_equal(fd_pipe(&r, &w, O_NONBLOCK), 0);
	assert_int_equal(fcntl(r, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(w, F_GETFD), FD_CLOEXEC);
	assert_int_equal(read(r, &c, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fd_set_nonblock(r, false), 0);
	assert_false(fcntl(r, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(w, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(r, true), 0);
	assert_true(fcntl(r, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(-1, true), -EBADF);
}

static void test_close(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), seen = fd;

	(void)state;
	fd_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(fcntl(seen, F_GETFD), -1);
	fd_close(&fd);
	assert_int_equal(fd, -1);
}

static void test_a_file_at_and_above_its_limit(void **state)
{
	size_t n;

	(void)state;
	make_file("file", 20000);
	assert_int_equal(read_file("file", 20001, &n), 0);
	assert_int_equal(n, 20000);
	assert_int_equal(read_file("file", 20000, &n), 0);
	assert_int_equal(n, 20000);
	assert_int_equal(read_file("file", 19999, &n), -EFBIG);
	assert_int_equal(read_file("file", 0, &n), -EFBIG);
	make_file("empty", 0);
	assert_int_equal(read_file("empty", 0, &n), 0);
	assert_int_equal(n, 0);
}

/* A terabyte costs nothing: the size is looked at first. */
static void test_a_file_far_above_its_limit(void **state)
{
	_cleanup_close_ int fd = openat(dir, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	size_t n;

	(void)state;
	assert_int_equal(ftruncate(fd, INT64_C(1) << 40), 0);
	assert_int_equal(read_file("sparse", 4096, &n), -EFBIG);
	assert_int_equal(n, 0);
}

/* Files of /proc have no size until they are read. */
static void test_a_file_without_a_size(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/status", &b, 65536), 0);
	assert_true(b.len > 100);
	assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/status", &b, 100), -EFBIG);
}

static void test_links_are_refused(void **state)
{
	size_t n;

	(void)state;
	make_file("target", 5);
	assert_int_equal(symlinkat("target", dir, "link"), 0);
	assert_int_equal(symlinkat("/nonexistent", dir, "dangling"), 0);
	assert_int_equal(read_file("link", 100, &n), -ELOOP);
	assert_int_equal(read_file("dangling", 100, &n), -ELOOP);
	assert_int_equal(n, 0);
}

static void test_what_is_no_file_is_refused_at_once(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n;

	(void)state;
	alarm(20); /* a FIFO without a writer would hang */
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_int_equal(read_file("fifo", 100, &n), -EINVAL);
	assert_int_equal(mkdirat(dir, "folder", 0700), 0);
	assert_int_equal(read_file("folder", 100, &n), -EINVAL);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_true(read_file("socket", 100, &n) < 0);
	assert_int_equal(read_file("/dev/zero", 100, &n), -EINVAL);
	assert_int_equal(read_file("missing", 100, &n), -ENOENT);
	assert_int_equal(read_file("file/below", 100, &n), -ENOTDIR);
	alarm(0);
}

static void test_read_all_appends_up_to_the_limit(void **state)
{
	_cleanup_close_ int r = -1;
	_cleanup_close_ int w = -1;
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(fd_pipe(&r, &w, 0), 0);
	assert_int_equal(buf_append(&b, "old ", 4), 0);
	assert_int_equal(fd_write_all(w, "new", 3), 0);
	fd_close(&w);
	assert_int_equal(fd_read_all(r, &b, 3), 0);
	assert_int_equal(b.len, 7);
	assert_memory_equal(buf_head(&b), "old new", 7);
}

/* An endless stream ends at the limit. */
static void test_read_all_of_an_endless_stream(void **state)
{
	_cleanup_close_ int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(fd_read_all(fd, &b, 1 << 20), -EFBIG);
	assert_true(b.len <= (1 << 20) + 1);
}

static void test_read_all_that_runs_dry(void **state)
{
	_cleanup_close_ int r = -1;
	_cleanup_close_ int w = -1;
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(fd_pipe(&r, &w, O_NONBLOCK), 0);
	assert_int_equal(fd_write_all(w, "part", 4), 0);
	assert_int_equal(fd_read_all(r, &b, 100), -EAGAIN);
	assert_int_equal(b.len, 4);
	assert_int_equal(fd_read_all(dir, &b, 100), -EISDIR);
}

static void test_write_errors(void **state)
{
	_cleanup_close_ int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(fd_write_all(full, "x", 1), -ENOSPC);
	assert_int_equal(fd_write_all(full, NULL, 0), 0);
	assert_int_equal(fd_write_all(-1, "x", 1), -EBADF);
}

static void test_path(void **state)
{
	char path[FD_PATH_MAX], target[256] = "";

	(void)state;
	fd_path(dir, path);
	assert_true(readlink(path, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, folder);
	fd_path(INT32_MAX, path);
	assert_string_equal(path, "/proc/self/fd/2147483647");
}

static void test_count(void **state)
{
	int before = fd_count(), fd = dup(0);

	(void)state;
	assert_true(before >= 3);
	assert_int_equal(fd_count(), before + 1);
	close(fd);
	assert_int_equal(fd_count(), before);
}

static void test_a_pipe_opened_anew_has_flags_of_its_own(void **state)
{
	int in, out, again_in, again_out, file;
	char text[8] = "";

	(void)state;
	assert_int_equal(fd_pipe(&in, &out, 0), 0);
	assert_int_equal(fd_set_nonblock(in, false), 0);
	assert_int_equal(fd_set_nonblock(out, false), 0);
	assert_int_equal(fd_reopen_pipe(in, &again_in), 0);
	assert_int_equal(fd_reopen_pipe(out, &again_out), 0);
	assert_false(fcntl(again_out, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(again_out, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fd_set_nonblock(again_out, true), 0);
	assert_false(fcntl(out, F_GETFL) & O_NONBLOCK);
	close(out);
	assert_int_equal(write(again_out, "word", 4), 4);
	close(again_out);
	close(in);
	assert_int_equal(read(again_in, text, sizeof(text)), 4);
	assert_string_equal(text, "word");
	assert_int_equal(read(again_in, text, sizeof(text)), 0);
	close(again_in);

	/* not a pipe; nothing */
	file = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(fd_reopen_pipe(file, &again_out), -EINVAL);
	close(file);
	assert_int_equal(fd_reopen_pipe(file, &again_out), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_a_file_at_and_above_its_limit),
		cmocka_unit_test(test_a_file_far_above_its_limit),
		cmocka_unit_test(test_a_file_without_a_size),
		cmocka_unit_test(test_links_are_refused),
		cmocka_unit_test(test_what_is_no_file_is_refused_at_once),
		cmocka_unit_test(test_read_all_appends_up_to_the_limit),
		cmocka_unit_test(test_read_all_of_an_endless_stream),
		cmocka_unit_test(test_read_all_that_runs_dry),
		cmocka_unit_test(test_write_errors),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_a_pipe_opened_anew_has_flags_of_its_own),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
