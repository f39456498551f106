/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What containers look like from outside, as JSON objects with the keys of `cleat state`: told
 * by the shim, or where it is dead or does not answer in time, by its files.
 */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "common/error.h"

struct cli;

/*
 * Every container of the namespace (or the one of --shim), sorted by id; one that comes or goes
 * meanwhile is in it or not. *ret: an array, owned by the caller.
 */
int look_all(struct cli *cli, json_t **ret, struct error *err);

/* One container, with a bit more patience. CODE_NOT_FOUND. *ret: owned by the caller. */
int look_one(struct cli *cli, const char *id, json_t **ret, struct error *err);

/* A new object of these keys (the list ends with NULL) of obj; NULL without memory. */
json_t *look_pick(const json_t *obj, const char *const *keys);
