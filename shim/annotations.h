/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Annotations that updates gave a container, over those of its config.json: names and texts that
 * mean something to clients, and nothing to us. A JSON object of strings; NULL is an empty one.
 */

#include <stddef.h>

#include <jansson.h>

#include "common/error.h"

struct annotation {
	const char *name, *text;
};

/*
 * *ret: a new object of n annotations; of a name the last one counts. CODE_INVALID_ARGUMENT for a
 * name that is empty, and for what is not UTF-8.
 */
int annotations_read(const struct annotation *list, size_t n, json_t **ret, struct error *err);

/*
 * *ret: a new object, more laid over kept; both are left as they are. CODE_RESOURCE_EXHAUSTED
 * where names and texts come to more than LIMIT_ANNOTATIONS.
 */
int annotations_merge(const json_t *kept, const json_t *more, json_t **ret, struct error *err);
