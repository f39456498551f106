/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Never touches the folder of a container that the runtime knows, nor a name that the
 * runtime does not give.
 * Subtle: only what is itself below the folder is unmounted, by the folder's descriptor and never
 * through a link; a mount that lies on another takes as many calls.
 */
#include "common/runtime_leftover.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/ids.h"
#include "common/limits.h"

#define MOUNTS_MOST 16 /* on one name */

/* runc.XXXXXX, as mkstemp(3) makes it. */
static bool is_own_copy(const char *name)
{
	size_t n = 0;

	if (strncmp(name, "runc.", 5) != 0)
		return false;
	while (isalnum((unsigned char)name[5 + n]))
		n++;
	return n == 6 && name[5 + n] == '\0';
}

static int remove_copy(int dir, const char *name)
{
	char path[FD_PATH_MAX + NAME_MAX + 2], folder[FD_PATH_MAX];

	fd_path(dir, folder);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	for (int i = 0; i < MOUNTS_MOST; i++)
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			break;
	/* what is no mount point any more, or never was one, can be removed: this tells */
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_files(int dir_fd)
{
	_cleanup_close_ int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return -errno;
	TAKE_FD(fd);
	while (r == 0 && (errno = 0, entry = readdir(dir)))
		if (is_own_copy(entry->d_name))
			r = remove_copy(dir_fd, entry->d_name);
	if (r == 0 && errno)
		r = -errno;
	if (r == 0 && unlinkat(dir_fd, "exec.fifo", 0) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

/* In ROOT/ID. 1 if it is gone, 0 if the container is still known. */
static int remove_folder(int root, int dir, const char *id)
{
	struct stat st;
	int r;

	if (fstatat(dir, "state.json", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	r = remove_files(dir);
	if (r == 0 && unlinkat(root, id, AT_REMOVEDIR) < 0)
		r = errno == ENOENT ? 0 : -errno;
	return r < 0 ? r : 1;
}

/* The root that is the container's own. As remove_folder(). */
static int remove_own_root(const struct runtime *rt, int root, const char *id)
{
	const char *slash = strrchr(rt->root, '/');
	char name[2 * LIMIT_ID + 32];
	struct stat st;

	if (!slash || strcmp(slash + 1, id) != 0)
		return 0;
	snprintf(name, sizeof(name), "%s_sandbox:%s.state", id, id);
	if (fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	snprintf(name, sizeof(name), "%s_sandbox:%s.lock", id, id);
	if (unlinkat(root, name, 0) < 0 && errno != ENOENT)
		return -errno;
	return rmdir(rt->root) < 0 && errno != ENOENT ? -errno : 1;
}

int runtime_leftover_remove(const struct runtime *rt, const char *id)
{
	_cleanup_close_ int root = -1, dir = -1;

	if (rt->kind == RUNTIME_CRUN || id_check(id, "container id", NULL) != 0)
		return 0;
	root = open(rt->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return errno == ENOENT ? 0 : -errno;
	if (rt->kind == RUNTIME_RUNSC)
		return remove_own_root(rt, root, id);
	dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	return remove_folder(root, dir, id);
}
