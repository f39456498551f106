/* SPDX-License-Identifier: Apache-2.0 */
/*
 * There and back again. Never mounts for others to see. Subtle: setns(2) puts us into the root of the
 * namespace, whatever chroot we were in, so the root is kept by a descriptor; that helps here, too,
 * for propagation is only cut off at a mount's own root, which that of a chroot need not be.
 */
#include "shim/mount_aside.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/fd.h"

static void aside_close(struct mount_aside *a)
{
	fd_close(&a->ns);
	fd_close(&a->root);
}

static int aside_here(struct mount_aside *ret)
{
	ret->ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (ret->ns < 0)
		return -errno;
	ret->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return ret->root < 0 ? -errno : 0;
}

static int stand_in(const struct mount_aside *a)
{
	if (setns(a->ns, CLONE_NEWNS) < 0 || fchdir(a->root) < 0 || chroot(".") < 0)
		return -errno;
	return 0;
}

/* In the copy: what happens outside may be seen, what we do may not. */
static int cut_off(void)
{
	struct mount_aside copy = MOUNT_ASIDE_INIT;
	int r = aside_here(&copy);

	if (r == 0 && (setns(copy.ns, CLONE_NEWNS) < 0 ||
			      mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0))
		r = -errno;
	if (r == 0)
		r = stand_in(&copy);
	aside_close(&copy);
	return r;
}

int mount_aside_enter(struct mount_aside *ret, struct error *err)
{
	struct mount_aside from = MOUNT_ASIDE_INIT;
	int r = aside_here(&from);

	if (r == 0)
		r = stand_in(&from); /* whether we may come back is seen before we go */
	if (r == 0 && unshare(CLONE_NEWNS) < 0)
		r = -errno;
	if (r < 0) {
		aside_close(&from);
		return error_errno(err, r, "a mount namespace to prepare it in");
	}
	r = cut_off();
	if (r < 0) {
		mount_aside_leave(&from);
		return error_errno(err, r, "a mount namespace to prepare it in");
	}
	*ret = from;
	return 0;
}

void mount_aside_leave(struct mount_aside *aside)
{
	if (stand_in(aside) < 0)
		_exit(MOUNT_ASIDE_LOST);
	aside_close(aside);
}
