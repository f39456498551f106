/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the parts of the client share: ttrpc_client.c (connecting, messages to and from frames),
 * ttrpc_client_parts.c, ttrpc_client_blocking.c over it, and ttrpc_client_async.c. Included by nothing else.
 */

#include "common/list.h"
#include "common/ttrpc_client.h"
#include "common/ttrpc_conn.h"
#include "common/ttrpc_envelope.h"

struct ttrpc_client {
	struct ttrpc_conn conn; /* blocking use: its socket and reader alone */
	struct event_base *base;
	uint32_t next_stream;
	bool exhausted; /* every stream id has been used */

	struct list inboxes; /* without a base: calls and streams that wait for frames */
	size_t kept;	     /* bytes in them */
	int interrupt_fd;    /* blocking: its reader wants to wait no more; -1: none */

	struct list pendings; /* asynchronous */
	bool ending;	      /* its pending calls are being failed */
	bool freed;	      /* by its user; the memory follows after the callbacks */
};

/* Ends the async part of a client: drops pendings without their callbacks. */
void ttrpc_client_drop_pendings(struct ttrpc_client *client);
/* Ends the part without a base. */
void ttrpc_client_drop_inboxes(struct ttrpc_client *client);

extern const struct ttrpc_conn_ops ttrpc_client_async_ops;

/*
 * The frame of a request on the next stream. stream: whether many answers are expected. 0, or a
 * code and a sentence; out must be deinited only after success.
 */
int ttrpc_client_encode(struct ttrpc_client *client, const struct ttrpc_request *request,
	bool stream, struct ttrpc_out *out, uint32_t *ret_stream, struct error *err);

/*
 * What a frame of the server's holds; data NULL: it was too long. *ret_message is the caller's to
 * free (NULL if there is none). 0, or a code and a sentence: then it is the last as well.
 */
int ttrpc_client_decode(const struct ttrpc_header *header, const uint8_t *data,
	const ProtobufCMessageDescriptor *response, bool stream, ProtobufCMessage **ret_message,
	bool *ret_last, struct error *err);

/* The sentence for a connection that is over. Returns CODE_UNAVAILABLE. */
int ttrpc_client_ended(struct error *err);
