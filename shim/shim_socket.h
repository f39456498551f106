/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The socket that a shim serves: how it is named and made. Never accepts anything.
 */

#include "common/error.h"

#define SHIM_SOCKET_FOLDER "/run/containerd/s"

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
