/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One process in the foreground, from its Create or Exec to its exit status: transparent for
 * signals, the window's size and every byte.
 *
 *   ADDING --answer--> STARTING --answer--> RUNNING --exit--> ENDING --all answered--> DONE
 *     | |                 | failed             ^                ^
 *     | | a Create that starts it, too         | does not heed an interruption: UNDOING
 *     | +--------------------------------------+                |
 *     | interrupted         v                                   |
 *     +----------------> UNDOING --init killed------------------+
 *     | failed                                                  |
 *     +---------------------------------------------------------+
 */

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <protobuf-c/protobuf-c.h>

#include "common/error.h"
#include "supervisor/cli/relay.h"
#include "supervisor/cli/streams.h"
#include "supervisor/cli/terminal.h"

struct cli;
struct sdnotify;
struct client_rpc;
struct client_target;

enum session_phase {
	SESSION_ADDING,
	SESSION_STARTING,
	SESSION_RUNNING,
	SESSION_UNDOING, /* it did not start: the init is being killed */
	SESSION_ENDING,
	SESSION_DONE,
	_SESSION_PHASE_MAX,
};

struct session {
	struct cli *cli;
	struct event_base *base;

	/* set by the caller before session_run() */
	struct client_target *target; /* not owned; its client is on base */
	struct streams streams;
	const char *exec_id; /* "" for the init */
	bool is_init;
	bool runs;	  /* its Create starts it */
	const char *spec; /* with cleatd: config.json to use instead of the bundle's; NULL: that */
	struct ttrpc_client *hub; /* to cleatd, while it creates; then the shim is asked itself */
	bool terminal;		  /* the process has one, and it is shown on ours */
	bool remove;		  /* delete the process once it has ended */
	const char *pid_file;
	struct sdnotify *notify; /* told that it runs; not owned; NULL: nobody is */
	int stop_signal;	 /* what SIGTERM means to it; 0: SIGTERM */

	enum session_phase phase;
	struct error failure; /* why there is no exit status */
	uint32_t pid;
	bool started, exited, exit_known;
	uint32_t exit_status;
	int interrupted;  /* the signal that came before the process ran; 0: none */
	bool is_deleting; /* Delete has no answer yet */
	bool gone;	  /* there is no container: its shim is to end */
	bool is_shutting_down;

	int signal_fd;
	uint64_t pending; /* signals to pass on once it runs, by bit */
	struct event *signal_event, *timer;
	int leave_status; /* what the session is left with before its time; -1: nothing */

	struct terminal caller; /* the terminal to put back */
	struct relay input, output;
	bool output_ended;
};

/* A loop and the signals: from here on they are ours. 0 or a code. */
int session_init(struct session *s, struct cli *cli, struct error *err);

/*
 * Sends the Create or Exec with the streams' descriptors and runs
 * until all is over. 0 with cli->status set, or a code with cli->failure set.
 */
int session_run(struct session *s, const struct client_rpc *rpc, const ProtobufCMessage *message,
	struct error *err);

/* The target must have been closed before. Safe to repeat. */
void session_deinit(struct session *s);
