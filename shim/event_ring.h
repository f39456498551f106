/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where events are kept: one run of bytes, oldest first, in address space that is mapped once. What
 * is dropped goes back to the kernel page by page, so that the memory behind the ring is what is
 * kept, and no more.
 */

#include <stddef.h>

#include "shim/events.h"

struct event_ring {
	uint8_t *map;
	size_t start, end; /* of what is kept */
	size_t given_back; /* up to here, in whole pages */
	size_t page;
	size_t n;
	struct task_event *newest;
};

/* 0 or -errno. With it there is room for whatever is within the limits, for ever. */
int event_ring_init(struct event_ring *ring);
/* Safe to repeat, and on a ring of zeroes. */
void event_ring_deinit(struct event_ring *ring);

/* The bytes that an event takes with its payload. */
size_t event_ring_size(size_t n_payload);
/* The bytes of all that is kept. */
static inline size_t event_ring_bytes(const struct event_ring *ring)
{
	return ring->end - ring->start;
}

/* NULL: there is none. */
struct task_event *event_ring_oldest(const struct event_ring *ring);
struct task_event *event_ring_after(const struct event_ring *ring, const struct task_event *e);

void event_ring_drop_oldest(struct event_ring *ring);
/* Gives back the pages that nothing is kept in any more. Cheap where there are none. */
void event_ring_give_back(struct event_ring *ring);

/*
 * Makes room at the end for so many bytes, which together with what is kept are LIMIT_RING_BYTES at
 * most. Returns by how many bytes every kept event has moved down for that, mostly 0.
 */
size_t event_ring_make_room(struct event_ring *ring, size_t size);
/* The new newest, all zeroes but n_payload; the room was made. */
struct task_event *event_ring_append(struct event_ring *ring, size_t n_payload);
