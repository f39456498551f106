/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of others in sentences of ours: one line, valid UTF-8, bounded. */
#include "common/text.h"

#include "test/unit/unit.h"

#define CLEAN(bytes, limit) text_clean(bytes, sizeof(bytes) - 1, limit)

/* Also frees what is checked. */
static void expect(char *text_take, const char *expected)
{
	assert_non_null(text_take);
	assert_string_equal(text_take, expected);
	free(text_take);
}

static void test_control_characters(void **state)
{
	(void)state;
	expect(CLEAN("a\tb\nc\rd\x1b[1me\x7f", 100), "a b c d [1me");
	expect(CLEAN("a\0b", 100), "a b");
	expect(CLEAN("  \n around \n ", 100), "around");
	expect(CLEAN("", 100), "");
	expect(CLEAN(" \n\t", 100), "");
}

static void test_utf8(void **state)
{
	(void)state;
	expect(CLEAN("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x9a\xa2", 100),
		"na\xc3\xafve \xe2\x82\xac \xf0\x9f\x9a\xa2");
	/* a tail without a head, a head without a tail, overlong, surrogate, past the last one */
	expect(CLEAN("\x80 \xc3", 100), "? ?");
	expect(CLEAN("\xc0\xaf", 100), "??");
	expect(CLEAN("\xe0\x80\xaf", 100), "???");
	expect(CLEAN("\xed\xa0\x80", 100), "???");
	expect(CLEAN("\xf4\x90\x80\x80", 100), "????");
	expect(CLEAN("\xff\xfe", 100), "??");
	assert_true(text_is_utf8("na\xc3\xafve"));
	assert_true(text_is_utf8(""));
	assert_false(text_is_utf8("na\xefve"));
	assert_false(text_is_utf8("cut \xe2\x82"));
	assert_true(text_is_string(NULL, 0));
	assert_true(text_is_string("na\xc3\xafve", 6));
	assert_false(text_is_string("na\xc3\xafve", 3));
	assert_false(text_is_string("web\0", 4));
	assert_false(text_is_string("\0", 1));
}

static void test_limit(void **state)
{
	(void)state;
	expect(CLEAN("12345", 5), "12345");
	expect(CLEAN("123456", 5), "12345...");
	/* a character is not cut in two */
	expect(CLEAN("1234\xc3\xaf", 5), "1234...");
	expect(CLEAN("123\xc3\xaf", 5), "123\xc3\xaf");
}

static void test_first_line(void **state)
{
	static const char text[] = "\n  \r\n  first \r\nsecond\n";

	(void)state;
	expect(text_first_line(text, sizeof(text) - 1, 100), "first");
	expect(text_first_line("only", 4, 100), "only");
	expect(text_first_line("\n\n", 2, 100), "");
	expect(text_first_line("", 0, 100), "");
}

static void test_valid_keeps_lines(void **state)
{
	(void)state;
	expect(text_valid("a\nb\xff\tc\0d", 8, 100), "a\nb?\tc d");
}

static void test_unescape_octal(void **state)
{
	static const char *const pairs[][2] = {
		{ "/a\\040b\\134c\\012", "/a b\\c\n" },
		{ "/none", "/none" },
		{ "", "" },
		{ "a\\04", "a\\04" }, /* too short, no digits, more than a byte: left as they are */
		{ "\\x41\\", "\\x41\\" },
		{ "\\400", "\\400" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		char text[32];

		strcpy(text, pairs[i][0]);
		text_unescape_octal(text);
		assert_string_equal(text, pairs[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_first_line),
		cmocka_unit_test(test_valid_keeps_lines),
		cmocka_unit_test(test_unescape_octal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
