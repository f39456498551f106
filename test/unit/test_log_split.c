/* SPDX-License-Identifier: Apache-2.0 */
/* Text into records and back, in every way of cutting it up. */
#include "shim/log_split.h"

#include "test/unit/unit.h"

#include "common/cleanup.h"
#include "common/text.h"

#define BED_CHECK(what) assert_true(what)
#include "test/unit/log_bed.h"

static void split(enum log_format format, const void *text, size_t n, size_t chunk, size_t room,
	struct buf *ret_file, struct buf *ret_text)
{
	struct log_bed l;

	log_bed_init(&l, format, room);
	for (size_t i = 0; i < n; i += chunk)
		log_bed_feed(&l, (const uint8_t *)text + i, n - i < chunk ? n - i : chunk, false);
	log_bed_feed(&l, NULL, 0, true);
	log_bed_parse(&l, ret_text);
	if (l.file.len)
		assert_int_equal(buf_append(ret_file, buf_head(&l.file), l.file.len), 0);
	log_bed_deinit(&l);
}

static void expect_file(enum log_format format, const char *text, size_t n, const char *wanted)
{
	struct buf file = BUF_INIT, back = BUF_INIT;

	split(format, text, n, 3, SIZE_MAX, &file, &back);
	assert_int_equal(file.len, strlen(wanted));
	assert_memory_equal(buf_head(&file), wanted, file.len);
	buf_deinit(&file);
	buf_deinit(&back);
}

#define T "2026-01-02T03:04:05.678901234Z"

static void test_what_it_looks_like(void **state)
{
	(void)state;
	expect_file(
		LOG_CRI, "one\n\ntwo", 8, T " stdout F one\n" T " stdout F \n" T " stdout P two\n");
}

static void test_json_looks_like(void **state)
{
	(void)state;
	expect_file(LOG_JSON, "one\n", 4,
		"{\"log\":\"one\\n\",\"stream\":\"stdout\",\"time\":\"" T "\"}\n");
	expect_file(LOG_JSON, "\"\\\t\r\0\x1b\x7f\xc3\xa4\xff\xe2\x82", 12,
		"{\"log\":\"\\\"\\\\\\t\\r\\u0000\\u001b\\u007f\xc3\xa4\\ufffd\\ufffd\\ufffd\","
		"\"stream\":\"stdout\",\"time\":\"" T "\"}\n");
}

/* Lines about the bound, long ones, none at all, and what has no newline. */
static size_t make_text(uint8_t *to, unsigned seed, bool utf8)
{
	static const size_t lengths[] = { 0, 1, 80, LIMIT_LOG_PART - 1, LIMIT_LOG_PART,
		LIMIT_LOG_PART + 1, 2 * LIMIT_LOG_PART, 100000, 3 };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		for (size_t k = 0; k < lengths[i]; k++) {
			seed = seed * 1103515245 + 12345;
			if (utf8 && k + 4 <= lengths[i] && seed >> 29 == 0) {
				memcpy(to + n, "\xf0\x9f\x98\x80", 4);
				n += 4;
				k += 3;
				continue;
			}
			to[n] = (uint8_t)(seed >> 16) & (utf8 ? 0x7f : 0xff);
			n += to[n] != '\n';
		}
		to[n++] = '\n';
	}
	return n - 1;
}

static void check_exact(enum log_format format, bool utf8)
{
	static const size_t chunks[] = { 7, 4096, LIMIT_LOG_PART, 65536, 1000000 };
	static const size_t rooms[] = { SIZE_MAX, 5000, 60 };
	_cleanup_free_ uint8_t *text = malloc(400000);
	struct buf first = BUF_INIT;
	size_t n;

	assert_non_null(text);
	n = make_text(text, 7, utf8);
	for (size_t i = 0; i < sizeof(chunks) / sizeof(*chunks); i++)
		for (size_t k = 0; k < sizeof(rooms) / sizeof(*rooms); k++) {
			struct buf file = BUF_INIT, back = BUF_INIT;

			split(format, text, n, chunks[i], rooms[k], &file, &back);
			if (!first.len)
				assert_int_equal(buf_append(&first, buf_head(&file), file.len), 0);
			assert_int_equal(file.len, first.len);
			assert_memory_equal(buf_head(&file), buf_head(&first), file.len);
			if (format == LOG_CRI || utf8) {
				assert_int_equal(back.len, n);
				assert_memory_equal(buf_head(&back), text, n);
			}
			buf_deinit(&file);
			buf_deinit(&back);
		}
	buf_deinit(&first);
}

static void test_cri_is_exact(void **state)
{
	(void)state;
	check_exact(LOG_CRI, false);
	check_exact(LOG_CRI, true);
}

static void test_json_is_exact_for_utf8(void **state)
{
	(void)state;
	check_exact(LOG_JSON, true);
	check_exact(LOG_JSON, false);
}

/* Nothing but what needs the most room, in the longest part. */
static void test_worst_part(void **state)
{
	_cleanup_free_ uint8_t *text = calloc(1, LIMIT_LOG_PART + 1);
	struct buf file = BUF_INIT, back = BUF_INIT;

	(void)state;
	assert_non_null(text);
	text[LIMIT_LOG_PART] = '\n';
	split(LOG_JSON, text, LIMIT_LOG_PART + 1, 65536, SIZE_MAX, &file, &back);
	assert_int_equal(back.len, LIMIT_LOG_PART + 1);
	assert_memory_equal(buf_head(&back), text, back.len);
	buf_deinit(&file);
	buf_deinit(&back);
}

static void test_own_line(void **state)
{
	char line[2048];
	size_t n;

	(void)state;
	n = log_line(LOG_CRI, LOG_BED_AT, "cleat: gap", line, sizeof(line));
	assert_int_equal(n, strlen(T " stderr F cleat: gap\n"));
	assert_memory_equal(line, T " stderr F cleat: gap\n", n);
	n = log_line(LOG_JSON, LOG_BED_AT, "cleat: \"gap\"", line, sizeof(line));
	assert_string_equal(line,
		"{\"log\":\"cleat: \\\"gap\\\"\\n\",\"stream\":\"stderr\",\"time\":\"" T "\"}\n");
	assert_int_equal(n, strlen(line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_it_looks_like),
		cmocka_unit_test(test_json_looks_like),
		cmocka_unit_test(test_cri_is_exact),
		cmocka_unit_test(test_json_is_exact_for_utf8),
		cmocka_unit_test(test_worst_part),
		cmocka_unit_test(test_own_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
