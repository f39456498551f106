/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A container's own group in each hierarchy that counts or limits something, as descriptors of
 * the folders. Where the container shares a group with the shim, or lies above it, there is none:
 * its figures would be somebody else's.
 */

#include <stdbool.h>

#include "shim/cgroup_places.h"

/* The controllers of version 1 that tell figures. */
enum cgroup_controller {
	CGROUP_CPU,
	CGROUP_CPUACCT,
	CGROUP_MEMORY,
	CGROUP_PIDS,
	CGROUP_BLKIO,
	CGROUP_HUGETLB,
	CGROUP_RDMA,
	_CGROUP_CONTROLLER_MAX,
};

struct cgroup_folders {
	int v1[_CGROUP_CONTROLLER_MAX]; /* -1: none */
	int v2;				/* -1: none, or a host that has controllers in version 1 */
};

#define CGROUP_FOLDERS_INIT                                                                        \
	((struct cgroup_folders){ .v1 = { -1, -1, -1, -1, -1, -1, -1 }, .v2 = -1 })

/*
 * Opens the groups of theirs that are not own's. A folder that is gone, or cannot be opened, is
 * left out. Of a host with controllers in both versions, version 1 (as containerd has it).
 */
void cgroup_folders_open(const struct cgroup_places *theirs, const struct cgroup_places *own,
	struct cgroup_folders *ret);
/* Safe to repeat. */
void cgroup_folders_close(struct cgroup_folders *folders);

/* Whether there is any. */
bool cgroup_folders_are_there(const struct cgroup_folders *folders);
