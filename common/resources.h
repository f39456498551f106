/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An update's document: OCI LinuxResources as JSON. Checked before the runtime is asked, so that a
 * wrong one changes nothing; fields that are not known are passed over, as runc does.
 */

#include <stddef.h>

#include "common/error.h"

/*
 * *ret: the document as one line of JSON, what was checked and nothing else; the caller frees.
 * CODE_INVALID_ARGUMENT names the field ("resources: memory.limit must be an integer of 64 bits"),
 * CODE_RESOURCE_EXHAUSTED past LIMIT_RESOURCES_JSON.
 */
int resources_parse(const void *data, size_t n, char **ret, struct error *err);
