/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. Never retries close(2): after EINTR the descriptor is gone on Linux. */
#include "common/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"

void fd_close(int *fd)
{
	cleanup_close(fd);
}

int fd_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int fd_pipe(int *ret_read, int *ret_write, int flags)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | flags) < 0)
		return -errno;
	*ret_read = fds[0];
	*ret_write = fds[1];
	return 0;
}

int fd_write_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int fd_read_all(int fd, struct buf *buf, size_t limit)
{
	size_t room = limit + 1;

	for (;;) {
		size_t want = room < 16384 ? room : 16384;
		uint8_t *to = buf_reserve(buf, want);
		ssize_t got;

		if (!to)
			return -ENOMEM;
		got = read(fd, to, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return 0;
		buf_commit(buf, (size_t)got);
		room -= (size_t)got;
		if (room == 0)
			return -EFBIG;
	}
}

int fd_read_file(int dir, const char *path, struct buf *buf, size_t limit)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > 0 && (size_t)st.st_size > limit)
		return -EFBIG;
	return fd_read_all(fd, buf, limit);
}

int fd_reopen_pipe(int fd, int *ret)
{
	_cleanup_close_ int again = -1;
	char path[FD_PATH_MAX];
	struct stat st;
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISFIFO(st.st_mode))
		return -EINVAL;
	fd_path(fd, path);
	/* without it the open would wait for the other side */
	again = open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_CLOEXEC);
	if (again < 0)
		return -errno;
	r = fd_set_nonblock(again, flags & O_NONBLOCK);
	if (r < 0)
		return r;
	*ret = TAKE_FD(again);
	return 0;
}

int fd_of_data(const void *data, size_t n, int *ret)
{
	_cleanup_close_ int fd = memfd_create("cleat", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, data, n);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

void fd_path(int fd, char ret[static FD_PATH_MAX])
{
	snprintf(ret, FD_PATH_MAX, "/proc/self/fd/%d", fd);
}

int fd_count(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (!d)
		return -errno;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ".", "..", and the folder's own descriptor */
}
