/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a key stands in a text that json_parse() has taken, since jansson does not keep that.
 * Never judges the text. Subtle: of a key that stands there twice jansson keeps the last value, so
 * the last place is the one that is told.
 */
#include "common/json.h"

#include <string.h>

#include "common/cleanup.h"

struct scan {
	const char *p, *end;
	size_t line;
	const char *const *path;
	size_t n_path;
	size_t found; /* line, 0: not yet */
};

static void skip_blanks(struct scan *s)
{
	for (; s->p < s->end && *s->p && strchr(" \t\r\n,:", *s->p); s->p++)
		s->line += *s->p == '\n';
}

/* At a quote: passes the string. */
static void skip_string(struct scan *s)
{
	s->p++;
	while (s->p < s->end && *s->p != '"')
		s->p += *s->p == '\\' && s->p + 1 < s->end ? 2 : 1;
	if (s->p < s->end)
		s->p++;
}

static bool is_word(const char *start, const char *end, const char *word)
{
	_cleanup_json_ json_t *text =
		json_loadb(start, (size_t)(end - start), JSON_DECODE_ANY, NULL);

	return json_is_string(text) && strcmp(json_string_value(text), word) == 0;
}

/* A string that a colon follows is a key; one that does not is a value. */
static bool at_colon(const struct scan *s)
{
	const char *p = s->p;

	while (p < s->end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p < s->end && *p == ':';
}

/* A key at that depth, of which *matched says how far the way to here is the path's. */
static void take_string(struct scan *s, size_t depth, size_t *matched)
{
	const char *start = s->p;
	size_t line = s->line;

	skip_string(s);
	if (!at_colon(s) || depth == 0 || *matched + 1 < depth)
		return;
	*matched = depth - 1;
	if (depth > s->n_path || !is_word(start, s->p, s->path[depth - 1]))
		return;
	*matched = depth;
	if (depth == s->n_path)
		s->found = line;
}

static void scan_all(struct scan *s)
{
	size_t depth = 0, matched = 0;

	for (skip_blanks(s); s->p < s->end; skip_blanks(s)) {
		if (*s->p == '"') {
			take_string(s, depth, &matched);
			continue;
		}
		if (*s->p == '{' || *s->p == '[')
			depth++;
		else if ((*s->p == '}' || *s->p == ']') && depth > 0)
			depth--;
		/* what is closed was passed: its keys are not on the way any more */
		if (matched > depth)
			matched = depth;
		s->p++;
	}
}

size_t json_line_of(const void *data, size_t n, const char *const *path)
{
	struct scan s = { .p = data, .end = (const char *)data + n, .line = 1, .path = path };

	while (path[s.n_path])
		s.n_path++;
	if (n > 0 && s.n_path > 0)
		scan_all(&s);
	return s.found ? s.found : 1;
}
