/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. Needs pidfd_open(2) (Linux 5.3) and pidfd_send_signal(2) (5.1). */
#include "common/pidref.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"

/* The command's name stands in parentheses and may hold any byte, parentheses too. */
static int parse_stat(const char *text, struct proc_stat *ret)
{
	const char *p = strrchr(text, ')');
	struct proc_stat s = { 0 };
	unsigned long long start;
	int n;

	if (!p)
		return -EINVAL;
	n = sscanf(p + 1,
		" %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		&s.state, &s.ppid, &s.pgrp, &s.session, &start);
	if (n != 5)
		return -EINVAL;
	s.start_time = start;
	/* field 52, the last: later kernels may have more behind it */
	for (n = 3; n < 52 && p; n++)
		p = strchr(p + 2, ' ');
	s.exit_code = p ? atoi(p) : 0;
	*ret = s;
	return 0;
}

int proc_stat_read(pid_t pid, struct proc_stat *ret)
{
	_cleanup_close_ int fd = -1;
	char path[32], text[1024];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return parse_stat(text, ret);
}

#ifndef CLEAT_UNDER_VALGRIND
static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
}

static int signal_pidfd(const struct pidref *p, int sig)
{
	return syscall(SYS_pidfd_send_signal, p->fd, sig, NULL, 0) < 0 ? -errno : 0;
}
#else
/*
 * Debian 12's valgrind (3.19) knows neither call. For the debug variant only, which exists to be
 * run under it: the process's folder in /proc stands for it, and the start time is compared. That
 * leaves the gap between comparing and killing which a pidfd closes; nothing else is built so.
 */
static int open_pidfd(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int signal_pidfd(const struct pidref *p, int sig)
{
	struct proc_stat stat;
	int r = proc_stat_read(p->pid, &stat);

	if (r < 0)
		return r;
	if (p->start_time && stat.start_time != p->start_time)
		return -ESRCH;
	return kill(p->pid, sig) < 0 ? -errno : 0;
}
#endif

int pidref_signal(const struct pidref *p, int sig)
{
	if (p->pid <= 0 || p->fd < 0)
		return -ESRCH;
	return signal_pidfd(p, sig);
}

bool pidref_exists(const struct pidref *p)
{
	int r = pidref_signal(p, 0);

	return r == 0 || r == -EPERM;
}

int pidref_open(pid_t pid, struct pidref *ret)
{
	_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
	struct proc_stat stat;
	int r;

	if (pid <= 0)
		return -ESRCH;
	p.pid = pid;
	p.fd = open_pidfd(pid);
	if (p.fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = proc_stat_read(pid, &stat);
	if (r < 0)
		return r;
	if (!pidref_exists(&p))
		return -ESRCH;
	p.start_time = stat.start_time;
	*ret = p;
	p = PIDREF_INIT;
	return 0;
}

int pidref_open_same(pid_t pid, uint64_t start_time, struct pidref *ret)
{
	_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
	int r = pidref_open(pid, &p);

	if (r < 0)
		return r;
	if (p.start_time != start_time)
		return -ESRCH;
	*ret = p;
	p = PIDREF_INIT;
	return 0;
}

void pidref_close(struct pidref *p)
{
	cleanup_close(&p->fd);
	*p = PIDREF_INIT;
}
