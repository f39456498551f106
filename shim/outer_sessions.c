/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Subtle: a number is a session's for as long as a process is in it, whoever led it,
 * so one that is in use is never forgotten; /proc is looked through only when there is no room left,
 * and the room doubles where that frees less than half.
 */
#include "shim/outer_sessions.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/pidref.h"

#define ROOM_AT_FIRST 64
#define LIMIT_STATUS  (64u << 10) /* bytes of a /proc/PID/status */

/* Moves it among the n_used first, if it is behind them. */
static size_t use(struct outer_sessions *s, size_t n_used, pid_t session)
{
	for (size_t i = n_used; i < s->n; i++)
		if (s->v[i] == session) {
			s->v[i] = s->v[n_used];
			s->v[n_used] = session;
			return n_used + 1;
		}
	return n_used;
}

static void forget_unused(struct outer_sessions *s)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t n_used = 0;

	if (!proc)
		return;
	while ((entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		struct proc_stat stat;

		if (pid > 0 && proc_stat_read(pid, &stat) == 0)
			n_used = use(s, n_used, stat.session);
	}
	s->n = n_used;
}

static bool make_room(struct outer_sessions *s)
{
	size_t room = s->room ? 2 * s->room : ROOM_AT_FIRST;
	pid_t *v;

	if (s->n < s->room)
		return true;
	forget_unused(s);
	if (s->room && s->n <= s->room / 2)
		return true;
	v = reallocarray(s->v, room, sizeof(*v));
	if (!v)
		return s->n < s->room;
	s->v = v;
	s->room = room;
	return true;
}

static bool find(const struct outer_sessions *s, pid_t session)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i] == session)
			return true;
	return false;
}

void outer_sessions_note(struct outer_sessions *s, pid_t session)
{
	if (find(s, session))
		return;
	if (make_room(s))
		s->v[s->n++] = session;
	else
		s->is_incomplete = true;
}

bool outer_sessions_have(const struct outer_sessions *s, pid_t session)
{
	return s->is_incomplete || find(s, session);
}

void outer_sessions_deinit(struct outer_sessions *s)
{
	free(s->v);
	*s = (struct outer_sessions){ 0 };
}

/* NSsid has a number for each namespace from ours down to the process's own, where 0 is none of it. */
bool session_is_outer(pid_t pid)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char path[32], *line, *end;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (fd_read_file(AT_FDCWD, path, &text, LIMIT_STATUS) < 0 || buf_append(&text, "", 1) < 0)
		return false;
	line = strstr((char *)buf_head(&text), "\nNSsid:");
	end = line ? strchr(line + 1, '\n') : NULL;
	if (!end)
		return false;
	*end = '\0';
	return strcmp(strrchr(line, '\t') ? strrchr(line, '\t') : "", "\t0") == 0;
}
