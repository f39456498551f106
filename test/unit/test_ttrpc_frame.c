/* SPDX-License-Identifier: Apache-2.0 */
/* The frame codec, byte by byte. */
#include "common/ttrpc_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/limits.h"

static void header_is_ten_bytes_big_endian(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x01, 0x02, 0x03, 0x84, 0x85, 0x86, 0x87, 3, 5 };
	struct ttrpc_header h = { .length = 0x010203, .stream = 0x84858687, .type = 3, .flags = 5 };
	uint8_t out[TTRPC_HEADER];

	(void)state;
	ttrpc_header_encode(&h, out);
	assert_memory_equal(out, bytes, sizeof(bytes));

	memset(&h, 0, sizeof(h));
	assert_int_equal(ttrpc_header_decode(bytes, sizeof(bytes), &h), 0);
	assert_int_equal(h.length, 0x010203);
	assert_int_equal(h.stream, 0x84858687);
	assert_int_equal(h.type, TTRPC_DATA);
	assert_int_equal(h.flags, TTRPC_REMOTE_CLOSED | TTRPC_NO_DATA);
}

static void fewer_than_ten_bytes_are_partial(void **state)
{
	static const uint8_t bytes[TTRPC_HEADER] = { 0, 0, 0, 0, 0, 0, 0, 1, 1, 0 };
	struct ttrpc_header h;

	(void)state;
	for (size_t n = 0; n < sizeof(bytes); n++)
		assert_int_equal(ttrpc_header_decode(bytes, n, &h), TTRPC_FRAME_E_PARTIAL);
	assert_int_equal(ttrpc_header_decode(bytes, sizeof(bytes), &h), 0);
}

static void first_byte_alone_breaks_the_connection(void **state)
{
	uint8_t bytes[TTRPC_HEADER] = { 0 };
	struct ttrpc_header h;

	(void)state;
	for (int first = 1; first < 256; first++) {
		bytes[0] = (uint8_t)first;
		assert_int_equal(ttrpc_header_decode(bytes, 1, &h), TTRPC_FRAME_E_BROKEN);
		assert_int_equal(
			ttrpc_header_decode(bytes, sizeof(bytes), &h), TTRPC_FRAME_E_BROKEN);
	}
}

static void length_is_limited_to_four_mebibytes(void **state)
{
	static const struct {
		uint32_t length;
		int result;
	} cases[] = {
		{ 0, 0 },
		{ LIMIT_FRAME_DATA - 1, 0 },
		{ LIMIT_FRAME_DATA, 0 },
		{ LIMIT_FRAME_DATA + 1, TTRPC_FRAME_E_TOO_LARGE },
		{ 0x00ffffff, TTRPC_FRAME_E_TOO_LARGE },
		{ 0x01000000, TTRPC_FRAME_E_BROKEN },
		{ 0xffffffff, TTRPC_FRAME_E_BROKEN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ttrpc_header in = { .length = cases[i].length, .stream = 7, .type = 1 };
		struct ttrpc_header out = { 0 };
		uint8_t bytes[TTRPC_HEADER];

		ttrpc_header_encode(&in, bytes);
		assert_int_equal(ttrpc_header_decode(bytes, sizeof(bytes), &out), cases[i].result);
		if (cases[i].result != TTRPC_FRAME_E_BROKEN) {
			assert_int_equal(out.length, cases[i].length);
			assert_int_equal(out.stream, 7);
		}
	}
}

static void server_judges_each_kind_of_frame(void **state)
{
	static const struct {
		struct ttrpc_header header;
		uint32_t last;
		enum ttrpc_verdict verdict;
	} cases[] = {
		/* requests: odd and rising */
		{ { 0, 1, TTRPC_REQUEST, 0 }, 0, TTRPC_VERDICT_REQUEST },
		{ { 9, 3, TTRPC_REQUEST, TTRPC_REMOTE_CLOSED }, 1, TTRPC_VERDICT_REQUEST },
		{ { 9, 99, TTRPC_REQUEST, TTRPC_REMOTE_OPEN }, 1, TTRPC_VERDICT_REQUEST },
		{ { 0, 0xffffffff, TTRPC_REQUEST, 0 }, 1, TTRPC_VERDICT_REQUEST },
		{ { 0, 0, TTRPC_REQUEST, 0 }, 0, TTRPC_VERDICT_INVALID },
		{ { 0, 2, TTRPC_REQUEST, 0 }, 1, TTRPC_VERDICT_INVALID },
		{ { 0, 5, TTRPC_REQUEST, 0 }, 5, TTRPC_VERDICT_INVALID },
		{ { 0, 3, TTRPC_REQUEST, 0 }, 5, TTRPC_VERDICT_INVALID },
		{ { 0, 1, TTRPC_REQUEST, 0 }, 0xffffffff, TTRPC_VERDICT_INVALID },
		/* data: our calls take none but the end of it */
		{ { 0, 5, TTRPC_DATA, TTRPC_REMOTE_CLOSED | TTRPC_NO_DATA }, 5,
			TTRPC_VERDICT_IGNORE },
		{ { 1, 5, TTRPC_DATA, TTRPC_REMOTE_CLOSED | TTRPC_NO_DATA }, 5,
			TTRPC_VERDICT_INVALID },
		{ { 0, 5, TTRPC_DATA, TTRPC_REMOTE_CLOSED }, 5, TTRPC_VERDICT_INVALID },
		{ { 4, 5, TTRPC_DATA, 0 }, 5, TTRPC_VERDICT_INVALID },
		{ { 0, 4, TTRPC_DATA, TTRPC_NO_DATA }, 5, TTRPC_VERDICT_INVALID },
		/* what a server never gets, or does not know, whatever its stream */
		{ { 0, 5, TTRPC_RESPONSE, 0 }, 5, TTRPC_VERDICT_IGNORE },
		{ { 0, 4, TTRPC_RESPONSE, 0 }, 5, TTRPC_VERDICT_IGNORE },
		{ { 0, 7, 0, 0 }, 5, TTRPC_VERDICT_IGNORE },
		{ { 0, 2, 4, 0 }, 5, TTRPC_VERDICT_IGNORE },
		{ { 8, 7, 255, 255 }, 5, TTRPC_VERDICT_IGNORE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *why = NULL;

		assert_int_equal(
			ttrpc_frame_judge(&cases[i].header, cases[i].last, &why), cases[i].verdict);
		assert_true((why != NULL) == (cases[i].verdict == TTRPC_VERDICT_INVALID));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_ten_bytes_big_endian),
		cmocka_unit_test(fewer_than_ten_bytes_are_partial),
		cmocka_unit_test(first_byte_alone_breaks_the_connection),
		cmocka_unit_test(length_is_limited_to_four_mebibytes),
		cmocka_unit_test(server_judges_each_kind_of_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
