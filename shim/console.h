/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The socket on which a runtime hands over the master of a new terminal (--console-socket). It
 * takes one master from one peer of our own user (or root) and is then deaf. Never touches the
 * terminal.
 */

#include "common/error.h"

struct console;
struct event_base;

/*
 * Makes the socket (mode 0600): under a random short name in the folder dir_path (absolute; not kept);
 * where that would not fit into a socket address (107 bytes), in a new private folder under
 * /run/cleat, $XDG_RUNTIME_DIR or /tmp, whichever takes it first.
 *
 * on_master is called once, from the loop: with the master (close-on-exec, consumed by it) and 0,
 * or with -1 and a negative errno: -ECONNRESET where the runtime went without sending one, -EPROTO
 * where it sent something else. It may free the console.
 */
int console_listen(struct event_base *base, const char *dir_path,
	void (*on_master)(int master_take, int error, void *userdata), void *userdata,
	struct console **ret, struct error *err);

/* What to pass to the runtime; 107 bytes at most. Owned by c. */
const char *console_path(const struct console *c);

/* Closes, and removes the socket (and the folder made for it). Takes NULL. */
void console_free(struct console *c);
