/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One run of the runtime, without waiting for it: its arguments, its deadline, a log of its own
 * (runs that share one swap messages), and bounded capture of what it prints. At the deadline the
 * run's process group is killed.
 */

#include <stdbool.h>

#include "common/error.h"
#include "common/runtime.h"

struct shim;
struct runtime_call;

/*
 * How it went, as runtime_judge() says: err is CODE_OK or the sentence. words: the runtime's own,
 * or NULL, as at a deadline. outcome: what it printed. All valid during the callback; the call is
 * gone after it.
 */
typedef void (*runtime_call_done)(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata);

/*
 * Begins a run. stdio: descriptors for its 0, 1, 2 (-1: /dev/null; not consumed), with which it
 * leaves the container behind (create, exec); NULL: stdin is request->input or empty, stdout and
 * stderr are captured. request->log is set here. deadline_ms: one that is shorter than the
 * runtime's, or 0. done never runs from within this function; if this function fails, it does not
 * run at all. *ret may be NULL.
 */
int runtime_call_begin(struct shim *shim, const struct runtime *rt,
	const struct runtime_request *request, const int stdio[3], uint32_t deadline_ms,
	runtime_call_done done, void *userdata, struct runtime_call **ret, struct error *err);

/* The process that a run is, until its callback has run. */
const struct pidref *runtime_call_process(const struct runtime_call *call);
