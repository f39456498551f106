/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What cleat-shim does when it is called: `start` makes a container's folder and socket, puts a
 * shim into the background and prints its address; `serve` is that shim; `delete` removes what a
 * dead shim left. Each returns the exit status and writes one sentence to stderr on failure.
 */

#include <stdbool.h>

#include "common/error.h"

struct verb_options {
	const char *program; /* argv[0] */
	const char *ns, *id, *root, *socket, *bundle, *address, *publish_binary;
	const char *cgroup;	   /* of the shim; NULL: where we are */
	const char *ttrpc_address; /* NULL: as TTRPC_ADDRESS says; empty: none */
	bool debug, version, info, help;
	/*
	 * The state lies in the bundle, as containerd wants it, and not below a folder of cleat's: by the
	 * program's name (containerd-shim-...) or a flag that containerd gives, unless -root is.
	 */
	bool for_containerd;
	const char *verb;
	int first; /* argv's index of the verb */
};

/* Flags may begin with one dash or two, and have their value behind '=' or as the next word. */
int verb_parse(int argc, char **argv, struct verb_options *ret);

int verb_start(const struct verb_options *options);
int verb_serve(const struct verb_options *options);
int verb_delete(const struct verb_options *options);
int verb_sweep(const struct verb_options *options); /* `delete`'s own child, for containerd */

/*
 * -root, or where cleat's own folder is by default. The caller frees. NULL: CODE_FAILED_PRECONDITION or
 * CODE_INVALID_ARGUMENT.
 */
char *verb_root(const struct verb_options *options, struct error *err);

/* The runtimes' state folders under containerd, one for each namespace: where its own shim has them. */
#define CONTAINERD_RUNTIMES "/run/containerd/runc"

/* The descriptors that `start` hands to `serve`. */
#define SERVE_FD_LISTEN 3
#define SERVE_FD_LOCK	4
#define SERVE_FD_READY	5 /* `serve` writes what went wrong, or "ok", and closes it */

/*
 * glibc keeps up to seven freed pieces of each size below 1 KiB for their next use (malloc's tcache):
 * what is quick for threads holds pages of a shim that idles, 60 kB and more after a busy hour.
 * It can be told so by the environment alone. Somebody else's own settings are left as they are.
 */
#define SERVE_MALLOC_VARIABLE "GLIBC_TUNABLES"
#define SERVE_MALLOC_SETTING  "glibc.malloc.tcache_count=0"
