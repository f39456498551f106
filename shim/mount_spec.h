/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One mount of a container's rootfs as a client asks for it, and a list of them as bytes, which
 * is how the shim hands it to the child that mounts.
 */

#include <stddef.h>

#include "common/argv.h"
#include "common/buf.h"
#include "common/error.h"

struct mount_spec {
	char *type, *source, *target; /* target: relative to the rootfs; may be NULL */
	struct argv options;
};

/* Frees what an array of n holds, and the array. Takes NULL. */
void mount_specs_free(struct mount_spec *mounts, size_t n);

/*
 * What can be said of a list before anything is done: 0, or CODE_INVALID_ARGUMENT with a sentence
 * that names the mount and the option. rootfs is for the sentence.
 */
int mount_specs_check(
	const struct mount_spec *mounts, size_t n, const char *rootfs, struct error *err);

/* "mount overlay on /b/rootfs" for sentences; NULL without memory. The caller frees. */
char *mount_spec_text(const struct mount_spec *m, const char *rootfs);

/* To bytes (appended to ret) and back (*ret: an array of *ret_n). 0, -EINVAL or -ENOMEM. */
int mount_specs_encode(const struct mount_spec *mounts, size_t n, struct buf *ret);
int mount_specs_decode(const struct buf *in, struct mount_spec **ret, size_t *ret_n);
