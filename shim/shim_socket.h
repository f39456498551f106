/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The socket that a shim serves: how it is named and made. Never accepts anything.
 */

#include <stdbool.h>

#include "common/error.h"

#define SHIM_SOCKET_FOLDER "/run/containerd/s"
#define SHIM_SOCKET_MAX	   107 /* bytes of a path that a client can connect to */

/*
 * Below ROOT, under a random name: ROOT/s/<16 hex>. It listens, 0600. *ret_path: the caller's to free; *ret:
 * its descriptor.
 */
int shim_socket_make(const char *root, char **ret_path, int *ret, struct error *err);

/*
 * The path that containerd's shims have: FOLDER/<SHA-256 of address/ns/id>, address being that of
 * containerd's own gRPC socket. folder NULL or empty: SHIM_SOCKET_FOLDER. The caller frees.
 * CODE_INVALID_ARGUMENT for a folder that is no absolute path, or with which it is too long.
 */
int shim_socket_name(const char *folder, const char *address, const char *ns, const char *id,
	char **ret, struct error *err);

/*
 * The lock of the folder that path is in, which is made if it is not there (0700; one that is there is
 * left as it is). Held, by closing *ret, from the look at what has the name to the new shim's first
 * word: of two starts of one id the later finds the other's. Waits 10 s at most:
 * CODE_DEADLINE_EXCEEDED.
 */
int shim_socket_lock(const char *path, int *ret, struct error *err);

/* Whether somebody listens there. */
bool shim_socket_is_live(const char *path);

/* By the lock's holder: as shim_socket_make(), at path, where a socket that nobody serves is replaced. */
int shim_socket_replace(const char *path, int *ret, struct error *err);
