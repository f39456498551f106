/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the readers of the runtime binding share. For common/runtime*.c alone. */

#include "common/runtime.h"

#define LIMIT_QUOTE 200 /* bytes of somebody's first line in a sentence of ours */

/* CODE_INTERNAL "runc state: not the JSON that was expected: FIRST LINE". */
int runtime_refuse(
	const struct runtime *rt, enum runtime_verb verb, const struct buf *out, struct error *err);
/* The same for an answer that is no JSON: "not the WHAT that was expected". */
int runtime_refuse_as(const struct runtime *rt, enum runtime_verb verb, const char *what,
	const void *data, size_t n, struct error *err);
int runtime_no_memory(const struct runtime *rt, enum runtime_verb verb, struct error *err);
