/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The frames of ttrpc, as functions over bytes (containerd/ttrpc, PROTOCOL.md): ten bytes of
 * header, then at most LIMIT_FRAME_DATA bytes of data. Nothing here does I/O or allocates.
 */

#include <stddef.h>
#include <stdint.h>

#define TTRPC_HEADER 10u

enum ttrpc_type {
	TTRPC_REQUEST = 1,
	TTRPC_RESPONSE = 2,
	TTRPC_DATA = 3,
};

/* Flags. A unary request carries none; a request for a server stream carries REMOTE_CLOSED. */
enum {
	TTRPC_REMOTE_CLOSED = 1, /* the sender sends no more on this stream */
	TTRPC_REMOTE_OPEN = 2,	 /* on a request: the sender will send more */
	TTRPC_NO_DATA = 4, /* no message in this frame; without it, no bytes are an empty one */
};

struct ttrpc_header {
	uint32_t length; /* bytes of data that follow */
	uint32_t stream;
	uint8_t type;
	uint8_t flags;
};

/* Writes the ten bytes. */
void ttrpc_header_encode(const struct ttrpc_header *header, uint8_t ret[static TTRPC_HEADER]);

enum {
	TTRPC_FRAME_E_PARTIAL = 1, /* fewer than ten bytes, nothing wrong with them so far */
	TTRPC_FRAME_E_BROKEN,	   /* the first byte is not 0: no frame starts here, and none can
				      be found again; the connection must be closed */
	TTRPC_FRAME_E_TOO_LARGE,   /* *ret is filled in: length bytes are to be skipped */
};

/* Reads a header from the n bytes at data. 0, or one of the above. */
int ttrpc_header_decode(const uint8_t *data, size_t n, struct ttrpc_header *ret);

/* What a server does with a frame of a permitted size. */
enum ttrpc_verdict {
	TTRPC_VERDICT_REQUEST, /* begin a call */
	TTRPC_VERDICT_IGNORE,
	TTRPC_VERDICT_INVALID, /* answer INVALID_ARGUMENT on its stream */
};

/*
 * last_stream: the id of the connection's latest request, 0 for none. Unknown types are ignored
 * whatever else is wrong with them. Our calls take one message and no more: that a client closes
 * its side is ignored, further data is invalid. *ret_why is a sentence for INVALID.
 */
enum ttrpc_verdict ttrpc_frame_judge(
	const struct ttrpc_header *header, uint32_t last_stream, const char **ret_why);
