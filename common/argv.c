/* SPDX-License-Identifier: Apache-2.0 */
/* A vector of owned strings. Never shares a string with its caller. */
#include "common/argv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

void argv_deinit(struct argv *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
	free(a->v);
	*a = ARGV_INIT;
}

/* The vector's size is not kept: it is the power of two from 8 on that holds n strings and NULL. */
static int argv_make_room(struct argv *a)
{
	size_t size = 8;
	char **grown;

	while (size < a->n + 1)
		size *= 2;
	if (a->v && a->n + 2 <= size)
		return 0;
	if (a->v)
		size *= 2;
	grown = realloc(a->v, size * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	a->v = grown;
	return 0;
}

static int argv_add_take(struct argv *a, char *s_take)
{
	int r = s_take ? argv_make_room(a) : -ENOMEM;

	if (r < 0) {
		free(s_take);
		return r;
	}
	a->v[a->n++] = s_take;
	a->v[a->n] = NULL;
	return 0;
}

int argv_add(struct argv *a, const char *s)
{
	return argv_add_take(a, strdup(s));
}

int argv_addf(struct argv *a, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return argv_add_take(a, s);
}

int argv_copy(struct argv *to, const struct argv *from)
{
	_cleanup_argv_ struct argv copy = ARGV_INIT;

	for (size_t i = 0; i < from->n; i++) {
		int r = argv_add(&copy, from->v[i]);

		if (r < 0)
			return r;
	}
	argv_deinit(to);
	*to = copy;
	copy = ARGV_INIT;
	return 0;
}
