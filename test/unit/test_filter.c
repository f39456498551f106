/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters: which of some things each one picks, by facts that containerd's own parser tests state as
 * well (its filters/filter_test.go and scanner_test.go at 1.6); what is refused, in which words; bounds.
 */
#include "common/filter.h"

#include "common/limits.h"
#include "test/unit/unit.h"

struct thing {
	const char *name, *other;
	const char *labels[2][2];
};

static const struct thing things[] = {
	{ "web", NULL, { { "env", "live" } } },
	{ "db", NULL, { { NULL } } },
	{ "web", "x, y", { { "env", "test" }, { "a long label", "yes" } } },
	{ "db", "cab", { { "db", "live" } } },
	{ "cache", NULL, { { "with \\ and \"", "yes" } } },
	{ "cache", NULL, { { "with \\ and \".post", "yes" } } },
	{ "\xe7\x89\x9b", "d", { { "env", "a_b.c-d" }, { "io.x/key", "v" } } },
};
#define N_THINGS (sizeof(things) / sizeof(*things))

static const char *field_of(const char *const *path, size_t n, void *userdata)
{
	const struct thing *thing = userdata;
	char label[128] = "";

	if (n == 1 && strcmp(path[0], "name") == 0)
		return thing->name;
	if (n == 1 && strcmp(path[0], "other") == 0)
		return thing->other;
	if (strcmp(path[0], "labels") != 0)
		return NULL;
	for (size_t i = 1; i < n; i++) {
		strcat(label, i > 1 ? "." : "");
		strcat(label, path[i]);
	}
	for (size_t i = 0; i < 2; i++)
		if (thing->labels[i][0] && strcmp(thing->labels[i][0], label) == 0)
			return thing->labels[i][1];
	return NULL;
}

/* As a string of digits: the numbers of the things that match. */
static void pick(const char *const *texts, size_t n, char ret[static N_THINGS + 1])
{
	struct error err = ERROR_INIT;
	struct filter *f = NULL;

	if (filter_parse(texts, n, &f, &err) != 0)
		fail_msg("%s", error_message(&err));
	for (size_t i = 0; i < N_THINGS; i++)
		if (filter_matches(f, field_of, (void *)&things[i]))
			*ret++ = (char)('0' + i);
	*ret = '\0';
	filter_free(f);
}

static void test_picks(void **state)
{
	static const struct {
		const char *text, *picked;
	} cases[] = {
		{ "", "0123456" },
		{ "name", "0123456" },
		{ "other", "236" },
		{ "labels.env", "026" },
		{ "labels.env,name", "026" },
		{ "labels.env==live", "0" },
		{ "labels.env==a_b.c-d", "6" },
		{ "labels.\"io.x/key\"==v", "6" },
		{ "name==db", "13" },
		{ "name!=db", "02456" },
		{ "name==db,labels.db", "3" },
		{ "name==db,labels.db==live", "3" },
		{ "name==db,labels.db==wrong", "" },
		{ "other==\"x, y\"", "2" },
		{ "other!=\"\"", "236" },
		{ "other==\"\"", "" },
		{ "other!=d", "012345" },
		{ "nothing", "" },
		{ "nothing!=x", "0123456" },
		{ "nothing~=.*", "0123456" },
		{ "other~=[abc]+,name!=web", "3" },
		{ "other~=/[abc]+/,name!=web", "3" },
		{ "other~=|[abc]+|", "3" },
		{ "other~=/^[abc]{1,2}$/", "" },
		{ "other~=/[abc]{0,1}\"\\//", "" },
		{ "name~=^web$", "02" },
		{ "name~=\xe7\x89\x9b", "6" },
		{ "name~=|^.$|", "6" },
		{ "other~=\"^\\\\w{2}\"", "3" },
		{ "name==web,labels.\"a long label\"", "2" },
		{ "labels.\"with \\\\ and \\\"\"==yes", "4" },
		{ "labels.\"with \\\\ and \\\"\".post==yes", "5" },
		{ "\"name\"==\"\\u725b\"", "6" },
		{ "name==\"\\xe7\\211\\U0000009b\"", "" },
		{ "name==\"\\xe7\\211\\x9b\"", "6" },
		{ "other==\"\\x78\\054\\040y\"", "2" },
		{ " name == db ", "13" },
		{ "name ==db , labels . db", "3" },
		/* what only we take */
		{ "name==/web", "" },
		{ "name!=|web|", "0123456" },
	};
	char picked[N_THINGS + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		pick(&cases[i].text, 1, picked);
		if (strcmp(picked, cases[i].picked) != 0)
			fail_msg("%s: %s instead of %s", cases[i].text, picked, cases[i].picked);
	}
}

static void test_several(void **state)
{
	const char *either[] = { "name==cache", "labels.db", "other==d,name==db" };
	const char *all[] = { "name==cache", "" };
	char picked[N_THINGS + 1];

	(void)state;
	pick(either, 3, picked);
	assert_string_equal(picked, "345");
	pick(all, 2, picked);
	assert_string_equal(picked, "0123456");
	pick(NULL, 0, picked);
	assert_string_equal(picked, "0123456");
	filter_free(NULL);
}

static void test_refused(void **state)
{
#define OPERATOR "expected \"==\", \"!=\" or \"~=\""
	static const struct {
		const char *text, *sentence;
	} cases[] = {
		{ "topic=/x", "filter \"topic=/x\": unexpected \"=\" at 6, " OPERATOR },
		{ "name===x", "filter \"name===x\": unexpected \"===\" at 5, " OPERATOR },
		{ "name=~x", "filter \"name=~x\": unexpected \"=~\" at 5, " OPERATOR },
		{ "name is", "filter \"name is\": unexpected \"is\" at 6, " OPERATOR },
		{ "name/x", "filter \"name/x\": unexpected \"/x\" at 5, " OPERATOR },
		{ "name\"x\"", "filter \"name\"x\"\": unexpected \"\"x\"\" at 5, " OPERATOR },
		{ "labels.|env|==a",
			"filter \"labels.|env|==a\": unexpected \"|env|==a\" at 8, expected a field" },
		{ "labels.?\"x\"",
			"filter \"labels.?\"x\"\": unexpected \"?\"x\"\" at 8, expected a field" },
		{ "name==web,", "filter \"name==web,\": it ends at 11, expected a field" },
		{ "labels.", "filter \"labels.\": it ends at 8, expected a field" },
		{ ",", "filter \",\": unexpected \",\" at 1, expected a field" },
		{ "==x", "filter \"==x\": unexpected \"==\" at 1, expected a field" },
		{ " ", "filter \"\": it ends at 2, expected a field" },
		{ "image~=,id?=?fbaq",
			"filter \"image~=,id?=?fbaq\": unexpected \",\" at 8, expected a value" },
		{ "name==", "filter \"name==\": it ends at 7, expected a value" },
		{ "name==a b",
			"filter \"name==a b\": unexpected \"b\" at 9, expected \",\" or the end" },
		{ "name==a\x01",
			"filter \"name==a\": unexpected \"\" at 8, expected \",\" or the end" },
		{ "name~=/a/b",
			"filter \"name~=/a/b\": unexpected \"b\" at 10, expected \",\" or the end" },
		{ "name==\"a", "filter \"name==\"a\": the quote \" at 7 has no end" },
		{ "name~=/a", "filter \"name~=/a\": the quote / at 7 has no end" },
		{ "\"name\n\"", "filter \"\"name \"\": the quote \" at 1 has no end" },
		{ "name~=/a\\d/", "filter \"name~=/a\\d/\": \"\\d/\" at 9 is no escape" },
		{ "name==\"\\/\"", "filter \"name==\"\\/\"\": \"\\/\"\" at 8 is no escape" },
		{ "name==\"\\x0\"", "filter \"name==\"\\x0\"\": \"\\x0\"\" at 8 is no escape" },
		{ "name==\"\\x00\"", "filter \"name==\"\\x00\"\": \"\\x00\" at 8 is no escape" },
		{ "name==\"\\400\"", "filter \"name==\"\\400\"\": \"\\400\" at 8 is no escape" },
		{ "name==\"\\ud800\"",
			"filter \"name==\"\\ud800\"\": \"\\ud8\" at 8 is no escape" },
		{ "name==\"\\U00110000\"",
			"filter \"name==\"\\U00110000\"\": \"\\U00\" at 8 is no escape" },
		{ "a,b~=x[y",
			"filter \"a,b~=x[y\": regular expression \"x[y\" at 6: \"[y\" at 2 has no \"]\"" },
		{ "name\xff", "filter \"name?\": it is no UTF-8" },
	};
	struct error err = ERROR_INIT;
	struct filter *f = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_error(filter_parse(&cases[i].text, 1, &f, &err), &err, CODE_INVALID_ARGUMENT,
			cases[i].sentence);
		assert_null(f);
	}
}

/* --- bounds: at, one above, far above --- */

static char *repeated(const char *what, size_t times)
{
	size_t n = strlen(what);
	char *text = malloc(n * times + 1), *at = text;

	for (size_t i = 0; i < times; i++)
		at = stpcpy(at, what);
	*at = '\0';
	return text;
}

/* The sentence that it is refused with ends in part; NULL: it is taken. */
static void try(const char *const *texts, size_t n, const char *part)
{
	struct error err = ERROR_INIT;
	struct filter *f = NULL;
	int code = filter_parse(texts, n, &f, &err);

	assert_int_equal(code, part ? CODE_RESOURCE_EXHAUSTED : 0);
	if (part && !strstr(error_message(&err), part))
		fail_msg("\"%s\" is not in \"%s\"", part, error_message(&err));
	error_clear(&err);
	filter_free(f);
}

static void try_one(char *text_take, const char *part)
{
	const char *text = text_take;

	try(&text, 1, part);
	free(text_take);
}

static void test_bytes(void **state)
{
	static const char why[] = "aaa...\": it is longer than 4096 bytes";
	struct error err = ERROR_INIT;
	struct filter *f;
	char *text;

	(void)state;
	try_one(repeated("a", LIMIT_FILTER), NULL);
	try_one(repeated("a", LIMIT_FILTER + 1), why);
	try_one(repeated("a", 1u << 22), why);
	/* of nothing but words: as many as there can be */
	text = repeated("a.", LIMIT_FILTER / 2);
	assert_error(filter_parse((const char *const *)&text, 1, &f, &err), &err,
		CODE_INVALID_ARGUMENT, NULL);
	text[LIMIT_FILTER - 1] = '\0';
	try_one(text, NULL);
}

static void test_numbers(void **state)
{
	static const char *texts[10000];

	(void)state;
	for (size_t i = 0; i < 10000; i++)
		texts[i] = "name";
	try(texts, LIMIT_FILTERS, NULL);
	try(texts, LIMIT_FILTERS + 1, "65 filters are more than the limit of 64");
	try(texts, 10000, "10000 filters are more than the limit of 64");
}

static void test_conditions(void **state)
{
	char *half = repeated(",a", LIMIT_FILTER_CONDITIONS / 2);
	const char *texts[] = { half + 1, half + 1, "a" };
	char *far = repeated(",a", 2000);
	const char *one = far + 1;

	(void)state;
	try(texts, 2, NULL);
	try(texts, 3, "filter \"a\": with it there are more than 256 conditions");
	try(&one, 1, "with it there are more than 256 conditions");
	free(half);
	free(far);
}

static void test_states(void **state)
{
	const char *texts[] = { "a~=x{255}", "a~=y{255}", "a~=z" };
	const char *far = "a~=((x{1000}){1000}){1000}";

	(void)state;
	try(texts, 2, NULL);
	try(texts, 3,
		"regular expression \"z\" at 4: it needs more than the 0 states that are left");
	try(&far, 1, "it needs more than the 512 states that are left");
}

static const char *given(const char *const *path, size_t n, void *userdata)
{
	(void)path;
	(void)n;
	return userdata;
}

static void test_values(void **state)
{
	size_t tries[] = { LIMIT_FILTER_VALUE, LIMIT_FILTER_VALUE + 1, 1u << 24 };
	const char *pattern = "a~=v", *different = "a!=v";
	struct error err = ERROR_INIT;
	struct filter *p, *d;

	(void)state;
	assert_ok(filter_parse(&pattern, 1, &p, &err), &err);
	assert_ok(filter_parse(&different, 1, &d, &err), &err);
	for (size_t i = 0; i < 3; i++) {
		char *value = repeated("v", tries[i]);

		assert_int_equal(filter_matches(p, given, value), i == 0);
		assert_true(filter_matches(d, given, value));
		free(value);
	}
	filter_free(p);
	filter_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_picks),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
