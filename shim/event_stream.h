/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A client that follows the event ring through a server stream: a cursor, and at most one frame
 * of it that waits to be written. Ends with its call, with an error, or, once the ring has ended,
 * properly.
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

/* Takes over the call, and sends what there is. since: as events_subscribe(). */
void event_stream_begin(
	struct shim *shim, struct ttrpc_call *call, uint64_t since, event_stream_send send);

/* For a send function: the message, and the error that ends the stream if it can't be sent. */
int event_stream_put(struct ttrpc_call *call, const ProtobufCMessage *message, struct error *err);
