/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are whole or not there; folders that are ours; trees that go. */
#include "common/file.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "test/unit/unit.h"

static mode_t mode_of(int dir, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static void assert_text(int dir, const char *name, const char *expected)
{
	char *text = read_text(dir, name);

	assert_string_equal(text, expected);
	free(text);
}

static void test_write_replaces(void **state)
{
	struct bed *bed = *state;
	mode_t before = umask(0777);

	assert_int_equal(file_write_atomic(bed->dir, "f", "one", 3, 0640), 0);
	umask(before);
	assert_int_equal(mode_of(bed->dir, "f"), 0640);
	assert_text(bed->dir, "f", "one");
	assert_int_equal(file_write_atomic(bed->dir, "f", "", 0, 0600), 0);
	assert_text(bed->dir, "f", "");
	assert_int_equal(mode_of(bed->dir, "f"), 0600);
	assert_int_equal(count_names(bed->dir, "."), 1);
}

static void test_write_replaces_a_link_not_its_target(void **state)
{
	struct bed *bed = *state;

	write_text(bed->dir, "target", "untouched");
	assert_int_equal(symlinkat("target", bed->dir, "link"), 0);
	assert_int_equal(file_write_atomic(bed->dir, "link", "mine", 4, 0600), 0);
	assert_text(bed->dir, "target", "untouched");
	assert_text(bed->dir, "link", "mine");
}

static void test_failed_write_leaves_nothing(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(mkdirat(bed->dir, "f", 0700), 0);
	assert_true(file_write_atomic(bed->dir, "f", "x", 1, 0600) < 0);
	assert_int_equal(count_names(bed->dir, "."), 1);
	assert_int_equal(count_names(bed->dir, "f"), 0);
}

/* One process rewrites, another reads: never a mixture, never a gap. */
static void test_reader_sees_old_or_new(void **state)
{
	enum { SIZE = 100000, ROUNDS = 300 };
	struct bed *bed = *state;
	char *data = malloc(SIZE);
	pid_t pid;

	memset(data, 'a', SIZE);
	assert_int_equal(file_write_atomic(bed->dir, "f", data, SIZE, 0600), 0);
	pid = fork_child();
	if (pid == 0)
		for (int i = 0;; i++) {
			memset(data, i % 2 ? 'a' : 'b', SIZE);
			if (file_write_atomic(bed->dir, "f", data, SIZE, 0600) < 0)
				_exit(1);
		}
	for (int i = 0; i < ROUNDS; i++) {
		char *text = read_text(bed->dir, "f");

		assert_int_equal(strlen(text), SIZE);
		assert_int_equal(strspn(text, text[0] == 'a' ? "a" : "b"), SIZE);
		free(text);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	free(data);
}

static void test_ensure_makes_and_accepts(void **state)
{
	struct bed *bed = *state;
	mode_t before = umask(0777);

	assert_int_equal(dir_ensure(bed->dir, "d", 0700), 0);
	umask(before);
	assert_int_equal(mode_of(bed->dir, "d"), 0700);
	assert_int_equal(dir_ensure(bed->dir, "d", 0700), 0);
	assert_int_equal(fchmodat(bed->dir, "d", 0500, 0), 0);
	assert_int_equal(dir_ensure(bed->dir, "d", 0700), 0);
	assert_int_equal(mode_of(bed->dir, "d"), 0700);
}

static void test_ensure_refuses(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(mkdirat(bed->dir, "real", 0700), 0);
	assert_int_equal(symlinkat("real", bed->dir, "link"), 0);
	write_text(bed->dir, "file", "");
	assert_int_equal(mkdirat(bed->dir, "open", 0700), 0);
	assert_int_equal(fchmodat(bed->dir, "open", 0750, 0), 0);
	assert_int_equal(dir_ensure(bed->dir, "link", 0700), -ENOTDIR);
	assert_int_equal(dir_ensure(bed->dir, "file", 0700), -ENOTDIR);
	assert_int_equal(dir_ensure(bed->dir, "open", 0700), -EPERM);
	assert_int_equal(mode_of(bed->dir, "open"), 0750);
	if (geteuid() != 0)
		return;
	assert_int_equal(mkdirat(bed->dir, "others", 0700), 0);
	assert_int_equal(fchownat(bed->dir, "others", 12345, 12345, 0), 0);
	assert_int_equal(dir_ensure(bed->dir, "others", 0700), -EPERM);
}

static void test_remove_what_is_not_there(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(remove_tree(bed->dir, "nothing"), 0);
}

static void test_remove_follows_no_link(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(mkdirat(bed->dir, "kept", 0700), 0);
	write_text(bed->dir, "kept/f", "kept");
	assert_int_equal(mkdirat(bed->dir, "tree", 0700), 0);
	assert_int_equal(mkdirat(bed->dir, "tree/sub", 0700), 0);
	write_text(bed->dir, "tree/sub/f", "gone");
	assert_int_equal(mkfifoat(bed->dir, "tree/fifo", 0600), 0);
	assert_int_equal(symlinkat("../kept", bed->dir, "tree/link"), 0);
	assert_int_equal(symlinkat("..", bed->dir, "tree/sub/up"), 0);
	assert_int_equal(symlinkat("kept", bed->dir, "link"), 0);
	assert_int_equal(remove_tree(bed->dir, "tree"), 0);
	assert_int_equal(remove_tree(bed->dir, "link"), 0);
	assert_false(is_there(bed->dir, "tree"));
	assert_false(is_there(bed->dir, "link"));
	assert_text(bed->dir, "kept/f", "kept");
}

static int make_deep(int dir, int depth)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < depth; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "d", 0700), 0);
		write_text(fd, "f", "");
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	close(fd);
	return 0;
}

/* Past its depth it gives up, and says so; what it reaches goes all the same. */
static void test_remove_has_a_depth(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(mkdirat(bed->dir, "tree", 0700), 0);
	make_deep(bed->dir, 60);
	assert_int_equal(remove_tree(bed->dir, "d"), 0);
	assert_false(is_there(bed->dir, "d"));
	make_deep(bed->dir, 100);
	assert_int_equal(remove_tree(bed->dir, "d"), -ELOOP);
	assert_false(is_there(bed->dir, "d/f"));
	for (int i = 0; i < 100 && is_there(bed->dir, "d"); i++) {
		/* from inside out: each level becomes reachable by its own name */
		renameat(bed->dir, "d/d", bed->dir, "next");
		assert_int_equal(unlinkat(bed->dir, "d/f", 0) == 0 || errno == ENOENT, 1);
		assert_int_equal(unlinkat(bed->dir, "d", AT_REMOVEDIR), 0);
		renameat(bed->dir, "next", bed->dir, "d");
	}
	assert_false(is_there(bed->dir, "d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_write_replaces),
		bed_test(test_write_replaces_a_link_not_its_target),
		bed_test(test_failed_write_leaves_nothing),
		bed_test(test_reader_sees_old_or_new),
		bed_test(test_ensure_makes_and_accepts),
		bed_test(test_ensure_refuses),
		bed_test(test_remove_what_is_not_there),
		bed_test(test_remove_follows_no_link),
		bed_test(test_remove_has_a_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
