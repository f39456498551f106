/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children that mount, watched. Never touches a file system itself. Subtle: a child that hangs in
 * the kernel does not die of SIGKILL either; KILL_PATIENCE_MS after it we go on without it, and
 * whenever it does end the reaper reaps it as nobody's.
 */
#include "shim/mount.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/shim_start.h"
#include "common/spawn.h"
#include "shim/mount_spec.h"
#include "shim/mount_verb.h"
#include "common/reaper.h"
#include "shim/shim.h"

struct mount_job {
	struct shim *shim;
	bool unmounts, made;
	char *rootfs;
	struct pidref pidref;
	struct reaper_child child;
	int answer;	      /* our end of the child's pipe */
	struct event *timer;  /* deadline, then patience after the kill */
	struct event *finish; /* fires once, right after the reaping */
	bool timed_out;
	struct reaped reaped; /* how it ended, unless it never did */
	struct error before;  /* of the mount that an unmount cleans up after */
	mount_done done;
	void *userdata;
};

static void job_free(struct mount_job *job)
{
	if (!job)
		return;
	reaper_unwatch(&job->child);
	if (job->timer)
		event_free(job->timer);
	if (job->finish)
		event_free(job->finish);
	fd_close(&job->answer);
	pidref_close(&job->pidref);
	error_clear(&job->before);
	free(job->rootfs);
	free(job);
}

/* What it is for has been told, or goes on in another job. */
static void job_end(struct mount_job *job)
{
	struct shim *shim = job->shim;

	job_free(job);
	shim_run_ended(shim);
}

static const char *verb_of(const struct mount_job *job)
{
	return job->unmounts ? "unmount" : "mount on";
}

/* The child's own words. False if it has left none. */
static bool read_answer(struct mount_job *job, struct error *err)
{
	char bytes[MOUNT_ANSWER_MAX];
	struct mount_answer a;
	ssize_t n = read(job->answer, bytes, sizeof(bytes));

	if (n < (ssize_t)sizeof(a))
		return false;
	memcpy(&a, bytes, sizeof(a));
	if (a.n_detached > 0)
		log_warn("mounts that stayed in use were detached", F_STR("rootfs", job->rootfs),
			F_INT("mounts", a.n_detached));
	if (a.code)
		error_set(err, (enum code)a.code, "%.*s", (int)(n - (ssize_t)sizeof(a)),
			bytes + sizeof(a));
	return true;
}

/* Fills err with how the job went; false if the child did not get to its end. */
static bool judge(struct mount_job *job, struct error *err)
{
	if (job->timed_out) {
		error_set(err, CODE_DEADLINE_EXCEEDED, "%s %s: no answer in %u s", verb_of(job),
			job->rootfs, MOUNT_DEADLINE_MS / 1000);
		return false;
	}
	if (read_answer(job, err))
		return true;
	error_set(err, CODE_INTERNAL, "%s %s: its process ended with %s %d", verb_of(job),
		job->rootfs, job->reaped.signaled ? "signal" : "status", job->reaped.code);
	return false;
}

static int begin(struct shim *shim, bool unmounts, const char *rootfs, bool made, int list_fd,
	struct error *before_take, mount_done done, void *userdata, struct error *err);

static void job_finish(struct mount_job *job)
{
	_cleanup_error_ struct error err = ERROR_INIT, unmount_err = ERROR_INIT;
	bool whole = judge(job, &err);

	/* what a mount that was cut short has left is undone first, and its error told after that */
	if (!whole && !job->unmounts) {
		if (begin(job->shim, true, job->rootfs, job->made, -1, &err, job->done,
			    job->userdata, &unmount_err) == 0) {
			job_end(job);
			return;
		}
		log_error("cannot unmount after a mount that failed", F_STR("rootfs", job->rootfs),
			F_STR("error", error_message(&unmount_err)));
	}
	if (job->before.code) {
		if (err.code)
			log_error("cannot unmount after a mount that failed",
				F_STR("rootfs", job->rootfs), F_STR("error", error_message(&err)));
		error_move(&err, &job->before);
	}
	job->done(&err, job->userdata);
	job_end(job);
}

static void finish_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	job_finish(userdata);
}

static void on_exit_of_child(const struct reaped *r, void *userdata)
{
	struct mount_job *job = userdata;

	job->reaped = *r;
	event_del(job->timer);
	/* later: the caller may start things, and must not do so from within the reaper */
	event_active(job->finish, EV_TIMEOUT, 1);
}

static int timer_start(struct mount_job *job, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	return event_add(job->timer, &tv) < 0 ? -ENOMEM : 0;
}

static void timer_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct mount_job *job = userdata;

	(void)fd;
	(void)what;
	if (!job->timed_out) {
		job->timed_out = true;
		pidref_signal(&job->pidref, SIGKILL);
		if (timer_start(job, KILL_PATIENCE_MS) == 0)
			return;
	}
	log_error("a process that mounts does not die", F_INT("pid", job->pidref.pid),
		F_STR("rootfs", job->rootfs));
	job_finish(job);
}

static int job_spawn(struct mount_job *job, int list_fd)
{
	_cleanup_close_ int answer = -1;
	const char *const argv[] = { "cleat-shim", job->unmounts ? "unmount" : "mount", job->rootfs,
		job->unmounts && job->made ? SHIM_UNMOUNT_MADE : NULL, NULL };
	struct spawn_fd fds[2];
	struct spawn_options options = {
		.path = "/proc/self/exe",
		.argv = (char *const *)argv,
		.cwd = "/",
		.fds = fds,
		.new_group = true,
		.death_signal = SIGKILL, /* what it has done is undone with the orphan */
	};
	int r = fd_pipe(&job->answer, &answer, 0);

	if (r == 0)
		r = fd_set_nonblock(job->answer, true);
	if (r < 0)
		return r;
	fds[options.n_fds++] = (struct spawn_fd){ answer, MOUNT_ANSWER_FD };
	if (list_fd >= 0)
		fds[options.n_fds++] = (struct spawn_fd){ list_fd, MOUNT_LIST_FD };
	return spawn(&options, &job->pidref);
}

static int job_new(struct shim *shim, bool unmounts, const char *rootfs, struct mount_job **ret)
{
	struct mount_job *job = calloc(1, sizeof(*job));

	if (!job)
		return -ENOMEM;
	job->shim = shim;
	job->unmounts = unmounts;
	job->pidref = PIDREF_INIT;
	job->answer = -1;
	job->rootfs = strdup(rootfs);
	job->finish = evtimer_new(shim->base, finish_dispatch, job);
	job->timer = evtimer_new(shim->base, timer_dispatch, job);
	if (!job->rootfs || !job->finish || !job->timer ||
		timer_start(job, MOUNT_DEADLINE_MS) < 0) {
		job_free(job);
		return -ENOMEM;
	}
	*ret = job;
	return 0;
}

/* before_take (may be NULL) is taken on success only. */
static int begin(struct shim *shim, bool unmounts, const char *rootfs, bool made, int list_fd,
	struct error *before_take, mount_done done, void *userdata, struct error *err)
{
	struct mount_job *job = NULL;
	int r = job_new(shim, unmounts, rootfs, &job);

	if (r == 0) {
		job->made = made;
		r = job_spawn(job, list_fd);
	}
	if (r < 0) {
		job_free(job);
		return error_errno(err, r, "%s %s", unmounts ? "unmount" : "mount on", rootfs);
	}
	job->done = done;
	job->userdata = userdata;
	if (before_take)
		error_move(&job->before, before_take);
	shim->n_runs++;
	reaper_watch(shim->reaper, &job->child, job->pidref.pid, on_exit_of_child, job);
	return 0;
}

/* A file in memory, because a pipe of that length would block the one who fills it. */
static int list_to_fd(const struct mount_spec *mounts, size_t n, int *ret)
{
	_cleanup_buf_ struct buf list = BUF_INIT;
	_cleanup_close_ int fd = -1;
	int r = mount_specs_encode(mounts, n, &list);

	if (r < 0)
		return r;
	fd = memfd_create("mounts", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, buf_head(&list), list.len);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

int mount_begin(struct shim *shim, const struct mount_spec *mounts, size_t n, const char *rootfs,
	bool made, mount_done done, void *userdata, struct error *err)
{
	_cleanup_close_ int list_fd = -1;
	int r = mount_specs_check(mounts, n, rootfs, err);

	if (r != 0)
		return r;
	r = list_to_fd(mounts, n, &list_fd);
	if (r < 0)
		return error_errno(err, r, "mount on %s", rootfs);
	return begin(shim, false, rootfs, made, list_fd, NULL, done, userdata, err);
}

int unmount_begin(struct shim *shim, const char *rootfs, bool made, mount_done done, void *userdata,
	struct error *err)
{
	return begin(shim, true, rootfs, made, -1, NULL, done, userdata, err);
}
