/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lists of mounts as tests write them down. After <cmocka.h>. */

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "shim/mount_spec.h"

struct list {
	struct mount_spec v[8];
	size_t n;
};

/* options: separated by ';' since a comma may stand in one. */
static inline void list_add(struct list *l, const char *type, const char *source,
	const char *target, const char *options)
{
	struct mount_spec *m = &l->v[l->n++];
	_cleanup_free_ char *copy = strdup(options);
	char *state = NULL;

	m->type = strdup(type);
	m->source = strdup(source);
	m->target = target ? strdup(target) : NULL;
	m->options = ARGV_INIT;
	for (char *o = strtok_r(copy, ";", &state); o; o = strtok_r(NULL, ";", &state))
		assert_int_equal(argv_add(&m->options, o), 0);
}

static inline void list_clear(struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].type);
		free(l->v[i].source);
		free(l->v[i].target);
		argv_deinit(&l->v[i].options);
	}
	l->n = 0;
}
