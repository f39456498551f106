/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks a message by its descriptor. Knows no message but Timestamp. Subtle: a name inside need
 * not be UTF-8 (protobuf-c does not check): print_text() makes it so.
 */
#include "supervisor/cli/proto_json.h"

#include <string.h>

#include "common/pbtime.h"
#include "supervisor/cli/print.h"

static json_t *make_message(const ProtobufCMessage *m)
{
	if (!m)
		return json_null();
	if (m->descriptor == &google__protobuf__timestamp__descriptor)
		return print_moment(pbtime_get((const void *)m));
	return proto_json(m);
}

static json_t *make_enum(const ProtobufCFieldDescriptor *f, int number)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(f->descriptor, number);

	return v ? json_string(v->name) : json_integer(number);
}

static json_t *make_string(const char *s)
{
	return print_text(s ? s : "");
}

/* The size of one value in a repeated field's array. */
static size_t value_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	default:
		return 4;
	}
}

/* What JSON's readers cannot hold is a limit that there is not. */
static json_t *make_uint64(uint64_t n)
{
	return n > INT64_MAX ? json_null() : json_integer((json_int_t)n);
}

static json_t *make_value(const ProtobufCFieldDescriptor *f, const void *at)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return json_integer(*(const int32_t *)at);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_integer(*(const uint32_t *)at);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return json_integer(*(const int64_t *)at);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return make_uint64(*(const uint64_t *)at);
	case PROTOBUF_C_TYPE_DOUBLE:
		return json_real(*(const double *)at);
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)at);
	case PROTOBUF_C_TYPE_ENUM:
		return make_enum(f, *(const int *)at);
	case PROTOBUF_C_TYPE_STRING:
		return make_string(*(const char *const *)at);
	case PROTOBUF_C_TYPE_MESSAGE:
		return make_message(*(const ProtobufCMessage *const *)at);
	default: /* bytes and short floating point: nothing that we print has them */
		return json_null();
	}
}

static json_t *make_array(const ProtobufCFieldDescriptor *f, const char *message)
{
	size_t n = *(const size_t *)(const void *)(message + f->quantifier_offset);
	const char *values = *(const char *const *)(const void *)(message + f->offset);
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, make_value(f, values + i * value_size(f)));
	return array;
}

json_t *proto_json(const ProtobufCMessage *m)
{
	const char *message = (const char *)m;
	json_t *obj = json_object();

	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];

		json_object_set_new(obj, f->name,
			f->label == PROTOBUF_C_LABEL_REPEATED ? make_array(f, message)
							      : make_value(f, message + f->offset));
	}
	return obj;
}

json_t *proto_json_any(
	const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *const *types)
{
	const char *slash = strrchr(any->type_url, '/');
	const char *name = slash ? slash + 1 : any->type_url;
	ProtobufCMessage *m;
	json_t *obj;

	while (*types && strcmp((*types)->name, name) != 0)
		types++;
	if (!*types)
		return NULL;
	m = protobuf_c_message_unpack(*types, NULL, any->value.len, any->value.data);
	if (!m)
		return NULL;
	obj = proto_json(m);
	protobuf_c_message_free_unpacked(m, NULL);
	return obj;
}
