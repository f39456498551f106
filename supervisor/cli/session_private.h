/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What session.c (the course), session_calls.c and session_signals.c know of each other. */

#include "supervisor/cli/session.h"

/* --- session.c --- */

/* Looks whether the phase is over. To be called after whatever may have ended it. */
void session_step(struct session *s);
/* Remembers why there will be no exit status; the first reason stays. */
void session_fail(struct session *s, const struct error *err);
/* It has ended or never was: what is to go goes now. */
void session_begin_ending(struct session *s);
/* It was added and cannot run, or shall not. */
void session_begin_undoing(struct session *s);
/* The caller's terminal becomes the process's. 0 or -errno. */
int session_begin_relays(struct session *s);
/* The shim is gone: takes the exit from the ledger, if it is there. */
void session_read_ledger(struct session *s);
/* It was interrupted and runs all the same: undone if it does not end soon. */
void session_await_heed(struct session *s);
void session_done(struct session *s);
/* Ends everything now, with this status. */
void session_leave(struct session *s, int status);
/* Leaves with this status unless the process ends within ms. */
void session_leave_soon(struct session *s, int status, int ms);

/* --- session_calls.c --- */

int session_send_add(struct session *s, const struct client_rpc *rpc,
	const ProtobufCMessage *message, struct error *err);
void session_send_wait(struct session *s);
void session_send_delete(struct session *s);
void session_send_shutdown(struct session *s);
/* Passes a signal on to the process. */
void session_kill(struct session *s, int sig);
/* Tells the shim the window's size. */
void session_resize(struct session *s);

/* --- session_signals.c --- */

/* From now on signals wait until session_watch_signals() looks at them. */
void session_block_signals(void);
/* Registers the signals' event. 0 or -errno. */
int session_watch_signals(struct session *s);
/* Sends what came in too early. */
void session_kill_pending(struct session *s);
