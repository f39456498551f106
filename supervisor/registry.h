/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every container that the supervisor knows of, by namespace and id, as their folders come and go.
 * Nothing in it cannot be found again: it is made anew from the folders at each start.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/list.h"
#include "common/state_watch.h"
#include "supervisor/member.h"

struct registry {
	struct supervisor *supervisor;
	struct member **v; /* sorted by namespace, then by id */
	size_t n, n_room;
	struct list leaving; /* whose folders are gone, and whose shims have yet to end */
	struct state_watch *watch;
	struct event *watch_event;
	bool is_settled; /* each has been heard of once, or was given up waiting for */
	struct state_watch_handlers handlers;
};

/*
 * Looks through the folders and begins to ask their shims. supervisor_settled() is called from the
 * loop, once, when each has answered or has taken too long.
 */
int registry_new(struct supervisor *supervisor, struct registry **ret, struct error *err);
/* Takes NULL. */
void registry_free(struct registry *r);

/* NULL if there is none. */
struct member *registry_find(const struct registry *r, const char *ns, const char *id);
/* Where in v the containers of a namespace are, until one comes or goes; of NULL: all. */
struct registry_part {
	size_t begin, end; /* not itself in it */
};
struct registry_part registry_part(const struct registry *r, const char *ns);

/* A container whose shim was just started by us: finds or makes it, and links it. NULL without memory. */
struct member *registry_take(struct registry *r, const char *ns, const char *id);
/*
 * A shim by its socket, which has just told who it is. NULL without memory. The container is not in
 * the registry yet.
 */
struct member *registry_adopt(
	struct registry *r, const char *socket, const Cleat__Shim__V1__InfoResponse *info);

/* --- for member_link.c --- */

/* Removes and frees it. */
void registry_remove(struct registry *r, struct member *m);
/* Takes it out, so that its name is free, and keeps it until its shim has ended. */
void registry_leave(struct registry *r, struct member *m);
/* Its shim.json is awaited. 0 or -errno. */
int registry_await(struct registry *r, struct member *m);
/* One of them has answered, or has not in time: perhaps it was the last that was waited for. */
void registry_heard(struct registry *r);
