/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where a mount goes: below the rootfs, whatever links and ".." its target is made of. */

#include "common/error.h"

/*
 * The rootfs as the kernel writes it in mountinfo: its parent's real path and its own name. The
 * rootfs need not be there, its parent must; what is mounted on it is not touched. The caller
 * frees. 0, -EINVAL (not absolute, or without a name of its own), or as realpath(3).
 */
int rootfs_real_path(const char *rootfs, char **ret);

/*
 * Opens (O_PATH) what target means inside rootfs now, with what is mounted there: links and ".."
 * stay below rootfs. Where openat2(2) is missing (before Linux 5.6, or denied), a target with links
 * (-ELOOP) or ".." (-EINVAL) is refused. target may be NULL: the rootfs itself. 0 or -errno.
 */
int mount_target_open(const char *rootfs, const char *target, int *ret);
