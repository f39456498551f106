/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Making a container: the shim is started, its terminal decided, and the Create request built.
 * Sending it is the caller's, who either waits for it or has a loop.
 */

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/bundle.h"
#include "common/runtimes.h"
#include "common/error.h"
#include "google/protobuf/any.pb-c.h"
#include "monitor.pb-c.h"
#include "supervisor/cli/criu_options.h"
#include "supervisor/cli/target.h"
#include "task.pb-c.h"

struct cli;

struct create_options {
	const char *bundle, *pid_file, *log;
	bool terminal, detach, remove, no_pivot, no_new_keyring;
	bool start;			    /* it shall run: `run` and `restore`, not `create` */
	const struct criu_options *restore; /* made from an image; NULL: from the bundle alone */
};

struct creation {
	const struct create_options *options;
	struct bundle bundle;
	struct target target;
	bool terminal;	   /* as the container gets it */
	bool runs;	   /* Create starts it too; otherwise that is the caller's */
	char *spec_bundle; /* folder of the copied config.json; NULL: the bundle's own is used */
	char *runtime_root;
	struct runtime_set runtime; /* what --runtime names in runtimes.json, or nothing */
	struct criu_paths paths;    /* of the image */
	uint8_t *packed;	    /* RuntimeOptions */
	Google__Protobuf__Any any;
	Containerd__Task__V2__CreateTaskRequest request;
};

/*
 * Everything up to the Create: on failure nothing is left. base: NULL for blocking use. Then
 * request is complete but for its streams, which are empty.
 */
int creation_begin(struct cli *cli, const struct create_options *options, const char *id,
	struct event_base *base, struct creation *ret, struct error *err);

/* Safe after a creation_begin() that failed, and to repeat. */
void creation_end(struct creation *c);

/* What failed in the runtime tells how cleat exits: 125, 126 or 127. */
int failure_status(const struct error *err);

/* Writes pid into the file, which appears whole. path NULL: nothing to do. */
int pid_file_write(const char *path, uint32_t pid, struct error *err);
