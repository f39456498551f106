/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A folder for fuzzers of what is read from files: made once, in memory where there is a place for
 * that, and removed at the end.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/file.h"

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);         \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char folder_path[64];

static inline void folder_remove(void)
{
	remove_tree(AT_FDCWD, folder_path);
}

/* The folder's descriptor. */
static inline int folder(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	strcpy(folder_path, access("/dev/shm", W_OK) == 0 ? "/dev/shm/cleat-fuzz-XXXXXX"
							  : "/tmp/cleat-fuzz-XXXXXX");
	CHECK(mkdtemp(folder_path));
	fd = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	atexit(folder_remove);
	return fd;
}

static inline void folder_write(const char *name, const uint8_t *data, size_t n)
{
	int fd = openat(folder(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK(fd_write_all(fd, data, n) == 0);
	close(fd);
}
