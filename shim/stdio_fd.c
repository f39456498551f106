/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying from and to descriptors that came with a call. Never changes them: what is set with
 * F_SETFL would be seen by their sender, who may be an interactive shell.
 */
#include "shim/stdio_ends.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/fd.h"

static bool is_pty_master(int fd)
{
	unsigned n;

	return ioctl(fd, TIOCGPTN, &n) == 0;
}

static int fd_check_mode(int fd, bool write, struct error *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return error_errno(err, -errno, "descriptor");
	if ((flags & O_PATH) || (flags & O_ACCMODE) == (write ? O_RDONLY : O_WRONLY))
		return error_set(err, CODE_INVALID_ARGUMENT, "not open for %s",
			write ? "writing" : "reading");
	return 0;
}

/* A description of our own for what fd stands for. */
static int fd_reopen(int fd, bool write, struct stream_end *ret, struct error *err)
{
	char path[FD_PATH_MAX];
	int own;

	fd_path(fd, path);
	own = open(path, (write ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (own < 0 && errno == ENXIO) { /* a pipe whose reader has left already */
		*ret = (struct stream_end){ -1, STREAM_PIPE };
		return 0;
	}
	if (own < 0)
		return error_errno(err, -errno, "open anew");
	*ret = stream_end_from_fd(own);
	return 0;
}

int stdio_fd_copy(int fd, bool write, struct stream_end *ret, struct error *err)
{
	struct stream_end end = stream_end_from_fd(fd);
	struct stat st;
	int r;

	r = fd_check_mode(fd, write, err);
	if (r)
		return r;
	if (is_pty_master(fd)) /* opened anew it would be another one */
		return error_set(err, CODE_INVALID_ARGUMENT, "a terminal's master");
	if (end.kind == STREAM_PIPE || end.kind == STREAM_TTY)
		return fd_reopen(fd, write, ret, err);
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "fstat");
	if (end.kind == STREAM_FILE && !S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return error_set(err, CODE_INVALID_ARGUMENT,
			"neither a pipe, a terminal, a socket nor a file");
	end.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (end.fd < 0)
		return error_errno(err, -errno, "duplicate");
	*ret = end;
	return 0;
}
