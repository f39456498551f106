/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Subtle: an answer is encoded straight into its place behind the one field of
 * ttrpc.Response that it needs, so it is never copied; generated code would want it twice.
 */
#include "common/ttrpc_envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/text.h"
#include "ttrpc.pb-c.h"

#define STATUS_TEXT_MAX (1u << 20)
#define PAYLOAD_TAG	(2u << 3 | 2u) /* field 2, length-delimited (ttrpc.Response.payload) */
#define PREFIX_MAX	11u	       /* the tag and the longest varint */

void ttrpc_out_deinit(struct ttrpc_out *out)
{
	if (out->data != out->room)
		free(out->data);
	out->data = NULL;
	out->len = 0;
}

/* Room for a frame with n bytes of data; writes its header. Returns where the data goes. */
static int out_begin(
	struct ttrpc_out *out, const struct ttrpc_header *header, size_t n, uint8_t **ret_data)
{
	struct ttrpc_header h = *header;

	out->data = NULL;
	out->len = 0;
	if (n > LIMIT_FRAME_DATA)
		return -EMSGSIZE;
	h.length = (uint32_t)n;
	n += TTRPC_HEADER;
	out->data = n <= sizeof(out->room) ? out->room : malloc(n);
	if (!out->data)
		return -ENOMEM;
	out->len = n;
	ttrpc_header_encode(&h, out->data);
	*ret_data = out->data + TTRPC_HEADER;
	return 0;
}

static size_t packed_size(const ProtobufCMessage *message)
{
	return message ? protobuf_c_message_get_packed_size(message) : 0;
}

static size_t put_payload_prefix(size_t payload, uint8_t to[static PREFIX_MAX])
{
	size_t n = 0;

	to[n++] = PAYLOAD_TAG;
	for (; payload >= 0x80; payload >>= 7)
		to[n++] = (uint8_t)(payload | 0x80);
	to[n++] = (uint8_t)payload;
	return n;
}

int ttrpc_out_answer(struct ttrpc_out *out, uint32_t stream, const ProtobufCMessage *message)
{
	struct ttrpc_header header = { .stream = stream, .type = TTRPC_RESPONSE };
	size_t payload = packed_size(message), n_prefix = 0;
	uint8_t prefix[PREFIX_MAX];
	uint8_t *to;
	int r;

	if (payload > 0)
		n_prefix = put_payload_prefix(payload, prefix);
	r = out_begin(out, &header, n_prefix + payload, &to);
	if (r < 0 || payload == 0)
		return r;
	memcpy(to, prefix, n_prefix);
	protobuf_c_message_pack(message, to + n_prefix);
	return 0;
}

int ttrpc_out_message(
	struct ttrpc_out *out, const struct ttrpc_header *header, const ProtobufCMessage *message)
{
	uint8_t *to;
	int r = out_begin(out, header, packed_size(message), &to);

	if (r == 0 && message)
		protobuf_c_message_pack(message, to);
	return r;
}

int ttrpc_out_data(struct ttrpc_out *out, uint32_t stream, const ProtobufCMessage *message)
{
	struct ttrpc_header header = { .stream = stream, .type = TTRPC_DATA };

	return ttrpc_out_message(out, &header, message);
}

int ttrpc_out_finish(struct ttrpc_out *out, uint32_t stream)
{
	struct ttrpc_header header = {
		.stream = stream,
		.type = TTRPC_DATA,
		.flags = TTRPC_REMOTE_CLOSED | TTRPC_NO_DATA,
	};

	return ttrpc_out_message(out, &header, NULL);
}

int ttrpc_out_status(struct ttrpc_out *out, uint32_t stream, int code, const char *message)
{
	struct ttrpc_header header = { .stream = stream, .type = TTRPC_RESPONSE };
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;
	_cleanup_free_ char *text = NULL;

	out->data = NULL;
	text = text_valid(message, strlen(message), STATUS_TEXT_MAX);
	if (!text)
		return -ENOMEM;
	status.code = code;
	status.message = text;
	response.status = &status;
	return ttrpc_out_message(out, &header, &response.base);
}
