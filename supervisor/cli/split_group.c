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
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"

#define ROOT	    "/sys/fs/cgroup"
#define OURS	    "/cleat"
#define CONTAINERS  "/container"
#define LIMIT_GROUP (64u << 10)

int split_group_parse(const char *text, char **ret)
{
	const char *end = strchr(text, '\n');
	size_t n = end ? (size_t)(end - text) : strlen(text);

	if (strncmp(text, "0::/", 4) != 0 || (end && end[1]))
		return -EINVAL;
	/* the root's own is "", so that a name can follow */
	n -= 3;
	*ret = strndup(text + 3, n == 1 ? 0 : n);
	return *ret ? 0 : -ENOMEM;
}

static int read_own(char **ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_close_ int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd_read_all(fd, &text, LIMIT_GROUP);

	if (r == 0)
		r = buf_append(&text, "", 1);
	return r == 0 ? split_group_parse((const char *)buf_head(&text), ret) : r;
}

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
	int r = read_own(&own);

	if (r == -EINVAL)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"--cgroups=split needs cgroups of version 2, and none of version 1");
	if (r == 0 && (asprintf(&ours, ROOT "%s" OURS, own) < 0 ||
			      asprintf(&container, "%s" CONTAINERS, own) < 0))
		r = -ENOMEM;
	if (r == 0)
		r = enter(ours);
	if (r < 0)
		return error_errno(err, r, "--cgroups=split: %s", ours ? ours : "own cgroup");
	*ret = TAKE_PTR(container);
	return 0;
}
