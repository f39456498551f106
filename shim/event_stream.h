/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A client that follows the shim's events through a server stream: see common/ring_stream.h.
 */

#include <stdint.h>

#include "common/ttrpc_server.h"
#include "shim/shim.h"

/*
 * Sends one event as the service tells it, or nothing if it has no word for it. missed: how many
 * were lost right before. 0, or a code with its sentence, with which the stream ends.
 */
typedef int (*event_stream_send)(struct shim *shim, struct ttrpc_call *call,
	const struct task_event *e, uint64_t missed, struct error *err);

/* Takes over the call, and sends what there is. since: as ring_subscribe(). */
void event_stream_begin(
	struct shim *shim, struct ttrpc_call *call, uint64_t since, event_stream_send send);
