/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sockets that are files: made in a folder, and replaced where a dead server has left one. */

#include <stdbool.h>

#include "common/error.h"

#define SOCKET_FILE_MAX 107 /* bytes of a path that a client can connect to */

/* A listening stream socket of that name in a folder that is there, 0600. *ret: the caller's. 0 or -errno. */
int socket_file_bind(const char *folder, const char *name, int *ret);

/*
 * The lock of the folder that path is in, which is made if it is not there (0700; one that is there is
 * left as it is). Held, by closing *ret, from the look at what has the name to the new server's first
 * word: of two starts the later finds the other's. Waits 10 s at most: CODE_DEADLINE_EXCEEDED.
 * CODE_INVALID_ARGUMENT for what is no absolute path, or too long a one.
 */
int socket_file_lock(const char *path, int *ret, struct error *err);

/* Whether somebody listens there. */
bool socket_file_is_live(const char *path);

/*
 * Whether it is certain that nobody does: name in folder (a descriptor) is a socket, and the kernel
 * refuses. Not the opposite of is_live(): what cannot be asked is neither. Any length of path will do.
 */
bool socket_file_is_dead(int folder, const char *name);

/* By the lock's holder: makes it at path, where a socket that nobody serves is replaced. */
int socket_file_replace(const char *path, int *ret, struct error *err);
