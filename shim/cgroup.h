/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The container's cgroup, found through its init, read without the runtime. v1, v2 and hybrid
 * hosts; a container that shares our own cgroup has none of its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/argv.h"
#include "common/error.h"
#include "shim/cgroup_folders.h"

struct cgroup {
	int fd;	    /* the folder whose cgroup.procs lists the container; -1: none */
	char *path; /* for messages */
	struct cgroup_folders folders; /* where its figures are */
};

#define CGROUP_INIT ((struct cgroup){ -1, NULL, CGROUP_FOLDERS_INIT })

/* Finds the cgroup of a living pid. 0 (also where it has none of its own: fd is -1) or -errno. */
int cgroup_open(pid_t pid, struct cgroup *ret);
/* The same of one that has ended, by the folders that were made for it and are still there. */
int cgroup_open_made(const struct argv *made, struct cgroup *ret);
void cgroup_close(struct cgroup *g);
/* Whether the group that limits memory is among folders. */
bool cgroup_has_made_memory(const struct cgroup *g, const struct argv *made);

/*
 * Every process in it and in the groups nested in it. *ret: the caller frees. A group that is gone
 * is empty. 0 or -errno.
 */
int cgroup_pids(const struct cgroup *g, pid_t **ret, size_t *ret_n);
bool cgroup_has_pid(const struct cgroup *g, pid_t pid);

/*
 * Kills everything in it, each by a pidfd that was opened while the process was listed. Returns
 * how many were there (0: it is empty), or -errno.
 */
int cgroup_kill(const struct cgroup *g);

/*
 * Lets a group of v2 run again. There a frozen process can be killed, and its group stays frozen
 * with nobody in it, which runc 1.1 takes for a paused container and does not delete. 0, also where
 * there is nothing to thaw (v1, no group, one that is gone), or -errno.
 */
int cgroup_thaw(const struct cgroup *g);

/*
 * The folders that a runtime would make for a container: absolute cgroups_path (NULL: named by id
 * below our own group) under every hierarchy. Those that are not there yet are added to ret.
 */
int cgroup_missing(const char *cgroups_path, const char *id, struct argv *ret);
/* Removes those folders that are there now and empty (children first). */
void cgroup_remove_empty(const struct argv *folders);
