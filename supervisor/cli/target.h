/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The container that a command is about, and the connection to its shim: found through the state
 * folder, or the one socket named with --shim.
 */

#include <stdint.h>

#include <event2/event.h>

#include "common/error.h"
#include "common/state_dir.h"
#include "common/ttrpc_client.h"

struct cli;

struct target {
	char *id;
	char *socket;		     /* of its shim; NULL where that is not known */
	struct state_dir dir;	     /* for reading; fd -1 with --shim */
	struct ttrpc_client *client; /* NULL: no shim lives, the container is orphaned */
};

#define TARGET_INIT ((struct target){ .dir = STATE_DIR_INIT })

/*
 * Finds container id and connects to its shim, for blocking use with base NULL. 0 also for an
 * orphan. CODE_NOT_FOUND where there is no such container, CODE_UNAVAILABLE while a shim is there
 * and takes no connection. With --shim, id may be NULL: whatever container is there ("").
 */
int target_open(struct cli *cli, const char *id, struct event_base *base, struct target *ret,
	struct error *err);

/* The same, but an orphan is CODE_FAILED_PRECONDITION. */
int target_open_living(struct cli *cli, const char *id, struct event_base *base, struct target *ret,
	struct error *err);

/* Safe to repeat. */
void target_close(struct target *t);
