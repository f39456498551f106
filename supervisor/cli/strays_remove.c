/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes what strays.c has found, by the kind. Whatever has a lock is looked at once more while it is
 * held. Subtle: a runtime's state has no lock, but its container's name has: for as long as it is
 * deleted there is a container's folder of that name, ours, so that nobody creates one meanwhile. Should
 * we be killed there, the folder is one of a start that died.
 */
#include "supervisor/cli/strays.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/orphan.h"
#include "common/socket_file.h"
#include "common/state_dir.h"

/* Nobody can have begun to serve it since: see strays.c. */
static int remove_socket(const char *root, const struct stray *s, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;

	if (asprintf(&path, "%s/s", root) < 0)
		return error_errno(err, -ENOMEM, "%s", s->what);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, -errno, "%s", path);
	if (faccessat(fd, s->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	if (!socket_file_is_dead(fd, s->name))
		return error_set(err, CODE_FAILED_PRECONDITION, "%s: somebody serves it", s->what);
	if (unlinkat(fd, s->name, 0) < 0 && errno != ENOENT)
		return error_errno(err, -errno, "%s", s->what);
	return 0;
}

static int open_locked(
	const char *root, const struct stray *s, struct state_dir *ret, struct error *err)
{
	int r = state_dir_open(root, s->ns, s->id, ret, err);

	return r == 0 ? state_dir_lock(ret, err) : r;
}

static int remove_unfinished(const char *root, const struct stray *s, struct error *err)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	_cleanup_(shim_record_deinit) struct shim_record shim = { 0 };
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	int r = open_locked(root, s, &dir, err);

	if (r != 0)
		return r;
	if (container_record_read(&dir, &record, NULL) != CODE_NOT_FOUND)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: there is a container in it now", s->id);
	if (shim_record_read(&dir, &shim, NULL) == 0 && shim.socket)
		unlink(shim.socket);
	return state_dir_remove(&dir, err);
}

/* What is dead stays so, and nothing starts where no shim is: it is as it was, or is another by now. */
static int remove_container(const char *root, const struct stray *s, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	int r = state_dir_open(root, s->ns, s->id, &dir, err);

	return r == 0 ? orphan_delete(&dir, false, err) : r;
}

static int remove_temporary(const char *root, const struct stray *s, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	int r = open_locked(root, s, &dir, err);

	if (r == 0 && unlinkat(dir.fd, s->name, 0) < 0 && errno != ENOENT)
		r = error_errno(err, -errno, "%s", s->what);
	return r;
}

static int delete_state(const char *root, const struct stray *s, struct error *err)
{
	enum stray_fate fate = STRAY_LEFT;
	_cleanup_free_ char *why = NULL;
	int r = stray_judge_runtime(root, s->ns, s->id, &fate, &why, err);

	if (r == 0 && fate != STRAY_GOES)
		r = error_set(err, CODE_FAILED_PRECONDITION, "%s: %s", s->what, why);
	return r == 0 ? stray_delete_runtime(root, s->ns, s->id, err) : r;
}

static int remove_runtime(const char *root, const struct stray *s, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_error_ struct error late = ERROR_INIT;
	int r = state_prepare(root, s->ns, err), left;

	if (r == 0)
		r = state_dir_create(root, s->ns, s->id, &dir, err);
	if (r != 0)
		return error_wrap(err, "%s", s->what);
	r = delete_state(root, s, err);
	left = state_dir_remove(&dir, &late);
	if (r == 0 && left != 0) {
		error_move(err, &late);
		r = left;
	}
	return r;
}

static int (*const removers[])(const char *root, const struct stray *s, struct error *err) = {
	[STRAY_SOCKET] = remove_socket,
	[STRAY_UNFINISHED] = remove_unfinished,
	[STRAY_CONTAINER] = remove_container,
	[STRAY_ORPHAN] = NULL,
	[STRAY_RUNTIME] = remove_runtime,
	[STRAY_TEMPORARY] = remove_temporary,
};
_Static_assert(sizeof(removers) / sizeof(*removers) == _STRAY_KIND_MAX, "one for each");

int stray_remove(const char *root, const struct stray *s, struct error *err)
{
	int r;

	if (s->fate == STRAY_LEFT || !removers[s->kind])
		return error_set(err, CODE_FAILED_PRECONDITION, "%s: %s", s->what, s->why);
	r = removers[s->kind](root, s, err);
	/* somebody else was faster; not of a runtime's state, which has no folder of its own */
	if (r == CODE_NOT_FOUND && s->kind != STRAY_RUNTIME) {
		error_clear(err);
		r = 0;
	}
	return r;
}
