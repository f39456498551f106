/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters: conditions, and whether they hold; their text is read by filter_read.c. Never keeps what it
 * was given. Subtle: the bounds on conditions and on the states of patterns are of all filters of one
 * list together, for one event has to be held against them all.
 */
#include "common/filter.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/filter_private.h"
#include "common/limits.h"
#include "common/text.h"

#define SHOWN 200u /* bytes of a filter in a sentence */

struct filter {
	struct filter_text *v; /* one of them is enough */
	size_t n;
};

static void text_deinit(struct filter_text *t)
{
	for (size_t i = 0; i < t->n; i++)
		pattern_free(t->conditions[i].pattern);
	free(t->conditions);
	free(t->paths);
	free(t->words);
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n; i++)
		text_deinit(&f->v[i]);
	free(f->v);
	free(f);
}

static void cleanup_filter(struct filter **f)
{
	filter_free(*f);
}

static int no_memory(struct error *err)
{
	return error_set(err, CODE_RESOURCE_EXHAUSTED, "no memory for the filters");
}

/* Reads one, and says in which a mistake is. */
static int read_one(
	const char *text, struct filter_budget *left, struct filter_text *t, struct error *err)
{
	size_t n = strnlen(text, LIMIT_FILTER + 1);
	_cleanup_free_ char *shown = text_clean(text, n, SHOWN);
	int code;

	if (n > LIMIT_FILTER)
		code = error_set(
			err, CODE_RESOURCE_EXHAUSTED, "it is longer than %u bytes", LIMIT_FILTER);
	else if (!text_is_utf8(text))
		code = error_set(err, CODE_INVALID_ARGUMENT, "it is no UTF-8");
	else
		code = filter_read(text, left, t, err);
	return code == 0 ? 0 : error_wrap(err, "filter \"%s\"", shown ? shown : "");
}

int filter_parse(const char *const *texts, size_t n, struct filter **ret, struct error *err)
{
	struct filter_budget left = { LIMIT_FILTER_CONDITIONS, LIMIT_FILTER_STATES };
	_cleanup_(cleanup_filter) struct filter *f = NULL;

	if (n > LIMIT_FILTERS)
		return error_set(err, CODE_RESOURCE_EXHAUSTED,
			"%zu filters are more than the limit of %u", n, LIMIT_FILTERS);
	if (n > 0) {
		f = calloc(1, sizeof(*f));
		if (f)
			f->v = calloc(n, sizeof(*f->v));
		if (!f || !f->v)
			return no_memory(err);
	}
	for (size_t i = 0; i < n; i++) {
		int code = read_one(texts[i], &left, &f->v[f->n++], err);

		if (code != 0)
			return code;
	}
	*ret = TAKE_PTR(f);
	return 0;
}

/* --- matching --- */

static bool holds(const struct filter_text *t, const struct filter_condition *c, filter_field field,
	void *userdata)
{
	const char *value = field(t->paths + c->first, c->n, userdata);
	bool is_there = value && *value;

	switch (c->op) {
	case FILTER_PRESENT:
		return is_there;
	case FILTER_EQUAL:
		return is_there && strcmp(value, c->value) == 0;
	case FILTER_DIFFERS:
		return strcmp(is_there ? value : "", c->value) != 0;
	case FILTER_MATCHES:
		if (!is_there)
			value = "";
		return strnlen(value, LIMIT_FILTER_VALUE + 1) <= LIMIT_FILTER_VALUE &&
		       pattern_matches(c->pattern, value);
	}
	return false;
}

static bool all_hold(const struct filter_text *t, filter_field field, void *userdata)
{
	for (size_t i = 0; i < t->n; i++)
		if (!holds(t, &t->conditions[i], field, userdata))
			return false;
	return true;
}

bool filter_matches(struct filter *f, filter_field field, void *userdata)
{
	if (!f)
		return true;
	for (size_t i = 0; i < f->n; i++)
		if (all_hold(&f->v[i], field, userdata))
			return true;
	return false;
}
