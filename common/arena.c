/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Never frees a single piece. Subtle: protobuf-c frees what it decoded halfway
 * when a message turns out to be broken; that is a no-op here and the arena's end does it.
 */
#include "common/arena.h"

#include <stdint.h>
#include <stdlib.h>

#define ALIGN	  16u
#define BLOCK_MIN 4096u

struct arena_block {
	struct arena_block *next;
	_Alignas(ALIGN) unsigned char data[];
};

static bool arena_grow(struct arena *a, size_t n)
{
	size_t size = n > BLOCK_MIN ? n : BLOCK_MIN;
	struct arena_block *block = NULL;

	if (size <= a->left)
		block = malloc(sizeof(*block) + size);
	if (!block) {
		a->exhausted = true;
		return false;
	}
	a->left -= size;
	block->next = a->blocks;
	a->blocks = block;
	/* a large piece has its block to itself: the room of the block before it is still used */
	if (size - n >= a->room) {
		a->at = block->data;
		a->room = size;
	}
	return true;
}

static void *arena_take(void *allocator_data, size_t n)
{
	struct arena *a = allocator_data;
	void *taken;

	if (n > SIZE_MAX - ALIGN) {
		a->exhausted = true;
		return NULL;
	}
	n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (n > a->room) {
		if (!arena_grow(a, n))
			return NULL;
		if (n > a->room)
			return a->blocks->data;
	}
	taken = a->at;
	a->at += n;
	a->room -= n;
	return taken;
}

static void arena_give(void *allocator_data, void *piece)
{
	(void)allocator_data;
	(void)piece;
}

void arena_init(struct arena *a, void *first, size_t n, size_t limit)
{
	size_t skew = -(uintptr_t)first & (ALIGN - 1);

	if (skew > n)
		skew = n;
	*a = (struct arena){
		.allocator = { arena_take, arena_give, a },
		.at = n > 0 ? (unsigned char *)first + skew : NULL,
		.room = n - skew,
		.left = limit,
	};
}

void arena_deinit(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *block = a->blocks;

		a->blocks = block->next;
		free(block);
	}
	a->at = NULL;
	a->room = 0;
}
