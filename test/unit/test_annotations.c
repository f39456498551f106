/* SPDX-License-Identifier: Apache-2.0 */
/* A container's annotations: what is laid over what, what is refused, and how many there may be. */
#include "shim/annotations.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/limits.h"
#include "test/unit/unit.h"

static json_t *merge(const json_t *kept, const struct annotation *more, size_t n)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_json_ json_t *list = NULL;
	json_t *all = NULL;

	assert_int_equal(annotations_read(more, n, &list, &err), 0);
	assert_int_equal(annotations_merge(kept, list, &all, &err), 0);
	assert_non_null(all);
	return all;
}

static void refused(const json_t *kept, struct annotation one, int code, const char *sentence)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_json_ json_t *list = NULL;
	json_t *all = NULL;
	int r = annotations_read(&one, 1, &list, &err);

	if (r == 0)
		r = annotations_merge(kept, list, &all, &err);
	assert_int_equal(r, code);
	assert_string_equal(error_message(&err), sentence);
	assert_null(all);
}

static void test_merge(void **state)
{
	const struct annotation first[] = { { "a", "1" }, { "b", "" }, { "a", "2" } };
	const struct annotation second[] = { { "b", "3" }, { "c", "\xc3\xa4" } };
	json_t *one = merge(NULL, first, 3), *two = merge(one, second, 2);
	_cleanup_free_ char *text = NULL;

	(void)state;
	assert_int_equal(json_object_size(one), 2);
	assert_string_equal(json_get_string(one, "a", NULL), "2");
	assert_string_equal(json_get_string(one, "b", NULL), "");
	text = json_text(two);
	assert_string_equal(text, "{\"a\":\"2\",\"b\":\"3\",\"c\":\"\xc3\xa4\"}");
	json_decref(one);
	json_decref(two);
	one = merge(NULL, NULL, 0);
	assert_int_equal(json_object_size(one), 0);
	json_decref(one);
}

static void test_refused(void **state)
{
	(void)state;
	refused(NULL, (struct annotation){ "", "x" }, CODE_INVALID_ARGUMENT,
		"annotations: a name is empty");
	refused(NULL, (struct annotation){ "a", "\xff" }, CODE_INVALID_ARGUMENT,
		"annotations: not UTF-8");
	refused(NULL, (struct annotation){ "\xc3", "x" }, CODE_INVALID_ARGUMENT,
		"annotations: not UTF-8");
}

static char *letters(size_t n)
{
	char *s = malloc(n + 1);

	assert_non_null(s);
	memset(s, 'x', n);
	s[n] = '\0';
	return s;
}

/* At the bound, one above, and far above it; what is kept counts, what is replaced does not. */
static void test_limit(void **state)
{
	static const char sentence[] = "annotations: larger than 65536 bytes together";
	_cleanup_free_ char *fits = letters(LIMIT_ANNOTATIONS - 4);
	_cleanup_free_ char *large = letters(LIMIT_ANNOTATIONS - 3);
	_cleanup_free_ char *huge = letters(50 * LIMIT_ANNOTATIONS);
	const struct annotation all = { "name", fits };
	json_t *full = merge(NULL, &all, 1), *again;

	(void)state;
	refused(NULL, (struct annotation){ "name", large }, CODE_RESOURCE_EXHAUSTED, sentence);
	refused(NULL, (struct annotation){ "name", huge }, CODE_RESOURCE_EXHAUSTED, sentence);
	refused(full, (struct annotation){ "b", "" }, CODE_RESOURCE_EXHAUSTED, sentence);
	again = merge(full, &all, 1);
	assert_true(json_equal(again, full));
	json_decref(again);
	json_decref(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
