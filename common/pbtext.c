/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Walks the bytes and not the message: there the length of a string is gone. The wire
 * is as https://protobuf.dev/programming-guides/encoding/ has it.
 */
#include "common/pbtext.h"

#include <stdint.h>

#include "common/text.h"

#define DEPTH_MAX  32 /* no type of ours is nested deeper, and none in itself */
#define VARINT_MAX 10

struct cursor {
	const uint8_t *p, *end;
};

static bool take_varint(struct cursor *c, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < VARINT_MAX && c->p < c->end; i++) {
		uint8_t byte = *c->p++;

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*ret = value;
			return true;
		}
	}
	return false;
}

/* Steps over a value; of one with a length, ret has its bytes. */
static bool take_value(struct cursor *c, unsigned wire_type, struct cursor *ret)
{
	uint64_t n;

	switch (wire_type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		return take_varint(c, &n);
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		n = 8;
		break;
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		n = 4;
		break;
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		if (!take_varint(c, &n))
			return false;
		break;
	default:
		return false;
	}
	if (n > (uint64_t)(c->end - c->p))
		return false;
	ret->p = c->p;
	c->p += n;
	ret->end = c->p;
	return true;
}

static bool is_valid(const ProtobufCMessageDescriptor *type, struct cursor c, unsigned depth);

static bool is_field_valid(
	const ProtobufCFieldDescriptor *field, const struct cursor *value, unsigned depth)
{
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return text_is_string(value->p, (size_t)(value->end - value->p));
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return depth < DEPTH_MAX && is_valid(field->descriptor, *value, depth + 1);
	return true;
}

static bool is_valid(const ProtobufCMessageDescriptor *type, struct cursor c, unsigned depth)
{
	while (c.p < c.end) {
		const ProtobufCFieldDescriptor *field;
		struct cursor value = { NULL, NULL };
		uint64_t tag;

		if (!take_varint(&c, &tag) || !take_value(&c, tag & 7, &value))
			return false;
		field = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
		if (field && (tag & 7) == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
			!is_field_valid(field, &value, depth))
			return false;
	}
	return true;
}

bool pbtext_is_valid(const ProtobufCMessageDescriptor *type, const void *data, size_t n)
{
	const uint8_t *p = n > 0 ? data : (const uint8_t *)"";

	return is_valid(type, (struct cursor){ p, p + n }, 0);
}
