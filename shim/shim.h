/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the shim process owns, and when it ends (design, section 4): (a) Exit or Shutdown without
 * a container; (b) 10 s after its container was deleted or its create failed, or 60 s after its
 * start without one, with nobody connected; (c) SIGTERM, which stops the container first.
 */

#include <stdbool.h>
#include <sys/resource.h>

#include <event2/event.h>

#include "common/error.h"
#include "common/ledger.h"
#include "common/state_dir.h"
#include "common/ttrpc_server.h"
#include "shim/events.h"
#include "shim/publisher.h"
#include "common/reaper.h"

struct container;
struct loggers;
struct stdio_logs;

struct shim {
	struct event_base *base;
	struct ttrpc_server *server;
	struct reaper *reaper;
	struct loggers *loggers;
	struct stdio_logs *logs;
	struct events *events;
	struct publisher *publisher; /* NULL: events are not forwarded */
	struct ledger *ledger;	     /* open while there is a container */
	struct state_dir dir;	     /* folder and lock; fd is -1 once removed */
	char *ns, *id;
	char *socket_path;
	char *runtime_root;	     /* the runtime's state folder where no client names one */
	struct rlimit nofile;	     /* the descriptor limit that we were started with */
	struct container *container; /* NULL: none */
	size_t n_runs;		     /* of a runtime, or of a child that mounts, under way */
	int n_slots;		     /* of loop_slots.h */
	bool ending;		     /* new calls are refused */
	/* the rest is shim.c's own */
	int signal_fd, log_fd;
	struct event *signal_event, *idle_timer, *stop_timer, *end_timer; /* libevent's */
	size_t n_connections; /* when they last changed */
	bool had_container;
	bool stopping, stop_is_sent; /* rule (c) */
	bool end_timer_armed, end_is_due, end_is_late, is_flushed, is_forwarding;
};

struct shim_options {
	const char *root;   /* cleat's own folder; NULL: the state lies in the bundle */
	const char *bundle; /* where root is NULL */
	const char *ns, *id, *socket_path;
	const char *ttrpc_address; /* where events are forwarded to; NULL or empty: nowhere */
	int listen_fd, lock_fd;	   /* taken */
	bool debug;
};

/* Everything up to the loop; then the caller runs the loop. */
int shim_new(const struct shim_options *options, struct shim **ret, struct error *err);
/* Runs until the shim has ended; the process's exit status. */
int shim_run(struct shim *shim);
void shim_free(struct shim *shim);

/*
 * Ends the shim in order: new calls are refused, files are removed, runtime calls end and output is
 * passed on to its end (2 s at most, then logging programs get SIGTERM, 12 s and KILL), streams of
 * events get what is left and their proper end, and all answers are flushed (2 s at most for clients
 * that do not read) and events forwarded (30 s at most for a containerd that is away). The caller
 * answers its own call after this.
 */
void shim_end(struct shim *shim);

/* To be called when a run has ended: n_runs is one less. */
void shim_run_ended(struct shim *shim);

/* To be called when the container, or an exec of it, came or went: rules (b) and (c) look again. */
void shim_container_changed(struct shim *shim);
