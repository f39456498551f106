/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The streams of all shims of a namespace as one, or one of them: cleat.v1.Supervisor.Subscribe. */

#include "common/ttrpc_server.h"
#include "supervisor.pb-c.h"
#include "supervisor/hub.h"

/*
 * Takes over the call and answers it with ContainerEvents: what the hub has kept of the namespace and
 * what comes, or with from_now only that; with an id, of that container alone, and what comes after
 * `since` of that epoch. ns is copied. hub must outlive the server.
 */
void service_events_subscribe_all(struct hub *hub, struct ttrpc_call *call,
	const Cleat__V1__SubscribeRequest *request, const char *ns);
