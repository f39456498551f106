/* SPDX-License-Identifier: Apache-2.0 */
/* What is owned at the end of a scope is let go, once; what was handed over is not. */
#include "common/cleanup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int open_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_a_descriptor_is_closed(void **state)
{
	int seen;

	(void)state;
	{
		_cleanup_close_ int fd = open_null();

		seen = fd;
		assert_true(is_open(seen));
	}
	assert_false(is_open(seen));
}

static void test_descriptor_0_is_closed_too(void **state)
{
	int saved = dup(0);

	(void)state;
	close(0);
	{
		_cleanup_close_ int fd = open_null();

		assert_int_equal(fd, 0);
	}
	assert_false(is_open(0));
	assert_int_equal(dup2(saved, 0), 0);
	close(saved);
}

static void test_a_taken_descriptor_stays_open(void **state)
{
	int seen;

	(void)state;
	{
		_cleanup_close_ int fd = open_null();

		seen = TAKE_FD(fd);
		assert_int_equal(fd, -1);
	}
	assert_true(is_open(seen));
	cleanup_close(&seen);
	assert_int_equal(seen, -1);
	cleanup_close(&seen);
}

static void *freed;

static void note_free(char **p)
{
	freed = *p;
	free(*p);
	*p = NULL;
}

static void test_a_taken_pointer_is_not_freed(void **state)
{
	_cleanup_free_ char *kept = NULL;

	(void)state;
	freed = NULL;
	{
		_cleanup_(note_free) char *p = strdup("mine");

		kept = TAKE_PTR(p);
		assert_null(p);
	}
	assert_null(freed);
	assert_string_equal(kept, "mine");
}

static void test_a_pointer_is_freed_on_every_way_out(void **state)
{
	(void)state;
	freed = NULL;
	for (int i = 0; i < 2; i++) {
		_cleanup_(note_free) char *p = strdup("mine");

		assert_string_equal(p, "mine");
		assert_null(freed);
		if (i == 0)
			break;
	}
	assert_non_null(freed);
}

static char **next(char ***p)
{
	return (*p)++;
}

/* The argument is evaluated once: it may be an element that an expression walks over. */
static void test_take_evaluates_once(void **state)
{
	char *two[] = { strdup("a"), strdup("b") };
	char **p = two;
	_cleanup_free_ char *first = TAKE_PTR(*next(&p));
	_cleanup_free_ char *second = TAKE_PTR(*next(&p));

	(void)state;
	assert_string_equal(first, "a");
	assert_string_equal(second, "b");
	assert_null(two[0]);
	assert_null(two[1]);
}

static void test_a_stream_is_closed(void **state)
{
	int seen;

	(void)state;
	{
		_cleanup_fclose_ FILE *f = fdopen(open_null(), "r");
		_cleanup_fclose_ FILE *none = NULL;

		assert_non_null(f);
		assert_null(none);
		seen = fileno(f);
	}
	assert_false(is_open(seen));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_descriptor_is_closed),
		cmocka_unit_test(test_descriptor_0_is_closed_too),
		cmocka_unit_test(test_a_taken_descriptor_stays_open),
		cmocka_unit_test(test_a_taken_pointer_is_not_freed),
		cmocka_unit_test(test_a_pointer_is_freed_on_every_way_out),
		cmocka_unit_test(test_take_evaluates_once),
		cmocka_unit_test(test_a_stream_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
