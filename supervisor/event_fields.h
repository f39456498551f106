/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An event of the hub as filters see it: namespace, topic, and event.FIELD of the containerd.events
 * messages of tasks. Of these, containerd 1.6 has the texts and io.terminal (its generated fieldpath
 * code); numbers (event.pid, event.exit_status) and times (event.exited_at, as RFC 3339 with nine digits)
 * it has not, we have. A list, such as event.rootfs, is no field in either.
 */

#include <stdbool.h>

#include "common/arena.h"
#include "common/clock.h"
#include "supervisor/hub.h"

/* On the stack of whoever holds one event against one filter: the payload is decoded only if asked for. */
struct event_fields {
	const struct hub_event *e;
	ProtobufCMessage *payload;
	bool is_decoded;
	struct arena arena;
	unsigned char room[512];
	char text[CLOCK_TEXT_MAX];
};

#define _cleanup_event_fields_ __attribute__((cleanup(event_fields_deinit)))

/* e must outlive f, and f must not be moved. */
void event_fields_init(struct event_fields *f, const struct hub_event *e);
void event_fields_deinit(struct event_fields *f);

/* The filter_field of common/filter.h, with a struct event_fields. */
const char *event_field(const char *const *path, size_t n, void *userdata);
