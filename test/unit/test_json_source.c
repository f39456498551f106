/* SPDX-License-Identifier: Apache-2.0 */
/* A file written by hand, and mistakes in it by their place. What its users refuse is in their tests. */
#include "common/json_source.h"

#include "test/unit/unit.h"

static void refused(const char *text, const char *const *path, const char *sentence)
{
	struct error err = ERROR_INIT;
	const struct json_source s = { "f", text, strlen(text), &err };

	assert_error(json_source_refuse(&s, path, "wrong"), &err, CODE_INVALID_ARGUMENT, sentence);
}

static void test_places(void **state)
{
	static const char text[] = "{\n\"a\":{\n\"b\":{\n\"c\":1}},\n\"a\\nb\":1}";
	char name[300], sentence[128];

	(void)state;
	refused(text, (const char *const[]){ NULL }, "f:1: wrong");
	refused(text, (const char *const[]){ "a", NULL }, "f:2: a: wrong");
	refused(text, (const char *const[]){ "a", "b", "c", NULL }, "f:4: a.b.c: wrong");
	refused(text, (const char *const[]){ "a\nb", NULL }, "f:5: a b: wrong");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(sentence, sizeof(sentence), "f:1: %.64s...: wrong", name);
	refused("{}", (const char *const[]){ name, NULL }, sentence);
}

/* However deep: as much of the place as there is room for. */
static void test_depth(void **state)
{
	const char *path[101];
	struct error err = ERROR_INIT;
	const struct json_source s = { "f", "{}", 2, &err };

	(void)state;
	for (size_t i = 0; i < 100; i++)
		path[i] = "a name of some twenty bytes";
	path[100] = NULL;
	assert_int_equal(json_source_refuse(&s, path, "wrong"), CODE_INVALID_ARGUMENT);
	assert_true(strlen(error_message(&err)) < 600);
	error_clear(&err);
}

static void version(const char *text, int code, const char *sentence)
{
	struct error err = ERROR_INIT;
	const struct json_source s = { "f", text, strlen(text), &err };
	_cleanup_json_ json_t *j = NULL;

	assert_ok(json_source_parse(&s, &j), &err);
	assert_error(json_source_version(&s, j, 3), &err, code, sentence);
}

static void test_version(void **state)
{
	(void)state;
	version("{\"v\":3}", CODE_OK, NULL);
	version("[3]", CODE_INVALID_ARGUMENT, "f:1: not an object");
	version("{\n\"w\":3}", CODE_INVALID_ARGUMENT, "f:1: v: not a number");
	version("{\n\"v\":\"3\"}", CODE_INVALID_ARGUMENT, "f:2: v: not a number");
	version("{\n\"v\":4}", CODE_INVALID_ARGUMENT,
		"f:2: v: not a version that this cleat knows: it knows 3");
}

static void test_parse(void **state)
{
	struct error err = ERROR_INIT;
	const struct json_source empty = { "f", NULL, 0, &err },
				 twice = { "f", "{\"a\":1,\n\"a\":2}", 14, &err };
	json_t *j = NULL;

	(void)state;
	assert_error(json_source_parse(&empty, &j), &err, CODE_INVALID_ARGUMENT,
		"f:1: '[' or '{' expected near end of file");
	assert_error(json_source_parse(&twice, &j), &err, CODE_INVALID_ARGUMENT,
		"f:2: duplicate object key near '\"a\"'");
	assert_null(j);
}

static void test_read(void **state)
{
	struct bed *bed = *state;
	struct buf text = BUF_INIT;
	struct error err = ERROR_INIT;
	char path[128], sentence[256];

	snprintf(path, sizeof(path), "%s/link", bed->path);
	assert_error(json_source_read(path, 4, &text, &err), &err, CODE_NOT_FOUND, NULL);
	assert_int_equal(symlinkat("file", bed->dir, "link"), 0);
	write_text(bed->dir, "file", "four");
	assert_ok(json_source_read(path, 4, &text, &err), &err);
	assert_int_equal(text.len, 4);
	buf_deinit(&text);
	snprintf(sentence, sizeof(sentence), "%s: larger than 3 bytes", path);
	assert_error(
		json_source_read(path, 3, &text, &err), &err, CODE_RESOURCE_EXHAUSTED, sentence);
	snprintf(sentence, sizeof(sentence), "%s: not a regular file", bed->path);
	assert_error(
		json_source_read(bed->path, 3, &text, &err), &err, CODE_INVALID_ARGUMENT, sentence);
	buf_deinit(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_parse),
		bed_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
