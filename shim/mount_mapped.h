/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Mounts whose ids are mapped (uidmap=C:H:S, gidmap=C:H:S): what belongs to C+n on the disk belongs to
 * H+n in the mount, for the user namespace of a container in which H+n is n. Linux 5.12, overlay 5.19;
 * which file systems can is theirs to say.
 */

#include "common/error.h"

struct mount_options; /* mount_options.h */
struct mount_spec;    /* mount_spec.h */

/*
 * Mounts m, whose options are o, on target (an O_PATH descriptor of what m's target means inside
 * rootfs): a bind, and of an overlay the layers, with mapped ids; an overlay's upper folder has the ids
 * of the container already. What it needs in between is seen by nobody and goes with the process. May
 * change the working folder, so it is for a child. 0 or a code, with a sentence without the name of the
 * mount; CODE_FAILED_PRECONDITION where kernel or file system cannot.
 */
int mount_mapped(const char *rootfs, const struct mount_spec *m, const struct mount_options *o,
	int target, struct error *err);
