/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A container's rootfs, mounted and unmounted for good: all of a list or nothing. Everything here
 * blocks, so it runs in a child of the shim (mount_verb.h).
 */

#include <stddef.h>

#include "common/error.h"
#include "shim/mount_spec.h"

/*
 * Mounts the list in order on rootfs (absolute; made with mode 0711 if it is not there). On
 * failure what was mounted is unmounted again, and what was made removed. 0 or a code; the
 * sentence names the mount.
 */
int rootfs_mount(const char *rootfs, const struct mount_spec *mounts, size_t n, struct error *err);

/*
 * Unmounts everything at or below rootfs. Nothing mounted, or no such folder: 0. *ret_n_detached
 * counts what was in use to the end and had to be detached.
 */
int rootfs_unmount(const char *rootfs, unsigned *ret_n_detached, struct error *err);
