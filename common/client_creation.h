/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Making a container: the shim is started, its terminal decided, and the Create request built.
 * Sending it is the caller's, who either waits for it or has a loop. With cleatd nothing is started:
 * it does that when it gets the request.
 */

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/bundle.h"
#include "common/client_call.h"
#include "common/client_target.h"
#include "common/error.h"
#include "common/runtimes.h"
#include "google/protobuf/any.pb-c.h"
#include "monitor.pb-c.h"
#include "task.pb-c.h"

enum client_terminal {
	CLIENT_TERMINAL_AS_CONFIGURED, /* as config.json has it */
	CLIENT_TERMINAL_NONE,
	CLIENT_TERMINAL_WANTED,
};

struct client_creation_options {
	const char *bundle;	      /* NULL: the working directory */
	const char *runtime;	      /* as `cleat --runtime` has it; NULL: runc */
	char *const *runtime_options; /* "name=value" or "name" */
	size_t n_runtime_options;
	enum client_terminal terminal;
	bool start; /* it shall run: Create starts it where that is one call of the runtime */
	bool no_pivot, no_new_keyring;
	const char *image; /* absolute: made from it; NULL: from the bundle alone */
	const Cleat__Shim__V1__CriuOptions *restore; /* how; with image */
	/*
	 * What else its config.json is to say in another way: fills o; path (and folder, its descriptor)
	 * is where the copy goes, in the container's folder. NULL: nothing. Not with cleatd.
	 */
	int (*override)(struct bundle_override *o, int folder, const char *path, void *userdata,
		struct error *err);
	void *userdata;
};

struct client_creation {
	const struct client_creation_options *options;
	struct bundle bundle;
	struct client_target target;
	bool terminal;	   /* as the container gets it */
	bool runs;	   /* Create starts it too; otherwise that is the caller's */
	char *spec_bundle; /* folder of the copied config.json; NULL: the bundle's own is used */
	char *spec;	   /* with cleatd, which makes that folder: its text */
	char *runtime_root;
	struct runtime_set runtime; /* what the runtime's name means in runtimes.json, or nothing */
	uint8_t *packed;
	Google__Protobuf__Any any;
	Containerd__Task__V2__CreateTaskRequest request;
};

/*
 * Everything up to the Create: on failure nothing is left. base: NULL for blocking use. Then
 * request is complete but for its streams, which are empty. options outlive it.
 */
int client_creation_begin(const struct client_place *place,
	const struct client_creation_options *options, const char *id, struct event_base *base,
	struct client_creation *ret, struct error *err);
/*
 * The Create itself, for blocking use; with cleatd the target leads to the shim afterwards. Where it
 * fails the shim that was started for it ends.
 */
int client_creation_send(struct client_creation *c, const struct client_fds *fds, uint32_t *ret_pid,
	struct error *err);

/* Safe after a client_creation_begin() that failed, and to repeat. */
void client_creation_end(struct client_creation *c);
