/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that names what is wrong with it, and numbers that come out as they went in. */
#include "common/json.h"

#include "test/unit/unit.h"

static json_t *parse(const char *text)
{
	struct error err = ERROR_INIT;
	json_t *j = NULL;

	assert_ok(json_parse(text, strlen(text), "doc", &j, &err), &err);
	return j;
}

static void refuse(const char *text, size_t n, const char *sentence)
{
	struct error err = ERROR_INIT;
	json_t *j = NULL;

	assert_error(json_parse(text, n, "doc", &j, &err), &err, CODE_INVALID_ARGUMENT, sentence);
	assert_null(j);
}

static void round_trip(const char *text)
{
	json_t *j = parse(text);
	char *again = json_text(j);

	assert_string_equal(again, text);
	free(again);
	json_decref(j);
}

static void test_names_line_and_column(void **state)
{
	(void)state;
	refuse("{\"a\":1,\n}", 9, "doc: line 2, column 1: string or '}' expected near '}'");
	refuse("", 0, "doc: line 1, column 0: '[' or '{' expected near end of file");
	refuse("42", 2, NULL);
	refuse("{} {}", 5, NULL);
	refuse("{\"a\":\"\\u0000\"}", 14, NULL);
	refuse("{\"a\":\"\xff\"}", 9, NULL);
}

/* What the parser quotes is made fit for a sentence. */
static void test_quotes_nothing_unprintable(void **state)
{
	struct error err = ERROR_INIT;
	json_t *j = NULL;

	(void)state;
	assert_int_equal(json_parse("\x1b[31m\xff", 6, "doc", &j, &err), CODE_INVALID_ARGUMENT);
	for (const char *p = error_message(&err); *p; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
	error_clear(&err);
}

static char *nested(size_t depth)
{
	char *text = malloc(2 * depth + 1);

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	text[2 * depth] = '\0';
	return text;
}

static void test_nesting_is_bounded(void **state)
{
	char *text = nested(2048);

	(void)state;
	json_decref(parse(text));
	free(text);
	text = nested(2049);
	refuse(text, strlen(text), NULL);
	free(text);
	text = nested(2000000);
	refuse(text, strlen(text), NULL);
	free(text);
}

static void test_big_integers_survive(void **state)
{
	static const char with_nul[] = "[18446744073709551615,\"\\u000018446744073709551615\"]";
	static const char nul_alone[] = "[\"\\u000018446744073709551615\"]";

	(void)state;
	round_trip("{\"hard\":18446744073709551615,\"soft\":9223372036854775807}");
	round_trip("[9223372036854775808,-9223372036854775808,-9223372036854775809]");
	round_trip("[12345678901234567890123456789012345678901234567890]");
	/* beside one: reals and strings of digits are what they were */
	round_trip(
		"[18446744073709551615,0.5,\"18446744073709551615\",\"\\\"99999999999999999999\"]");
	/* what stands for one inside is a string that no document may have */
	round_trip("[18446744073709551615,\"\\\\u000018446744073709551615\"]");
	refuse(with_nul, strlen(with_nul), NULL);
	refuse(nul_alone, strlen(nul_alone), NULL);
	refuse("[18446744073709551615,]", 23, NULL);
	refuse("[18446744073709551615", 21, NULL);
	refuse("[1e999]", 7, NULL);
	refuse("[-]", 3, NULL);
}

/* Undoing the marks is linear: a client can send 4 MiB of them. */
static void test_many_big_integers(void **state)
{
	const size_t n = 150000, length = strlen("18446744073709551615,");
	char *text = malloc(n * length + 2), *again;
	json_t *j;

	(void)state;
	text[0] = '[';
	for (size_t i = 0; i < n; i++)
		memcpy(text + 1 + i * length, "18446744073709551615,", length);
	text[n * length] = ']';
	text[n * length + 1] = '\0';
	j = parse(text);
	again = json_text(j);
	assert_string_equal(again, text);
	free(again);
	free(text);
	json_decref(j);
}

/* A string that only looks like such a number stays a string. */
static void test_strings_like_big_integers(void **state)
{
	json_t *j = json_string("\x01"
				"18446744073709551615");
	char *text = json_text(j);

	(void)state;
	assert_string_equal(text, "\"\\u000118446744073709551615\"");
	free(text);
	json_decref(j);
	round_trip("[\"\\u000118446744073709551615\",\"\\\"\\u000118446744073709551615\"]");
	round_trip("[\"\\u0001\",\"\\u0001x\",\"\\u000112345\",\"\\u00019223372036854775807\"]");
}

static void test_needed_fields(void **state)
{
	json_t *j = parse("{\"s\":\"text\",\"i\":7,\"n\":null,\"r\":1.5}");
	struct error err = ERROR_INIT;
	const char *s = NULL;
	int64_t i = 0;

	(void)state;
	assert_ok(json_need_string(j, "s", "doc", &s, &err), &err);
	assert_string_equal(s, "text");
	assert_ok(json_need_int(j, "i", "doc", &i, &err), &err);
	assert_int_equal(i, 7);
	assert_error(json_need_string(j, "i", "doc", &s, &err), &err, CODE_INVALID_ARGUMENT,
		"doc: i must be a string");
	assert_error(json_need_string(j, "x", "doc", &s, &err), &err, CODE_INVALID_ARGUMENT,
		"doc: x is missing");
	assert_error(json_need_int(j, "r", "doc", &i, &err), &err, CODE_INVALID_ARGUMENT,
		"doc: r must be an integer");
	assert_error(json_need_int(j, "n", "doc", &i, &err), &err, CODE_INVALID_ARGUMENT,
		"doc: n must be an integer");
	assert_string_equal(s, "text");
	assert_int_equal(i, 7);
	json_decref(j);
}

static void test_fields_with_a_default(void **state)
{
	json_t *j = parse("{\"s\":\"text\",\"i\":7,\"b\":true,\"n\":null}");

	(void)state;
	assert_string_equal(json_get_string(j, "s", "no"), "text");
	assert_string_equal(json_get_string(j, "i", "no"), "no");
	assert_null(json_get_string(j, "n", NULL));
	assert_int_equal(json_get_int(j, "i", 1), 7);
	assert_int_equal(json_get_int(j, "s", 1), 1);
	assert_true(json_get_bool(j, "b", false));
	assert_true(json_get_bool(j, "x", true));
	assert_false(json_get_bool(NULL, "x", false));
	json_decref(j);
}

static void test_files(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	json_t *j = NULL;

	write_text(bed->dir, "f", "{\"a\":12}");
	assert_ok(json_read_file(bed->dir, "f", 8, "doc", &j, &err), &err);
	json_decref(j);
	j = NULL;
	assert_error(json_read_file(bed->dir, "f", 7, "doc", &j, &err), &err,
		CODE_RESOURCE_EXHAUSTED, "doc: larger than 7 bytes");
	assert_error(json_read_file(bed->dir, "none", 8, "doc", &j, &err), &err, CODE_NOT_FOUND,
		"doc: No such file or directory");
	assert_error(json_read_file(bed->dir, ".", 8, "doc", &j, &err), &err, CODE_INVALID_ARGUMENT,
		"doc: not a regular file");
	assert_int_equal(mkfifoat(bed->dir, "fifo", 0600), 0);
	assert_error(json_read_file(bed->dir, "fifo", 8, "doc", &j, &err), &err,
		CODE_INVALID_ARGUMENT, "doc: not a regular file");
	assert_int_equal(symlinkat("f", bed->dir, "link"), 0);
	assert_error(json_read_file(bed->dir, "link", 8, "doc", &j, &err), &err,
		CODE_INVALID_ARGUMENT, NULL);
	assert_null(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_line_and_column),
		cmocka_unit_test(test_quotes_nothing_unprintable),
		cmocka_unit_test(test_nesting_is_bounded),
		cmocka_unit_test(test_big_integers_survive),
		cmocka_unit_test(test_many_big_integers),
		cmocka_unit_test(test_strings_like_big_integers),
		cmocka_unit_test(test_needed_fields),
		cmocka_unit_test(test_fields_with_a_default),
		bed_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
