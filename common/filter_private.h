/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a filter's text is read into; for filter.c and filter_read.c alone. */

#include <stddef.h>

#include "common/error.h"
#include "common/pattern.h"

enum filter_op {
	FILTER_PRESENT,
	FILTER_EQUAL,
	FILTER_DIFFERS,
	FILTER_MATCHES,
};

struct filter_condition {
	size_t first, n; /* words of its path, in paths */
	enum filter_op op;
	const char *value;	 /* in words */
	struct pattern *pattern; /* MATCHES */
};

/* All of its conditions must hold; without any it always does. */
struct filter_text {
	struct filter_condition *conditions;
	size_t n;
	const char **paths;
	size_t n_paths;
	char *words; /* what the others point into */
};

/* What may still be used of a list of filters' bounds. */
struct filter_budget {
	size_t n_conditions, n_states;
};

/*
 * ret, all zeroes, is the caller's to free in any case. The text is UTF-8, and within its bound. 0 or a
 * code, as filter_parse(), without the filter's name.
 */
int filter_read(
	const char *text, struct filter_budget *left, struct filter_text *ret, struct error *err);
