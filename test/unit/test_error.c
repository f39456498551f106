/* SPDX-License-Identifier: Apache-2.0 */
/* Codes and sentences, as a user reads them. */
#include "common/error.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(code_name(CODE_OK), "OK");
	assert_string_equal(code_name(CODE_UNAUTHENTICATED), "UNAUTHENTICATED");
	for (int code = 0; code < _CODE_MAX; code++)
		assert_true(strlen(code_name(code)) > 1);
	assert_string_equal(code_name(-1), "UNKNOWN");
	assert_string_equal(code_name(_CODE_MAX), "UNKNOWN");
	assert_string_equal(code_name(INT_MAX), "UNKNOWN");
}

/* The numbers travel on the wire. */
static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(CODE_UNKNOWN, 2);
	assert_int_equal(CODE_NOT_FOUND, 5);
	assert_int_equal(CODE_FAILED_PRECONDITION, 9);
	assert_int_equal(CODE_UNIMPLEMENTED, 12);
	assert_int_equal(CODE_UNAVAILABLE, 14);
	assert_int_equal(CODE_UNAUTHENTICATED, 16);
}

static void test_set(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(error_set(&err, CODE_NOT_FOUND, "no container %s", "web"), CODE_NOT_FOUND);
	assert_int_equal(err.code, CODE_NOT_FOUND);
	assert_string_equal(error_message(&err), "no container web");
	assert_int_equal(error_set(&err, CODE_ABORTED, "again"), CODE_ABORTED);
	assert_string_equal(error_message(&err), "again");
	assert_int_equal(error_set(NULL, CODE_ABORTED, "nobody reads it"), CODE_ABORTED);
}

/* A sentence may be built from the one that it replaces. */
static void test_set_from_itself(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)state;
	error_set(&err, CODE_NOT_FOUND, "no such file");
	error_set(&err, CODE_INTERNAL, "exec: %s (%s)", err.message, err.message);
	assert_string_equal(error_message(&err), "exec: no such file (no such file)");
}

static void test_errno(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(error_errno(&err, -ENOENT, "bundle %s", "/b"), CODE_NOT_FOUND);
	assert_string_equal(error_message(&err), "bundle /b: No such file or directory");
	assert_int_equal(error_errno(NULL, -ENOENT, "bundle"), CODE_NOT_FOUND);
}

static void test_wrap(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)state;
	error_errno(&err, -EACCES, "open");
	assert_int_equal(error_wrap(&err, "container %s", "web"), CODE_PERMISSION_DENIED);
	error_wrap(&err, "run");
	assert_string_equal(error_message(&err), "run: container web: open: Permission denied");
	assert_int_equal(error_wrap(NULL, "x"), CODE_UNKNOWN);
}

/* vasprintf(3) fails on such a character as it does without memory. */
static void test_no_memory_for_the_sentence(void **state)
{
	static const wchar_t unprintable[] = { 0xd800, 0 };
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)state;
	error_set(&err, CODE_NOT_FOUND, "old");
	assert_int_equal(error_set(&err, CODE_ABORTED, "%ls", unprintable), CODE_ABORTED);
	assert_int_equal(err.code, CODE_ABORTED);
	assert_null(err.message);
	assert_string_equal(error_message(&err), "ABORTED");
	assert_int_equal(error_wrap(&err, "run"), CODE_ABORTED);
	assert_string_equal(error_message(&err), "run: ABORTED");
	assert_int_equal(error_wrap(&err, "%ls", unprintable), CODE_ABORTED);
	assert_string_equal(error_message(&err), "run: ABORTED");
	assert_int_equal(error_errno(&err, -ENOENT, "%ls", unprintable), CODE_NOT_FOUND);
	assert_string_equal(error_message(&err), ": No such file or directory");
}

static void test_clear_and_move(void **state)
{
	_cleanup_error_ struct error a = ERROR_INIT;
	_cleanup_error_ struct error b = ERROR_INIT;

	(void)state;
	error_clear(NULL);
	error_set(&a, CODE_INTERNAL, "from");
	error_set(&b, CODE_ABORTED, "to");
	error_move(&b, &a);
	assert_int_equal(a.code, CODE_OK);
	assert_null(a.message);
	assert_int_equal(b.code, CODE_INTERNAL);
	assert_string_equal(error_message(&b), "from");
	error_clear(&b);
	error_clear(&b);
	assert_int_equal(b.code, CODE_OK);
	assert_string_equal(error_message(&b), "OK");
}

static void test_codes_of_errnos(void **state)
{
	static const struct {
		int r;
		enum code code;
	} cases[] = {
		{ 0, CODE_OK },
		{ -ESRCH, CODE_NOT_FOUND },
		{ -EEXIST, CODE_ALREADY_EXISTS },
		{ -EPERM, CODE_PERMISSION_DENIED },
		{ -ENOSPC, CODE_RESOURCE_EXHAUSTED },
		{ -EMFILE, CODE_RESOURCE_EXHAUSTED },
		{ -ENOMEM, CODE_RESOURCE_EXHAUSTED },
		{ -EINVAL, CODE_INVALID_ARGUMENT },
		{ -ELOOP, CODE_INVALID_ARGUMENT },
		{ -ETIMEDOUT, CODE_DEADLINE_EXCEEDED },
		{ -EPIPE, CODE_UNAVAILABLE },
		{ -ECANCELED, CODE_CANCELLED },
		{ -EIO, CODE_INTERNAL },
		{ -4095, CODE_INTERNAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(code_from_errno(cases[i].r), cases[i].code);
}

static void test_trace_returns_what_it_got(void **state)
{
	(void)state;
	assert_int_equal(error_trace(-EIO), -EIO);
	assert_int_equal(error_trace(0), 0);
	assert_int_equal(error_trace(7), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_from_itself),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_no_memory_for_the_sentence),
		cmocka_unit_test(test_clear_and_move),
		cmocka_unit_test(test_codes_of_errnos),
		cmocka_unit_test(test_trace_returns_what_it_got),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
