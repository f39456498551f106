/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What overlay is told to mount, "lowerdir=/a:/b,upperdir=/u,workdir=/w", as the kernel reads it. */

#include "common/argv.h"

#define OVERLAY_LOWERDIR "lowerdir="

/* Adds to ret what stands between separators that are not escaped, escapes and all. 0 or -ENOMEM. */
int overlay_split(const char *s, char separator, struct argv *ret);

/* In place: takes the backslashes of a path away. */
void overlay_unescape(char *s);

/*
 * Rewrites the lowerdir in data relative to a common folder: *ret_data and *ret_dir are the
 * caller's to free. 0, or -ENOENT where there is no lowerdir or no folder in common but "/".
 */
int overlay_make_relative(const char *data, char **ret_data, char **ret_dir);

/* Adds to ret every folder below the upper one, as a path without escapes. 0 or -ENOMEM. */
int overlay_layers(const char *data, struct argv *ret);

/*
 * What follows key ("upperdir=") as a path without escapes, the caller's to free; NULL where the
 * key is missing. 0 or -ENOMEM.
 */
int overlay_value(const char *data, const char *key, char **ret);
