/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Subtle: figures are counters of a cgroup, which begin anew with a container of the same
 * name, so a counter that has fallen tells no rate.
 */
#include "supervisor/cli/top_view.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 1024
#define FIXED_COLUMNS  63 /* all but the id */
#define ID_COLUMNS_MIN 8
#define UNBOUND_WIDTH  132 /* where nobody looks at a window */

static const char *const order_words[] = { "cpu", "memory", "pids", "io", "id" };
_Static_assert(sizeof(order_words) / sizeof(*order_words) == _TOP_ORDER_MAX, "a word for each");

void top_table_deinit(struct top_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].id);
	free(t->v);
	*t = (struct top_table){ 0 };
}

int top_table_add(struct top_table *t, const char *id, const struct figures *now)
{
	char *copy = strdup(id);

	if (copy && t->n == t->n_room) {
		size_t n_room = t->n_room ? 2 * t->n_room : 16;
		struct top_row *v = realloc(t->v, n_room * sizeof(*v));

		if (!v) {
			free(copy);
			return -ENOMEM;
		}
		t->v = v;
		t->n_room = n_room;
	}
	if (!copy)
		return -ENOMEM;
	t->v[t->n++] = (struct top_row){ .id = copy, .now = *now };
	return 0;
}

/* --- rates --- */

static const struct top_row *find(const struct top_table *t, const char *id)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->v[i].id, id) == 0)
			return &t->v[i];
	return NULL;
}

static bool has_fallen(const struct figures *now, const struct figures *before)
{
	return now->cpu < before->cpu || now->read < before->read || now->written < before->written;
}

void top_table_compare(struct top_table *t, const struct top_table *before, double seconds)
{
	for (size_t i = 0; i < t->n; i++) {
		struct top_row *row = &t->v[i];
		const struct top_row *old = find(before, row->id);

		if (!old || seconds <= 0 || has_fallen(&row->now, &old->now))
			continue;
		row->has_rates = true;
		row->cpu_percent = 100 * (row->now.cpu - old->now.cpu) / seconds;
		row->read_rate = (double)(row->now.read - old->now.read) / seconds;
		row->written_rate = (double)(row->now.written - old->now.written) / seconds;
	}
}

/* --- the order --- */

bool top_order_parse(const char *word, enum top_order *ret)
{
	for (int i = 0; i < _TOP_ORDER_MAX; i++) {
		if (strcmp(word, order_words[i]) == 0) {
			*ret = (enum top_order)i;
			return true;
		}
	}
	return false;
}

static double weight(const struct top_row *row, enum top_order order)
{
	switch (order) {
	case TOP_BY_CPU:
		return row->cpu_percent;
	case TOP_BY_MEMORY:
		return (double)row->now.memory;
	case TOP_BY_PIDS:
		return (double)row->now.pids;
	case TOP_BY_IO:
		return row->read_rate + row->written_rate;
	default:
		return 0;
	}
}

static int compare(const void *a, const void *b, void *userdata)
{
	const struct top_row *left = a, *right = b;
	const enum top_order *order = userdata;
	double l = weight(left, *order), r = weight(right, *order);

	if (l < r || r < l)
		return l < r ? 1 : -1;
	return strcmp(left->id, right->id);
}

void top_table_sort(struct top_table *t, enum top_order order)
{
	if (t->n > 1)
		qsort_r(t->v, t->n, sizeof(*t->v), compare, &order);
}

/* --- the screen --- */

/* One line, cut at width. Everything in it is ASCII. */
__attribute__((format(printf, 3, 4))) static int put_line(
	struct buf *to, size_t width, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	size_t n;
	va_list args;
	int r;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	n = strlen(line);
	if (n > width)
		n = width;
	while (n > 0 && line[n - 1] == ' ')
		n--;
	r = buf_append(to, line, n);
	return r == 0 ? buf_append(to, "\n", 1) : r;
}

static void rate(char ret[static FIGURES_BYTES_MAX], const struct top_row *row, double bytes)
{
	if (row->has_rates)
		figures_bytes((uint64_t)bytes, ret);
	else
		strcpy(ret, "-");
}

static int put_row(struct buf *to, size_t width, size_t id_width, const struct top_row *row)
{
	char memory[FIGURES_BYTES_MAX], limit[FIGURES_BYTES_MAX] = "-", in[FIGURES_BYTES_MAX],
					out[FIGURES_BYTES_MAX], cpu[16] = "-";

	figures_bytes(row->now.memory, memory);
	if (row->now.limit)
		figures_bytes(row->now.limit, limit);
	rate(in, row, row->read_rate);
	rate(out, row, row->written_rate);
	if (row->has_rates)
		snprintf(cpu, sizeof(cpu), "%.1f", row->cpu_percent);
	return put_line(to, width, "%-*.*s %7s %11s %11s %6llu %11s %11s", (int)id_width,
		(int)id_width, row->id, cpu, memory, limit, (unsigned long long)row->now.pids, in,
		out);
}

static size_t id_columns(const struct top_table *t, size_t width)
{
	size_t n = ID_COLUMNS_MIN;

	for (size_t i = 0; i < t->n; i++)
		if (strlen(t->v[i].id) > n)
			n = strlen(t->v[i].id);
	if (width < FIXED_COLUMNS + ID_COLUMNS_MIN)
		return ID_COLUMNS_MIN;
	return n > width - FIXED_COLUMNS ? width - FIXED_COLUMNS : n;
}

int top_table_draw(const struct top_table *t, enum top_order order, bool has_keys, size_t width,
	size_t height, struct buf *ret)
{
	size_t id_width, n = t->n;
	int r = 0;

	if (width == 0)
		width = UNBOUND_WIDTH;
	id_width = id_columns(t, width);
	if (has_keys)
		r = put_line(ret, width,
			"%zu container%s by %s   keys: c cpu, m memory, p pids, i i/o, n name, q quit",
			t->n, t->n == 1 ? "" : "s", order_words[order]);
	if (height > 0 && n + 1 + has_keys > height)
		n = height > 2u + has_keys ? height - 2 - has_keys : 0;
	if (r == 0)
		r = put_line(ret, width, "%-*s %7s %11s %11s %6s %11s %11s", (int)id_width, "ID",
			"CPU %", "MEMORY", "LIMIT", "PIDS", "READ/S", "WRITTEN/S");
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_row(ret, width, id_width, &t->v[i]);
	if (r == 0 && n < t->n)
		r = put_line(ret, width, "... and %zu more", t->n - n);
	return r;
}

/* --- JSON --- */

static json_t *row_json(const struct top_row *row)
{
	return json_pack("{s:s, s:o, s:f, s:I, s:o, s:I, s:I, s:I, s:o, s:o}", "id", row->id,
		"cpu_percent", row->has_rates ? json_real(row->cpu_percent) : json_null(),
		"cpu_seconds", row->now.cpu, "memory", (json_int_t)row->now.memory, "limit",
		row->now.limit ? json_integer((json_int_t)row->now.limit) : json_null(), "pids",
		(json_int_t)row->now.pids, "read", (json_int_t)row->now.read, "written",
		(json_int_t)row->now.written, "read_rate",
		row->has_rates ? json_real(row->read_rate) : json_null(), "written_rate",
		row->has_rates ? json_real(row->written_rate) : json_null());
}

json_t *top_table_json(const struct top_table *t)
{
	json_t *all = json_array();

	for (size_t i = 0; i < t->n; i++)
		if (json_array_append_new(all, row_json(&t->v[i])) < 0) {
			json_decref(all);
			return NULL;
		}
	return all;
}
