/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The client's end of a stream, opened: one function a scheme. Each fills err with a sentence
 * that says what is wrong, without stream and URI, which stdio.c puts before it.
 */

#include <stdbool.h>

#include "common/error.h"
#include "common/stdio_uri.h"
#include "shim/stream.h"

/*
 * A FIFO. ret is the end to copy from or to; ret_keep is the other end, which the caller keeps
 * open (-1 for none): of a FIFO that we write the reading end, so that its reader may leave and
 * come back, and what is in the FIFO outlives our writing end; of a FIFO that we read, where
 * keep_writer says so, the writing end, so that it never comes to its end.
 */
int stdio_fifo_read(const char *path, bool keep_writer, struct stream_end *ret, int *ret_keep,
	struct error *err);
int stdio_fifo_write(const char *path, struct stream_end *ret, int *ret_keep, struct error *err);

/*
 * A file to append to, made with its folders where missing. Blocking, as the process expects. A byte far
 * behind its end is locked for it (fcntl(2), F_OFD_SETLK), another one for each that is open: while there
 * is such a lock a reader knows that more may come.
 */
int stdio_file_open(const char *path, int *ret, struct error *err);

/*
 * A way to copy from or to a descriptor that we were sent, which is left as it is: pipes and
 * terminals are opened anew, since O_NONBLOCK belongs to the description that is shared with the
 * sender; sockets and files are duplicated.
 */
int stdio_fd_copy(int fd, bool write, struct stream_end *ret, struct error *err);
