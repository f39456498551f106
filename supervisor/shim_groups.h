/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The cgroups of the shims that cleatd starts: each shim has one of its own, all of them below one that
 * is named on cleatd's command line, and cleatd is in none of them.
 *
 *   WHERE/shim-NS@ID     the shim
 *   WHERE/ID             its container, unless its config.json says otherwise: what a runtime makes up is
 *                        beside the group that it was called from (runc, libcontainer/cgroups/fs2)
 *
 * So WHERE is not to have a process itself: controllers are handed down from it.
 */

#include <event2/event.h>

struct shim_groups;

/*
 * where: a group's path, from the root of the hierarchy where it begins with "/", or from cleatd's own group
 * ("../cleat-containers.service"). It need not be there. What an earlier cleatd has left empty below it is
 * removed. *ret is NULL, and there is a line in the log, where there can be no such group: cgroups of version 1,
 * or none above it. 0 or -ENOMEM.
 */
int shim_groups_new(struct event_base *base, const char *where, struct shim_groups **ret);
/*
 * What has left goes now if it is empty; what is not is told in the log, and is for the next cleatd. Takes NULL.
 */
void shim_groups_free(struct shim_groups *g);

/*
 * The group of a shim that is about to be started; *ret: as its `-cgroup` wants it; the caller frees. NULL in
 * it where g is NULL: the shim stays where it is started. 0 or -ENOMEM.
 */
int shim_groups_take(struct shim_groups *g, const char *ns, const char *id, char **ret);

/* A shim has ended or is about to: its group goes as soon as it is empty. g may be NULL. */
void shim_groups_leave(struct shim_groups *g, const char *ns, const char *id);
