/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the event ring. Never fails once it is there: it asks nobody for memory, only uses
 * pages of its mapping and gives them back. Subtle: what is kept wanders up through the mapping,
 * which is twice the limit, so that it has to be moved down only once in many events, and always
 * can be.
 */
#include "shim/event_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"
#include "common/limits.h"

#define MAP_BYTES (2u * LIMIT_RING_BYTES)
#define ALIGNMENT _Alignof(struct task_event)

int event_ring_init(struct event_ring *ring)
{
	/* without MAP_NORESERVE: where memory is promised strictly, this is the promise */
	void *map =
		mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return error_trace(-errno);
	*ring = (struct event_ring){ .map = map, .page = (size_t)sysconf(_SC_PAGESIZE) };
	return 0;
}

void event_ring_deinit(struct event_ring *ring)
{
	if (ring->map)
		munmap(ring->map, MAP_BYTES);
	*ring = (struct event_ring){ 0 };
}

size_t event_ring_size(size_t n_payload)
{
	size_t size = offsetof(struct task_event, payload) + n_payload;

	return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

struct task_event *event_ring_oldest(const struct event_ring *ring)
{
	return ring->n == 0 ? NULL : (struct task_event *)(ring->map + ring->start);
}

struct task_event *event_ring_after(const struct event_ring *ring, const struct task_event *e)
{
	if (e == ring->newest)
		return NULL;
	return (struct task_event *)((uint8_t *)e + event_ring_size(e->n_payload));
}

void event_ring_drop_oldest(struct event_ring *ring)
{
	ring->start += event_ring_size(event_ring_oldest(ring)->n_payload);
	if (--ring->n == 0)
		ring->newest = NULL;
}

/* Whole pages in [from, to). If the kernel does not take them they are only used for longer. */
static void give(struct event_ring *ring, size_t from, size_t to)
{
	if (to > from)
		madvise(ring->map + from, to - from, MADV_DONTNEED);
}

static size_t page_floor(const struct event_ring *ring, size_t at)
{
	return at / ring->page * ring->page;
}

static size_t page_ceil(const struct event_ring *ring, size_t at)
{
	return page_floor(ring, at + ring->page - 1);
}

void event_ring_give_back(struct event_ring *ring)
{
	size_t to = page_floor(ring, ring->start);

	if (to <= ring->given_back)
		return;
	give(ring, ring->given_back, to);
	ring->given_back = to;
}

size_t event_ring_make_room(struct event_ring *ring, size_t size)
{
	size_t by = ring->start, kept = event_ring_bytes(ring), end = ring->end;

	if (end + size <= MAP_BYTES)
		return 0;
	memmove(ring->map, ring->map + by, kept);
	ring->start = ring->given_back = 0;
	ring->end = kept;
	if (ring->newest)
		ring->newest = (struct task_event *)((uint8_t *)ring->newest - by);
	give(ring, page_ceil(ring, kept), page_ceil(ring, end));
	return by;
}

struct task_event *event_ring_append(struct event_ring *ring, size_t n_payload)
{
	struct task_event *e = (struct task_event *)(ring->map + ring->end);

	memset(e, 0, offsetof(struct task_event, payload));
	e->n_payload = (uint32_t)n_payload;
	ring->end += event_ring_size(n_payload);
	ring->newest = e;
	ring->n++;
	return e;
}
