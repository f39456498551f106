/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One ttrpc connection on an event loop: delivers whole frames, queues what the peer does not take
 * at once, and says when it is over. Does a bounded amount of work for each readiness of the
 * socket. While it is idle it holds no memory but this struct.
 *
 * Its callbacks run from the event loop only, never from within a function called here: a send
 * that fails makes the connection end a little later.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/list.h"
#include "common/ttrpc_frame.h"
#include "common/ttrpc_reader.h"

struct ttrpc_conn;

struct ttrpc_conn_ops {
	/* A frame; data is NULL for one that was over the limit. Its descriptors: conn->reader. */
	void (*on_frame)(
		struct ttrpc_conn *conn, const struct ttrpc_header *header, const uint8_t *data);
	/* Something was written in this round: frames that had waited in the queue may be gone. */
	void (*on_written)(struct ttrpc_conn *conn);
	/* Once, and last: the peer is gone, broke the rules, or took too little. May free conn. */
	void (*on_end)(struct ttrpc_conn *conn);
};

struct ttrpc_conn {
	const struct ttrpc_conn_ops *ops;
	int fd;
	bool broken;	  /* over; on_end follows, or has run */
	bool dispatching; /* inside the callbacks of one readiness */
	struct event read_event, write_event;
	struct ttrpc_reader reader;
	struct list queue;	    /* of frames, or ends of frames, not written yet */
	size_t queued;		    /* their bytes */
	uint64_t accepted, written; /* bytes given to ttrpc_conn_send() so far, bytes written */
};

/*
 * Takes over a connected socket; base NULL: no events, for those who wait by themselves
 * (ttrpc_conn_flush(), and reading through conn->reader). 0 or
 * -errno (then fd is not consumed).
 */
int ttrpc_conn_init(struct ttrpc_conn *conn, struct event_base *base, int fd_take,
	const struct ttrpc_conn_ops *ops);

/*
 * Closes it and drops what is queued, without callbacks. Not while conn->dispatching: use
 * ttrpc_conn_break() there. Safe to repeat.
 */
void ttrpc_conn_deinit(struct ttrpc_conn *conn);

/* Sends and receives no more; on_end will run from the loop (without a base: it is marked, no more). */
void ttrpc_conn_break(struct ttrpc_conn *conn);

/*
 * Sends one whole frame (header and data), now or when the peer has room; fds (not consumed) go
 * with it. While further requests of the peer wait to be handled, answers are held together. 0, or
 * -EPIPE once the connection is over. A failure, or more than LIMIT_QUEUED_REPLIES bytes waiting,
 * breaks the connection.
 */
int ttrpc_conn_send(
	struct ttrpc_conn *conn, const uint8_t *frame, size_t n, const int *fds, size_t n_fds);

/*
 * Without a base: writes what is queued, as far as the peer takes it now. 0, or -errno: then the
 * connection is over.
 */
int ttrpc_conn_flush(struct ttrpc_conn *conn);

/* Whether all that was accepted up to this position (a value of conn->accepted) is written. */
static inline bool ttrpc_conn_has_written(const struct ttrpc_conn *conn, uint64_t position)
{
	return conn->written >= position;
}

/*
 * One sendmsg(2) that never waits and raises no signal. Bytes written, or -errno. With fds, the
 * descriptors have gone if it is positive.
 */
ssize_t ttrpc_send_once(
	int fd, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds);
