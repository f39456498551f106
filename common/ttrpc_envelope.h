/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What stands in the data of a frame: ttrpc.Request and ttrpc.Response (proto/ttrpc.proto), made
 * into whole frames, header included. Knows nothing of sockets.
 */

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/ttrpc_frame.h"

#define TTRPC_FRAME_ROOM 2048u

/* A whole frame to be sent; small ones need no malloc. Not to be copied. */
struct ttrpc_out {
	uint8_t *data; /* room, or malloc's */
	size_t len;
	uint8_t room[TTRPC_FRAME_ROOM];
};

#define _cleanup_out_ __attribute__((cleanup(ttrpc_out_deinit)))

void ttrpc_out_deinit(struct ttrpc_out *out);

/*
 * These fill out, which need not be initialised, and leave it fit for ttrpc_out_deinit() in any
 * case. 0, -ENOMEM, or -EMSGSIZE: the data would be longer than LIMIT_FRAME_DATA. message: NULL
 * is a message without fields.
 */

/* A Response that carries an answer. */
int ttrpc_out_answer(struct ttrpc_out *out, uint32_t stream, const ProtobufCMessage *message);
/* A bare message in a Data frame. */
int ttrpc_out_data(struct ttrpc_out *out, uint32_t stream, const ProtobufCMessage *message);
/* A Data frame that ends the stream and has no message. */
int ttrpc_out_finish(struct ttrpc_out *out, uint32_t stream);
/*
 * A Response that carries a status. What is not UTF-8 in message is replaced, since a client may
 * refuse the whole answer for it; more than 1 MiB is cut.
 */
int ttrpc_out_status(struct ttrpc_out *out, uint32_t stream, int code, const char *message);
/* Any message as the data of a frame with that header; its length is filled in. */
int ttrpc_out_message(
	struct ttrpc_out *out, const struct ttrpc_header *header, const ProtobufCMessage *message);
