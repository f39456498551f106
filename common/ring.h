/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Numbered entries in one total order, kept for readers that are slow or late: what a reader has not
 * read yet, within bounds, and of what everyone has read the newest, within smaller ones (the tail).
 * A reader is a cursor; nobody's slowness costs anyone else anything, and one that fell behind learns
 * how many entries it has missed.
 *
 * The shim's events stand on it, and the supervisor's. It asks for no memory after its start, so that
 * nothing can keep an entry from being told; what lies behind it is what is kept, and no more.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"

/* What an entry begins with; what follows is its maker's. Of uint64_t's alignment. */
struct ring_entry {
	uint64_t seq;	    /* from 1 */
	uint32_t size;	    /* bytes, with this head */
	uint32_t n_readers; /* cursors that read it next */
};

struct ring_bounds {
	uint32_t n, bytes;	     /* kept for whoever has not read them */
	uint32_t tail_n, tail_bytes; /* kept though everyone has; less than the others */
};

struct ring {
	const struct ring_bounds *bounds;
	uint8_t *map;
	size_t start, end; /* of what is kept */
	size_t given_back; /* up to here, in whole pages */
	size_t page;
	size_t n;
	uint64_t next_seq;
	struct ring_entry *newest;
	struct list cursors;
	bool ended;
};

/* bounds must outlive the ring. 0 or -errno. */
int ring_init(struct ring *ring, const struct ring_bounds *bounds);
/* Takes every cursor off. Safe to repeat, and on a ring of zeroes. */
void ring_deinit(struct ring *ring);

/* The bytes that an entry of so many takes. */
size_t ring_room(size_t size);
/* The bytes of all that is kept. */
static inline size_t ring_bytes(const struct ring *ring)
{
	return ring->end - ring->start;
}

/*
 * A new entry of so many bytes, all zeroes but its head: to be filled, and then announced before any
 * other function of the ring is called. NULL: it is larger than the ring may be, and lost; it keeps
 * its number, and shows as missed.
 */
struct ring_entry *ring_append(struct ring *ring, size_t size);
/* A number is used up for what cannot be kept: it shows as missed. */
static inline void ring_lose(struct ring *ring)
{
	ring->next_seq++;
}
/* Wakes the readers that were at the end. */
void ring_announce(struct ring *ring, struct ring_entry *e);

/*
 * There will be no more entries: every cursor at the end is woken, so that its reader can finish. Safe
 * to repeat; entries may still be added, for what comes late.
 */
void ring_end(struct ring *ring);

/*
 * A reader. wake runs (from within ring_announce and ring_end) when it was at the end and there is
 * something to read; it must not block nor add entries; it may read on at once, and unsubscribe any
 * cursor, its own too.
 */
struct ring_cursor {
	struct ring *ring; /* NULL: not subscribed */
	struct list cursors_link;
	uint64_t next;	       /* number that it reads next */
	struct ring_entry *at; /* the kept entry that it reads next; NULL: at the end */
	void (*wake)(void *userdata);
	void *userdata;
};

/*
 * since: the last one seen (what is lost right after it counts as missed), 0 for all that is kept
 * (what came before that does not). One from the future is the end. wake never runs from in here.
 */
#define RING_FROM_NOW UINT64_MAX
void ring_subscribe(struct ring *ring, struct ring_cursor *cursor, uint64_t since,
	void (*wake)(void *userdata), void *userdata);
/* Safe to repeat, and on a cursor of zeroes that was never subscribed. */
void ring_unsubscribe(struct ring_cursor *cursor);

/*
 * The entry at the cursor, which moves on; NULL at the end. *ret_missed: how many were lost to it
 * right before. Valid until the next call of any of these functions.
 */
const struct ring_entry *ring_next(struct ring_cursor *cursor, uint64_t *ret_missed);
