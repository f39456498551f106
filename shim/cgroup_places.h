/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where a process stands in each cgroup hierarchy of the host, and which folder that is: the text
 * of /proc/PID/cgroup put together with that of /proc/self/mountinfo. v1, v2 and hybrid hosts,
 * hierarchies that are mounted in part. Reads two files and nothing else.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/argv.h"

/* One hierarchy, and a process's group in it. */
struct cgroup_place {
	char *controllers; /* "pids", "cpu,cpuacct", "name=systemd"; "" for v2 */
	char *path;	   /* the process's group, absolute in the hierarchy */
	char *mount;	   /* where the hierarchy is mounted; NULL: nowhere */
	char *mount_root;  /* which group is mounted there: mostly "/" */
};

struct cgroup_places {
	struct cgroup_place *v;
	size_t n;
};

#define CGROUP_PLACES_INIT	((struct cgroup_places){ NULL, 0 })
#define _cleanup_cgroup_places_ __attribute__((cleanup(cgroup_places_deinit)))

void cgroup_places_deinit(struct cgroup_places *places);

/* The pure part. 0, -ENOMEM, or -EBADMSG for what is no such file. */
int cgroup_places_parse(const char *cgroup, const char *mountinfo, struct cgroup_places *ret);

/* Of a pid, or of this process with 0. -ESRCH if there is no such process; or another -errno. */
int cgroup_places_read(int pid, struct cgroup_places *ret);

static inline bool cgroup_place_is_v2(const struct cgroup_place *place)
{
	return !*place->controllers;
}

/*
 * The folder of a group in the place's hierarchy; the caller frees. NULL where it can't be reached
 * (not mounted, or outside of what is), or without memory.
 */
char *cgroup_place_folder(const struct cgroup_place *place, const char *path);

/*
 * Of theirs the place that tells best what is in their container: one in which their group is
 * neither own's nor one that own's lies in. NULL: there is none.
 */
const struct cgroup_place *cgroup_places_choose(
	const struct cgroup_places *theirs, const struct cgroup_places *own);

/*
 * Their place in the hierarchy of a controller of version 1, or of version 2 with "": NULL where
 * it is not mounted, or their group is own's or one that own's lies in.
 */
const struct cgroup_place *cgroup_places_find(const struct cgroup_places *theirs,
	const struct cgroup_places *own, const char *controller);

/*
 * The places of a process that has ended, as far as its groups are among folders (which were made
 * for it, parents first) and still there; own's elsewhere. 0 or -ENOMEM.
 */
int cgroup_places_made(
	const struct cgroup_places *own, const struct argv *folders, struct cgroup_places *ret);

/*
 * The folders of every group that a runtime may make for cgroups_path (NULL: none was given) and
 * id, parents first, whether they are there or not. A path that only systemd understands has none.
 * 0 or -ENOMEM.
 */
int cgroup_places_wanted(const struct cgroup_places *own, const char *cgroups_path, const char *id,
	struct argv *ret);
