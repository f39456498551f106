/* SPDX-License-Identifier: Apache-2.0 */
/* What a logger's URI says; the other schemes: test_stdio.c. */
#include "common/stdio_uri.h"

#include "test/unit/unit.h"

#include "common/cleanup.h"
#include "common/limits.h"

struct expected {
	const char *uri;
	bool wants_byte;
	const char *path;
	const char *args; /* each with a newline behind it */
};

static char *joined(const struct argv *args)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (size_t i = 0; i < args->n; i++)
		fprintf(f, "%s\n", args->v[i]);
	fclose(f);
	return text;
}

static void check(const struct expected *e)
{
	_cleanup_stdio_uri_ struct stdio_uri u = STDIO_URI_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *args = NULL;

	assert_ok(stdio_uri_parse(e->uri, &u, &err), &err);
	args = joined(&u.args);
	assert_int_equal(u.scheme, STDIO_LOGGER);
	assert_int_equal(u.wants_byte, e->wants_byte);
	assert_string_equal(u.path, e->path);
	assert_string_equal(args, e->args);
}

/* As net/url of Go reads what it has written; of a key that comes twice the first value counts. */
static void test_arguments(void **state)
{
	static const struct expected cases[] = {
		{ "binary:///bin/x", false, "/bin/x", "" },
		{ "binary-v2:///bin/x?", true, "/bin/x", "" },
		{ "binary:///bin/x?k=v", false, "/bin/x", "k\nv\n" },
		{ "binary-v2:///bin/x?b=2&a=1&c=3", true, "/bin/x", "b\n2\na\n1\nc\n3\n" },
		{ "binary:///bin/x?-c", false, "/bin/x", "-c\n\n" },
		{ "binary:///bin/x?k=&=v&&", false, "/bin/x", "k\n\n\nv\n" },
		{ "binary:///bin/x?k=a=b", false, "/bin/x", "k\na=b\n" },
		{ "binary:///bin/x?a+b=c+d%2B%26%3D%3F", false, "/bin/x", "a b\nc d+&=?\n" },
		{ "binary:///bin/a%20b+c?k=/p?q", false, "/bin/a b+c", "k\n/p?q\n" },
		{ "binary:///bin/x?k=1&j=2&k=3&%6B=4", false, "/bin/x", "k\n1\nj\n2\n" },
		{ "binary:///bin/x?k=v#k2=v2", false, "/bin/x", "k\nv\n" },
		{ "binary:///bin/x#?k=v", false, "/bin/x", "" },
		{ "binary:///bin/x?k=a%23b;c", false, "/bin/x", "k\na#b;c\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check(&cases[i]);
}

/* n different keys, each twice. */
static char *many_pairs(size_t n)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("binary:///bin/x?", f);
	for (size_t i = 0; i < 2 * n; i++)
		fprintf(f, "k%zu=%zu&", i / 2, i);
	fclose(f);
	return text;
}

static void test_number_of_arguments(void **state)
{
	static const size_t too_many[] = { LIMIT_LOGGER_PAIRS + 1, 100000 };
	_cleanup_stdio_uri_ struct stdio_uri u = STDIO_URI_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *most = many_pairs(LIMIT_LOGGER_PAIRS);

	(void)state;
	assert_ok(stdio_uri_parse(most, &u, &err), &err);
	assert_int_equal(u.args.n, 2 * LIMIT_LOGGER_PAIRS);
	for (size_t i = 0; i < 2; i++) {
		_cleanup_stdio_uri_ struct stdio_uri none = STDIO_URI_INIT;
		_cleanup_free_ char *text = many_pairs(too_many[i]);

		assert_error(stdio_uri_parse(text, &none, &err), &err, CODE_INVALID_ARGUMENT,
			"more than 256 pairs in its query");
		assert_null(none.path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_arguments),
		bed_test(test_number_of_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
