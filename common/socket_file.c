/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes sockets in folders. Subtle: it binds through the folder's descriptor, so that no path is too
 * long for sun_path on our side, and under a mask, so that nobody else could ever have connected.
 */
#include "common/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"

#define LOCK_DEADLINE_MS 10000
#define LOCK_STEP_NS	 2000000

static int open_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

static void set_address(struct sockaddr_un *addr, int dir, const char *name)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%s", dir, name);
}

int socket_file_bind(const char *folder, const char *name, int *ret)
{
	_cleanup_close_ int dir = open_folder(folder);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;
	mode_t before;
	int r;

	if (dir < 0)
		return dir;
	if (fd < 0)
		return -errno;
	set_address(&addr, dir, name);
	before = umask(0177); /* 0600 from its first moment */
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(before);
	if (r < 0)
		return r;
	if (listen(fd, SOMAXCONN) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

/* The folder's path and the name in it. 0, or a code. */
static int split(const char *path, char **ret_folder, const char **ret_name, struct error *err)
{
	const char *slash = strrchr(path, '/');

	if (*path != '/' || !slash[1] || strlen(path) > SOCKET_FILE_MAX)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"socket \"%.200s\": must be an absolute path of %d bytes at most", path,
			SOCKET_FILE_MAX);
	*ret_folder = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	*ret_name = slash + 1;
	return *ret_folder ? 0 : error_errno(err, -ENOMEM, "socket");
}

static int make_folders(char *path)
{
	for (char *slash = path; slash;) {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -errno;
		if (slash)
			*slash = '/';
	}
	return 0;
}

/* flock(2) has no deadline of its own, and a holder may be stopped. */
static int lock(int fd)
{
	const struct timespec step = { .tv_nsec = LOCK_STEP_NS };
	int64_t deadline = clock_monotonic_ms() + LOCK_DEADLINE_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (clock_monotonic_ms() > deadline)
			return -ETIMEDOUT;
		nanosleep(&step, NULL);
	}
	return 0;
}

int socket_file_lock(const char *path, int *ret, struct error *err)
{
	_cleanup_free_ char *folder = NULL;
	_cleanup_close_ int fd = -1;
	const char *name;
	int r = split(path, &folder, &name, err);

	if (r != 0)
		return r;
	r = make_folders(folder);
	if (r == 0) {
		fd = open_folder(folder);
		r = fd < 0 ? fd : lock(fd);
	}
	if (r == -ETIMEDOUT)
		return error_set(err, CODE_DEADLINE_EXCEEDED,
			"%s: another start has held its lock for %d s", folder,
			LOCK_DEADLINE_MS / 1000);
	if (r < 0)
		return error_errno(err, r, "folder %s", folder);
	*ret = TAKE_FD(fd);
	return 0;
}

bool socket_file_is_live(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	_cleanup_close_ int dir = -1;
	_cleanup_free_ char *folder = NULL;
	struct sockaddr_un addr;
	const char *name;

	if (fd < 0 || split(path, &folder, &name, NULL) != 0)
		return false;
	dir = open_folder(folder);
	if (dir < 0)
		return false;
	set_address(&addr, dir, name);
	/* one that is too busy to take us at once is alive */
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 || errno == EAGAIN;
}

bool socket_file_is_dead(int folder, const char *name)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;
	struct stat st;

	if (fd < 0 || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	set_address(&addr, folder, name);
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == ECONNREFUSED;
}

int socket_file_replace(const char *path, int *ret, struct error *err)
{
	_cleanup_free_ char *folder = NULL;
	const char *name;
	struct stat st;
	int r = split(path, &folder, &name, err);

	if (r != 0)
		return r;
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return error_set(err, CODE_ALREADY_EXISTS, "%s is there, and no socket", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(err, -errno, "socket %s", path);
	r = socket_file_bind(folder, name, ret);
	return r < 0 ? error_errno(err, r, "socket %s", path) : 0;
}
