/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A client that follows a ring through a server stream: a cursor, and at most one entry of it that
 * waits to be written. Ends with its call, with an error, or, once the ring has ended, properly. It
 * stands in an object of the service's, which frees it.
 */

#include "common/error.h"
#include "common/ring.h"
#include "common/ttrpc_server.h"

struct ring_stream;

struct ring_stream_ops {
	/*
	 * Sends one entry as the service tells it, or nothing where it has no word for it. missed: how
	 * many were lost right before. 0, or a code with its sentence, with which the stream ends.
	 */
	int (*send)(struct ring_stream *s, const struct ring_entry *e, uint64_t missed,
		struct error *err);
	/* Answers the call, which is over then. */
	void (*fail)(struct ring_stream *s, const struct error *err);
	/* The object that it stands in; its cursor is off the ring. */
	void (*free)(struct ring_stream *s);
};

struct ring_stream {
	const struct ring_stream_ops *ops;
	struct ttrpc_call *call;
	struct ring_cursor cursor;
};

/* Takes over the call, and sends what there is; s may be freed on return. since: as ring_subscribe(). */
void ring_stream_begin(struct ring_stream *s, const struct ring_stream_ops *ops, struct ring *ring,
	struct ttrpc_call *call, uint64_t since);

/* For a send function: the message, and the error that ends the stream if it can't be sent. */
int ring_stream_put(struct ttrpc_call *call, const ProtobufCMessage *message, struct error *err);
