/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What `top` shows: rows, their order, and the screen as text. Knows no terminal. */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "common/buf.h"
#include "supervisor/cli/figures.h"

struct top_row {
	char *id; /* owned */
	struct figures now;
	bool has_rates;			/* it was seen before */
	double cpu_percent;		/* of one processor */
	double read_rate, written_rate; /* bytes a second */
};

enum top_order {
	TOP_BY_CPU,
	TOP_BY_MEMORY,
	TOP_BY_PIDS,
	TOP_BY_IO,
	TOP_BY_ID,
	_TOP_ORDER_MAX,
};

struct top_table {
	struct top_row *v;
	size_t n, n_room;
};

void top_table_deinit(struct top_table *t);

/* A copy of id. 0 or -ENOMEM. */
int top_table_add(struct top_table *t, const char *id, const struct figures *now);

/* Fills in the rates, from the table of seconds before. A container that has begun anew since has none. */
void top_table_compare(struct top_table *t, const struct top_table *before, double seconds);

/* The most first, or by name; equal ones by name. */
void top_table_sort(struct top_table *t, enum top_order order);

/* "cpu", "memory", "pids", "io", "id"; false for another word. */
bool top_order_parse(const char *word, enum top_order *ret);

/*
 * The screen, lines of at most width columns, each with its '\n'. height: lines at most, not under 3, of
 * which the last tells how many rows are missing, if any are; 0: no bound. has_keys: the first line names the keys. 0 or -ENOMEM.
 */
int top_table_draw(const struct top_table *t, enum top_order order, bool has_keys, size_t width,
	size_t height, struct buf *ret);

/* An array of objects; NULL without memory. */
json_t *top_table_json(const struct top_table *t);
