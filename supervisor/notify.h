/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What cleatd tells systemd, and what systemd gives it: readiness, status, reloads, the end, the
 * watchdog, and the socket. Outside of systemd all of it does nothing, and says that it went well.
 *
 * Owns the variables of that protocol: they are taken out of the environment, so that neither a
 * shim nor a runtime (`runc start` hangs on NOTIFY_SOCKET) ever sees them.
 */

#include <stdint.h>

#include <event2/event.h>

#include "common/error.h"

struct notify {
	char *socket;	      /* NOTIFY_SOCKET; NULL: nobody listens */
	uint64_t watchdog_us; /* a sign of life is due within; 0: there is no watchdog */
	struct event *timer;
};

#define NOTIFY_INIT	 ((struct notify){ NULL, 0, NULL })
#define _cleanup_notify_ __attribute__((cleanup(notify_deinit)))

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment. 0 or -errno. */
int notify_init(struct notify *n);

/* Safe to repeat. Before the loop that notify_watch() was given goes. */
void notify_deinit(struct notify *n);

/*
 * Each is one datagram; status, one line, is what `systemctl status` shows, NULL for what it shows
 * already (not with notify_status()). 0 or -errno.
 * A reload ends with notify_ready(); systemd waits for that, whether it went well or not.
 */
int notify_ready(const struct notify *n, const char *status);
int notify_reloading(const struct notify *n);
int notify_stopping(const struct notify *n, const char *status);
int notify_status(const struct notify *n, const char *status);

/*
 * From now on a sign of life goes out twice in the watchdog's time, from base's own loop: one that
 * hangs gives none. Without a watchdog no timer is made. 0 or -errno.
 */
int notify_watch(struct notify *n, struct event_base *base);

/*
 * Takes the socket that systemd listens on for us, and LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES out
 * of the environment. *ret_fd: the caller's, close-on-exec and non-blocking; -1 where none was passed.
 * CODE_FAILED_PRECONDITION for more than one, or for what is no listening Unix stream socket: then
 * all that was passed is closed. Another code: the variables themselves make no sense.
 */
int notify_take_socket(int *ret_fd, struct error *err);
