/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Messages put together field by field from their descriptors, without protobuf-c's own encoder: in
 * any order, twice, or wrong. And the same by protoc, from its text form.
 */

#include "common/run.h"
#include "test/unit/unit.h"

#include <protobuf-c/protobuf-c.h>

static inline void put_varint(struct buf *b, uint64_t n)
{
	for (;; n >>= 7) {
		uint8_t byte = (uint8_t)(n < 0x80 ? n : n | 0x80);

		assert_int_equal(buf_append(b, &byte, 1), 0);
		if (n < 0x80)
			return;
	}
}

static inline void put_tag(struct buf *b, const ProtobufCMessageDescriptor *type, const char *name,
	ProtobufCWireType wire_type)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(type, name);

	assert_non_null(f);
	put_varint(b, (uint64_t)f->id << 3 | wire_type);
}

/* An integer or enum; as for all of them, negative ones take ten bytes. */
static inline void put_number(
	struct buf *b, const ProtobufCMessageDescriptor *type, const char *name, int64_t value)
{
	put_tag(b, type, name, PROTOBUF_C_WIRE_TYPE_VARINT);
	put_varint(b, (uint64_t)value);
}

static inline void put_bytes(struct buf *b, const ProtobufCMessageDescriptor *type,
	const char *name, const void *data, size_t n)
{
	put_tag(b, type, name, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
	put_varint(b, n);
	assert_int_equal(buf_append(b, data, n), 0);
}

static inline void put_text(
	struct buf *b, const ProtobufCMessageDescriptor *type, const char *name, const char *text)
{
	put_bytes(b, type, name, text, strlen(text));
}

/* What b holds, as a field of the message that to holds. */
static inline void put_message(struct buf *to, const ProtobufCMessageDescriptor *type,
	const char *name, const struct buf *b)
{
	put_bytes(to, type, name, b->len ? buf_head(b) : (const uint8_t *)"", b->len);
}

static inline bool has_protoc(void)
{
	return access("/usr/bin/protoc", X_OK) == 0;
}

/* protoc's --encode or --decode of a message of proto/FILE over n bytes. The caller deinits. */
static inline struct buf run_protoc(
	const char *option, const char *type, const char *file, const void *data, size_t n)
{
	struct run_result result = RUN_RESULT_INIT;
	char what[128];
	char *argv[] = { (char *)"protoc", (char *)"--proto_path=proto", what, (char *)file, NULL };
	struct run_options options = {
		.argv = argv, .out_limit = 1u << 20, .err_limit = 4096, .deadline_ms = 30000
	};
	struct buf out;

	snprintf(what, sizeof(what), "%s=%s", option, type);
	assert_int_equal(fd_of_data(data, n, &options.in), 0);
	assert_int_equal(run_program(&options, &result), 0);
	close(options.in);
	if (result.wait_status != 0)
		fail_msg("protoc: %.*s", (int)result.err.len, (const char *)buf_head(&result.err));
	out = result.out;
	result.out = BUF_INIT;
	run_result_deinit(&result);
	return out;
}

static inline void assert_same(const struct buf *a, const struct buf *b)
{
	assert_int_equal(a->len, b->len);
	if (a->len > 0)
		assert_memory_equal(buf_head(a), buf_head(b), a->len);
}
