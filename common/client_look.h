/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What containers look like from outside: told by cleatd, or by each shim, or where that is dead or
 * does not answer in time, by its files. What is made of it is the caller's.
 */

#include <stdbool.h>

#include "common/client_target.h"
#include "common/error.h"
#include "common/state_dir.h"
#include "monitor.pb-c.h"
#include "supervisor.pb-c.h"

/* How long a shim may take while many are asked: then its state file is taken. */
#define CLIENT_LIST_ANSWER_MS 50

/* One of these is there; container and info both, where cleatd was asked about one. */
struct client_seen {
	const Cleat__V1__Container *container;
	const Cleat__Shim__V1__InfoResponse *info;
	const struct state_dir *dir; /* what its files tell */
	bool is_orphan;		     /* of them: no shim lives */
};

struct client_look {
	/*
	 * A thing of malloc's kind for what was seen; NULL: nothing, or err (if one is asked about)
	 * says why.
	 */
	void *(*make)(const struct client_seen *seen, void *userdata, struct error *err);
	/* What was made, in order of the ids; takes it over. */
	void (*take)(void *made, void *userdata);
	void (*drop)(void *made);
	void *userdata;
};

/*
 * Every container of the namespace (or the one of a shim's socket), sorted by id; one that comes or
 * goes meanwhile is in it or not.
 */
int client_look_all(
	const struct client_place *place, const struct client_look *look, struct error *err);

/* One container, with a bit more patience. CODE_NOT_FOUND. */
int client_look_one(const struct client_place *place, const char *id,
	const struct client_look *look, struct error *err);
