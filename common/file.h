/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files that are there whole or not at all, and folders that go with all they hold. */

#include <stddef.h>
#include <sys/types.h>

/*
 * Writes name in dir by a new file (O_EXCL, mode) and rename, so that a reader sees the old or the
 * new one. Not synced: what we keep lies in /run. 0 or -errno (no temporary file is left).
 */
int file_write_atomic(int dir, const char *name, const void *data, size_t n, mode_t mode);

/*
 * Makes folder name in dir if it is not there. One that is there must be a real folder (-ENOTDIR,
 * -ELOOP), ours and open to nobody beyond mode (-EPERM). 0 or -errno.
 */
int dir_ensure(int dir, const char *name, mode_t mode);

/*
 * Removes name in dir with all that is in it, never following links; what can't be removed does
 * not keep the rest. 0 or the first -errno; ENOENT is 0.
 */
int remove_tree(int dir, const char *name);
