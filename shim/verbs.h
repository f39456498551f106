/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What cleat-shim does when it is called: `start` makes a container's folder and socket, puts a
 * shim into the background and prints its address; `serve` is that shim; `delete` removes what a
 * dead shim left. Each returns the exit status and writes one sentence to stderr on failure.
 */

#include <stdbool.h>

struct verb_options {
	const char *ns, *id, *root, *socket, *bundle, *address, *publish_binary;
	const char *ttrpc_address; /* NULL: as TTRPC_ADDRESS says; empty: none */
	bool debug, version, help;
	const char *verb;
	int first; /* argv's index of the verb */
};

/* Flags may begin with one dash or two, and have their value behind '=' or as the next word. */
int verb_parse(int argc, char **argv, struct verb_options *ret);

int verb_start(const struct verb_options *options);
int verb_serve(const struct verb_options *options);
int verb_delete(const struct verb_options *options);

/* The descriptors that `start` hands to `serve`. */
#define SERVE_FD_LISTEN 3
#define SERVE_FD_LOCK	4
#define SERVE_FD_READY	5 /* `serve` writes what went wrong, or "ok", and closes it */
