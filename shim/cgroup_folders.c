/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of a container's groups. Reads nothing in them. Subtle: they are for not asking
 * another group that was made later under the same name; of a group that was removed the kernel
 * tells nothing any more, whatever is open.
 */
#include "shim/cgroup_folders.h"

#include <fcntl.h>

#include "common/cleanup.h"
#include "common/fd.h"

static const char *const controller_names[] = {
	[CGROUP_CPU] = "cpu",
	[CGROUP_CPUACCT] = "cpuacct",
	[CGROUP_MEMORY] = "memory",
	[CGROUP_PIDS] = "pids",
	[CGROUP_BLKIO] = "blkio",
	[CGROUP_HUGETLB] = "hugetlb",
	[CGROUP_RDMA] = "rdma",
};
_Static_assert(sizeof(controller_names) / sizeof(*controller_names) == _CGROUP_CONTROLLER_MAX,
	"a name each");

static int open_folder(const struct cgroup_place *place)
{
	_cleanup_free_ char *folder = place ? cgroup_place_folder(place, place->path) : NULL;

	return folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
}

void cgroup_folders_open(const struct cgroup_places *theirs, const struct cgroup_places *own,
	struct cgroup_folders *ret)
{
	*ret = CGROUP_FOLDERS_INIT;
	for (int i = 0; i < _CGROUP_CONTROLLER_MAX; i++)
		ret->v1[i] = open_folder(cgroup_places_find(theirs, own, controller_names[i]));
	if (!cgroup_folders_are_there(ret))
		ret->v2 = open_folder(cgroup_places_find(theirs, own, ""));
}

void cgroup_folders_close(struct cgroup_folders *folders)
{
	for (int i = 0; i < _CGROUP_CONTROLLER_MAX; i++)
		fd_close(&folders->v1[i]);
	fd_close(&folders->v2);
}

bool cgroup_folders_are_there(const struct cgroup_folders *folders)
{
	for (int i = 0; i < _CGROUP_CONTROLLER_MAX; i++)
		if (folders->v1[i] >= 0)
			return true;
	return folders->v2 >= 0;
}
