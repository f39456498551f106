/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Nothing is signalled by a number alone. Subtle: a process group's number and a
 * session's are not given away while one process is in them, so where both are the recorded ones
 * and no other process has the leader's number now, the process is one of that run.
 */
#include "common/unfinished.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/argv.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/pidref.h"

#define LIMIT_PROCS (1u << 20) /* bytes of a cgroup.procs that are looked at in a turn */

/* Kills it and waits for its end. 0, or -ETIME. */
static int end(const struct pidref *p, int64_t until)
{
	struct pollfd poll_fd = { .fd = p->fd, .events = POLLIN };
	int64_t ms;

	if (pidref_signal(p, SIGKILL) == -ESRCH)
		return 0;
	do {
		ms = until - clock_monotonic_ms();
		if (poll(&poll_fd, 1, ms > 0 ? (int)ms : 0) > 0)
			return 0;
	} while (ms > 0);
	return -ETIME;
}

static int complain(
	const struct container_record *record, int r, const char *what, struct error *err)
{
	if (r == -ETIME)
		return error_set(err, CODE_DEADLINE_EXCEEDED,
			"container %s: a process of %s does not die", record->id, what);
	return error_errno(err, r, "container %s: %s", record->id, what);
}

/* --- the run --- */

static bool is_of_run(
	const struct container_record *record, pid_t shim_pid, const struct proc_stat *st)
{
	return st->pgrp == record->making.pid && st->session == shim_pid &&
	       st->start_time >= record->making.start_time && st->state != 'Z';
}

/* Ends what is there now; *ret_n: how many there were. 0 or -errno. */
static int end_run_once(
	const struct container_record *record, pid_t shim_pid, int64_t until, unsigned *ret_n)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *entry;
	int r = 0;

	*ret_n = 0;
	if (!proc)
		return -errno;
	while (r == 0 && (entry = readdir(proc))) {
		_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		struct proc_stat st;

		if (pid <= 0 || proc_stat_read(pid, &st) < 0 || !is_of_run(record, shim_pid, &st))
			continue;
		++*ret_n;
		if (pidref_open_same(pid, st.start_time, &p) == 0)
			r = end(&p, until);
	}
	return r;
}

int unfinished_end_run(const struct container_record *record, pid_t shim_pid, struct error *err)
{
	int64_t until = clock_monotonic_ms() + STOP_GRACE_MS;
	pid_t leader = record->making.pid;
	struct proc_stat st;
	unsigned n = 0;
	int r = 0;

	if (leader <= 0 || shim_pid <= 0)
		return 0;
	/* a number that is another's now was free: nothing of the run is left */
	if (proc_stat_read(leader, &st) == 0 && st.start_time != record->making.start_time)
		return 0;
	do
		r = end_run_once(record, shim_pid, until, &n);
	while (r == 0 && n > 0);
	return r < 0 ? complain(record, r, "the runtime's create", err) : 0;
}

/* --- the cgroups --- */

static bool is_listed(const char *folder, pid_t pid)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *path = NULL;
	char *next;

	if (asprintf(&path, "%s/cgroup.procs", folder) < 0 ||
		fd_read_file(AT_FDCWD, path, &text, LIMIT_PROCS) < 0 ||
		buf_append(&text, "", 1) < 0)
		return false;
	for (char *line = (char *)buf_head(&text); *line; line = next) {
		long listed = strtol(line, &next, 10);

		if (next == line)
			break;
		if (listed > 0 && (!pid || listed == pid))
			return true;
	}
	return false;
}

/* The first process in it, referred to before it was seen there a second time; pid 0: none. */
static int first_of(const char *folder, struct pidref *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *path = NULL;
	long pid;
	int r;

	if (asprintf(&path, "%s/cgroup.procs", folder) < 0)
		return -ENOMEM;
	r = fd_read_file(AT_FDCWD, path, &text, LIMIT_PROCS);
	if (r == 0)
		r = buf_append(&text, "", 1);
	/*
	 * ENODEV: it was removed while it was read. EOPNOTSUPP: a threaded group of version 2, whose
	 * processes stand in the group that it is part of.
	 */
	if (r < 0)
		return r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP ? 0 : r;
	pid = strtol((char *)buf_head(&text), NULL, 10);
	if (pid <= 0)
		return 0;
	r = pidref_open((pid_t)pid, ret);
	if (r == 0 && !is_listed(folder, (pid_t)pid))
		pidref_close(ret);
	return r == -ESRCH ? 0 : r;
}

static int end_in(const char *folder, int64_t until)
{
	for (;;) {
		_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
		int r = first_of(folder, &p);

		if (r == 0 && p.fd >= 0)
			r = end(&p, until);
		if (r < 0)
			return r;
		if (!is_listed(folder, 0))
			return 0;
		if (clock_monotonic_ms() > until)
			return -ETIME;
	}
}

/* Adds the groups right below it; one that was removed meanwhile has none. */
static int add_nested(const char *folder, struct argv *to)
{
	_cleanup_closedir_ DIR *dir = opendir(folder);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
			strcmp(entry->d_name, "..") == 0)
			continue;
		if (argv_addf(to, "%s/%s", folder, entry->d_name) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The group and all below it, parents first. */
static int list_nested(const char *folder, struct argv *ret)
{
	int r = argv_add(ret, folder);

	for (size_t i = 0; r == 0 && i < ret->n; i++)
		r = add_nested(ret->v[i], ret);
	return r;
}

/* Until a whole look finds nobody: who is killed late may have moved, or made a group, before. */
static int end_below(const char *folder, int64_t until)
{
	bool is_empty;

	do {
		_cleanup_argv_ struct argv groups = ARGV_INIT;
		int r = list_nested(folder, &groups);

		is_empty = true;
		for (size_t i = 0; r == 0 && i < groups.n; i++) {
			is_empty = is_empty && !is_listed(groups.v[i], 0);
			r = end_in(groups.v[i], until);
		}
		if (r < 0)
			return r;
		if (!is_empty && clock_monotonic_ms() > until)
			return -ETIME;
	} while (!is_empty);
	return 0;
}

static void remove_below(const char *folder)
{
	_cleanup_argv_ struct argv groups = ARGV_INIT;

	(void)list_nested(folder, &groups); /* what it could not list stays, and so what is above */
	for (size_t i = groups.n; i-- > 0;)
		rmdir(groups.v[i]);
}

static bool holds_another(char *const *cgroups, const char *folder)
{
	size_t n = strlen(folder);

	for (; *cgroups; cgroups++)
		if (strncmp(*cgroups, folder, n) == 0 && (*cgroups)[n] == '/')
			return true;
	return false;
}

int unfinished_end_cgroups(const struct container_record *record, struct error *err)
{
	int64_t until = clock_monotonic_ms() + STOP_GRACE_MS;
	char **cgroups = record->making.cgroups;
	int r = 0;

	for (char **g = cgroups; g && *g && r == 0; g++)
		if (!holds_another(cgroups, *g))
			r = end_below(*g, until);
	return r < 0 ? complain(record, r, "its cgroup", err) : 0;
}

void unfinished_remove_cgroups(const struct container_record *record)
{
	char **cgroups = record->making.cgroups;
	size_t n = 0;

	while (cgroups && cgroups[n])
		n++;
	while (n-- > 0) {
		if (holds_another(cgroups, cgroups[n]))
			rmdir(cgroups[n]);
		else
			remove_below(cgroups[n]);
	}
}
