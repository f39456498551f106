/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of containers: one winner, a lock that tells, no links, nothing left of the killed. */
#include "common/state_dir.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "test/unit/unit.h"

#define NS "default"

/* ROOT of the test, prepared. */
static const char *prepare(struct bed *bed)
{
	struct error err = ERROR_INIT;

	assert_ok(state_prepare(bed->path, NS, &err), &err);
	return bed->path;
}

static struct state_dir create(const char *root, const char *id)
{
	struct state_dir dir = STATE_DIR_INIT;
	struct error err = ERROR_INIT;

	assert_ok(state_dir_create(root, NS, id, &dir, &err), &err);
	return dir;
}

static struct state_dir open_dir(const char *root, const char *id)
{
	struct state_dir dir = STATE_DIR_INIT;
	struct error err = ERROR_INIT;

	assert_ok(state_dir_open(root, NS, id, &dir, &err), &err);
	return dir;
}

static void remove_dir(struct state_dir *dir)
{
	struct error err = ERROR_INIT;

	assert_ok(state_dir_remove(dir, &err), &err);
	state_dir_close(dir);
}

static mode_t mode_of(int dir, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static void test_prepare(void **state)
{
	static const char *const folders[] = { "a/root", "a/root/c", "a/root/c/ns", "a/root/s",
		"a/root/r", "a/root/r/ns" };
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	char root[128];

	snprintf(root, sizeof(root), "%s/a/root/", bed->path);
	assert_ok(state_prepare(root, "ns", &err), &err);
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		assert_int_equal(mode_of(bed->dir, folders[i]), 0700);
	assert_ok(state_prepare(root, "ns", &err), &err);
	assert_ok(state_prepare(root, "ns2", &err), &err);
	/* a root as systemd makes it */
	assert_int_equal(fchmodat(bed->dir, "a/root", 0755, 0), 0);
	assert_ok(state_prepare(root, "ns", &err), &err);
	assert_int_equal(mode_of(bed->dir, "a/root"), 0755);
}

static void refuse_root(struct bed *bed, const char *name, int code)
{
	struct error err = ERROR_INIT;
	char root[128];

	snprintf(root, sizeof(root), "%s/%s", bed->path, name);
	assert_error(state_prepare(root, NS, &err), &err, code, NULL);
}

static void test_prepare_refuses_roots(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(mkdirat(bed->dir, "real", 0700), 0);
	assert_int_equal(symlinkat("real", bed->dir, "link"), 0);
	write_text(bed->dir, "file", "");
	refuse_root(bed, "link", CODE_FAILED_PRECONDITION);
	refuse_root(bed, "link/", CODE_FAILED_PRECONDITION);
	refuse_root(bed, "link///", CODE_FAILED_PRECONDITION);
	refuse_root(bed, "file", CODE_FAILED_PRECONDITION);
	assert_int_equal(count_names(bed->dir, "real"), 0);
	assert_int_equal(fchmodat(bed->dir, "real", 0770, 0), 0);
	refuse_root(bed, "real", CODE_PERMISSION_DENIED);
	assert_int_equal(fchmodat(bed->dir, "real", 01777, 0), 0);
	refuse_root(bed, "real", CODE_PERMISSION_DENIED);
	assert_error(state_prepare("relative", NS, &err), &err, CODE_INVALID_ARGUMENT,
		"root \"relative\": must be an absolute path");
	assert_error(state_prepare("/tmp/cleat-\xff", NS, &err), &err, CODE_INVALID_ARGUMENT,
		"root \"/tmp/cleat-\xff\": must be valid UTF-8");
	assert_int_equal(access("/tmp/cleat-\xff", F_OK), -1);
	assert_error(state_prepare(bed->path, "../x", &err), &err, CODE_INVALID_ARGUMENT, NULL);
	if (geteuid() != 0)
		return;
	assert_int_equal(fchmodat(bed->dir, "real", 0700, 0), 0);
	assert_int_equal(fchownat(bed->dir, "real", 12345, 12345, 0), 0);
	refuse_root(bed, "real", CODE_PERMISSION_DENIED);
}

/* Each of the folders below: as a link, as a file, of somebody else, open to others. */
static void test_prepare_refuses_what_is_below(void **state)
{
	static const char *const below[] = { "c", "s", "r", "c/" NS, "r/" NS };
	struct bed *bed = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(mkdirat(bed->dir, "elsewhere", 0700), 0);
	for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++) {
		prepare(bed);
		assert_int_equal(remove_tree(bed->dir, below[i]), 0);
		assert_int_equal(symlinkat("/tmp", bed->dir, below[i]), 0);
		assert_error(
			state_prepare(bed->path, NS, &err), &err, CODE_FAILED_PRECONDITION, NULL);
		assert_int_equal(unlinkat(bed->dir, below[i], 0), 0);
		write_text(bed->dir, below[i], "");
		assert_error(
			state_prepare(bed->path, NS, &err), &err, CODE_FAILED_PRECONDITION, NULL);
		assert_int_equal(unlinkat(bed->dir, below[i], 0), 0);
		assert_int_equal(mkdirat(bed->dir, below[i], 0700), 0);
		assert_int_equal(fchmodat(bed->dir, below[i], 0711, 0), 0);
		assert_error(
			state_prepare(bed->path, NS, &err), &err, CODE_PERMISSION_DENIED, NULL);
		assert_int_equal(unlinkat(bed->dir, below[i], AT_REMOVEDIR), 0);
	}
}

static void test_life(void **state)
{
	struct bed *bed = *state;
	const char *root = prepare(bed);
	struct state_dir dir = create(root, "web"), reader;
	struct error err = ERROR_INIT;
	char path[128];

	snprintf(path, sizeof(path), "%s/c/" NS "/web", root);
	assert_string_equal(dir.path, path);
	assert_string_equal(dir.id, "web");
	assert_int_equal(mode_of(bed->dir, "c/" NS "/web"), 0700);
	assert_int_equal(mode_of(bed->dir, "c/" NS "/web/lock"), 0600);
	assert_error(state_dir_create(root, NS, "web", &reader, &err), &err, CODE_ALREADY_EXISTS,
		"container web: already exists");
	assert_int_equal(count_names(bed->dir, "c/" NS), 1);
	reader = open_dir(root, "web");
	assert_true(state_dir_is_locked(&reader));
	assert_true(state_dir_is_locked(&dir));
	assert_error(state_dir_lock(&reader, &err), &err, CODE_FAILED_PRECONDITION,
		"container web: its shim is alive");
	assert_error(state_dir_remove(&reader, &err), &err, CODE_FAILED_PRECONDITION, NULL);
	/* the shim dies */
	state_dir_close(&dir);
	state_dir_close(&dir);
	assert_false(state_dir_is_locked(&reader));
	assert_ok(state_dir_lock(&reader, &err), &err);
	assert_true(state_dir_is_locked(&reader));
	write_text(reader.fd, "exits.jsonl", "x");
	remove_dir(&reader);
	assert_int_equal(count_names(bed->dir, "c/" NS), 0);
	assert_error(state_dir_open(root, NS, "web", &reader, &err), &err, CODE_NOT_FOUND,
		"container web: does not exist");
}

static void test_names_are_checked(void **state)
{
	static const char *const bad[] = { "../x", "", ".new-x", ".", "a/b", "a b" };
	const char *root = prepare(*state);
	struct state_dir dir = STATE_DIR_INIT;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_error(state_dir_create(root, NS, bad[i], &dir, &err), &err,
			CODE_INVALID_ARGUMENT, NULL);
		assert_error(state_dir_create(root, bad[i], "web", &dir, &err), &err,
			CODE_INVALID_ARGUMENT, NULL);
		assert_error(state_dir_open(root, NS, bad[i], &dir, &err), &err,
			CODE_INVALID_ARGUMENT, NULL);
		assert_error(state_dir_adopt(root, NS, bad[i], -1, &dir, &err), &err,
			CODE_INVALID_ARGUMENT, NULL);
	}
	assert_int_equal(dir.fd, -1);
}

static void test_longest_name(void **state)
{
	const char *root = prepare(*state);
	struct state_dir dir = STATE_DIR_INIT;
	struct error err = ERROR_INIT;
	char id[79];

	memset(id, 'x', 78);
	id[76] = '\0';
	dir = create(root, id);
	remove_dir(&dir);
	id[76] = 'x';
	id[77] = '\0';
	assert_error(state_dir_create(root, NS, id, &dir, &err), &err, CODE_INVALID_ARGUMENT, NULL);
}

/* The folder of one's dreams, planted by somebody who may write into ROOT/c/NS. */
static void test_planted_links(void **state)
{
	struct bed *bed = *state;
	const char *root = prepare(bed);
	struct state_dir dir = STATE_DIR_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(mkdirat(bed->dir, "elsewhere", 0700), 0);
	write_text(bed->dir, "elsewhere/lock", "");
	assert_int_equal(symlinkat("../../elsewhere", bed->dir, "c/" NS "/web"), 0);
	assert_error(
		state_dir_open(root, NS, "web", &dir, &err), &err, CODE_INVALID_ARGUMENT, NULL);
	assert_error(
		state_dir_create(root, NS, "web", &dir, &err), &err, CODE_ALREADY_EXISTS, NULL);
	/* a link as the lock */
	dir = create(root, "web2");
	assert_int_equal(unlinkat(dir.fd, "lock", 0), 0);
	assert_int_equal(symlinkat("../../../elsewhere/lock", dir.fd, "lock"), 0);
	state_dir_close(&dir);
	dir = open_dir(root, "web2");
	assert_error(state_dir_lock(&dir, &err), &err, CODE_INVALID_ARGUMENT, NULL);
	state_dir_close(&dir);
	/* a namespace that is a link */
	assert_int_equal(symlinkat(NS, bed->dir, "c/other"), 0);
	assert_error(state_dir_create(root, "other", "web3", &dir, &err), &err,
		CODE_FAILED_PRECONDITION, NULL);
}

static void test_adopt(void **state)
{
	const char *root = prepare(*state);
	struct state_dir dir = create(root, "web"), shim = STATE_DIR_INIT;
	struct error err = ERROR_INIT;
	int handed = dup(dir.lock_fd);

	assert_ok(state_dir_adopt(root, NS, "web", handed, &shim, &err), &err);
	assert_int_equal(fcntl(shim.lock_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	/* the lock lives as long as its last holder */
	state_dir_close(&dir);
	dir = open_dir(root, "web");
	assert_true(state_dir_is_locked(&dir));
	state_dir_close(&shim);
	assert_false(state_dir_is_locked(&dir));
	state_dir_close(&dir);
}

/* What is handed over is not the lock, or not locked: refused, and closed (the bed counts). */
static void test_adopt_refuses(void **state)
{
	struct bed *bed = *state;
	const char *root = prepare(bed);
	struct state_dir dir = create(root, "web"), shim = STATE_DIR_INIT;
	struct error err = ERROR_INIT;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_not_equal(state_dir_adopt(root, NS, "web", fd, &shim, &err), 0);
	error_clear(&err);
	fd = dup(dir.lock_fd);
	assert_error(
		state_dir_adopt(root, NS, "none", fd, &shim, &err), &err, CODE_NOT_FOUND, NULL);
	state_dir_close(&dir);
	fd = openat(bed->dir, "c/" NS "/web/lock", O_RDWR | O_CLOEXEC);
	assert_int_not_equal(state_dir_adopt(root, NS, "web", fd, &shim, &err), 0);
	error_clear(&err);
	assert_int_equal(shim.fd, -1);
}

/* Somebody opened the folder; before they have its lock it is removed, and another one made. */
static void test_lock_of_a_removed_folder(void **state)
{
	const char *root = prepare(*state);
	struct state_dir dir = create(root, "web"), reader = open_dir(root, "web"), again;
	struct error err = ERROR_INIT;
	int lock_fd = openat(reader.fd, "lock", O_RDWR | O_CLOEXEC);

	remove_dir(&dir);
	assert_error(state_dir_lock(&reader, &err), &err, CODE_NOT_FOUND,
		"container web: does not exist");
	assert_false(state_dir_is_locked(&reader));
	/* the lock file is still in its folder, but the folder has lost its name */
	again = create(root, "web");
	assert_error(state_dir_lock(&reader, &err), &err, CODE_NOT_FOUND,
		"container web: does not exist");
	assert_int_equal(renameat(AT_FDCWD, again.path, again.fd, "../web2"), 0);
	state_dir_close(&reader);
	reader = create(root, "web");
	state_dir_close(&again);
	again = open_dir(root, "web2");
	free(again.id);
	again.id = strdup("web");
	assert_error(state_dir_lock(&again, &err), &err, CODE_NOT_FOUND,
		"container web: does not exist");
	close(lock_fd);
	state_dir_close(&again);
	state_dir_close(&reader);
}

/* 0 if this process won; its folder is then locked until the process ends. */
static void race(const char *root, int gate)
{
	struct state_dir dir = STATE_DIR_INIT;
	struct error err = ERROR_INIT;
	char byte;
	int r;

	if (read(gate, &byte, 1) != 0)
		_exit(9);
	r = state_dir_create(root, NS, "web", &dir, &err);
	_exit(r);
}

static pid_t start_racer(const char *root, const int gate[2])
{
	pid_t pid = fork_child();

	if (pid == 0) {
		close(gate[1]);
		race(root, gate[0]);
	}
	return pid;
}

static int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_two_hundred_races(void **state)
{
	struct bed *bed = *state;
	const char *root = prepare(bed);

	for (int i = 0; i < 200; i++) {
		struct error err = ERROR_INIT;
		struct state_dir dir;
		int gate[2], a, b;
		pid_t first, second;

		assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
		first = start_racer(root, gate);
		second = start_racer(root, gate);
		close(gate[0]);
		close(gate[1]); /* go */
		a = end_of(first);
		b = end_of(second);
		assert_int_equal(a + b, CODE_ALREADY_EXISTS); /* one of them is 0 */
		assert_true(a == 0 || b == 0);
		assert_int_equal(count_names(bed->dir, "c/" NS), 1);
		dir = open_dir(root, "web");
		assert_ok(state_dir_lock(&dir, &err), &err);
		remove_dir(&dir);
	}
	assert_int_equal(count_names(bed->dir, "c/" NS), 0);
}

/* What a creator and a remover leave who are killed at each step. */
static void test_leftovers_are_swept(void **state)
{
	struct bed *bed = *state;
	const char *root = prepare(bed);
	struct state_dir dir;

	assert_int_equal(mkdirat(bed->dir, "c/" NS "/.new-1", 0700), 0);
	assert_int_equal(mkdirat(bed->dir, "c/" NS "/.new-2", 0700), 0);
	write_text(bed->dir, "c/" NS "/.new-2/lock", "");
	assert_int_equal(mkdirat(bed->dir, "c/" NS "/.gone-1", 0700), 0);
	write_text(bed->dir, "c/" NS "/.gone-1/lock", "");
	write_text(bed->dir, "c/" NS "/.gone-1/state.json", "");
	assert_int_equal(mkdirat(bed->dir, "c/" NS "/.gone-2", 0700), 0);
	write_text(bed->dir, "c/" NS "/.gone-2/exits.jsonl", "");
	/* neither ours nor in the way */
	assert_int_equal(mkdirat(bed->dir, "c/" NS "/.other", 0700), 0);
	dir = create(root, "web");
	assert_int_equal(count_names(bed->dir, "c/" NS), 2);
	assert_true(is_there(bed->dir, "c/" NS "/.other"));
	remove_dir(&dir);
}

static int lock_file(struct bed *bed, const char *name)
{
	int fd = openat(bed->dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	return fd;
}

/* Whoever is still at it keeps what is theirs. */
static void test_the_living_are_not_swept(void **state)
{
	struct bed *bed = *state;
	const char *root = prepare(bed);
	struct state_dir dir;
	int making, removing, ns;

	/* one creator has its lock, one remover too */
	assert_int_equal(mkdirat(bed->dir, "c/" NS "/.new-1", 0700), 0);
	making = lock_file(bed, "c/" NS "/.new-1/lock");
	assert_int_equal(mkdirat(bed->dir, "c/" NS "/.gone-1", 0700), 0);
	removing = lock_file(bed, "c/" NS "/.gone-1/lock");
	dir = create(root, "web");
	assert_true(is_there(bed->dir, "c/" NS "/.new-1"));
	assert_true(is_there(bed->dir, "c/" NS "/.gone-1"));
	remove_dir(&dir);
	close(making);
	close(removing);
	/* one is between mkdir and its lock: it holds the namespace's */
	assert_int_equal(mkdirat(bed->dir, "c/" NS "/.new-2", 0700), 0);
	ns = openat(bed->dir, "c/" NS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(ns, LOCK_SH | LOCK_NB), 0);
	dir = create(root, "web");
	assert_true(is_there(bed->dir, "c/" NS "/.new-2"));
	remove_dir(&dir);
	close(ns);
	dir = create(root, "web");
	assert_int_equal(count_names(bed->dir, "c/" NS), 1);
	remove_dir(&dir);
}

/* Makes and removes a folder of its own, over and over; any failure ends it. */
static void churn(const char *root, const char *id, int rounds)
{
	for (int i = 0; i != rounds; i++) {
		struct state_dir dir = STATE_DIR_INIT;
		struct error err = ERROR_INIT;

		if (state_dir_create(root, NS, id, &dir, &err) != 0 || !is_there(dir.fd, "lock") ||
			state_dir_remove(&dir, &err) != 0) {
			print_error("%s: %s\n", id, error_message(&err));
			_exit(1);
		}
		state_dir_close(&dir);
	}
	_exit(0);
}

static void test_sweeping_harms_no_creator(void **state)
{
	struct bed *bed = *state;
	const char *root = prepare(bed);
	pid_t pids[4];

	for (int i = 0; i < 4; i++) {
		char id[8];

		snprintf(id, sizeof(id), "web%d", i);
		pids[i] = fork_child();
		if (pids[i] == 0)
			churn(root, id, 300);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(end_of(pids[i]), 0);
	assert_int_equal(count_names(bed->dir, "c/" NS), 0);
}

/* Killed at any moment: the next one finds a clean place, or a folder whose lock is free. */
static void test_killed_creators(void **state)
{
	struct bed *bed = *state;
	const char *root = prepare(bed);
	struct state_dir last;

	for (int i = 0; i < 100; i++) {
		struct state_dir dir = STATE_DIR_INIT;
		struct error err = ERROR_INIT;
		int r;
		pid_t pid = fork_child();

		if (pid == 0)
			churn(root, "web", -1);
		usleep((useconds_t)(i * 37 % 2000)); /* when it is hit: anything will do */
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		r = state_dir_create(root, NS, "web", &dir, &err);
		if (r == CODE_ALREADY_EXISTS) {
			error_clear(&err);
			dir = open_dir(root, "web");
			assert_ok(state_dir_lock(&dir, &err), &err);
		} else {
			assert_ok(r, &err);
		}
		remove_dir(&dir);
	}
	last = create(root, "last");
	assert_int_equal(count_names(bed->dir, "c/" NS), 1);
	remove_dir(&last);
}

/* In a child: an asker who is slow to let go again (that long, in microseconds). */
static pid_t start_asker(const char *root, useconds_t slowness)
{
	int begun[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(begun, O_CLOEXEC), 0);
	pid = fork_child();
	if (pid == 0) {
		struct state_dir dir = STATE_DIR_INIT;
		int fd = -1;

		if (state_dir_open(root, NS, "web", &dir, NULL) == 0)
			fd = openat(dir.fd, "lock", O_RDWR | O_CLOEXEC);
		if (flock(fd, LOCK_SH | LOCK_NB) < 0 || write(begun[1], "", 1) != 1)
			_exit(1);
		usleep(slowness);
		_exit(0);
	}
	close(begun[1]);
	assert_int_equal(read(begun[0], &byte, 1), 1);
	close(begun[0]);
	return pid;
}

/* Asking whether a lock is free keeps nobody from taking it. */
static void test_askers_do_not_disturb(void **state)
{
	const char *root = prepare(*state);
	struct state_dir dir = create(root, "web"), reader = open_dir(root, "web");
	struct error err = ERROR_INIT;
	pid_t pid;

	state_dir_close(&dir); /* before the fork, which would keep the lock */
	for (int i = 0; i < 5; i++) {
		pid = start_asker(root, 20000);
		assert_false(state_dir_is_locked(&reader)); /* askers do not see each other */
		assert_ok(state_dir_lock(&reader, &err), &err);
		assert_int_equal(end_of(pid), 0);
		fd_close(&reader.lock_fd);
	}
	/* one that was stopped in the middle costs a second, not for ever */
	pid = start_asker(root, 100000000);
	assert_error(state_dir_lock(&reader, &err), &err, CODE_FAILED_PRECONDITION, NULL);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_ok(state_dir_lock(&reader, &err), &err);
	state_dir_close(&reader);
}

struct seen {
	char text[256];
	int stop_after;
};

static int see(const char *ns, const char *id, void *userdata)
{
	struct seen *seen = userdata;

	strcat(strcat(strcat(strcat(seen->text, ns), "/"), id), " ");
	return --seen->stop_after == 0 ? 42 : 0;
}

static void test_each(void **state)
{
	struct bed *bed = *state;
	const char *root = prepare(bed);
	struct state_dir b = create(root, "b"), a = create(root, "a"), other = STATE_DIR_INIT;
	struct error err = ERROR_INIT;
	struct seen seen = { "", 0 };

	assert_ok(state_prepare(root, "another", &err), &err);
	assert_ok(state_dir_create(root, "another", "z", &other, &err), &err);
	assert_int_equal(mkdirat(bed->dir, "c/" NS "/.new-1", 0700), 0);
	write_text(bed->dir, "c/" NS "/file", "");
	write_text(bed->dir, "c/file", "");
	assert_int_equal(symlinkat(NS, bed->dir, "c/link"), 0);
	assert_ok(state_each(root, NULL, see, &seen, &err), &err);
	assert_string_equal(seen.text, "another/z " NS "/a " NS "/b ");
	seen = (struct seen){ "", 0 };
	assert_ok(state_each(root, NS, see, &seen, &err), &err);
	assert_string_equal(seen.text, NS "/a " NS "/b ");
	seen = (struct seen){ "", 2 };
	assert_int_equal(state_each(root, NULL, see, &seen, &err), 42);
	assert_string_equal(seen.text, "another/z " NS "/a ");
	seen = (struct seen){ "", 0 };
	assert_ok(state_each(root, "none", see, &seen, &err), &err);
	assert_ok(state_each("/no/such/root", NULL, see, &seen, &err), &err);
	assert_string_equal(seen.text, "");
	assert_error(state_each(root, "../x", see, &seen, &err), &err, CODE_INVALID_ARGUMENT, NULL);
	state_dir_close(&a);
	state_dir_close(&b);
	state_dir_close(&other);
}

static void test_default_root(void **state)
{
	char *root = state_default_root();

	(void)state;
	if (geteuid() == 0)
		assert_string_equal(root, "/run/cleat");
	free(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_prepare),
		bed_test(test_prepare_refuses_roots),
		bed_test(test_prepare_refuses_what_is_below),
		bed_test(test_life),
		bed_test(test_names_are_checked),
		bed_test(test_longest_name),
		bed_test(test_planted_links),
		bed_test(test_adopt),
		bed_test(test_adopt_refuses),
		bed_test(test_lock_of_a_removed_folder),
		bed_test(test_two_hundred_races),
		bed_test(test_leftovers_are_swept),
		bed_test(test_the_living_are_not_swept),
		bed_test(test_sweeping_harms_no_creator),
		bed_test(test_killed_creators),
		bed_test(test_askers_do_not_disturb),
		bed_test(test_each),
		cmocka_unit_test(test_default_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
