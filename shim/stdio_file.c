/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a log file for appending. Subtle: it is opened non-blocking, or a path that turns out
 * to be a FIFO would hang the loop; but it may become a process's own stdout, so that is undone.
 */
#include "shim/stdio_ends.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"

/* Makes the folders above path, as containerd's shim does. */
static int make_folders(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST && errno != EISDIR)
			return -errno;
		*slash = '/';
	}
	return 0;
}

static int file_open_append(const char *path)
{
	int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);

	return fd < 0 ? -errno : fd;
}

/* Where there are no locks, there is none. */
static void lock_own_byte(int fd)
{
	struct flock byte = { .l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = ((off_t)1 << 62) + ((off_t)getpid() << 20) + fd,
		.l_len = 1 };

	fcntl(fd, F_OFD_SETLK, &byte);
}

int stdio_file_open(const char *path, int *ret, struct error *err)
{
	_cleanup_close_ int fd = file_open_append(path);
	struct stat st;
	int r;

	if (fd == -ENOENT) {
		r = make_folders(path);
		if (r < 0)
			return error_errno(err, r, "make its folder");
		fd = file_open_append(path);
	}
	if (fd == -EISDIR)
		return error_set(err, CODE_INVALID_ARGUMENT, "a folder, not a file");
	if (fd == -ENXIO)
		return error_set(err, CODE_INVALID_ARGUMENT, "a FIFO or socket, not a file");
	if (fd < 0)
		return error_errno(err, fd, "open");
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "fstat");
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return error_set(err, CODE_INVALID_ARGUMENT, "not a file");
	r = fd_set_nonblock(fd, false);
	if (r < 0)
		return error_errno(err, r, "open");
	lock_own_byte(fd);
	*ret = TAKE_FD(fd);
	return 0;
}
