/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Types of the fields that we lean on in an OCI document. What is missing or null passes. */

#include <jansson.h>

#include "common/error.h"

enum check_type {
	CHECK_OBJECT = 1,
	CHECK_STRING,
	CHECK_BOOL,
	CHECK_STRINGS,	  /* an array of strings */
	CHECK_OBJECTS,	  /* an array of objects */
	CHECK_STRING_MAP, /* an object of strings */
};

struct check {
	const char *path; /* names with dots between; NULL ends a table */
	enum check_type type;
};

/* What we use of a process, below "process." or by itself. */
extern const struct check process_checks[];

/*
 * 0, or CODE_INVALID_ARGUMENT "WHAT: PREFIXprocess.args[2] must be a string". obj may be NULL
 * (passes).
 */
int check_fields(const json_t *obj, const struct check *checks, const char *what,
	const char *prefix, struct error *err);
/* The same for each object of an array, whose path is given. */
int check_each(const json_t *array, const struct check *checks, const char *what, const char *path,
	struct error *err);
