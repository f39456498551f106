/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The folder of a container whose client owns the folder: under containerd the files of
 * state_dir.h lie in the bundle, beside containerd's own, which makes it and removes it. The
 * functions of state_dir.h take what is opened here; its root is NULL.
 */

#include "common/error.h"
#include "common/state_dir.h"

/*
 * For a new shim: opens the bundle and takes the lock in it. The ledger of a container that was in it
 * before is removed. CODE_ALREADY_EXISTS: a shim has the lock. CODE_FAILED_PRECONDITION: a dead
 * shim's container is still there, to be deleted first. CODE_NOT_FOUND: no such folder.
 */
int state_bundle_create(
	const char *path, const char *ns, const char *id, struct state_dir *ret, struct error *err);

/* As state_dir_adopt(). */
int state_bundle_adopt(const char *path, const char *ns, const char *id, int lock_fd_take,
	struct state_dir *ret, struct error *err);

/* For reading. path is absolute, and no link. CODE_NOT_FOUND, CODE_INVALID_ARGUMENT. */
int state_bundle_open(
	const char *path, const char *ns, const char *id, struct state_dir *ret, struct error *err);

/*
 * By the holder: the container is gone. Removes what told of it but the ledger, from which its exit can
 * be asked until the bundle goes; dir->fd is -1 afterwards.
 */
int state_bundle_clear(struct state_dir *dir, struct error *err);
