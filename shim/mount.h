/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The mounts of a container's rootfs, made and undone without waiting for them: the work is done
 * by a child (mount_verb.h) that has MOUNT_DEADLINE_MS. What is mounted at or below a rootfs on
 * which we mount counts as ours: unmount_begin() takes all of it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct mount_spec; /* mount_spec.h */
struct shim;

/* How it went; err is CODE_OK or the sentence, valid during the callback. */
typedef void (*mount_done)(const struct error *err, void *userdata);

/*
 * Begins to mount the list, in order, on rootfs (absolute). A list is mounted whole or not at all:
 * after a failure, and after the deadline, what was mounted is unmounted before done is told, and
 * with made (the folder was not there before this Create) the empty folder removed.
 * Copied: mounts and rootfs may go at once. CODE_INVALID_ARGUMENT names an option that we refuse.
 * done never runs from within; if this fails, it does not run at all.
 */
int mount_begin(struct shim *shim, const struct mount_spec *mounts, size_t n, const char *rootfs,
	bool made, mount_done done, void *userdata, struct error *err);

/*
 * Begins to unmount everything at or below rootfs, and with made to remove the folder if it is
 * empty then. Nothing mounted is success. done as above.
 */
int unmount_begin(struct shim *shim, const char *rootfs, bool made, mount_done done, void *userdata,
	struct error *err);
