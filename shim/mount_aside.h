/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A mount namespace of this process's own, a copy of the one that it comes from, to mount in what
 * nobody else is to see. All that is mounted in it is gone with it, whatever ends the process.
 */

#include "common/error.h"

struct mount_aside {
	int ns, root; /* where we come from */
};

#define MOUNT_ASIDE_INIT ((struct mount_aside){ -1, -1 })

/*
 * Goes aside: until mount_aside_leave() paths mean what they meant, in the copy, and nothing that is
 * mounted shows outside. The working folder becomes the root folder, so this is for a child that ends
 * soon. 0 or a code, with a sentence; then we are where we were.
 */
int mount_aside_enter(struct mount_aside *ret, struct error *err);

/*
 * Goes back. Descriptors of detached mounts (open_tree(2)) keep what they stand for. Should it not
 * succeed, the process ends with MOUNT_ASIDE_LOST, and whoever watches it undoes what it has done: here
 * it would look for it in the wrong place.
 */
#define MOUNT_ASIDE_LOST 3
void mount_aside_leave(struct mount_aside *aside);
