/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * containerd's filter language (its package filters, at 1.6): what Subscribe is given, and what lists
 * may be given. A filter is conditions with commas between them, all of which must hold; of several
 * filters one is enough; an empty one always holds.
 *
 *	topic=="/tasks/exit",namespace==default
 *	event.container_id~=/^web-[0-9]+$/
 *	labels."a word.with dots"
 *
 * A condition is a path, alone (there is such a field, and it is not empty) or with ==, != or ~= and a
 * value. Of a field that is not there != says that it differs and ~= looks at an empty text. A path is
 * letters, digits, - and _, or quoted, with dots between. A value is quoted, or goes to the next comma or
 * blank; quotes are " and, behind ~= alone, / and |, with the escapes of Go's strings inside, which for a
 * pattern means that a backslash is written twice there. Regular expressions: see common/pattern.h.
 *
 * Taken here and refused there, where nothing else can be meant: a value behind == and != that begins
 * with / or | and has no quotes (topic==/tasks/exit), and blanks around every word. Refused here, and
 * never true there: a regular expression that is none.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct filter;

/*
 * CODE_INVALID_ARGUMENT, or CODE_RESOURCE_EXHAUSTED past LIMIT_FILTER*, with a sentence that names the
 * word and the place in the filter, in bytes from 1:
 * `filter "topic=/x": unexpected "=" at 6, expected "==", "!=" or "~="`. n == 0: *ret is NULL.
 */
int filter_parse(const char *const *texts, size_t n, struct filter **ret, struct error *err);
void filter_free(struct filter *f);

/*
 * The value of the field that a path of n words names, or NULL; it is looked at before the next one is
 * asked for. An empty value counts as none.
 */
typedef const char *(*filter_field)(const char *const *path, size_t n, void *userdata);

/* f: NULL matches everything. Asks for no memory; a value past LIMIT_FILTER_VALUE matches no pattern. */
bool filter_matches(struct filter *f, filter_field field, void *userdata);
