/* SPDX-License-Identifier: Apache-2.0 */
/* Strings of messages that protobuf-c takes as they are. */
#include "common/pbtext.h"

#include "bootstrap.pb-c.h"
#include "test/unit/wire.h"

#define PARAMS	  (&containerd__runtime__bootstrap__v1__bootstrap_params__descriptor)
#define EXTENSION (&containerd__runtime__bootstrap__v1__extension__descriptor)
#define RESULT	  (&containerd__runtime__bootstrap__v1__bootstrap_result__descriptor)
#define ENTRY	  (&containerd__runtime__bootstrap__v1__bootstrap_result__metadata_entry__descriptor)
#define ANY	  (&google__protobuf__any__descriptor)

/* What is asked is of a message that protobuf-c decodes. */
static bool is_valid(const ProtobufCMessageDescriptor *type, struct buf *b)
{
	bool valid = pbtext_is_valid(type, buf_head(b), b->len);
	ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, b->len, buf_head(b));

	assert_non_null(m);
	protobuf_c_message_free_unpacked(m, NULL);
	buf_deinit(b);
	return valid;
}

static void test_strings(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_true(is_valid(PARAMS, &b));
	put_text(&b, PARAMS, "instance_id", "na\xc3\xafve");
	put_number(&b, PARAMS, "log_level", -4);
	put_text(&b, PARAMS, "socket_dir", "");
	assert_true(is_valid(PARAMS, &b));
	put_bytes(&b, PARAMS, "instance_id", "web\0x", 5);
	assert_false(is_valid(PARAMS, &b));
	put_text(&b, PARAMS, "socket_dir", "/run/\xff");
	assert_false(is_valid(PARAMS, &b));
	/* the one that counts is the last, but a sender who means well sends no such thing at all */
	put_text(&b, PARAMS, "namespace", "\xff");
	put_text(&b, PARAMS, "namespace", "default");
	assert_false(is_valid(PARAMS, &b));
}

/* In repeated messages and in maps; what is bytes is anything. */
static void test_depth(void **state)
{
	struct buf any = BUF_INIT, extension = BUF_INIT, b = BUF_INIT;

	(void)state;
	for (int wrong = 0; wrong < 2; wrong++) {
		put_text(&any, ANY, "type_url", wrong ? "a\xff" : "a");
		put_bytes(&any, ANY, "value", "\0\xff", 2);
		put_message(&extension, EXTENSION, "value", &any);
		put_message(&b, PARAMS, "extensions", &extension);
		assert_int_equal(is_valid(PARAMS, &b), !wrong);
		buf_deinit(&any);
		buf_deinit(&extension);
		put_text(&any, ENTRY, "key", "k");
		put_bytes(&any, ENTRY, "value", wrong ? "v\0" : "vv", 2);
		put_message(&b, RESULT, "metadata", &any);
		assert_int_equal(is_valid(RESULT, &b), !wrong);
		buf_deinit(&any);
	}
}

/* What nobody knows yet is of no matter. */
static void test_unknown(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	put_varint(&b, 99 << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
	put_varint(&b, 2);
	buf_append(&b, "\0\xff", 2);
	put_varint(&b, 98 << 3 | PROTOBUF_C_WIRE_TYPE_32BIT);
	buf_append(&b, "\1\2\3\4", 4);
	put_varint(&b, 97 << 3 | PROTOBUF_C_WIRE_TYPE_64BIT);
	buf_append(&b, "\1\2\3\4\5\6\7\x8", 8);
	put_text(&b, PARAMS, "instance_id", "web");
	assert_true(is_valid(PARAMS, &b));
}

static void test_malformed(void **state)
{
	static const char *const wrong[] = { "\x0a", "\x0a\x05web", "\x0d\1\2\3", "\x09\1", "\x0b",
		"\x08\xff", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1",
		"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\1" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(pbtext_is_valid(ANY, wrong[i], strlen(wrong[i])));
	assert_true(pbtext_is_valid(ANY, NULL, 0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
