/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring's bytes, and who reads them. They are one run, oldest first, in address space that is
 * mapped once; what is dropped goes back to the kernel page by page. It owns the kept entries; cursors
 * belong to their readers. Never fails once it is there: it asks nobody for memory.
 *
 * Two subtle rules. What is kept wanders up through the mapping, which is twice the bound, so that it
 * has to be moved down only once in many entries, and always can be. And an entry counts the cursors
 * that read it next, so that nothing else has to be looked at to know whether the oldest may go.
 */
#include "common/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"

#define ALIGNMENT _Alignof(struct ring_entry)

static size_t map_bytes(const struct ring_bounds *bounds)
{
	return 2 * (size_t)bounds->bytes;
}

int ring_init(struct ring *ring, const struct ring_bounds *bounds)
{
	/* without MAP_NORESERVE: where memory is promised strictly, this is the promise */
	void *map = mmap(NULL, map_bytes(bounds), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return error_trace(-errno);
	*ring = (struct ring){
		.bounds = bounds, .map = map, .page = (size_t)sysconf(_SC_PAGESIZE), .next_seq = 1
	};
	list_init(&ring->cursors);
	return 0;
}

void ring_deinit(struct ring *ring)
{
	struct list *pos, *tmp;

	if (!ring->map)
		return;
	list_for_each_safe (pos, tmp, &ring->cursors)
		ring_unsubscribe(list_entry(pos, struct ring_cursor, cursors_link));
	munmap(ring->map, map_bytes(ring->bounds));
	*ring = (struct ring){ 0 };
}

/* --- the run of bytes --- */

size_t ring_room(size_t size)
{
	return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct ring_entry *oldest(const struct ring *ring)
{
	return ring->n == 0 ? NULL : (struct ring_entry *)(ring->map + ring->start);
}

static struct ring_entry *after(const struct ring *ring, const struct ring_entry *e)
{
	if (e == ring->newest)
		return NULL;
	return (struct ring_entry *)((uint8_t *)e + ring_room(e->size));
}

static void drop_oldest(struct ring *ring)
{
	ring->start += ring_room(oldest(ring)->size);
	if (--ring->n == 0)
		ring->newest = NULL;
}

/* Whole pages in [from, to). If the kernel does not take them they are only used for longer. */
static void give(struct ring *ring, size_t from, size_t to)
{
	if (to > from)
		madvise(ring->map + from, to - from, MADV_DONTNEED);
}

static size_t page_floor(const struct ring *ring, size_t at)
{
	return at / ring->page * ring->page;
}

static size_t page_ceil(const struct ring *ring, size_t at)
{
	return page_floor(ring, at + ring->page - 1);
}

/* Gives back the pages that nothing is kept in any more. Cheap where there are none. */
static void give_back(struct ring *ring)
{
	size_t to = page_floor(ring, ring->start);

	if (to <= ring->given_back)
		return;
	give(ring, ring->given_back, to);
	ring->given_back = to;
}

static void move_down(struct ring *ring)
{
	size_t by = ring->start, kept = ring_bytes(ring), end = ring->end;
	struct list *pos;

	memmove(ring->map, ring->map + by, kept);
	ring->start = ring->given_back = 0;
	ring->end = kept;
	if (ring->newest)
		ring->newest = (struct ring_entry *)((uint8_t *)ring->newest - by);
	give(ring, page_ceil(ring, kept), page_ceil(ring, end));
	list_for_each (pos, &ring->cursors) {
		struct ring_cursor *cursor = list_entry(pos, struct ring_cursor, cursors_link);

		if (cursor->at)
			cursor->at = (struct ring_entry *)((uint8_t *)cursor->at - by);
	}
}

/* --- what is kept --- */

/* e: NULL for the end. */
static void cursor_move(struct ring_cursor *cursor, struct ring_entry *e)
{
	if (cursor->at)
		cursor->at->n_readers--;
	cursor->at = e;
	if (e)
		e->n_readers++;
}

/* Drops what everyone has read, down to the tail, of which the newest entry always is one. */
static void trim(struct ring *ring)
{
	while (ring->n > 1 && oldest(ring)->n_readers == 0 &&
		(ring->n > ring->bounds->tail_n || ring_bytes(ring) > ring->bounds->tail_bytes))
		drop_oldest(ring);
	give_back(ring);
}

/* Its readers have missed it. */
static void lose_oldest(struct ring *ring)
{
	struct ring_entry *e = oldest(ring);
	struct list *pos;

	if (e->n_readers > 0)
		list_for_each (pos, &ring->cursors) {
			struct ring_cursor *cursor =
				list_entry(pos, struct ring_cursor, cursors_link);

			if (cursor->at == e)
				cursor_move(cursor, after(ring, e));
		}
	drop_oldest(ring);
}

/* Room at the end for so many bytes more, within the bounds. */
static void make_room(struct ring *ring, size_t room)
{
	while (ring->n >= ring->bounds->n || ring_bytes(ring) + room > ring->bounds->bytes)
		lose_oldest(ring);
	if (ring->end + room > map_bytes(ring->bounds))
		move_down(ring);
}

/* --- adding --- */

struct ring_entry *ring_append(struct ring *ring, size_t size)
{
	uint64_t seq = ring->next_seq++;
	struct ring_entry *e;

	if (size > ring->bounds->bytes || ring_room(size) > ring->bounds->bytes)
		return NULL;
	make_room(ring, ring_room(size));
	e = (struct ring_entry *)(ring->map + ring->end);
	memset(e, 0, size);
	e->seq = seq;
	e->size = (uint32_t)size;
	ring->end += ring_room(size);
	ring->newest = e;
	ring->n++;
	return e;
}

/*
 * Runs wake of every cursor that was at the end; e, if there is one, is what they are at now. A
 * wake may unsubscribe any cursor: each is taken off a list of those still to be looked at.
 */
static void wake_cursors(struct ring *ring, struct ring_entry *e)
{
	struct list todo;

	if (list_is_empty(&ring->cursors))
		return;
	todo = ring->cursors;
	todo.next->prev = todo.prev->next = &todo;
	list_init(&ring->cursors);
	while (!list_is_empty(&todo)) {
		struct ring_cursor *cursor = list_first(&todo, struct ring_cursor, cursors_link);

		list_unlink(&cursor->cursors_link);
		list_append(&ring->cursors, &cursor->cursors_link);
		if (cursor->at)
			continue;
		cursor_move(cursor, e);
		cursor->wake(cursor->userdata);
	}
}

void ring_announce(struct ring *ring, struct ring_entry *e)
{
	wake_cursors(ring, e);
	trim(ring);
}

void ring_end(struct ring *ring)
{
	if (ring->ended)
		return;
	ring->ended = true;
	wake_cursors(ring, NULL);
}

/* --- reading --- */

/* The oldest kept entry after since, or NULL. */
static struct ring_entry *find_after(const struct ring *ring, uint64_t since)
{
	struct ring_entry *e = oldest(ring);

	if (e && ring->newest->seq <= since) /* as for most who come back */
		return NULL;
	while (e && e->seq <= since)
		e = after(ring, e);
	return e;
}

void ring_subscribe(struct ring *ring, struct ring_cursor *cursor, uint64_t since,
	void (*wake)(void *userdata), void *userdata)
{
	if (since >= ring->next_seq)
		since = ring->next_seq - 1;
	cursor->ring = ring;
	cursor->at = NULL;
	cursor_move(cursor, find_after(ring, since));
	if (since == 0)
		cursor->next = cursor->at ? cursor->at->seq : ring->next_seq;
	else
		cursor->next = since + 1;
	cursor->wake = wake;
	cursor->userdata = userdata;
	list_init(&cursor->cursors_link);
	list_append(&ring->cursors, &cursor->cursors_link);
}

void ring_unsubscribe(struct ring_cursor *cursor)
{
	struct ring *ring = cursor->ring;

	if (!ring)
		return;
	list_unlink(&cursor->cursors_link);
	cursor_move(cursor, NULL);
	cursor->ring = NULL;
	trim(ring);
}

const struct ring_entry *ring_next(struct ring_cursor *cursor, uint64_t *ret_missed)
{
	struct ring *ring = cursor->ring;
	const struct ring_entry *e;

	*ret_missed = 0;
	trim(ring); /* what the last call has returned may go by now */
	e = cursor->at;
	if (!e)
		return NULL;
	*ret_missed = e->seq - cursor->next;
	cursor->next = e->seq + 1;
	cursor_move(cursor, after(ring, e));
	return e;
}
