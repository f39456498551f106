/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting from the loop: children are spawned, watched and judged. This program is its own
 * child, as the shim is. A rootfs named "hang" makes the child mount and then wait for ever, one
 * named "crash" makes it mount and end without a word. Needs root.
 * deadline: 90
 */
#include "shim/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "shim/mount_aside.h"
#include "shim/mount_spec.h"
#include "shim/mount_table.h"
#include "shim/mount_verb.h"
#include "common/reaper.h"
#include "shim/shim.h"
#include "test/unit/precise_base.h"

#define AREA "/media/area"

struct fixture {
	struct shim shim;
	int signal_fd, n_fds;
	struct event *signal_event, *patience;
	int n_done;
	bool made; /* what begin is told of the folder */
	struct error err;
	char *mounts;
};

static void on_child(evutil_socket_t fd, short what, void *userdata)
{
	struct fixture *f = userdata;
	struct signalfd_siginfo info;

	(void)what;
	assert_int_equal(read(fd, &info, sizeof(info)), sizeof(info));
	reaper_dispatch(f->shim.reaper);
}

static void on_patience(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)userdata;
	fail_msg("done was not told in 20 s");
}

/*
 * Those of the test: of the others, which were there when the namespace was made, one goes when its
 * folder is removed anywhere on the machine (rmdir(2) detaches it in every other namespace).
 */
static char *read_mounts(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	struct buf b = BUF_INIT;
	char line[4096];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, " /media"))
			assert_int_equal(buf_append(&b, line, strlen(line)), 0);
	assert_int_equal(buf_append(&b, "", 1), 0);
	return (char *)b.data;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct timeval tv = { 20, 0 };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	f->n_fds = fd_count();
	f->shim.base = precise_base_new();
	f->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	f->signal_event = event_new(f->shim.base, f->signal_fd, EV_READ | EV_PERSIST, on_child, f);
	f->patience = evtimer_new(f->shim.base, on_patience, f);
	event_add(f->signal_event, NULL);
	event_add(f->patience, &tv);
	f->mounts = read_mounts();
	*state = f;
	return reaper_new(&f->shim.reaper) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *after = read_mounts();
	int r = strcmp(f->mounts, after) == 0 ? 0 : -1;

	event_free(f->signal_event);
	event_free(f->patience);
	event_base_free(f->shim.base);
	close(f->signal_fd);
	if (fd_count() != f->n_fds || reaper_n_strays(f->shim.reaper) != 0)
		r = -1;
	reaper_free(f->shim.reaper);
	error_clear(&f->err);
	free(f->mounts);
	free(f);
	return r;
}

static void on_done(const struct error *err, void *userdata)
{
	struct fixture *f = userdata;

	f->n_done++;
	error_set(&f->err, err->code, "%s", error_message(err));
	event_base_loopbreak(f->shim.base);
}

static void wait_done(struct fixture *f)
{
	assert_int_equal(f->n_done, 0); /* never from within begin */
	event_base_dispatch(f->shim.base);
	assert_int_equal(f->n_done, 1);
	f->n_done = 0;
}

static void assert_done(struct fixture *f, int code, const char *sentence)
{
	wait_done(f);
	if (f->err.code != CODE_OK || code != CODE_OK)
		assert_string_equal(error_message(&f->err), sentence);
	assert_int_equal(f->err.code, code);
}

/* One mount; everything is copied by mount_begin(), so nothing of it outlives this. */
static int begin_one(struct fixture *f, const char *rootfs, const char *type, const char *option,
	struct error *err)
{
	struct mount_spec m = { (char *)type, (char *)"none", NULL, ARGV_INIT };
	char *copy = strdup(rootfs);
	int r;

	assert_int_equal(argv_add(&m.options, option), 0);
	r = mount_begin(&f->shim, &m, 1, copy, f->made, on_done, f, err);
	argv_deinit(&m.options);
	free(copy);
	return r;
}

static void mount_one(struct fixture *f, const char *rootfs)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (begin_one(f, rootfs, "tmpfs", "size=1m", &err) != 0)
		fail_msg("%s", error_message(&err));
}

static size_t mounts_at(const char *path)
{
	_cleanup_mount_table_ struct mount_table t = MOUNT_TABLE_INIT;

	assert_int_equal(mount_table_read(path, &t), 0);
	return t.n;
}

static void test_there_and_back(void **state)
{
	struct fixture *f = *state;

	mount_one(f, AREA "/good");
	assert_done(f, CODE_OK, NULL);
	assert_int_equal(mounts_at(AREA "/good"), 1);
	assert_int_equal(unmount_begin(&f->shim, AREA "/good", false, on_done, f, NULL), 0);
	assert_done(f, CODE_OK, NULL);
	assert_int_equal(unmount_begin(&f->shim, AREA "/good", false, on_done, f, NULL), 0);
	assert_done(f, CODE_OK, NULL);
}

static void test_failure_is_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin_one(f, AREA "/bad", "nosuchfs", "x", NULL), 0);
	assert_done(f, CODE_INTERNAL, "mount nosuchfs on " AREA "/bad: No such device");
	assert_int_equal(unmount_begin(&f->shim, "relative", false, on_done, f, NULL), 0);
	assert_done(f, CODE_INVALID_ARGUMENT, "unmount relative: Invalid argument");
}

static void test_refusal_begins_nothing(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct error err = ERROR_INIT;

	assert_int_equal(begin_one(f, AREA "/bad", "ext4", "loop", &err), CODE_INVALID_ARGUMENT);
	assert_string_equal(error_message(&err),
		"mount ext4 on " AREA "/bad: option \"loop\" is not supported");
	event_base_loop(f->shim.base, EVLOOP_NONBLOCK);
	assert_int_equal(f->n_done, 0);
}

/* Past what a pipe holds: the list reaches the child whole. */
static void test_long_list(void **state)
{
	struct fixture *f = *state;
	struct mount_spec m[300];
	char option[1000] = "";

	memset(option, 'x', sizeof(option) - 1);
	for (int i = 0; i < 300; i++) {
		m[i] = (struct mount_spec){ (char *)(i < 299 ? "tmpfs" : "nosuchfs"),
			(char *)"none", NULL, ARGV_INIT };
		assert_int_equal(argv_add(&m[i].options, i < 299 ? "size=1m" : option), 0);
		assert_int_equal(argv_add(&m[i].options, "nosuid"), 0);
	}
	for (int i = 0; i < 299; i++)
		for (int n = 0; n < 40; n++)
			assert_int_equal(argv_add(&m[i].options, "nodev"), 0);
	assert_int_equal(mount_begin(&f->shim, m, 300, AREA "/long", false, on_done, f, NULL), 0);
	assert_done(f, CODE_INTERNAL, "mount nosuchfs on " AREA "/long: No such device");
	for (int i = 0; i < 300; i++)
		argv_deinit(&m[i].options);
}

static void test_crash_is_undone(void **state)
{
	struct fixture *f = *state;

	mount_one(f, AREA "/crash");
	assert_done(f, CODE_INTERNAL, "mount on " AREA "/crash: its process ended with status 3");
	assert_int_equal(mounts_at(AREA "/crash"), 0);
}

/* A folder that was made for it goes with the mounts, unless somebody has put something there. */
static void test_folder_goes(void **state)
{
	struct fixture *f = *state;

	f->made = true;
	mount_one(f, AREA "/made");
	assert_done(f, CODE_OK, NULL);
	assert_int_equal(unmount_begin(&f->shim, AREA "/made", true, on_done, f, NULL), 0);
	assert_done(f, CODE_OK, NULL);
	assert_int_equal(access(AREA "/made", F_OK), -1);
	rmdir(AREA "/crash");
	mount_one(f, AREA "/crash");
	assert_done(f, CODE_INTERNAL, "mount on " AREA "/crash: its process ended with status 3");
	assert_int_equal(access(AREA "/crash", F_OK), -1);
}

static void test_folder_stays(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(AREA "/theirs", 0700), 0);
	mount_one(f, AREA "/theirs");
	assert_done(f, CODE_OK, NULL);
	assert_int_equal(unmount_begin(&f->shim, AREA "/theirs", false, on_done, f, NULL), 0);
	assert_done(f, CODE_OK, NULL);
	assert_int_equal(mkdir(AREA "/theirs/file", 0700), 0);
	assert_int_equal(unmount_begin(&f->shim, AREA "/theirs", true, on_done, f, NULL), 0);
	assert_done(f, CODE_OK, NULL);
	assert_int_equal(rmdir(AREA "/theirs/file"), 0);
	assert_int_equal(rmdir(AREA "/theirs"), 0);
}

static pid_t only_child(void)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	assert_int_equal(fd_read_file(AT_FDCWD, path, &b, 4096), 0);
	assert_int_equal(buf_append(&b, "", 1), 0);
	return (pid_t)atoi((const char *)buf_head(&b));
}

/* Killed while it hangs, as at its deadline: what it had mounted is gone before done is told. */
static void test_killed_is_undone(void **state)
{
	struct fixture *f = *state;

	mount_one(f, AREA "/hang");
	while (mounts_at(AREA "/hang") == 0)
		event_base_loop(f->shim.base, EVLOOP_NONBLOCK);
	assert_int_equal(kill(only_child(), SIGKILL), 0);
	assert_done(f, CODE_INTERNAL, "mount on " AREA "/hang: its process ended with signal 9");
	assert_int_equal(mounts_at(AREA "/hang"), 0);
}

/* A child that is stopped, as one whose disk does not answer, is given up at its deadline. */
static void test_deadline(void **state)
{
	struct fixture *f = *state;
	struct timeval tv = { MOUNT_DEADLINE_MS / 1000 + 15, 0 };
	int64_t begun = clock_monotonic_ms();

	event_add(f->patience, &tv);
	mount_one(f, AREA "/hang");
	while (mounts_at(AREA "/hang") == 0)
		event_base_loop(f->shim.base, EVLOOP_NONBLOCK);
	assert_int_equal(kill(only_child(), SIGSTOP), 0);
	assert_done(f, CODE_DEADLINE_EXCEEDED, "mount on " AREA "/hang: no answer in 30 s");
	assert_in_range(clock_monotonic_ms() - begun, MOUNT_DEADLINE_MS,
		MOUNT_DEADLINE_MS + KILL_PATIENCE_MS);
	assert_int_equal(mounts_at(AREA "/hang"), 0);
}

static bool shows_in(pid_t pid, const char *mounted)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &b, 16u << 20), 0);
	return memmem(buf_head(&b), b.len, mounted, strlen(mounted)) != NULL;
}

/* Killed while it prepares something aside: nobody has seen it, and nothing is to be undone. */
static void test_killed_aside(void **state)
{
	struct fixture *f = *state;
	pid_t pid;

	assert_int_equal(mkdir(AREA "/aside", 0700), 0);
	mount_one(f, AREA "/aside");
	for (pid = only_child(); !shows_in(pid, " " AREA "/aside ");)
		event_base_loop(f->shim.base, EVLOOP_NONBLOCK);
	assert_int_equal(mounts_at(AREA "/aside"), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_done(f, CODE_INTERNAL, "mount on " AREA "/aside: its process ended with signal 9");
	assert_int_equal(mounts_at(AREA "/aside"), 0);
	assert_int_equal(rmdir(AREA "/aside"), 0); /* and no namespace holds it */
}

/* One that cannot come back ends, and what it had mounted before is undone from here. */
static void test_lost_aside(void **state)
{
	struct fixture *f = *state;

	mount_one(f, AREA "/lost");
	assert_done(f, CODE_INTERNAL, "mount on " AREA "/lost: its process ended with status 3");
	assert_int_equal(mounts_at(AREA "/lost"), 0);
}

static int child_aside(const char *rootfs)
{
	struct mount_aside aside;

	if (mount_aside_enter(&aside, NULL) != 0 || mount("x", rootfs, "tmpfs", 0, NULL) < 0)
		return 4;
	pause(); /* for ever: it is killed */
	return 5;
}

static int child_lost(int argc, char **argv)
{
	struct mount_aside nowhere = MOUNT_ASIDE_INIT;
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null_fd, MOUNT_ANSWER_FD);
	mount_verb(argc, argv);
	mount_aside_leave(&nowhere);
	return 5;
}

static int child(int argc, char **argv)
{
	const char *name = strrchr(argv[1], '/');
	bool hangs = name && strcmp(name, "/hang") == 0;
	bool crashes = name && strcmp(name, "/crash") == 0;

	if (strcmp(argv[0], "mount") == 0 && (hangs || crashes)) {
		int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(null_fd, MOUNT_ANSWER_FD);
		mount_verb(argc, argv);
		if (hangs)
			pause(); /* for ever: it is killed */
		return 3;
	}
	if (strcmp(argv[0], "mount") == 0 && name && strcmp(name, "/aside") == 0)
		return child_aside(argv[1]);
	if (strcmp(argv[0], "mount") == 0 && name && strcmp(name, "/lost") == 0)
		return child_lost(argc, argv);
	return mount_verb(argc, argv);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		test(test_there_and_back),
		test(test_failure_is_told),
		test(test_refusal_begins_nothing),
		test(test_long_list),
		test(test_crash_is_undone),
		test(test_folder_goes),
		test(test_folder_stays),
		test(test_killed_is_undone),
		test(test_killed_aside),
		test(test_lost_aside),
		test(test_deadline),
	};

	if (argc == 3 || argc == 4)
		return child(argc - 1, argv + 1);
	if (syscall(SYS_pidfd_open, getpid(), 0) < 0 && errno == ENOSYS) {
		printf("1..0 # SKIP no pidfd_open(2) here: an old valgrind\n");
		return 0;
	}
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("media", "/media", "tmpfs", 0, NULL) < 0 || mkdir(AREA, 0700) < 0) {
		perror("a mount namespace of our own");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
