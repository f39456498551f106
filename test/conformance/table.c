/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the table and judging by it. Never writes it. Subtle: a line with a reason of ours still
 * has to be wrong without it: an answer that equals the reference's needs no reason.
 */
#include "test/conformance/table.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "test/conformance/conform.h"

struct row {
	char *name, *reference, *key, *ours; /* the last two are NULL, or both there */
	bool is_used;
};

struct table {
	struct row *rows;
	size_t n;
};

static char *read_text(const char *path)
{
	_cleanup_buf_ struct buf data = BUF_INIT;

	if (fd_read_file(AT_FDCWD, path, &data, 1u << 20) < 0)
		die("%s cannot be read", path);
	return format("%.*s", (int)data.len, data.len ? (const char *)buf_head(&data) : "");
}

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	n = strlen(s);
	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		s[--n] = '\0';
	return s;
}

static char *trimmed(char *s)
{
	return format("%s", s ? trim(s) : "");
}

static void check_keys(const struct row *row, const char *readme)
{
	_cleanup_free_ char *keys = format("%s", row->key);
	char *rest = keys, *key;

	while ((key = strsep(&rest, ", "))) {
		_cleanup_free_ char *quoted = format("`%s`", key);

		if (*key && !strstr(readme, quoted))
			die("%s: the README has no line %s", row->name, quoted);
	}
}

/* "KEY: ANSWER"; several keys stand with commas between them */
static void read_ours(struct row *row, char *part, const char *readme)
{
	char *colon = strstr(part, ": ");

	if (!colon)
		die("%s: our answer has no key", row->name);
	*colon = '\0';
	row->key = trimmed(part);
	row->ours = trimmed(colon + 2);
	check_keys(row, readme);
}

static void read_row(struct table *table, char *line, const char *readme)
{
	struct row *row;
	char *name = strsep(&line, "|"), *reference = strsep(&line, "|");

	if (*trim(name) == '#' || *trim(name) == '\0')
		return;
	if (!reference)
		die("the table has a line without an answer: %s", name);
	table->rows = realloc(table->rows, (table->n + 1) * sizeof(*row));
	if (!table->rows)
		die("no memory");
	row = &table->rows[table->n++];
	*row = (struct row){ .name = trimmed(name), .reference = trimmed(reference) };
	if (line)
		read_ours(row, line, readme);
}

struct table *table_read(const char *path, const char *readme)
{
	struct table *table = calloc(1, sizeof(*table));
	_cleanup_free_ char *text = read_text(path), *readme_text = read_text(readme);
	char *rest = text;

	if (!table)
		die("no memory");
	while (rest)
		read_row(table, strsep(&rest, "\n"), readme_text);
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->n; i++) {
		free(table->rows[i].name);
		free(table->rows[i].reference);
		free(table->rows[i].key);
		free(table->rows[i].ours);
	}
	free(table->rows);
	free(table);
}

/* Whether clients look for an answer's words. */
static bool has_mark(const char *expected)
{
	return strstr(expected, "=\"") != NULL;
}

/* An answer without its marks; without the words in quotes as well where they do not count. */
static char *without(const char *answer, bool words_count)
{
	char *s = format("%s", answer), *to = s;
	bool is_quoted = false;

	for (const char *p = s; *p; p++) {
		bool is_mark = p[0] == '=' && p[1] == '"';

		if (*p == '"')
			is_quoted = !is_quoted;
		else if (!is_mark && (words_count || !is_quoted))
			*to++ = *p;
	}
	*to = '\0';
	return s;
}

/* Words count in everything that the reference says, and in ours where the line has a mark. */
static bool same(const char *answer, const char *expected, bool words_count)
{
	_cleanup_free_ char *want = without(expected, words_count || has_mark(expected));
	_cleanup_free_ char *got = without(answer, words_count || has_mark(expected));

	return strcmp(want, got) == 0;
}

static struct row *find(struct table *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++)
		if (strcmp(table->rows[i].name, name) == 0)
			return &table->rows[i];
	return NULL;
}

static enum verdict differs(char **why, const char *expected)
{
	*why = format("instead of  %s", expected);
	return VERDICT_DIFFERS;
}

enum verdict table_judge(
	struct table *table, bool reference, const char *name, const char *answer, char **why)
{
	struct row *row = find(table, name);

	if (!row)
		return differs(why, "any line in the table");
	row->is_used = true;
	if (reference)
		return same(answer, row->reference, true) ? VERDICT_EQUAL
							  : differs(why, row->reference);
	if (same(answer, row->reference, false))
		return row->key ? differs(why, "what the README gives a reason for")
				: VERDICT_EQUAL;
	if (row->key && same(answer, row->ours, false))
		return VERDICT_BETTER;
	return differs(why, row->ours ? row->ours : row->reference);
}

const char *table_unused(const struct table *table)
{
	for (size_t i = 0; i < table->n; i++)
		if (!table->rows[i].is_used)
			return table->rows[i].name;
	return NULL;
}
