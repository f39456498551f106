/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The cgroup that this process is in, where the host has cgroups of version 2 alone. */

#define CGROUP2_ROOT "/sys/fs/cgroup"

/*
 * *ret: from the root of the hierarchy, "/system.slice/web.service", or "" for the root itself, so that
 * a name can follow; the caller frees. -EOPNOTSUPP where there is any hierarchy of version 1, or none of
 * version 2; -ENOMEM; or as reading /proc/self/cgroup failed.
 */
int own_cgroup(char **ret);

/* The same of the text of a /proc/PID/cgroup. */
int own_cgroup_parse(const char *text, char **ret);
