/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for children. Never signals anybody. Subtle: a zombie that is peeked at and left alone
 * hides every later one from a P_ALL peek, so each is reaped, owned or not, in the turn in which
 * it was seen.
 */
#include "common/reaper.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/pidref.h"

/* A start in flight can meet the exits of a whole container; older ones then make room. */
#define MAX_KEPT 4096

struct kept {
	struct list kept_link;
	struct reaped reaped;
};

struct reaper {
	struct list children;
	struct list kept; /* oldest first */
	size_t n_kept, n_keeping;
	uint32_t n_strays;
};

int reaper_new(struct reaper **ret)
{
	struct reaper *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	list_init(&r->children);
	list_init(&r->kept);
	*ret = r;
	return 0;
}

static void forget(struct reaper *r, struct kept *k)
{
	list_unlink(&k->kept_link);
	free(k);
	r->n_kept--;
}

static void forget_all(struct reaper *r)
{
	while (!list_is_empty(&r->kept))
		forget(r, list_first(&r->kept, struct kept, kept_link));
}

void reaper_free(struct reaper *r)
{
	if (!r)
		return;
	forget_all(r);
	free(r);
}

void reaper_watch(struct reaper *r, struct reaper_child *child, pid_t pid,
	void (*on_exit)(const struct reaped *r, void *userdata), void *userdata)
{
	child->pid = pid;
	child->on_exit = on_exit;
	child->userdata = userdata;
	list_append(&r->children, &child->children_link);
}

void reaper_unwatch(struct reaper_child *child)
{
	if (child->children_link.next)
		list_unlink(&child->children_link);
}

void reaper_forget_before(struct reaper *r, moment at)
{
	struct kept *k;

	while ((k = list_first(&r->kept, struct kept, kept_link)) && k->reaped.at < at)
		forget(r, k);
}

void reaper_keep(struct reaper *r)
{
	r->n_keeping++;
}

void reaper_release(struct reaper *r)
{
	if (--r->n_keeping == 0)
		forget_all(r);
}

const struct reaped *reaper_find_kept(const struct reaper *r, pid_t pid)
{
	const struct reaped *found = NULL;
	struct list *pos;

	list_for_each (pos, &r->kept) {
		struct kept *k = list_entry(pos, struct kept, kept_link);

		if (k->reaped.pid == pid)
			found = &k->reaped;
	}
	return found;
}

static void keep(struct reaper *r, const struct reaped *what)
{
	struct kept *k;

	if (r->n_keeping == 0)
		return;
	if (r->n_kept == MAX_KEPT)
		forget(r, list_first(&r->kept, struct kept, kept_link));
	k = malloc(sizeof(*k));
	if (!k)
		return;
	k->reaped = *what;
	list_append(&r->kept, &k->kept_link);
	r->n_kept++;
}

static struct reaper_child *find_owner(const struct reaper *r, pid_t pid)
{
	struct list *pos;

	list_for_each (pos, &r->children) {
		struct reaper_child *c = list_entry(pos, struct reaper_child, children_link);

		if (c->pid == pid)
			return c;
	}
	return NULL;
}

bool reaper_is_watched(const struct reaper *r, pid_t pid)
{
	return find_owner(r, pid) != NULL;
}

/* The raw call: only it tells the resource usage without reaping. 1: there is one; 0: none. */
static int peek(struct reaped *ret)
{
	struct reaped r = { 0 };
	struct proc_stat stat;
	siginfo_t info = { 0 };

	if (syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT, &r.usage) < 0)
		return errno == ECHILD ? 0 : error_trace(-errno);
	if (info.si_pid == 0)
		return 0;
	r.pid = info.si_pid;
	r.code = info.si_status;
	r.signaled = info.si_code != CLD_EXITED;
	r.at = clock_now();
	if (proc_stat_read(r.pid, &stat) == 0) {
		r.start_time = stat.start_time;
		r.session = stat.session;
	}
	*ret = r;
	return 1;
}

void reaper_dispatch(struct reaper *r)
{
	struct reaped reaped;

	while (peek(&reaped) == 1) {
		struct reaper_child *owner = find_owner(r, reaped.pid);

		if (owner) {
			list_unlink(&owner->children_link);
			owner->on_exit(&reaped, owner->userdata);
		} else {
			keep(r, &reaped);
			r->n_strays++;
		}
		while (waitpid(reaped.pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

/* All of /proc, for the list of children in /proc/self/task is an option of the kernel's build. */
int reaper_each_stray(const struct reaper *r,
	void (*each)(pid_t pid, const struct proc_stat *stat, void *userdata), void *userdata)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		struct proc_stat stat;

		if (pid > 0 && proc_stat_read(pid, &stat) == 0 && stat.ppid == getpid() &&
			!reaper_is_watched(r, pid))
			each(pid, &stat, userdata);
	}
	closedir(proc);
	return 0;
}

/* Only a child can be meant by the number: nobody else reaps ours. */
static void kill_stray(pid_t pid, const struct proc_stat *stat, void *userdata)
{
	_cleanup_(pidref_close) struct pidref ref = PIDREF_INIT;
	int *n = userdata;

	if (pidref_open_same(pid, stat->start_time, &ref) < 0)
		return;
	pidref_signal(&ref, SIGKILL);
	++*n;
}

int reaper_kill_strays(struct reaper *r)
{
	int n = 0, error = reaper_each_stray(r, kill_stray, &n);

	return error < 0 ? error : n;
}

uint32_t reaper_n_strays(const struct reaper *r)
{
	return r->n_strays;
}
