/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening FIFOs without ever waiting for the other side. Subtle: the second end is opened through
 * the descriptor of the first, so that both are of the same FIFO whatever becomes of the path.
 */
#include "shim/stdio_ends.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/fd.h"

/* The reading end: opening that one never fails for want of the other. */
static int fifo_open_read(const char *path, int *ret, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 && errno == ENXIO) /* a socket, or a device that is not there */
		return error_set(err, CODE_INVALID_ARGUMENT, "not a FIFO");
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, -errno, "open");
	if (!S_ISFIFO(st.st_mode))
		return error_set(err, CODE_INVALID_ARGUMENT, "%s, not a FIFO",
			S_ISDIR(st.st_mode) ? "a folder" : "a file");
	*ret = TAKE_FD(fd);
	return 0;
}

static int fifo_open_write(int reading, int *ret, struct error *err)
{
	char path[FD_PATH_MAX];

	fd_path(reading, path);
	*ret = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	return *ret < 0 ? error_errno(err, -errno, "open for writing") : 0;
}

int stdio_fifo_read(const char *path, bool keep_writer, struct stream_end *ret, int *ret_keep,
	struct error *err)
{
	_cleanup_close_ int reading = -1;
	int keep = -1, r;

	r = fifo_open_read(path, &reading, err);
	if (!r && keep_writer)
		r = fifo_open_write(reading, &keep, err);
	if (r)
		return r;
	*ret = (struct stream_end){ TAKE_FD(reading), STREAM_PIPE };
	*ret_keep = keep;
	return 0;
}

int stdio_fifo_write(const char *path, struct stream_end *ret, int *ret_keep, struct error *err)
{
	_cleanup_close_ int reading = -1;
	int writing, r;

	r = fifo_open_read(path, &reading, err);
	if (!r)
		r = fifo_open_write(reading, &writing, err);
	if (r)
		return r;
	*ret = (struct stream_end){ writing, STREAM_PIPE };
	*ret_keep = TAKE_FD(reading);
	return 0;
}
