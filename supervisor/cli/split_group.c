/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Makes the group that we go to; the container's is its runtime's to make and to remove,
 * and ours goes with whoever made the one above. Subtle: no process may stay in a group whose controllers
 * are handed down (cgroups(7), "no internal processes"), so we leave before the runtime does that.
 */
#include "supervisor/cli/split_group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/own_cgroup.h"

#define OURS	   "/cleat"
#define CONTAINERS "/container"

/* This process goes to the group, which is made. 0 or -errno. */
static int enter(const char *folder)
{
	_cleanup_close_ int dir = -1, procs = -1;

	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return -errno;
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	procs = dir < 0 ? -1 : openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	return procs < 0 ? -errno : fd_write_all(procs, "0", 1);
}

int split_group(char **ret, struct error *err)
{
	_cleanup_free_ char *own = NULL, *ours = NULL, *container = NULL;
	int r = own_cgroup(&own);

	if (r == -EOPNOTSUPP)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"--cgroups=split needs cgroups of version 2, and none of version 1");
	if (r == 0 && (asprintf(&ours, CGROUP2_ROOT "%s" OURS, own) < 0 ||
			      asprintf(&container, "%s" CONTAINERS, own) < 0))
		r = -ENOMEM;
	if (r == 0)
		r = enter(ours);
	if (r < 0)
		return error_errno(err, r, "--cgroups=split: %s", ours ? ours : "own cgroup");
	*ret = TAKE_PTR(container);
	return 0;
}
