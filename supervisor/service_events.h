/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * containerd.services.events.v1.Events over the hub: Publish, Forward, and Subscribe with filters.
 *
 * A subscriber that read too slowly, or whose event a shim had lost on its way here, learns how many
 * events it has missed before it gets the next one: an envelope with the topic SERVICE_EVENTS_MISSED, in
 * the namespace SERVICE_EVENTS_NAMESPACE, with a cleat.v1.Missed. No filter keeps that from it, for the
 * events that are lost could have been of any kind. Clients of containerd's that do not know the message
 * pass over it as over any other topic.
 */

#include "common/ttrpc_server.h"
#include "supervisor/hub.h"

#define SERVICE_EVENTS_MISSED	 "/cleat/missed"
#define SERVICE_EVENTS_NAMESPACE "cleat"

/* Adds the service. hub must outlive the server. 0 or -errno. */
int service_events_add(struct hub *hub, struct ttrpc_server *server);
