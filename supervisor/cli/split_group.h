/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * `--cgroups=split`: the cgroup that we are in, such as a unit's of systemd, becomes the one above both
 * cleat and the container, so that what is set about it holds for both and whoever empties it leaves
 * nothing. It must be of version 2, ours to divide (Delegate=yes), and have no other process in it.
 *
 *   OWN/cleat        this process, and the shim, which it starts later
 *   OWN/container    the container: its linux.cgroupsPath
 */

#include "common/error.h"

/*
 * Moves this process. *ret: the container's group as config.json wants it, from the root of the hierarchy;
 * the caller frees. CODE_FAILED_PRECONDITION without cgroup v2 alone, or as the errno says.
 */
int split_group(char **ret, struct error *err);
