/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Command-line options by table. Options end at the first argument that is none, or after "--":
 * what follows belongs to somebody else, such as the command of an exec. Values go into a struct
 * of the command's own, at the offsets that the table names.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/argv.h"
#include "common/error.h"

struct option {
	char letter;	  /* 'd' for -d; 0: none */
	const char *name; /* "detach" for --detach; NULL ends a table */
	const char
		*value;	  /* what its value is called in the help, see completion.h; NULL: a flag */
	const char *help; /* one line */
	size_t offset;	  /* of a bool, a const char * or, with many, a struct argv */
	bool many;	  /* may be repeated: values are added, copied */
	const char *choices; /* all that its value may be, words with a space between; or NULL */
};

#define OPTION_FLAG(l, n, s, m, h)                                                                 \
	{                                                                                          \
		.letter = (l), .name = (n), .help = (h), .offset = offsetof(s, m)                  \
	}
#define OPTION_VALUE(l, n, v, s, m, h)                                                             \
	{                                                                                          \
		.letter = (l), .name = (n), .value = (v), .help = (h), .offset = offsetof(s, m)    \
	}
#define OPTION_CHOICE(l, n, v, c, s, m, h)                                                         \
	{                                                                                          \
		.letter = (l), .name = (n), .value = (v), .choices = (c), .help = (h),             \
		.offset = offsetof(s, m)                                                           \
	}
#define OPTION_MANY(l, n, v, s, m, h)                                                              \
	{                                                                                          \
		.letter = (l), .name = (n), .value = (v), .help = (h), .offset = offsetof(s, m),   \
		.many = true                                                                       \
	}
#define OPTION_END                                                                                 \
	{                                                                                          \
		.name = NULL                                                                       \
	}

/* A table and the struct that it fills (zeroed before the first parse). */
struct option_set {
	const struct option *options; /* NULL: none */
	void *target;
};

/*
 * Reads options from argv[0] on; an option is looked for in sets in turn. *ret_n: how many
 * arguments were options ("--" included). --name=VALUE, --name VALUE, -nVALUE, -n VALUE, and
 * flags in one word (-it). CODE_INVALID_ARGUMENT names the option, and where it is none
 * the one that may have been meant. Single values point into argv.
 */
int options_parse(const struct option_set *sets, size_t n_sets, int argc, char *const *argv,
	int *ret_n, struct error *err);

/* Frees the values of options that may be repeated. */
void options_free(const struct option *options, void *target);
