/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A growing, NULL-terminated vector of owned strings, as execve(2) wants it. */

#include <stddef.h>

struct argv {
	char **v; /* v[n] is NULL; NULL while empty */
	size_t n;
};

#define ARGV_INIT      ((struct argv){ NULL, 0 })
#define _cleanup_argv_ __attribute__((cleanup(argv_deinit)))

void argv_deinit(struct argv *a);

/* Adds a copy. 0 or -ENOMEM. */
int argv_add(struct argv *a, const char *s);
int argv_addf(struct argv *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Replaces what is in to by copies. 0, or -ENOMEM with to unchanged. */
int argv_copy(struct argv *to, const struct argv *from);
