/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The lock of one container's folder, for state_dir.c and state_bundle.c. A shim holds it
 * exclusively for life, through a descriptor that it inherited.
 */

/* Opens `lock` in dir; flags: O_CREAT and the like. A descriptor or -errno. */
int state_lock_open(int dir, int flags);

/* flock(2) that does not wait: 0, -EWOULDBLOCK, or -errno. */
int state_lock_try(int lock_fd, int operation);

/* Takes the lock unless a shim has it. 0, -EWOULDBLOCK, or -errno. */
int state_lock_take(int lock_fd);

/*
 * Takes over an inherited descriptor: it must be the folder's own `lock` (else -EBADF) and locked (else
 * -ENOLCK). Not consumed; close-on-exec afterwards. 0 or -errno.
 */
int state_lock_adopt(int dir, int fd);
