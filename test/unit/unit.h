/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What unit tests share: cmocka with what it needs, a temporary folder for each test, and the
 * check that a test leaves no descriptor open.
 */

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/fd.h"
#include "common/file.h"

struct bed {
	char path[64]; /* the temporary folder, absolute */
	int dir;       /* its descriptor */
	int n_fds;     /* open descriptors, the folder's included */
};

static inline int bed_setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	assert_non_null(bed);
	strcpy(bed->path, "/tmp/cleat-unit-XXXXXX");
	assert_non_null(mkdtemp(bed->path));
	bed->dir = open(bed->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(bed->dir >= 0);
	bed->n_fds = fd_count();
	*state = bed;
	return 0;
}

/* Fails for descriptors left open, but leaves nothing itself. */
static inline int bed_teardown(void **state)
{
	struct bed *bed = *state;
	int left = fd_count() - bed->n_fds, r;

	close(bed->dir);
	r = remove_tree(AT_FDCWD, bed->path);
	free(bed);
	if (left != 0)
		print_error("%d descriptors more than before the test\n", left);
	return left == 0 ? r : -1;
}

#define bed_test(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)

static inline void write_file(int dir, const char *name, const void *data, size_t n, mode_t mode)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, data, n), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static inline void write_text(int dir, const char *name, const char *text)
{
	write_file(dir, name, text, strlen(text), 0600);
}

/* A script that can be executed. */
static inline void write_script(int dir, const char *name, const char *text)
{
	write_file(dir, name, text, strlen(text), 0700);
}

/* The file's text; the caller frees. */
static inline char *read_text(int dir, const char *name)
{
	struct buf buf = BUF_INIT;
	char *text;

	assert_int_equal(fd_read_file(dir, name, &buf, 64u << 20), 0);
	assert_int_equal(buf_append(&buf, "", 1), 0);
	text = strdup((const char *)buf_head(&buf));
	buf_deinit(&buf);
	assert_non_null(text);
	return text;
}

static inline bool is_there(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Names in a folder, without "." and "..". */
static inline size_t count_names(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

/* fork(), but a child ends with its test: no failed assertion leaves one behind. */
static inline pid_t fork_child(void)
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
		_exit(99);
	return pid;
}

/*
 * Whether pidfd_open(2) works here: a valgrind that does not know it runs no test that spawns.
 * Otherwise says so, as a test program's whole output.
 */
static inline bool has_pidfds(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0) {
		printf("1..0 # SKIP no pidfd_open(2) here: an old valgrind\n");
		return false;
	}
	close(fd);
	return true;
}

/* r is what a function returned that fills err: the code, and the sentence if one is given. */
static inline void check_error(
	int r, struct error *err, int code, const char *sentence, const char *file, int line)
{
	if (r != code || err->code != (enum code)code) {
		print_error("%s:%d: %s, expected %s: %s\n", file, line, code_name(r),
			code_name(code), error_message(err));
		_fail(file, line);
	}
	if (sentence && strcmp(error_message(err), sentence) != 0) {
		print_error("%s:%d: the sentence is \"%s\", expected \"%s\"\n", file, line,
			error_message(err), sentence);
		_fail(file, line);
	}
	error_clear(err);
}
#define assert_error(r, err, code, sentence)                                                       \
	check_error((r), (err), (code), (sentence), __FILE__, __LINE__)

/* Success; the sentence of a failure is printed. */
#define assert_ok(r, err) assert_error((r), (err), CODE_OK, NULL)
