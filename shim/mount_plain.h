/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one call that puts a mount where it goes, for options of any length. */

#include "common/error.h"

struct mount_options; /* mount_options.h */
struct mount_spec;    /* mount_spec.h */

/*
 * Mounts m, whose options are o, on target (an O_PATH descriptor; afterwards it still stands for what
 * is beneath). The flags of a bind and propagation are not part of it. May change the working folder,
 * so it is for a child. 0 or a code, with a sentence without the name of the mount.
 */
int mount_plain(
	const struct mount_spec *m, const struct mount_options *o, int target, struct error *err);
