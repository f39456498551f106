/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Never touches a folder that has a state.json, nor a name that runc does not give.
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

int runtime_leftover_remove(const struct runtime *rt, const char *id)
{
	_cleanup_close_ int root = -1, dir = -1;
	struct stat st;
	int r;

	if (rt->kind != RUNTIME_RUNC || id_check(id, "container id", NULL) != 0)
		return 0;
	root = open(rt->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return errno == ENOENT ? 0 : -errno;
	dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstatat(dir, "state.json", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	r = remove_files(dir);
	if (r == 0 && unlinkat(root, id, AT_REMOVEDIR) < 0)
		r = errno == ENOENT ? 0 : -errno;
	return r < 0 ? r : 1;
}
