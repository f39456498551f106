/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Small helpers over descriptors. Every descriptor they make is close-on-exec. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf;

/* Closes *fd if it is open and sets it to -1. */
void fd_close(int *fd);

/* Sets or clears O_NONBLOCK. 0 or -errno. Never used on a descriptor that a caller passed us. */
int fd_set_nonblock(int fd, bool on);

/* pipe2(O_CLOEXEC | flags). 0 or -errno. */
int fd_pipe(int *ret_read, int *ret_write, int flags);

/* Writes all of it, through short writes and EINTR, to a blocking descriptor. 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t n);

/*
 * Reads to end of file into buf (appended). More than limit bytes: -EFBIG. A non-blocking
 * descriptor that runs dry: -EAGAIN. 0 or -errno.
 */
int fd_read_all(int fd, struct buf *buf, size_t limit);

/*
 * Opens path relative to dir (AT_FDCWD for none) for reading, never through a symbolic link at
 * its end, never blocking on a FIFO, and reads a regular file of limit bytes at most. -ELOOP for a
 * link, -EINVAL for what is not a regular file, -EFBIG past limit; else as open(2) and read(2).
 */
int fd_read_file(int dir, const char *path, struct buf *buf, size_t limit);

/*
 * Opens a pipe or FIFO anew, for the same access and with the same O_NONBLOCK, so that what is done to
 * the flags of the one does not show in the other. -EINVAL for anything else, or as open(2).
 */
int fd_reopen_pipe(int fd, int *ret);

/* A file in memory that holds n bytes, to be read from its beginning. 0 or -errno. */
int fd_of_data(const void *data, size_t n, int *ret);

/* /proc/self/fd/N for a descriptor, to reach what it stands for by path. */
#define FD_PATH_MAX 32
void fd_path(int fd, char ret[static FD_PATH_MAX]);

/* Number of open descriptors of this process, or -errno. */
int fd_count(void);
