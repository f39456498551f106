/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The only place that waits for children. Each child is peeked at (WNOWAIT), its owner records
 * the exit, and only then the pid is reaped, so that no number is reused under us. Exits that
 * nobody owns are kept, with their start time, while a start is in flight: a container may be
 * dead before its create has returned.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/clock.h"
#include "common/list.h"

/* How a child ended. */
struct reaped {
	pid_t pid;
	uint64_t start_time; /* clock ticks since boot */
	pid_t session;	     /* 0: unknown */
	int code;	     /* exit code, or signal */
	bool signaled;
	moment at;
	struct rusage usage;
};

struct reaper;

/* One owner of a pid; embedded. on_exit runs before the pid is reaped. */
struct reaper_child {
	struct list children_link;
	pid_t pid;
	void (*on_exit)(const struct reaped *r, void *userdata);
	void *userdata;
};

int reaper_new(struct reaper **ret);
void reaper_free(struct reaper *r);

/* Registers an owner; its exit is told once, then it is unregistered. */
void reaper_watch(struct reaper *r, struct reaper_child *child, pid_t pid,
	void (*on_exit)(const struct reaped *r, void *userdata), void *userdata);
void reaper_unwatch(struct reaper_child *child);
bool reaper_is_watched(const struct reaper *r, pid_t pid);

/* Brackets around a start in flight; nested. When the last ends, what was kept is forgotten. */
void reaper_keep(struct reaper *r);
void reaper_release(struct reaper *r);
/* For who keeps always: what was reaped before that moment is forgotten. */
void reaper_forget_before(struct reaper *r, moment at);

/* A kept exit of pid, the latest, or NULL. */
const struct reaped *reaper_find_kept(const struct reaper *r, pid_t pid);

/* On SIGCHLD: deals with every child that has ended. */
void reaper_dispatch(struct reaper *r);
/*
 * Kills every child that nobody watches: what a runtime that failed or was killed left to us.
 * Returns how many there are (they are reaped later), or -errno.
 */
int reaper_kill_strays(struct reaper *r);
/* Calls each for every child that nobody watches, zombies too. 0 or -errno. */
struct proc_stat;
int reaper_each_stray(const struct reaper *r,
	void (*each)(pid_t pid, const struct proc_stat *stat, void *userdata), void *userdata);
/* Children reaped that had no owner. */
uint32_t reaper_n_strays(const struct reaper *r);
