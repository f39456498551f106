/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A mount's options in the words of fstab(5), as containerd sends them: what the kernel has a flag
 * for becomes flags, everything else is data for the file system.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/argv.h"
#include "common/error.h"

struct mount_spec;

#define MOUNT_PROPAGATIONS_MAX 8

struct mount_options {
	unsigned long flags;   /* MS_*, without those of propagation */
	unsigned long cleared; /* flags that an option took back ("rw", "suid", ...) */
	unsigned long propagation[MOUNT_PROPAGATIONS_MAX]; /* in order, each a call of its own */
	size_t n_propagation;
	char *uid_map, *gid_map; /* lines as id_map.h makes them; both or neither */
	struct argv data;
};

#define MOUNT_OPTIONS_INIT	((struct mount_options){ .data = ARGV_INIT })
#define _cleanup_mount_options_ __attribute__((cleanup(mount_options_deinit)))

/*
 * CODE_INVALID_ARGUMENT by name for what we do not do (loop devices, mount helpers, X-containerd.*),
 * for ids that are mapped wrongly or half, and for a bind whose source is not absolute: a path means
 * nothing relative to wherever the shim happens to stand.
 */
int mount_options_parse(struct mount_options *ret, const struct mount_spec *m, struct error *err);
void mount_options_deinit(struct mount_options *o);

/* The data as one string, joined by commas. NULL without memory; the caller frees. */
char *mount_options_data(const struct mount_options *o);
