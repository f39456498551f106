/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* JSON and tables on stdout. */

#include <stddef.h>

#include <jansson.h>

#include "common/clock.h"
#include "common/error.h"

/* Any bytes as a JSON string: '?' for what is not UTF-8. NULL, or no memory for a copy: null. */
json_t *print_text(const char *s);

/* RFC 3339 as a JSON string, or null for none. */
json_t *print_moment(moment m);

/* One line of JSON, flushed. j NULL is no memory. Not consumed. */
int print_json(const json_t *j, struct error *err);

/* The same over several lines, for people. */
int print_json_indented(const json_t *j, struct error *err);

/*
 * A column of a table over an array of objects: the title, and the key whose value it shows.
 * Strings are made printable; null and "" show as "-".
 */
struct column {
	const char *title, *key;
};

/* Prints the table, flushed. */
int print_table(
	const json_t *rows, const struct column *columns, size_t n_columns, struct error *err);
