/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A client's call that its container's shim answers: the request goes out, the answer comes back, and
 * nobody but this caller waits for it. A client that leaves leaves the shim to finish.
 */

#include <protobuf-c/protobuf-c.h>

#include "common/client_rpc.h"
#include "common/ttrpc_client.h"
#include "common/ttrpc_server.h"
#include "supervisor/member.h"

/* What is asked of the shim. */
struct forward_request {
	const char *service, *method;
	const ProtobufCMessage *message;
	const ProtobufCMessageDescriptor *response;
	const int *fds; /* sent along; not consumed */
	size_t n_fds;
	/*
	 * After that the call is refused with CODE_DEADLINE_EXCEEDED, whatever the shim does with it; 0: it
	 * is waited for. To the millisecond, where a timeout of the request's own has a second of grace.
	 */
	uint32_t answer_ms;
	/*
	 * The shim has answered: answers the call in turn. NULL: with an empty message. text: as given
	 * to forward_begin().
	 */
	void (*answer)(struct ttrpc_call *call, struct member *m, const char *text,
		const ProtobufCMessage *message);
	/* Instead of passing the shim's error on; may be NULL. */
	void (*refuse)(struct ttrpc_call *call, struct member *m, const char *text,
		const struct error *err);
	const char *text; /* an exec's id, or what else the answer needs; copied; may be NULL */
};

/* Takes over the call: it is answered, now or later. */
void forward_begin(
	struct member *m, struct ttrpc_call *call, const struct forward_request *request);

/* Every caller that waits is told that there will be no answer. */
void forward_fail_all(struct member *m, const char *why);

/* Refuses a call with a sentence. */
void forward_refuse(struct ttrpc_call *call, const struct error *err);
