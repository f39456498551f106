/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The three sources of a container's looks, each to the same JSON object. */

#include <stdbool.h>

#include <jansson.h>

#include "common/state_dir.h"
#include "monitor.pb-c.h"
#include "supervisor.pb-c.h"

/*
 * NULL: there is no container, or no memory. full: with what config.json tells, and the owner,
 * which a list of a thousand has no use for.
 */
json_t *look_from_info(const Cleat__Shim__V1__InfoResponse *info, bool full);

/* What cleatd's list tells. */
json_t *look_from_container(const Cleat__V1__Container *c);

/*
 * From state.json, shim.json and the ledger. orphaned: nobody holds the lock. A state.json that
 * cannot be read is told by err; in a list its container is still there, with the status "unknown".
 */
json_t *look_from_files(const struct state_dir *dir, bool orphaned, bool full, struct error *err);
