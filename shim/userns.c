/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The making of user namespaces. Never enters one itself: it would be root of nothing outside.
 * Subtle: only a process outside may write the mappings, and each file takes a single write.
 */
#include "shim/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/spawn.h"

static int read_ready(int fd)
{
	int r;
	ssize_t n;

	do
		n = read(fd, &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(r) ? r : -ECHILD;
}

static int open_of(pid_t pid, const char *name, int flags, int *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	*ret = open(path, flags | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

static int write_map(pid_t pid, const char *name, const char *lines)
{
	_cleanup_close_ int fd = -1;
	int r = open_of(pid, name, O_WRONLY, &fd);

	if (r == 0 && write(fd, lines, strlen(lines)) < 0)
		r = -errno;
	return r;
}

/* From a process that says it is inside. */
static int take(
	pid_t pid, int ready, const char *uid_map, const char *gid_map, int *ret, struct error *err)
{
	int r = read_ready(ready);

	if (r < 0)
		return error_errno(err, r, "a user namespace to map ids with");
	r = write_map(pid, "uid_map", uid_map);
	if (r < 0)
		return error_errno(err, r, "uidmap");
	r = write_map(pid, "gid_map", gid_map);
	if (r < 0)
		return error_errno(err, r, "gidmap");
	r = open_of(pid, "ns/user", O_RDONLY, ret);
	return r < 0 ? error_errno(err, r, "a user namespace to map ids with") : 0;
}

int userns_open(const char *uid_map, const char *gid_map, int *ret, struct error *err)
{
	_cleanup_close_ int ready = -1, ready_there = -1, hold = -1, hold_there = -1;
	const char *const argv[] = { "cleat-shim", "userns", NULL };
	struct pidref p = PIDREF_INIT;
	int r = fd_pipe(&ready, &ready_there, 0);

	if (r == 0)
		r = fd_pipe(&hold_there, &hold, 0);
	if (r == 0) {
		const struct spawn_fd fds[] = { { ready_there, USERNS_READY_FD },
			{ hold_there, USERNS_HOLD_FD } };
		const struct spawn_options options = {
			.path = "/proc/self/exe",
			.argv = (char *const *)argv,
			.fds = fds,
			.n_fds = sizeof(fds) / sizeof(*fds),
			.death_signal = SIGKILL,
		};

		r = spawn(&options, &p);
	}
	if (r < 0)
		return error_errno(err, r, "a process to map ids with");
	fd_close(&ready_there);
	r = take(p.pid, ready, uid_map, gid_map, ret, err);
	pidref_signal(&p, SIGKILL);
	while (waitpid(p.pid, NULL, 0) < 0 && errno == EINTR)
		;
	pidref_close(&p);
	return r;
}

/* Into the root of our mount namespace. */
static int leave_chroot(void)
{
	_cleanup_close_ int ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	return ns < 0 || setns(ns, CLONE_NEWNS) < 0 ? -errno : 0;
}

/* No user namespace is made in a chroot (EPERM): then for this process, which only waits, there is none. */
static int go_inside(void)
{
	if (unshare(CLONE_NEWUSER) == 0)
		return 0;
	if (errno != EPERM || leave_chroot() < 0)
		return -errno;
	return unshare(CLONE_NEWUSER) < 0 ? -errno : 0;
}

int userns_verb(void)
{
	int r = go_inside();
	char byte;

	if (fd_write_all(USERNS_READY_FD, &r, sizeof(r)) < 0 || r < 0)
		return 1;
	while (read(USERNS_HOLD_FD, &byte, 1) < 0 && errno == EINTR)
		;
	return 0;
}
