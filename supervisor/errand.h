/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Work of the supervisor's own that may block (a runtime is run, something is unmounted): a child of its
 * own program does it, and what it exits with is the answer.
 */

#include "common/error.h"
#include "common/ttrpc_server.h"
#include "supervisor/member.h"

/*
 * Takes over the call. verb: for the sentences. answer: where it went well, with what it printed; m is NULL
 * if it has gone by then; NULL: an empty message. argv is used before this returns.
 */
void errand_begin(struct member *m, struct ttrpc_call *call, const char *verb, char *const *argv,
	void (*answer)(struct ttrpc_call *call, struct member *m, const char *out));

/* In the child: says what went wrong, and returns what to exit with. */
int errand_tell(int code, const struct error *err);
