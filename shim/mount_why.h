/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What was wrong with a mount that failed: mount(2) has a number for it and no names. */

#include "common/error.h"

/*
 * Fills err with what r (-errno) of a mount of type with data means: the folder of an overlay that
 * is missing, or is none, or does not go with another; else the options, where the kernel finds fault
 * with them; else the errno's words. Looks at the file system, so it is for a child. Returns the code;
 * the sentence is without the name of the mount.
 */
int mount_why(const char *type, const char *data, int r, struct error *err);
