/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of names: what is one, what is none, and how the refusal reads. */
#include "common/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/limits.h"

static void test_valid(void **state)
{
	static const char *const valid[] = { "a", "Z", "0", "web", "web-1", "a.b_c-d", "0.0.0",
		"ABC123", "a-b-c-d", "k8s.io", "moby" };

	(void)state;
	for (size_t i = 0; i < sizeof(valid) / sizeof(*valid); i++)
		if (!id_is_valid(valid[i]))
			fail_msg("\"%s\" was refused", valid[i]);
}

static void test_invalid(void **state)
{
	static const char *const invalid[] = { "", ".", "..", "-", "_", ".a", "a.", "-a", "a-",
		"_a", "a_", "a..b", "a--b", "a__b", "a.-b", "a-_b", "../x", "x/..", "/", "a/b",
		"/a", "a/", ".new-x", ".gone-x", "a b", " a", "a ", "a\n", "\n", "a\tb", "a\001b",
		"a:b", "a@b", "a+b", "a*", "~", "a%b", "a\\b", "\"a\"", "caf\xc3\xa9", "\xff",
		"a\177b" };

	(void)state;
	assert_false(id_is_valid(NULL));
	for (size_t i = 0; i < sizeof(invalid) / sizeof(*invalid); i++)
		if (id_is_valid(invalid[i]))
			fail_msg("\"%s\" was taken for an id", invalid[i]);
}

/* A name of n bytes, valid but for its length. */
static char *name_of(size_t n)
{
	char *name = malloc(n + 1);

	assert_non_null(name);
	memset(name, 'a', n);
	name[n] = '\0';
	return name;
}

static void test_length(void **state)
{
	_cleanup_free_ char *at = name_of(LIMIT_ID);
	_cleanup_free_ char *above = name_of(LIMIT_ID + 1);
	_cleanup_free_ char *far = name_of(16 << 20);

	(void)state;
	assert_true(id_is_valid(at));
	assert_false(id_is_valid(above));
	assert_false(id_is_valid(far));
	at[LIMIT_ID - 1] = '-';
	assert_false(id_is_valid(at));
}

static void assert_refused(const char *id, const char *sentence)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	assert_int_equal(id_check(id, "container id", &err), CODE_INVALID_ARGUMENT);
	assert_int_equal(err.code, CODE_INVALID_ARGUMENT);
	assert_string_equal(error_message(&err), sentence);
}

static void test_sentences(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(id_check("web", "container id", &err), 0);
	assert_int_equal(err.code, CODE_OK);
	assert_int_equal(id_check("../x", "container id", NULL), CODE_INVALID_ARGUMENT);
	assert_refused(NULL, "container id must not be empty");
	assert_refused("", "container id must not be empty");
	assert_refused("../x",
		"container id \"../x\" must be letters and digits with single '.', '_' "
		"or '-' between them");
}

/* What came from outside is made printable and cut: it goes to logs and terminals. */
static void test_sentences_are_bounded_and_printable(void **state)
{
	_cleanup_free_ char *far = name_of(1 << 20);
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(id_check(far, "exec id", &err), CODE_INVALID_ARGUMENT);
	assert_true(strlen(err.message) < 200);
	assert_non_null(strstr(err.message, "aaa...\" is longer than 76 bytes"));
	assert_refused("a\x1b[2J\nb",
		"container id \"a?[2J?b\" must be letters and digits with single "
		"'.', '_' or '-' between them");
}

static void test_random_hex(void **state)
{
	char a[2 * 16 + 1], b[2 * 16 + 1], none[1] = { 'x' };

	(void)state;
	assert_int_equal(random_hex(a, 16), 0);
	assert_int_equal(random_hex(b, 16), 0);
	assert_int_equal(strlen(a), 32);
	assert_int_equal(strspn(a, "0123456789abcdef"), 32);
	assert_string_not_equal(a, b);
	assert_true(id_is_valid(a));
	assert_int_equal(random_hex(none, 0), 0);
	assert_string_equal(none, "");
}

static void test_random_u64(void **state)
{
	uint64_t a, b;

	(void)state;
	assert_int_equal(random_u64(&a), 0);
	assert_int_equal(random_u64(&b), 0);
	assert_true(a != 0 && b != 0 && a != b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_sentences_are_bounded_and_printable),
		cmocka_unit_test(test_random_hex),
		cmocka_unit_test(test_random_u64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
