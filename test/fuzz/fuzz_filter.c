/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters, a line each, with the last line as the value of every field; the first of them also as a
 * pattern alone. What passes says the same twice; what is refused has a sentence of one line.
 */
#include "common/filter.h"

#include "common/limits.h"
#include "common/pattern.h"
#include "common/text.h"
#include "test/fuzz/fuzz_folder.h"

#define MAX_LINES (LIMIT_FILTERS + 2)

static void refused(int r, struct error *err)
{
	CHECK(r == CODE_INVALID_ARGUMENT || r == CODE_RESOURCE_EXHAUSTED);
	CHECK(err->message && text_is_utf8(err->message));
	for (const char *p = err->message; *p; p++)
		CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
	error_clear(err);
}

static const char *field_of(const char *const *path, size_t n, void *userdata)
{
	CHECK(n > 0);
	for (size_t i = 0; i < n; i++)
		CHECK(path[i] && strlen(path[i]) <= LIMIT_FILTER);
	return n % 2 ? userdata : NULL;
}

static void look(const char *const *lines, size_t n, char *value)
{
	struct error err = ERROR_INIT;
	struct filter *f = NULL;
	int r = filter_parse(lines, n, &f, &err);
	bool matches;

	if (r != 0) {
		CHECK(!f);
		refused(r, &err);
		return;
	}
	CHECK(!f == !n);
	matches = filter_matches(f, field_of, value);
	CHECK(filter_matches(f, field_of, value) == matches);
	filter_free(f);
}

static void look_at_pattern(const char *text, const char *value)
{
	struct error err = ERROR_INIT;
	struct pattern *p;
	int r = pattern_new(text, LIMIT_FILTER_STATES, &p, &err);

	if (r != 0) {
		refused(r, &err);
		return;
	}
	CHECK(pattern_n_states(p) <= LIMIT_FILTER_STATES);
	if (strlen(value) <= LIMIT_FILTER_VALUE)
		pattern_matches(p, value);
	pattern_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *lines[MAX_LINES];
	size_t n_lines = 0;
	char *text = malloc(n + 1), *rest = text, *line;

	memcpy(text, data, n);
	text[n] = '\0';
	while (n_lines < MAX_LINES && (line = strsep(&rest, "\n")))
		lines[n_lines++] = line;
	look(lines, n_lines - 1, (char *)lines[n_lines - 1]);
	look_at_pattern(lines[0], lines[n_lines - 1]);
	free(text);
	return 0;
}
