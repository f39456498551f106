/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The supervisor: what its process owns, and how it begins and ends. It may die at any time: nothing
 * in it cannot be found again in the folders, the ledgers and the shims.
 */

#include <stdbool.h>
#include <sys/resource.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/list.h"
#include "supervisor/config.h"

struct hub;
struct reaper;
struct registry;
struct shim_groups;
struct supervisor;
struct ttrpc_server;

/* For who tells systemd. Each may be NULL. */
struct supervisor_handlers {
	void (*on_serving)(
		struct supervisor *s, void *userdata); /* clients are served from now on */
	void (*on_reload)(struct supervisor *s, void *userdata); /* SIGHUP */
	void (*on_stopping)(struct supervisor *s, void *userdata);
	void *userdata;
};

struct supervisor {
	struct config config;
	char *root; /* in force: the command line's, or the configuration's, or the default */
	char *shim; /* the program */
	struct rlimit nofile; /* as we were started: what our children get */
	moment started_at;

	struct event_base *base;
	int signal_fd;
	struct event *signal_event, *settle_timer;
	struct reaper *reaper;
	struct hub *hub;
	struct registry *registry;
	struct shim_groups *shim_groups; /* NULL: shims are where cleatd is */
	int listen_fd;			 /* -1 once it serves */
	struct ttrpc_server *server;
	struct list listings; /* whose shims are being asked */
	const struct supervisor_handlers *handlers;
	struct error failure; /* what has ended the loop */
};

/*
 * config is taken over; root: NULL for what it says or the default; shims_cgroup: as shim_groups_new() has
 * it, or NULL. listen_fd_take: a listening socket,
 * whose clients are served once every container has been found. On failure the caller deinits.
 */
int supervisor_init(struct supervisor *s, struct config *config_take, const char *root,
	const char *shims_cgroup, int listen_fd_take, const struct supervisor_handlers *handlers,
	struct error *err);
/* Runs until a signal ends it: 0, or a code. */
int supervisor_run(struct supervisor *s, struct error *err);
/* Safe to repeat, and after a failure. No child is ended: errands and starts go on by themselves. */
void supervisor_deinit(struct supervisor *s);

/* For registry.c: every container has been heard of. */
void supervisor_settled(struct supervisor *s);
