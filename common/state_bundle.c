/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's folder that is not ours to remove. Subtle: the client may remove it at any time,
 * also while a shim that ends is still in it; nothing is an error because it is gone already.
 */
#include "common/state_bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/ids.h"
#include "common/state_lock.h"

static int fill_names(struct state_dir *dir, const char *path, const char *ns, const char *id)
{
	dir->ns = strdup(ns);
	dir->id = strdup(id);
	dir->path = strdup(path);
	return dir->ns && dir->id && dir->path ? 0 : -ENOMEM;
}

int state_bundle_open(
	const char *path, const char *ns, const char *id, struct state_dir *ret, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	int r = id_check(ns, "namespace", err);

	if (r == 0)
		r = id_check(id, "container id", err);
	if (r == 0 && *path != '/')
		r = error_set(err, CODE_INVALID_ARGUMENT,
			"bundle \"%.200s\" is not an absolute path", path);
	if (r != 0)
		return r;
	r = fill_names(&dir, path, ns, id);
	if (r == 0) {
		dir.fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = dir.fd < 0 ? -errno : 0;
	}
	if (r < 0)
		return error_errno(err, r, "container %s: bundle %s", id, path);
	*ret = dir;
	dir = STATE_DIR_INIT;
	return 0;
}

static int check_unused(const struct state_dir *dir, struct error *err)
{
	struct stat st;

	if (fstatat(dir->fd, "state.json", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0
				       : error_errno(err, -errno, "container %s: %s/state.json",
						 dir->id, dir->path);
	return error_set(err, CODE_FAILED_PRECONDITION,
		"container %s: its shim is dead and it has not been deleted yet", dir->id);
}

int state_bundle_create(
	const char *path, const char *ns, const char *id, struct state_dir *ret, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	int r = state_bundle_open(path, ns, id, &dir, err);

	if (r != 0)
		return r;
	dir.lock_fd = state_lock_open(dir.fd, O_CREAT);
	r = dir.lock_fd < 0 ? dir.lock_fd : state_lock_take(dir.lock_fd);
	if (r == -EWOULDBLOCK)
		return error_set(err, CODE_ALREADY_EXISTS, "container %s: its shim is alive", id);
	if (r < 0)
		return error_errno(err, r, "container %s: %s/lock", id, path);
	r = check_unused(&dir, err);
	if (r != 0)
		return r;
	unlinkat(dir.fd, "exits.jsonl", 0);
	*ret = dir;
	dir = STATE_DIR_INIT;
	return 0;
}

int state_bundle_adopt(const char *path, const char *ns, const char *id, int lock_fd_take,
	struct state_dir *ret, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_close_ int lock_fd = lock_fd_take;
	int r = state_bundle_open(path, ns, id, &dir, err);

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

int state_bundle_clear(struct state_dir *dir, struct error *err)
{
	static const char *const names[] = { "init.pid", "shim.json", "state.json" };
	int r = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (unlinkat(dir->fd, names[i], 0) < 0 && errno != ENOENT && r == 0)
			r = error_errno(
				err, -errno, "container %s: %s/%s", dir->id, dir->path, names[i]);
	if (r == 0)
		fd_close(&dir->fd);
	return r;
}
