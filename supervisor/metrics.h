/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tasks.Metrics: every matching container's Stats, gathered. One that has none to tell (it does not run,
 * its shim hangs) is left out, as containerd leaves it out; none is waited for beyond METRICS_MS. Where the
 * filters leave a single one, it is given the time that its runtime may take, and its error is the answer.
 */

#include "common/ttrpc_server.h"
#include "supervisor/supervisor.h"
#include "tasks.pb-c.h"

#define METRICS_MS 2000

/* Takes over the call. */
void metrics_begin(struct supervisor *s, struct ttrpc_call *call, const char *ns,
	const Containerd__Services__Tasks__V1__MetricsRequest *request);
