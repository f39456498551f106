/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Making a container from the command line's options. Sending the Create is the caller's, who either
 * waits for it or has a loop.
 */

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/client_creation.h"
#include "common/error.h"
#include "supervisor/cli/criu_options.h"

struct cli;
struct sdnotify;

struct create_options {
	const char *bundle, *pid_file, *log, *sdnotify, *cgroups;
	bool terminal, detach, remove, no_pivot, no_new_keyring;
	bool start;			    /* it shall run: `run` and `restore`, not `create` */
	const struct criu_options *restore; /* made from an image; NULL: from the bundle alone */
	struct sdnotify *notify;	    /* who tells systemd of it; not owned; NULL: nobody */
};

struct creation {
	const struct create_options *options;
	struct client_creation_options wish;
	struct criu_paths paths;
	Cleat__Shim__V1__CriuOptions restore;
	struct client_creation made;
	char *cgroups_path; /* what the copy of its config.json says; NULL: what that does */
};

/* As client_creation_begin(): everything up to the Create; on failure nothing is left. */
int creation_begin(struct cli *cli, const struct create_options *options, const char *id,
	struct event_base *base, struct creation *ret, struct error *err);

/* Safe after a creation_begin() that failed, and to repeat. */
void creation_end(struct creation *c);

/* What failed in the runtime tells how cleat exits: 125, 126 or 127. */
int failure_status(const struct error *err);

/* Writes pid into the file, which appears whole. path NULL: nothing to do. */
int pid_file_write(const char *path, uint32_t pid, struct error *err);
