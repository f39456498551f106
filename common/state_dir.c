/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One container's folder below ROOT. Never waits for a shim. Subtle: a creator holds a shared lock of
 * the namespace's folder from mkdir until its own `lock` is locked; who sweeps up after the killed takes
 * that lock exclusively. So what the sweeper sees unlocked has no owner, whatever its age.
 */
#include "common/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/argv.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/file.h"
#include "common/ids.h"
#include "common/state_bundle.h"
#include "common/state_lock.h"
#include "common/state_root.h"

#define NEW_PREFIX    ".new-"
#define GONE_PREFIX   ".gone-"
#define TEMP_NAME_MAX 32

/* A temporary name: prefix and 16 random digits. */
static int make_temp_name(const char *prefix, char ret[static TEMP_NAME_MAX])
{
	size_t n = strlen(prefix);

	memcpy(ret, prefix, n);
	return random_hex(ret + n, 8);
}

static int fill_names(struct state_dir *dir, const char *root, const char *ns, const char *id)
{
	dir->root = strdup(root);
	dir->ns = strdup(ns);
	dir->id = strdup(id);
	if (asprintf(&dir->path, "%s/c/%s/%s", root, ns, id) < 0)
		dir->path = NULL;
	return dir->root && dir->ns && dir->id && dir->path ? 0 : -ENOMEM;
}

/* Makes sure that nobody owns it, by its lock if it has one. 0, -EWOULDBLOCK, or -errno. */
static int claim_leftover(int ns_fd, const char *name, int *ret_lock_fd)
{
	_cleanup_close_ int dir = -1, lock_fd = -1;
	int r;

	dir = openat(ns_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	lock_fd = state_lock_open(dir, 0);
	if (lock_fd == -ENOENT)
		return 0; /* died before it had one, or after it was removed */
	if (lock_fd < 0)
		return lock_fd;
	r = state_lock_take(lock_fd);
	if (r < 0)
		return r;
	*ret_lock_fd = TAKE_FD(lock_fd);
	return 0;
}

static bool is_leftover(const char *name)
{
	return strncmp(name, NEW_PREFIX, strlen(NEW_PREFIX)) == 0 ||
	       strncmp(name, GONE_PREFIX, strlen(GONE_PREFIX)) == 0;
}

/*
 * Removes what creators and removers left who were killed. One at a time, each claimed while no
 * creator is between its mkdir and its lock. What cannot be removed is left for the next.
 */
static void sweep(int ns_fd)
{
	_cleanup_argv_ struct argv names = ARGV_INIT;

	if (state_list_names(ns_fd, is_leftover, &names) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_close_ int lock_fd = -1;
		int r;

		if (state_lock_try(ns_fd, LOCK_EX) < 0)
			return;
		r = claim_leftover(ns_fd, names.v[i], &lock_fd);
		flock(ns_fd, LOCK_UN);
		if (r == 0)
			remove_tree(ns_fd, names.v[i]);
	}
}

/* The new folder, locked, under its temporary name. On failure nothing is left. */
static int make_locked(int ns_fd, const char *name, struct state_dir *dir)
{
	int r = 0;

	while (flock(ns_fd, LOCK_SH) < 0) /* a sweeper lets go after a few system calls */
		if (errno != EINTR)
			return -errno;
	if (mkdirat(ns_fd, name, 0700) < 0)
		r = -errno;
	if (r == 0) {
		dir->fd = openat(ns_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		dir->lock_fd = dir->fd < 0 ? -errno : state_lock_open(dir->fd, O_CREAT | O_EXCL);
		r = dir->lock_fd < 0 ? dir->lock_fd : state_lock_try(dir->lock_fd, LOCK_EX);
		if (r == 0 && fchmod(dir->fd, 0700) < 0)
			r = -errno;
		if (r < 0)
			remove_tree(ns_fd, name);
	}
	flock(ns_fd, LOCK_UN);
	return r;
}

int state_dir_create(
	const char *root, const char *ns, const char *id, struct state_dir *ret, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_close_ int ns_fd = -1;
	char name[TEMP_NAME_MAX];
	int r = state_open_ns(root, ns, id, &ns_fd, err);

	if (r != 0)
		return r;
	sweep(ns_fd);
	r = fill_names(&dir, root, ns, id);
	if (r == 0)
		r = make_temp_name(NEW_PREFIX, name);
	if (r == 0)
		r = make_locked(ns_fd, name, &dir);
	if (r < 0)
		return error_errno(err, r, "container %s: state folder", id);
	if (renameat2(ns_fd, name, ns_fd, id, RENAME_NOREPLACE) < 0) {
		r = -errno;
		remove_tree(ns_fd, name);
		if (r == -EEXIST)
			return error_set(
				err, CODE_ALREADY_EXISTS, "container %s: already exists", id);
		return error_errno(err, r, "container %s: state folder", id);
	}
	*ret = dir;
	dir = STATE_DIR_INIT;
	return 0;
}

int state_dir_open(
	const char *root, const char *ns, const char *id, struct state_dir *ret, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_close_ int ns_fd = -1;
	int r = state_open_ns(root, ns, id, &ns_fd, err);

	if (r == CODE_NOT_FOUND)
		return error_set(err, CODE_NOT_FOUND, "container %s: does not exist", id);
	if (r != 0)
		return r;
	r = fill_names(&dir, root, ns, id);
	if (r == 0) {
		dir.fd = openat(ns_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = dir.fd < 0 ? -errno : 0;
	}
	if (r == -ENOENT)
		return error_set(err, CODE_NOT_FOUND, "container %s: does not exist", id);
	if (r < 0)
		return error_errno(err, r, "container %s: state folder", id);
	*ret = dir;
	dir = STATE_DIR_INIT;
	return 0;
}

int state_dir_adopt(const char *root, const char *ns, const char *id, int lock_fd_take,
	struct state_dir *ret, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_close_ int lock_fd = lock_fd_take;
	int r = state_dir_open(root, ns, id, &dir, err);

	if (r != 0)
		return r;
	r = state_lock_adopt(dir.fd, lock_fd);
	if (r < 0)
		return error_errno(err, r, "container %s: lock was not handed over", id);
	dir.lock_fd = TAKE_FD(lock_fd);
	*ret = dir;
	dir = STATE_DIR_INIT;
	return 0;
}

/* Whether the folder still has its name: nobody removed it before we had its lock. */
static int check_still_there(const struct state_dir *dir, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir now = STATE_DIR_INIT;
	struct stat ours, there;
	int r = dir->root ? state_dir_open(dir->root, dir->ns, dir->id, &now, err)
			  : state_bundle_open(dir->path, dir->ns, dir->id, &now, err);

	if (r != 0)
		return r;
	if (fstat(dir->fd, &ours) < 0 || fstat(now.fd, &there) < 0)
		return error_errno(err, -errno, "container %s: state folder", dir->id);
	if (ours.st_dev != there.st_dev || ours.st_ino != there.st_ino)
		return error_set(err, CODE_NOT_FOUND, "container %s: does not exist", dir->id);
	return 0;
}

int state_dir_lock(struct state_dir *dir, struct error *err)
{
	_cleanup_close_ int lock_fd = state_lock_open(dir->fd, 0);
	int r = lock_fd < 0 ? lock_fd : state_lock_take(lock_fd);

	if (r == -ENOENT)
		return error_set(err, CODE_NOT_FOUND, "container %s: does not exist", dir->id);
	if (r == -EWOULDBLOCK)
		return error_set(
			err, CODE_FAILED_PRECONDITION, "container %s: its shim is alive", dir->id);
	if (r < 0)
		return error_errno(err, r, "container %s: lock", dir->id);
	r = check_still_there(dir, err);
	if (r != 0)
		return r;
	dir->lock_fd = TAKE_FD(lock_fd);
	return 0;
}

bool state_dir_is_locked(const struct state_dir *dir)
{
	_cleanup_close_ int lock_fd = -1;

	if (dir->lock_fd >= 0)
		return true;
	lock_fd = state_lock_open(dir->fd, 0);
	if (lock_fd < 0) /* out of descriptors says nothing: rather believe in a shim */
		return lock_fd != -ENOENT;
	return state_lock_try(lock_fd, LOCK_SH) < 0;
}

int state_dir_remove(struct state_dir *dir, struct error *err)
{
	_cleanup_close_ int ns_fd = -1;
	char name[TEMP_NAME_MAX];
	int r;

	if (dir->lock_fd < 0 || dir->fd < 0)
		return error_set(
			err, CODE_FAILED_PRECONDITION, "container %s: not locked by us", dir->id);
	if (!dir->root)
		return state_bundle_clear(dir, err);
	/* another container may have the name by now */
	r = check_still_there(dir, err);
	if (r == 0)
		r = state_open_ns(dir->root, dir->ns, dir->id, &ns_fd, err);
	if (r != 0)
		return r;
	r = make_temp_name(GONE_PREFIX, name);
	if (r == 0 && renameat2(ns_fd, dir->id, ns_fd, name, RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r == 0) {
		fd_close(&dir->fd);
		r = remove_tree(ns_fd, name);
	}
	return r < 0 ? error_errno(err, r, "container %s: state folder", dir->id) : 0;
}

void state_dir_close(struct state_dir *dir)
{
	fd_close(&dir->fd);
	fd_close(&dir->lock_fd);
	free(dir->root);
	free(dir->ns);
	free(dir->id);
	free(dir->path);
	*dir = STATE_DIR_INIT;
}
