/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files of a rotated log in their order: PATH.N the oldest, PATH the newest. They are renamed while
 * they are read; so a file is known by its inode, which stays its own while we have it open.
 */

#include <stdbool.h>
#include <sys/types.h>

struct log_file_id {
	dev_t dev;
	ino_t ino;
};

/* Opens the oldest of them, where is_rotated; else PATH itself. A descriptor or -errno. */
int log_files_oldest(const char *path, bool is_rotated);

/*
 * Opens the one that follows fd's file. A descriptor, -ENODATA where that is the newest (or the next one
 * is not there yet), or -errno. *ret_gap: that file is none of them any more, this is the oldest.
 */
int log_files_next(const char *path, bool is_rotated, int fd, bool *ret_gap);

/* Opens that one again. A descriptor, or -ENOENT. */
int log_files_find(const char *path, bool is_rotated, const struct log_file_id *id);

/* Whether PATH.N (0: PATH) is there and locked. */
bool log_files_is_locked(const char *path, unsigned n);

/* 0 or -errno. */
int log_files_id(int fd, struct log_file_id *ret);
