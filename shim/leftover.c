/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a runtime leaves that is killed (or gives up) between its fork and its pid file: a process in
 * the container that nobody has heard of. Never touches a process that any launch may still own.
 *
 *   a child of the shim             is it left over?
 *   watched                         no: a process that we know, or a runtime at work
 *   in the runtime's group          it was ended with that group, when the runtime was reaped
 *   in another pid namespace than   no: the shim's own helpers, or nothing of this container
 *     the init
 *   the init shares our pid         it cannot be known: every daemon in the container becomes our
 *     namespace                     child as well. All is left alone (README, "Limits")
 *   older than the launch that      no
 *     failed
 *   no session leader               no: an exec's own doing by clone(CLONE_PARENT). But crun (1.8)
 *                                   puts an exec into a session that it makes outside: left over
 *                                   in one that is not that of an exec we know, or knew
 *   else                            yes, unless a launch that was under way when the failed one
 *                                   ended turns out to own it; those are waited for
 *
 * Why that is sound: an orphan in a pid namespace of its own goes to that namespace's init, never to
 * a subreaper outside, so of what is inside only what a runtime outside has put there can be our
 * child. Subtle: launches that begin later need not be waited for, for what we remember was there
 * before them; so a container that is never without a launch is cleaned all the same.
 */
#include "shim/leftover.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "shim/container_life.h"
#include "shim/shim.h"

struct leftover {
	struct list leftovers_link;
	struct pidref pidref;
	pid_t session;
	uint64_t before; /* launches with lower numbers may own it */
};

struct search {
	struct container *c;
	uint64_t before, since;
	ino_t pid_ns; /* the init's */
};

uint64_t leftovers_clock(void)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * hz + (uint64_t)ts.tv_nsec * hz / 1000000000u;
}

/* 0 where it cannot be known. */
static ino_t pid_ns_of(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

/* Whether a runtime has put it into the container, and did not start it as one that we know. */
static bool is_put_in(const struct container *c, pid_t pid, pid_t session)
{
	if (session == pid)
		return true;
	return session_is_outer(pid) && !outer_sessions_have(&c->outer_sessions, session);
}

static void look_at(pid_t pid, const struct proc_stat *stat, void *userdata)
{
	const struct search *s = userdata;
	struct leftover *l;

	if (stat->start_time < s->since || pid_ns_of(pid) != s->pid_ns ||
		!is_put_in(s->c, pid, stat->session))
		return;
	l = calloc(1, sizeof(*l));
	if (!l || pidref_open_same(pid, stat->start_time, &l->pidref) < 0) {
		free(l);
		return;
	}
	l->session = stat->session;
	l->before = s->before;
	list_append(&s->c->leftovers, &l->leftovers_link);
}

void leftovers_find(struct container *c, uint64_t before, uint64_t since)
{
	struct search s = { .c = c, .before = before, .since = since };

	if (c->init->exited)
		return; /* and with it all that was in its namespace */
	s.pid_ns = pid_ns_of(c->init->pid);
	if (s.pid_ns == 0 || s.pid_ns == pid_ns_of(getpid()))
		return;
	reaper_each_stray(c->shim->reaper, look_at, &s);
}

static void drop(struct leftover *l)
{
	list_unlink(&l->leftovers_link);
	pidref_close(&l->pidref);
	free(l);
}

/* The launches that were under way are over: an exec of theirs is watched, and its session known. */
static bool is_of_exec(const struct container *c, const struct leftover *l)
{
	return reaper_is_watched(c->shim->reaper, l->pidref.pid) ||
	       (l->session != l->pidref.pid && outer_sessions_have(&c->outer_sessions, l->session));
}

void leftovers_know_session(struct container *c, pid_t pid, pid_t session)
{
	if (session > 0 && session != pid)
		outer_sessions_note(&c->outer_sessions, session);
}

void leftovers_end(struct container *c, uint64_t oldest)
{
	struct list *pos, *tmp;

	list_for_each_safe (pos, tmp, &c->leftovers) {
		struct leftover *l = list_entry(pos, struct leftover, leftovers_link);

		if (oldest < l->before)
			continue;
		if (!is_of_exec(c, l) && pidref_signal(&l->pidref, SIGKILL) == 0)
			log_warn("a process that an exec had left was ended", F_STR("id", c->id),
				F_INT("pid", l->pidref.pid));
		drop(l);
	}
}

void leftovers_forget(struct container *c)
{
	struct list *pos, *tmp;

	list_for_each_safe (pos, tmp, &c->leftovers)
		drop(list_entry(pos, struct leftover, leftovers_link));
}
