/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns: what they find, what is refused and how that is worded, and that none of them takes long. */
#include "common/pattern.h"

#include "common/clock.h"
#include "common/limits.h"
#include "test/unit/unit.h"

#define MAX 512u

static bool finds(const char *pattern, const char *text)
{
	struct error err = ERROR_INIT;
	struct pattern *p = NULL;
	bool found;

	if (pattern_new(pattern, MAX, &p, &err) != 0)
		fail_msg("%s: %s", pattern, error_message(&err));
	found = pattern_matches(p, text);
	/* the second time as the first */
	assert_int_equal(pattern_matches(p, text), found);
	pattern_free(p);
	return found;
}

/* As the page of RE2's syntax has it. */
static void test_finds(void **state)
{
	static const struct {
		const char *pattern, *yes[4], *no[4];
	} cases[] = {
		{ "", { "", "a" }, { NULL } },
		{ "abc", { "abc", "xxabcxx" }, { "", "ab", "abd", "acb" } },
		{ "^abc$", { "abc" }, { "xabc", "abcx", "abc\n" } },
		{ "a.c",
			{ "abc", "a\xc3\xa9"
				 "c" },
			{ "ac", "a\nc",
				"a\xc3\xa9\xc3\xa9"
				"c" } },
		{ "ab*c", { "ac", "abc", "abbbbbc" }, { "adc", "ab" } },
		{ "ab+c", { "abc", "abbc" }, { "ac" } },
		{ "ab?c", { "abc", "ac" }, { "abbc" } },
		{ "^(a|b|)c$", { "ac", "bc", "c" }, { "abc", "dc" } },
		{ "^a|b$", { "ax", "xb" }, { "xa", "bx" } },
		{ "^(ab){2}$", { "abab" }, { "ab", "ababab" } },
		{ "^a{2,}$", { "aa", "aaaaa" }, { "", "a", "aab" } },
		{ "^a{0,2}$", { "", "a", "aa" }, { "aaa" } },
		{ "^(a{0})$", { "" }, { "a" } },
		{ "^a{2,3}?$", { "aa", "aaa" }, { "a", "aaaa" } },
		{ "^a+?$", { "a", "aa" }, { "" } },
		{ "a{,2}", { "a{,2}" }, { "aa" } },
		{ "^{$", { "{" }, { "" } },
		{ "[abc]+", { "too complex, yo", "abc" }, { "", "d" } },
		{ "^[^a-c]$", { "d", "\xc3\xa9", "\n" }, { "a", "b", "", "dd" } },
		{ "^[]a]$", { "]", "a" }, { "b" } },
		{ "^[a-]$", { "a", "-" }, { "b" } },
		{ "^[\\d_]+$", { "1_2" }, { "a", "" } },
		{ "^[\\D]$", { "a" }, { "1" } },
		{ "^[[:alpha:]-]+$", { "a-Z" }, { "1" } },
		{ "^[[:^alpha:]]$", { "1", "\xc3\xa9" }, { "a" } },
		{ "^\\w+\\s\\S\\W$", { "a_9 x!" }, { "a x", "a_9 xx" } },
		{ "^[\\w.]+$", { "a.b" }, { "a-b" } },
		{ "^\\.\\*\\/\\[$", { ".*/[" }, { "x*/[" } },
		{ "\\bweb\\b", { "web", "a web-1" }, { "webs", "_web" } },
		{ "web\\B", { "webs" }, { "web", "web-" } },
		{ "\\Aa\\z", { "a" }, { "ba", "ab" } },
		{ "^\\x41\\x{e9}\\t$", { "A\xc3\xa9\t" }, { "Ae\t" } },
		{ "^\xc3\xa9{2}$", { "\xc3\xa9\xc3\xa9" }, { "\xc3\xa9" } },
		{ "^[\xc3\xa0-\xc3\xaa]$", { "\xc3\xa9" }, { "\xc3\xbf", "e" } },
		{ "^(?:a(b|c)*)+$", { "a", "abcab" }, { "b", "abd" } },
		{ "(a*)*$", { "", "b" }, { NULL } },
		{ "^(a*)+$", { "", "aa" }, { "b" } },
		{ "^.$", { "\xff" }, { "\xff\xff" } },
		{ "^(|a){3}$", { "", "aaa" }, { "aaaa" } },
		{ "^(^a|b$)+$", { "a", "b" }, { "aa" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t k = 0; k < 4; k++) {
			if (cases[i].yes[k] && !finds(cases[i].pattern, cases[i].yes[k]))
				fail_msg("%s is not in %s", cases[i].pattern, cases[i].yes[k]);
			if (cases[i].no[k] && finds(cases[i].pattern, cases[i].no[k]))
				fail_msg("%s is in %s", cases[i].pattern, cases[i].no[k]);
		}
}

static void test_refused(void **state)
{
	static const struct {
		const char *pattern, *sentence;
	} cases[] = {
		{ "x[ab", "\"[ab\" at 2 has no \"]\"" },
		{ "x(a", "\"(a\" at 2 has no \")\"" },
		{ "ab)c", "\")c\" at 3 has no \"(\"" },
		{ "*a", "\"*a\" at 1 has nothing to repeat" },
		{ "a|?", "\"?\" at 3 has nothing to repeat" },
		{ "a**", "\"*\" at 3 repeats a repetition" },
		{ "a+?{2}", "\"{2}\" at 4 repeats a repetition" },
		{ "a{1001}", "\"{1001}\" at 2 is no number of times" },
		{ "a{4000000000000}", "\"{4000000...\" at 2 is no number of times" },
		{ "a{3,2}", "\"{3,2}\" at 2 is no number of times" },
		{ "(?i)a", "\"(?i)a\" at 1 is a kind of group that is not known" },
		{ "a\\", "\"\\\" at 2 escapes nothing" },
		{ "a\\1", "\"\\1\" at 2 is no escape that is known" },
		{ "\\pL", "\"\\pL\" at 1 is no escape that is known" },
		{ "\\xg0", "\"\\xg0\" at 1 is no number of a character" },
		{ "\\x{110000}", "\"\\x{11000...\" at 1 is no number of a character" },
		{ "[b-a]", "\"b-a]\" at 2 is a range that ends before it begins" },
		{ "[[:foo:]]", "\"[:foo:]]\" at 2 is no class that is known" },
		{ "[\\q]", "\"\\q]\" at 2 is no escape that is known" },
	};
	struct error err = ERROR_INIT;
	struct pattern *p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_error(pattern_new(cases[i].pattern, MAX, &p, &err), &err,
			CODE_INVALID_ARGUMENT, cases[i].sentence);
}

static char *repeated(const char *what, size_t times)
{
	size_t n = strlen(what);
	char *text = malloc(n * times + 1), *at = text;

	for (size_t i = 0; i < times; i++)
		at = stpcpy(at, what);
	*at = '\0';
	return text;
}

static int try(const char *pattern, size_t max, struct error *err)
{
	struct pattern *p = NULL;
	int code = pattern_new(pattern, max, &p, err);

	if (code == 0)
		assert_true(pattern_n_states(p) <= max);
	pattern_free(p);
	return code;
}

/* The bound on states: at it, one above, far above; told by a pattern's text or by its repetitions. */
static void test_too_large(void **state)
{
	static const char *const large[] = { "(((a{1000}){1000}){1000}){1000}", "((){1000}){1000}",
		"((a{0}){1000}){1000}", "((|){0,1000}){1000}", "(((a?)?){1000}){2}",
		"((^{0,1000}){1000}){1000}" };
	char *at = repeated("a", MAX - 1), *above = repeated("a", MAX),
	     *far = repeated("a|", 100000);
	char *deep = repeated("(", 32), *deeper = repeated("(", 33),
	     *deepest = repeated("(", 100000);
	struct error err = ERROR_INIT;

	(void)state;
	assert_ok(try(at, MAX, &err), &err);
	assert_error(try(above, MAX, &err), &err, CODE_RESOURCE_EXHAUSTED,
		"it needs more than the 512 states that are left");
	assert_error(try(far, MAX, &err), &err, CODE_RESOURCE_EXHAUSTED, NULL);
	assert_ok(try("a{511}", MAX, &err), &err);
	assert_error(try("a{512}", MAX, &err), &err, CODE_RESOURCE_EXHAUSTED, NULL);
	for (size_t i = 0; i < sizeof(large) / sizeof(*large); i++)
		assert_error(try(large[i], MAX, &err), &err, CODE_RESOURCE_EXHAUSTED, NULL);
	assert_error(try("", 0, &err), &err, CODE_RESOURCE_EXHAUSTED, NULL);
	assert_error(try(deep, MAX, &err), &err, CODE_INVALID_ARGUMENT, "\"(\" at 32 has no \")\"");
	assert_error(try(deeper, MAX, &err), &err, CODE_INVALID_ARGUMENT,
		"\"(\" at 33 lies too deep in others");
	assert_error(try(deepest, MAX, &err), &err, CODE_INVALID_ARGUMENT, NULL);
	free(at);
	free(above);
	free(far);
	free(deep);
	free(deeper);
	free(deepest);
}

/* What takes others for ever. */
static void test_takes_no_time(void **state)
{
	static const char *const patterns[] = { "(x+x+)+y", "((a*)*)*c", "[ab]*a[ab]{200}c",
		"(a?){100}a{100}c", "(a|a|a|a)*c", "(((((a{1,3}){1,3}){1,3}){1,3}))c" };
	char *x = repeated("x", 4096), *a = repeated("a", 4096), *ab = repeated("aab", 1365);
	int64_t begin = clock_monotonic_ms();

	(void)state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
		assert_false(finds(patterns[i], x));
		assert_false(finds(patterns[i], a));
		assert_false(finds(patterns[i], ab));
	}
	/* milliseconds; a minute even where each step is looked at by a tool */
	assert_true(clock_monotonic_ms() - begin < 60000);
	free(x);
	free(a);
	free(ab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_takes_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
