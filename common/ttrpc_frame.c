/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame codec. Never looks at the data of a frame. Subtle: the first byte decides alone that
 * a connection is lost, so one byte is enough to close it; what it leaves is under 16 MiB to skip.
 */
#include "common/ttrpc_frame.h"

#include "common/limits.h"

static void put_u32(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 24);
	to[1] = (uint8_t)(value >> 16);
	to[2] = (uint8_t)(value >> 8);
	to[3] = (uint8_t)value;
}

static uint32_t get_u32(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

void ttrpc_header_encode(const struct ttrpc_header *header, uint8_t ret[static TTRPC_HEADER])
{
	put_u32(ret, header->length);
	put_u32(ret + 4, header->stream);
	ret[8] = header->type;
	ret[9] = header->flags;
}

int ttrpc_header_decode(const uint8_t *data, size_t n, struct ttrpc_header *ret)
{
	if (n > 0 && data[0] != 0)
		return TTRPC_FRAME_E_BROKEN;
	if (n < TTRPC_HEADER)
		return TTRPC_FRAME_E_PARTIAL;
	ret->length = get_u32(data);
	ret->stream = get_u32(data + 4);
	ret->type = data[8];
	ret->flags = data[9];
	return ret->length > LIMIT_FRAME_DATA ? TTRPC_FRAME_E_TOO_LARGE : 0;
}

enum ttrpc_verdict ttrpc_frame_judge(
	const struct ttrpc_header *header, uint32_t last_stream, const char **ret_why)
{
	if (header->type != TTRPC_REQUEST && header->type != TTRPC_DATA)
		return TTRPC_VERDICT_IGNORE;
	if (header->stream % 2 == 0) {
		*ret_why = "the id of a client's stream must be odd";
		return TTRPC_VERDICT_INVALID;
	}
	if (header->type == TTRPC_DATA) {
		if (header->flags & TTRPC_NO_DATA && header->length == 0)
			return TTRPC_VERDICT_IGNORE;
		*ret_why = "the stream takes no data";
		return TTRPC_VERDICT_INVALID;
	}
	if (header->stream <= last_stream) {
		*ret_why = "the id of a new stream must be higher than all before it";
		return TTRPC_VERDICT_INVALID;
	}
	return TTRPC_VERDICT_REQUEST;
}
