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
 *   no session leader, or older     no: an exec's own doing by clone(CLONE_PARENT)
 *     than the launch that failed
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

static void look_at(pid_t pid, const struct proc_stat *stat, void *userdata)
{
	const struct search *s = userdata;
	struct leftover *l;

	if (stat->session != pid || stat->start_time < s->since || pid_ns_of(pid) != s->pid_ns)
		return;
	l = calloc(1, sizeof(*l));
	if (!l || pidref_open_same(pid, stat->start_time, &l->pidref) < 0) {
		free(l);
		return;
	}
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

void leftovers_end(struct container *c, uint64_t oldest)
{
	struct list *pos, *tmp;

	list_for_each_safe (pos, tmp, &c->leftovers) {
		struct leftover *l = list_entry(pos, struct leftover, leftovers_link);

		if (oldest < l->before)
			continue;
		if (!reaper_is_watched(c->shim->reaper, l->pidref.pid) &&
			pidref_signal(&l->pidref, SIGKILL) == 0)
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
