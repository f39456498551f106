/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the events of all shims meet, and those that were published or forwarded: one order, in which
 * the events of one shim stay in theirs, kept for slow subscribers within LIMIT_HUB_, and of what
 * everyone has read the newest, within HUB_TAIL_, for those who come late. A subscriber is a cursor of
 * common/ring.h: one that never reads costs its place in the ring, and learns how much it has missed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/ring.h"

struct hub_event {
	const char *ns, *topic;
	const char *type_url; /* of the payload; "" without one */
	const void *payload;
	size_t n_payload;
	moment time;
	/* of a shim's own stream: its container, and what cleat.shim.v1.Event has; NULL and 0 for others */
	const char *id;
	uint64_t epoch, seq;
	uint64_t missed; /* lost on the way here, right before */
	bool late;
};

struct hub;

int hub_new(struct hub **ret);
/* Takes every cursor off. Takes NULL. */
void hub_free(struct hub *hub);

/* Whether an event is small enough to be published: LIMIT_HUB_EVENT, with all its texts. */
bool hub_event_fits(const struct hub_event *e);

/*
 * Copies the event and wakes the subscribers. It asks for no memory. 0, or -E2BIG for one that does not
 * fit: it counts as missed for everybody. Never from within a wake.
 */
int hub_publish(struct hub *hub, const struct hub_event *e);

/* There will be no more: every subscriber reads to the end and finishes. */
void hub_end(struct hub *hub);

/*
 * For subscribers: ring_subscribe() on it, from 0 for all that is kept or RING_FROM_NOW, or a stream of
 * common/ring_stream.h. wake must not publish.
 */
struct ring *hub_ring(struct hub *hub);
/* What an entry of the ring is; valid as long as the entry is. */
void hub_read(const struct ring_entry *entry, struct hub_event *ret);
/* The event at a cursor, as ring_next(); false: there is none. */
bool hub_next(struct ring_cursor *cursor, struct hub_event *ret, uint64_t *ret_missed);
