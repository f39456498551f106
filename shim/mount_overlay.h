/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Overlay mounts whose options are longer than the page that mount(2) takes: an image of many
 * layers with long paths. First the lower folders are named relative to the folder that all have
 * in common; if that is still too long, each goes by a call of its own (Linux 6.8).
 */

#include <stdbool.h>

#include "common/error.h"

/* Whether mount(2) takes data whole. */
bool mount_data_fits(const char *data);

/*
 * Mounts overlay on target (an O_PATH descriptor) with data of any length. Changes the working
 * folder of this process, so it is for a child that ends soon. flags: MS_*. 0 or a code, with a
 * sentence without the name of the mount.
 */
int overlay_mount(
	const char *source, int target, unsigned long flags, const char *data, struct error *err);
