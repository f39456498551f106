/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output into files: appended by copy, handed over, and disks that are full.
 *
 * no valgrind: it counts the pages of this process
 */
#include "shim/stdio.h"

#include <sched.h>
#include <sys/mount.h>

#include "test/unit/stdio_bed.h"

static int check_file(const char *path, size_t skip, struct bytes bytes)
{
	_cleanup_close_ int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, (off_t)skip, SEEK_SET), skip);
	return check_pattern(fd, &bytes);
}

static long virtual_pages(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/statm", "re");
	long n = 0;

	assert_int_equal(fscanf(f, "%ld", &n), 1);
	return n;
}

static void test_file_is_appended_to(void **state)
{
	struct bed *b = *state;
	struct bytes out = { .seed = 12, .n = 8 * MIB },
		     small = { .seed = 13, .n = 900, .piece = 9 };
	_cleanup_free_ char *uri = file_uri(b, "new/folder/a%20log", "");
	const char *path = bed_path(b, "new/folder/a log");
	long pages = 0;

	for (int round = 0; round < 3; round++) {
		struct bytes *bytes = round == 0 ? &small : &out;
		struct stdio *s = open_stdio(b, &(struct stdio_spec){ .out = uri });

		bed_join_ok(b, start(b, s, write_actor, bytes));
		assert_true(bed_until(b, is_drained, s));
		assert_int_equal(counters(s).out_in, bytes->n);
		assert_int_equal(counters(s).out_out, bytes->n);
		stdio_free(s);
		if (round == 0)
			pages = virtual_pages();
	}
	/* No buffer is kept. (valgrind maps memory of its own as it goes.) */
	if (!getenv("LD_PRELOAD") || !strstr(getenv("LD_PRELOAD"), "vgpreload"))
		assert_true(virtual_pages() - pages < 16);
	small.open_end = true;
	assert_int_equal(check_file(path, 0, small), 0);
	out.open_end = true;
	assert_int_equal(check_file(path, small.n, out), 0);
	out.open_end = false;
	assert_int_equal(check_file(path, small.n + out.n, out), 0);
}

static int two_streams(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		if (write(1, "out out\n", 8) != 8 || write(2, "err err\n", 8) != 8)
			return 1;
	return 0;
}

static void test_one_file_for_both(void **state)
{
	struct bed *b = *state;
	_cleanup_free_ char *uri = file_uri(b, "log", "?direct=0");
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .out = uri, .err = uri });
	_cleanup_fclose_ FILE *f = NULL;
	int n_out = 0, n_err = 0;
	char line[64];

	bed_join_ok(b, start(b, s, two_streams, NULL));
	assert_true(bed_until(b, is_drained, s));
	stdio_free(s);
	f = fopen(bed_path(b, "log"), "re");
	while (fread(line, 1, 8, f) == 8) {
		n_out += memcmp(line, "out out\n", 8) == 0;
		n_err += memcmp(line, "err err\n", 8) == 0;
	}
	assert_int_equal(n_out, 1000);
	assert_int_equal(n_err, 1000);
}

static void test_file_handed_over(void **state)
{
	struct bed *b = *state;
	struct bytes out = { .seed = 14, .n = 100000 };
	_cleanup_free_ char *uri = file_uri(b, "log", "?direct=1");
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .out = uri });
	int fds[3], flags;

	stdio_child_fds(s, fds);
	flags = fcntl(fds[1], F_GETFL);
	assert_true(flags & O_APPEND);
	assert_false(flags & O_NONBLOCK); /* the process expects to wait */
	bed_join_ok(b, start(b, s, write_actor, &out));
	assert_true(stdio_is_drained(s));
	assert_int_equal(counters(s).out_in, 0);
	stdio_free(s);
	assert_int_equal(check_file(bed_path(b, "log"), 0, out), 0);
}

/* A disk that is full costs the bytes, never the process; the counters tell. */
static void test_full_device(void **state)
{
	struct bed *b = *state;
	struct bytes out = { .seed = 15, .n = MIB };
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .out = "file:///dev/full" });

	bed_join_ok(b, start(b, s, write_actor, &out));
	assert_true(bed_until(b, is_drained, s));
	assert_int_equal(counters(s).out_in, MIB);
	assert_int_equal(counters(s).out_out, 0);
	stdio_free(s);
}

/* Writes 1 MiB; then, told by a byte on stdin, 1000 bytes more. */
static int writes_twice(void *arg)
{
	char c;

	(void)arg;
	if (write_pattern(1, &(struct bytes){ .seed = 16, .n = MIB }) || read(0, &c, 1) != 1)
		return 1;
	return write_pattern(1, &(struct bytes){ .seed = 17, .n = 1000 });
}

static bool all_read(void *userdata)
{
	return counters(userdata).out_in >= MIB;
}

static void test_full_disk_that_empties(void **state)
{
	struct bed *b = *state;
	_cleanup_free_ char *uri = file_uri(b, "disk/log", "");
	const char *disk = bed_path(b, "disk"), *ballast = bed_path(b, "disk/ballast");
	struct bytes first = { .seed = 16, .open_end = true };
	int go[2], fds[3], fd;
	struct stdio *s;
	uint64_t written;
	pid_t pid;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
		skip(); /* not root */
	assert_int_equal(mkdir(disk, 0700), 0);
	assert_int_equal(mount("tmpfs", disk, "tmpfs", 0, "size=256k"), 0);
	fd = open(ballast, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(posix_fallocate(fd, 0, 128 << 10), 0);
	close(fd);

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	s = open_stdio(b, &(struct stdio_spec){ .out = uri });
	stdio_child_fds(s, fds);
	fds[0] = go[0];
	pid = bed_fork(b, fds, writes_twice, NULL);
	begin(s);
	assert_true(bed_until(b, all_read, s));
	bed_assert_idle(b);
	written = counters(s).out_out;
	assert_true(written > 0 && written <= 128 << 10);
	assert_int_equal(unlink(ballast), 0);
	assert_int_equal(write(go[1], "", 1), 1);
	bed_join_ok(b, pid);
	assert_true(bed_until(b, is_drained, s));
	assert_int_equal(counters(s).out_in, MIB + 1000);
	assert_int_equal(counters(s).out_out, written + 1000);
	first.n = written;
	assert_int_equal(check_file(bed_path(b, "disk/log"), 0, first), 0);
	assert_int_equal(check_file(bed_path(b, "disk/log"), written,
				 (struct bytes){ .seed = 17, .n = 1000 }),
		0);
	stdio_free(s);
	close(go[0]);
	close(go[1]);
	assert_int_equal(umount(disk), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_file_is_appended_to),
		bed_test(test_one_file_for_both),
		bed_test(test_file_handed_over),
		bed_test(test_full_device),
		bed_test(test_full_disk_that_empties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
