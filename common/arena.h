/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory for decoded messages: handed out by advancing through blocks, given back all at once.
 * The first block is the caller's, usually on the stack, so that a small message costs no malloc.
 * Bounded: a few bytes on the wire can ask for a hundred times as many in memory.
 */

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#define ARENA_LIMIT (32u << 20) /* what one decoded frame may take: far more than any honest one */

struct arena_block;

struct arena {
	ProtobufCAllocator allocator; /* hand this to protobuf-c; it points back here */
	unsigned char *at;	      /* free room of the newest block */
	size_t room;
	size_t left; /* bytes that may still be taken from malloc */
	struct arena_block *blocks;
	bool exhausted; /* something was refused: for the limit, or by malloc */
};

#define _cleanup_arena_ __attribute__((cleanup(arena_deinit)))

/*
 * first (n bytes, any alignment; may be NULL) must outlive the arena. limit: what malloc may give
 * beyond it.
 */
void arena_init(struct arena *a, void *first, size_t n, size_t limit);

/* Ends the life of everything handed out. Safe to repeat. */
void arena_deinit(struct arena *a);
