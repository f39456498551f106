/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Readiness of a container that is a unit of systemd: what `cleat run` tells the socket that
 * NOTIFY_SOCKET names, and what it lets the container tell it.
 *
 *   --sdnotify=cleat      READY=1 once the container runs (the default)
 *   --sdnotify=container  a socket of its own in the container; what it says there is passed on, as far
 *                         as it is READY=1, STOPPING=1, WATCHDOG=1 or STATUS=
 *   --sdnotify=ignore     nothing
 *
 * Owns NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID: they are taken out of the environment whichever
 * way it is, before anything is started that would inherit them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <event2/event.h>

#include "common/buf.h"
#include "common/error.h"

/* The folder with the container's socket, as it sees it: where runc has it, too. */
#define SDNOTIFY_INSIDE "/run/notify"

struct sdnotify {
	const char *id; /* the container's, not owned */
	bool listens;	/* systemd does: there is somebody to tell */
	bool container; /* what the container says is passed on */
	struct sockaddr_un address;
	socklen_t address_size;
	int out;	    /* what is told goes through it; -1 if nobody listens */
	int in;		    /* the container's; -1 before sdnotify_serve() */
	struct buf waiting; /* told, and not taken yet: then nothing more is read */
	struct event *readable, *retry;
	char *env[3];	 /* what the container's environment gets; NULL-terminated */
	char *folder;	 /* of the container's socket, absolute */
	bool has_passed; /* something of the container's */
	bool has_failed; /* and the user was told */
};

#define SDNOTIFY_INIT ((struct sdnotify){ .out = -1, .in = -1, .waiting = BUF_INIT })

/*
 * mode: what --sdnotify says, or NULL. id and base stay the caller's. 0, or CODE_INVALID_ARGUMENT for a
 * mode that is none, or a NOTIFY_SOCKET that is neither an absolute path nor an abstract name.
 */
int sdnotify_init(struct sdnotify *n, const char *mode, const char *id, struct event_base *base,
	struct error *err);

/* Before base goes. Safe to repeat. */
void sdnotify_deinit(struct sdnotify *n);

/* Whether the container gets a socket. */
bool sdnotify_has_socket(const struct sdnotify *n);

/*
 * Makes that socket in a new folder below dir, whose path is given, and listens from now on; n->folder
 * and n->env are then what its config.json has to say. 0 or a code.
 */
int sdnotify_serve(struct sdnotify *n, int dir, const char *path, struct error *err);

/* The container runs. */
void sdnotify_running(struct sdnotify *n);

/*
 * Of one datagram of a container's what may be passed on, in ret, which is empty: lines without a
 * newline at their end. 0 or -ENOMEM.
 */
int sdnotify_filter(const void *data, size_t n, struct buf *ret);
