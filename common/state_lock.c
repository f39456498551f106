/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that are asked about without being in anybody's way. Subtle: to ask whether a lock is free
 * is to take it for a moment. It is asked with a shared lock, so that askers do not see each other,
 * and who wants the lock tells an asker (shared) from a shim (exclusive) in the same way.
 */
#include "common/state_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/clock.h"

#define ASKERS_MS 1000

int state_lock_open(int dir, int flags)
{
	int fd = openat(dir, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);

	return fd < 0 ? -errno : fd;
}

int state_lock_try(int lock_fd, int operation)
{
	return flock(lock_fd, operation | LOCK_NB) < 0 ? -errno : 0;
}

int state_lock_take(int lock_fd)
{
	int64_t deadline = clock_monotonic_ms() + ASKERS_MS;

	for (;;) {
		int r = state_lock_try(lock_fd, LOCK_SH);

		if (r < 0)
			return r;
		/* only askers are left, or others who want it; a failure drops our shared lock */
		r = state_lock_try(lock_fd, LOCK_EX);
		if (r != -EWOULDBLOCK || clock_monotonic_ms() > deadline)
			return r;
		sched_yield();
	}
}

int state_lock_adopt(int dir, int fd)
{
	_cleanup_close_ int other = state_lock_open(dir, 0);
	struct stat ours, there;

	if (other < 0)
		return other;
	if (fstat(fd, &ours) < 0 || fstat(other, &there) < 0)
		return -errno;
	if (ours.st_dev != there.st_dev || ours.st_ino != there.st_ino)
		return -EBADF;
	if (state_lock_try(other, LOCK_SH) != -EWOULDBLOCK)
		return -ENOLCK;
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}
