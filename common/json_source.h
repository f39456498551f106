/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A JSON file that an administrator writes by hand: read, parsed, and every mistake in it told with
 * its place, "FILE:LINE: runtimes.fast.options: not a list of strings".
 */

#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/json.h"

/* A file under inspection; nothing in it is owned. */
struct json_source {
	const char *file; /* what the sentences call it */
	const void *data;
	size_t n;
	struct error *err;
};

/*
 * Reads all of the file at path into ret; a link is followed, for the folder is the administrator's.
 * CODE_NOT_FOUND, CODE_RESOURCE_EXHAUSTED past limit bytes, CODE_INVALID_ARGUMENT for what is no
 * regular file, or as the errno says.
 */
int json_source_read(const char *path, size_t limit, struct buf *ret, struct error *err);

/* 0 and a document that the caller owns, or CODE_INVALID_ARGUMENT. A key twice is a mistake. */
int json_source_parse(const struct json_source *s, json_t **ret);

/*
 * "FILE:LINE: runtimes.fast.options: WHAT", with the line of the last name in path (from the document's
 * object down, ending with NULL; no name at all: the document). Returns CODE_INVALID_ARGUMENT.
 */
int json_source_refuse(const struct json_source *s, const char *const *path, const char *what);

/* The document must be an object whose "v" is this version. 0 or CODE_INVALID_ARGUMENT. */
int json_source_version(const struct json_source *s, const json_t *document, int version);
