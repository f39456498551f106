/* SPDX-License-Identifier: Apache-2.0 */
/* The buffer: nothing lost in growing or consuming, nothing held when it is empty. */
#include "common/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_append_and_consume(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_null(buf_head(&b));
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_append(&b, "hello ", 6), 0);
	assert_int_equal(buf_append(&b, "world", 5), 0);
	assert_int_equal(b.len, 11);
	assert_memory_equal(buf_head(&b), "hello world", 11);
	buf_consume(&b, 6);
	assert_int_equal(b.len, 5);
	assert_memory_equal(buf_head(&b), "world", 5);
}

static void test_an_empty_one_holds_nothing(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(buf_append(&b, "x", 1), 0);
	buf_consume(&b, 1);
	assert_null(b.data);
	assert_int_equal(b.size, 0);
	assert_int_equal(buf_append(&b, "x", 1), 0);
	buf_consume(&b, SIZE_MAX);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	buf_consume(&b, 1);
	buf_deinit(&b);
	buf_deinit(&b);
}

static void test_reserve_and_commit(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	uint8_t *to = buf_reserve(&b, 1000);

	(void)state;
	assert_non_null(to);
	memset(to, 'a', 1000);
	buf_commit(&b, 700);
	assert_int_equal(b.len, 700);
	assert_ptr_equal(buf_reserve(&b, 1), buf_head(&b) + 700);
}

/* A stream through a buffer, in pieces that do not fit each other. */
static void test_a_stream(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	uint32_t in = 0, out = 0;

	(void)state;
	while (out < 1000000) {
		uint8_t piece[977];
		size_t n = 1 + in % sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = (uint8_t)((in + i) * 31 >> 3);
		assert_int_equal(buf_append(&b, piece, n), 0);
		in += (uint32_t)n;
		n = out % 5 == 0 ? b.len : b.len / 3;
		for (size_t i = 0; i < n; i++)
			if (buf_head(&b)[i] != (uint8_t)((out + i) * 31 >> 3))
				fail_msg("byte %zu is another", out + i);
		buf_consume(&b, n);
		out += (uint32_t)n;
		assert_int_equal(b.len, in - out);
	}
}

/* What is consumed makes room: a stream does not make the buffer grow for ever. */
static void test_consumed_room_is_used(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	uint8_t piece[200] = { 0 };

	(void)state;
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(buf_append(&b, piece, sizeof(piece)), 0);
		if (i > 0)
			buf_consume(&b, sizeof(piece));
	}
	assert_true(b.size <= 1024);
}

/* What cannot be had is refused, and what is there stays. */
static void test_more_than_there_is(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(buf_append(&b, "x", 1), 0);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_null(buf_reserve(&b, SIZE_MAX / 2 + 1));
	assert_int_equal(buf_append(&b, "y", SIZE_MAX), -ENOMEM);
	assert_int_equal(b.len, 1);
	assert_int_equal(*buf_head(&b), 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_and_consume),
		cmocka_unit_test(test_an_empty_one_holds_nothing),
		cmocka_unit_test(test_reserve_and_commit),
		cmocka_unit_test(test_a_stream),
		cmocka_unit_test(test_consumed_room_is_used),
		cmocka_unit_test(test_more_than_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
