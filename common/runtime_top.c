/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of `ps`. Never believes its columns: their number is that of the headers. Subtle: the
 * last column is a command with spaces in it, so it takes the rest of its line.
 */
#include "common/runtime_look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/runtime_private.h"
#include "common/text.h"

#define LIMIT_COLUMNS 64u

struct span {
	const char *p, *end;
};

void runtime_top_deinit(struct runtime_top *t)
{
	for (size_t i = 0; i < t->n_rows; i++)
		argv_deinit(&t->rows[i]);
	free(t->rows);
	argv_deinit(&t->headers);
	*t = RUNTIME_TOP_INIT;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts leading and trailing blanks off. */
static struct span trim(struct span s)
{
	while (s.p < s.end && is_space(*s.p))
		s.p++;
	while (s.end > s.p && is_space(s.end[-1]))
		s.end--;
	return s;
}

static struct span take_line(struct span *text)
{
	const char *stop = memchr(text->p, '\n', (size_t)(text->end - text->p));
	struct span line = { text->p, stop ? stop : text->end };

	text->p = stop ? stop + 1 : text->end;
	return trim(line);
}

/* Parts a trimmed line into most columns; the last takes the rest. 0 or -ENOMEM. */
static int split(struct span line, size_t most, struct argv *ret)
{
	while (line.p < line.end) {
		_cleanup_free_ char *word = NULL;
		const char *stop = line.p;

		while (stop < line.end && (ret->n + 1 == most || !is_space(*stop)))
			stop++;
		word = text_clean(line.p, (size_t)(stop - line.p), LIMIT_RUNTIME_EVENT);
		if (!word || argv_add(ret, word) < 0)
			return -ENOMEM;
		line.p = stop;
		line = trim(line);
	}
	return 0;
}

static bool is_pid(const char *word)
{
	size_t n = strspn(word, "0123456789");

	return n > 0 && n < 8 && word[n] == '\0' && word[0] != '0';
}

static int add_row(struct runtime_top *t, struct span line, size_t *room)
{
	struct argv row = ARGV_INIT;
	int r;

	if (t->n_rows == LIMIT_RUNTIME_ROWS)
		return -EINVAL;
	if (t->n_rows == *room) {
		size_t n = *room ? *room * 2 : 16;
		struct argv *rows = reallocarray(t->rows, n, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		t->rows = rows;
		*room = n;
	}
	r = split(line, t->headers.n, &row);
	if (r == 0 && (row.n != t->headers.n || !is_pid(row.v[t->pid_column])))
		r = -EINVAL;
	if (r < 0) {
		argv_deinit(&row);
		return r;
	}
	t->rows[t->n_rows++] = row;
	return 0;
}

/* 0, -EINVAL or -ENOMEM. */
static int read_headers(struct runtime_top *t, struct span line)
{
	int r = split(line, LIMIT_COLUMNS, &t->headers);

	if (r < 0)
		return r;
	for (size_t i = 0; i < t->headers.n; i++)
		if (strcmp(t->headers.v[i], "PID") == 0) {
			t->pid_column = i;
			return 0;
		}
	return -EINVAL;
}

static int read_table(struct runtime_top *t, struct span text)
{
	size_t room = 0;
	int r = read_headers(t, take_line(&text));

	while (r == 0 && text.p < text.end) {
		struct span line = take_line(&text);

		if (line.p < line.end)
			r = add_row(t, line, &room);
	}
	return r;
}

int runtime_read_top(
	const struct runtime *rt, const struct buf *out, struct runtime_top *ret, struct error *err)
{
	const char *text = out->len ? (const char *)buf_head(out) : "";
	struct runtime_top t = RUNTIME_TOP_INIT;
	int r = read_table(&t, (struct span){ text, text + out->len });

	if (r == 0) {
		*ret = t;
		return 0;
	}
	runtime_top_deinit(&t);
	if (r == -ENOMEM)
		return runtime_no_memory(rt, RUNTIME_TOP, err);
	return runtime_refuse_as(rt, RUNTIME_TOP, "table", text, out->len, err);
}
