/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printing. Subtle: names and paths in a table come from users and containers, so control
 * characters in them must not reach a terminal; in JSON they are escaped anyway.
 */
#include "supervisor/cli/print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/text.h"
#include "supervisor/cli/cli.h"

#define CELL_MAX 4096u
#define GAP	 3

json_t *print_text(const char *s)
{
	_cleanup_free_ char *valid =
		s && !text_is_utf8(s) ? text_valid(s, strlen(s), strlen(s)) : NULL;

	if (valid)
		s = valid;
	return s && text_is_utf8(s) ? json_string(s) : json_null();
}

json_t *print_moment(moment m)
{
	char text[CLOCK_TEXT_MAX];

	if (m == 0)
		return json_null();
	clock_format(m, text);
	return json_string(text);
}

static int print_with(const json_t *j, size_t flags, struct error *err)
{
	if (!j)
		return error_errno(err, -ENOMEM, "JSON");
	if (json_dumpf(j, stdout, flags) < 0)
		return error_errno(err, errno ? -errno : -EIO, "standard output");
	putchar('\n');
	return cli_flush(err);
}

int print_json(const json_t *j, struct error *err)
{
	return print_with(j, JSON_COMPACT, err);
}

int print_json_indented(const json_t *j, struct error *err)
{
	return print_with(j, JSON_INDENT(2), err);
}

/* What a cell shows; the caller frees. NULL without memory. */
static char *cell_text(const json_t *row, const char *key)
{
	const json_t *value = json_object_get(row, key);
	const char *s = json_string_value(value);
	char *text = NULL;

	if (s && *s)
		return text_clean(s, strlen(s), CELL_MAX);
	if (json_is_integer(value))
		return asprintf(&text, "%lld", (long long)json_integer_value(value)) < 0 ? NULL
											 : text;
	return strdup("-");
}

/* Characters, not bytes: what starts a UTF-8 sequence. */
static size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		if (((unsigned char)*s & 0xc0) != 0x80)
			n++;
	return n;
}

static void print_cell(const char *text, size_t width, bool is_last)
{
	fputs(text, stdout);
	if (is_last)
		putchar('\n');
	for (size_t n = text_width(text); !is_last && n < width + GAP; n++)
		putchar(' ');
}

static int fill_cells(const json_t *rows, const struct column *columns, size_t n_columns,
	char **cells, size_t *widths)
{
	for (size_t row = 0; row <= json_array_size(rows); row++) {
		for (size_t i = 0; i < n_columns; i++) {
			char **cell = &cells[row * n_columns + i];
			size_t width;

			*cell = row == 0 ? strdup(columns[i].title)
					 : cell_text(json_array_get(rows, row - 1), columns[i].key);
			if (!*cell)
				return -ENOMEM;
			width = text_width(*cell);
			if (width > widths[i])
				widths[i] = width;
		}
	}
	return 0;
}

int print_table(
	const json_t *rows, const struct column *columns, size_t n_columns, struct error *err)
{
	size_t n_cells = (json_array_size(rows) + 1) * n_columns;
	_cleanup_free_ size_t *widths = calloc(n_columns, sizeof(*widths));
	char **cells = calloc(n_cells, sizeof(*cells));
	int r = cells && widths ? fill_cells(rows, columns, n_columns, cells, widths) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n_cells; i++)
		print_cell(cells[i], widths[i % n_columns], i % n_columns == n_columns - 1);
	for (size_t i = 0; cells && i < n_cells; i++)
		free(cells[i]);
	free(cells);
	return r < 0 ? error_errno(err, r, "table") : cli_flush(err);
}
