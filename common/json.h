/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reading and writing JSON through jansson, with errors that name the document and the field.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/error.h"

/* Releases a reference: for _cleanup_json_. */
static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}
#define _cleanup_json_ __attribute__((cleanup(cleanup_json)))

/* Parses n bytes; nesting is bounded by jansson (2048). what: the document's name. */
int json_parse(const void *data, size_t n, const char *what, json_t **ret, struct error *err);

/* Reads PATH in dir (see fd_read_file()) of limit bytes at most. A missing file: CODE_NOT_FOUND. */
int json_read_file(
	int dir, const char *path, size_t limit, const char *what, json_t **ret, struct error *err);

/* Compact text, the caller frees; NULL without memory. */
char *json_text(const json_t *j);

/*
 * Fields of an object, required or with a default. Wrong type: CODE_INVALID_ARGUMENT
 * "WHAT: KEY must be a string". *ret of a string is owned by obj.
 */
int json_need_string(
	const json_t *obj, const char *key, const char *what, const char **ret, struct error *err);
int json_need_int(
	const json_t *obj, const char *key, const char *what, int64_t *ret, struct error *err);
const char *json_get_string(const json_t *obj, const char *key, const char *otherwise);
int64_t json_get_int(const json_t *obj, const char *key, int64_t otherwise);
bool json_get_bool(const json_t *obj, const char *key, bool otherwise);

/* A string that a document has as one: not what stands for an integer past 64 bits. */
bool json_is_text(const json_t *j);

/* Integers, those past 63 bits too, which json_parse() keeps as strings. false: not one that fits. */
bool json_uint64(const json_t *j, uint64_t *ret);
bool json_int64(const json_t *j, int64_t *ret);

/*
 * The line, from 1 on, of the key to which path leads (names from the document's object down,
 * ending with NULL) in a text that json_parse() has taken. 1 where it is not there.
 */
size_t json_line_of(const void *data, size_t n, const char *const *path);
