/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The mounts at or below a folder, as /proc/self/mountinfo tells them, and their undoing. */

#include <stddef.h>

struct mount_entry {
	int id;
	char *path;
};

struct mount_table {
	struct mount_entry *v; /* in the order in which the kernel lists them: oldest first */
	size_t n;
};

#define MOUNT_TABLE_INIT      ((struct mount_table){ NULL, 0 })
#define _cleanup_mount_table_ __attribute__((cleanup(mount_table_deinit)))

void mount_table_deinit(struct mount_table *t);

/* path: real and absolute, without a slash at its end. 0 or -errno. */
int mount_table_read(const char *path, struct mount_table *ret);

/*
 * Unmounts everything at or below path but what is in keep (NULL: keeps nothing), the youngest
 * first. A mount that stays busy for MOUNT_BUSY_MS is detached and counted in *ret_n_detached.
 * Blocks. 0 or -errno.
 */
int mount_table_unmount(const char *path, const struct mount_table *keep, unsigned *ret_n_detached);
