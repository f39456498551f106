/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of a container, resolved inside of it. Never follows a link out. Subtle: a descriptor
 * stands for what was there when it was opened; after a mount on it, it has to be opened again.
 */
#include "shim/mount_target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"

#define MAX_RACES 64

int rootfs_real_path(const char *rootfs, char **ret)
{
	_cleanup_free_ char *copy = NULL, *parent = NULL;
	char *name, *joined;
	size_t n = strlen(rootfs);

	if (*rootfs != '/')
		return -EINVAL;
	copy = strdup(rootfs);
	if (!copy)
		return -ENOMEM;
	while (n > 0 && copy[n - 1] == '/')
		copy[--n] = '\0';
	name = strrchr(copy, '/');
	if (!name || strcmp(name, "/.") == 0 || strcmp(name, "/..") == 0)
		return -EINVAL;
	*name++ = '\0';
	parent = realpath(*copy ? copy : "/", NULL);
	if (!parent)
		return -errno;
	joined = malloc(strlen(parent) + strlen(name) + 2);
	if (!joined)
		return -ENOMEM;
	stpcpy(stpcpy(stpcpy(joined, parent), strcmp(parent, "/") == 0 ? "" : "/"), name);
	*ret = joined;
	return 0;
}

static int open_in_root(int root, const char *target)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int fd;

	/* EAGAIN: something was renamed or mounted meanwhile, and ".." could not be judged */
	for (int i = 0; i < MAX_RACES; i++) {
		fd = (int)syscall(SYS_openat2, root, target, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd >= 0 ? fd : -errno;
}

static int open_component(int dir, const char *name)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (strcmp(name, "..") == 0)
		return -EINVAL;
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	return TAKE_FD(fd);
}

static int open_by_walking(int root, const char *target)
{
	_cleanup_close_ int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);
	_cleanup_free_ char *copy = strdup(target);
	char *state = NULL;

	if (fd < 0)
		return -errno;
	if (!copy)
		return -ENOMEM;
	for (char *name = strtok_r(copy, "/", &state); name; name = strtok_r(NULL, "/", &state)) {
		int next = open_component(fd, name);

		if (next < 0)
			return next;
		close(fd);
		fd = next;
	}
	return TAKE_FD(fd);
}

int mount_target_open(const char *rootfs, const char *target, int *ret)
{
	_cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd;

	if (root < 0)
		return -errno;
	target = target ? target + strspn(target, "/") : "";
	if (!*target) {
		*ret = TAKE_FD(root);
		return 0;
	}
	fd = open_in_root(root, target);
	if (fd == -ENOSYS || fd == -EPERM) /* EPERM: old seccomp profiles */
		fd = open_by_walking(root, target);
	if (fd < 0)
		return fd;
	*ret = fd;
	return 0;
}
