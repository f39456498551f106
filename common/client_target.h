/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The container that a call is about, and the connection to who is asked about it: cleatd, or its
 * shim, found through the state folder or by the one socket that was named.
 */

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/client_line.h"
#include "common/error.h"
#include "common/state_dir.h"
#include "common/ttrpc_client.h"

enum client_via {
	CLIENT_VIA_DIRECT, /* through the folders under the root, to each shim */
	CLIENT_VIA_SHIM,   /* one shim's socket */
	CLIENT_VIA_CLEATD,
};

/* How shims are reached. Its strings and lines are its owner's, and outlive every target. */
struct client_place {
	enum client_via via;
	const char *socket;    /* cleatd's or the shim's; NULL: direct */
	const char *root, *ns; /* root: NULL with a shim's socket alone */
	bool falls_back; /* where cleatd is gone the folders will do: its socket was not named */
	bool debug;	 /* shims that are started log everything */
	uint32_t deadline_ms; /* of a runtime call; 0: the default */
	struct client_lines *lines;
};

/* How long cleatd or a shim may take for what it answers from memory. */
#define CLIENT_ANSWER_MS 2000

/*
 * Looks for cleatd at place->socket, where place->via says that it may be there: whether one answers
 * in two seconds. Where none listens and place falls back, via becomes direct. 0, or a code.
 */
int client_place_choose(struct client_place *place, struct error *err);

struct client_target {
	const struct client_place *place;
	char *id;
	char *socket;		     /* of its shim; NULL where that is not known */
	struct state_dir dir;	     /* for reading; fd -1 where the folder was not looked for */
	bool is_hub;		     /* line leads to cleatd, not to the shim */
	struct client_line *line;    /* without a base */
	struct ttrpc_client *client; /* with one */
};

#define CLIENT_TARGET_INIT ((struct client_target){ .dir = STATE_DIR_INIT })

/*
 * Finds container id and connects to who is asked about it; with a base, to its shim, in that loop,
 * also where there is cleatd. 0 also for an orphan. CODE_NOT_FOUND where there is no such container
 * (with cleatd that is told by the calls), CODE_UNAVAILABLE while a shim is there and takes no
 * connection. With a shim's socket, id may be NULL: whatever container is there ("").
 */
int client_target_open(const struct client_place *place, const char *id, struct event_base *base,
	struct client_target *ret, struct error *err);
/* The same, but an orphan is CODE_FAILED_PRECONDITION. */
int client_target_open_living(const struct client_place *place, const char *id,
	struct event_base *base, struct client_target *ret, struct error *err);
/* Its shim straight, whatever place says, for blocking use. */
int client_target_open_direct(const struct client_place *place, const char *id,
	struct client_target *ret, struct error *err);

/* With t at cleatd: the container's shim, for blocking use; CODE_FAILED_PRECONDITION where it is dead. */
int client_target_open_shim(struct client_target *t, struct client_target *ret, struct error *err);

/* Nobody is there to be asked: its shim is dead. */
bool client_target_is_orphan(const struct client_target *t);

/* Safe to repeat. */
void client_target_close(struct client_target *t);

/* Puts "container ID: " before err's sentence, once. Returns err's code. */
int client_wrap(struct error *err, const char *id);
