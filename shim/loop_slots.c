/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches an idle descriptor under each number that is free, once. Leaves nothing open. Subtle: a
 * number that is in use is left alone, and gets its record when its owner watches it. The lowest free
 * number may be a hole below many that are in use, so the free ones are counted: poll(2) tells of many
 * descriptors at once whether they are open. And a heap that has been in use is full of holes in which
 * small pieces land far from each other, so the records come from pages of their own, through libevent's
 * own hook for its memory. What libevent gives back of them is base's end: it is left there.
 */
#include "shim/loop_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"

#define HEADROOM 24 /* a connection, or an exec with its streams, takes fewer */
#define BLOCK	 96
#define AT_ONCE	 64 /* asked about in one call */

#define PAGES_BYTES  (1u << 20) /* of addresses; 32,768 records */
#define RECORD_MOST  64		/* bytes: what is larger is no record */
#define RECORD_ALIGN 16u

/* libevent's hook has no place for anything of ours but this. */
static struct {
	char *start, *next, *end; /* NULL: there are none */
	bool is_open;		  /* what libevent asks for now are records */
} pages;

static bool is_in_pages(const void *p)
{
	return pages.start && (const char *)p >= pages.start && (const char *)p < pages.end;
}

static void *take(size_t n)
{
	size_t size = (n + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
	void *p = pages.next;

	if (!pages.is_open || n > RECORD_MOST || size > (size_t)(pages.end - pages.next))
		return malloc(n);
	pages.next += size;
	return p;
}

static void *take_again(void *old, size_t n)
{
	void *p;

	if (!is_in_pages(old))
		return realloc(old, n);
	p = malloc(n);
	if (p)
		memcpy(p, old, n < RECORD_MOST ? n : RECORD_MOST);
	return p;
}

static void give_back(void *p)
{
	if (!is_in_pages(p))
		free(p);
}

void loop_slots_init(void)
{
	void *map;

	if (pages.start)
		return;
	map = mmap(NULL, PAGES_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return; /* then they lie in the heap */
	pages.start = pages.next = map;
	pages.end = pages.start + PAGES_BYTES - RECORD_MOST; /* take_again() reads so far */
	event_set_mem_functions(take, take_again, give_back);
}

static void never(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)userdata;
}

static int touch(struct event *event, struct event_base *base, int fd)
{
	if (event_assign(event, base, fd, EV_READ, never, NULL) < 0 || event_add(event, NULL) < 0)
		return error_trace(-ENOMEM);
	return event_del(event) < 0 ? error_trace(-EIO) : 0;
}

static int touch_as(struct event *event, struct event_base *base, int idle, int fd)
{
	int r;

	if (fd == idle)
		return touch(event, base, fd);
	if (fcntl(fd, F_GETFD) >= 0)
		return 0;
	if (dup3(idle, fd, O_CLOEXEC) < 0)
		return -errno;
	r = touch(event, base, fd);
	close(fd);
	return r;
}

/* Whether HEADROOM of the numbers from..to - 1 are free. */
static bool has_room(int from, int to)
{
	struct pollfd fds[AT_ONCE];
	int n_free = 0;

	while (from < to && n_free < HEADROOM) {
		nfds_t n = 0;

		for (; n < AT_ONCE && from < to; n++, from++)
			fds[n] = (struct pollfd){ .fd = from };
		if (poll(fds, n, 0) < 0)
			return true; /* no memory, say: not the time for more */
		while (n-- > 0)
			n_free += fds[n].revents == POLLNVAL;
	}
	return n_free >= HEADROOM;
}

int loop_slots_ahead(struct event_base *base, int *n)
{
	_cleanup_close_ int idle = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	_cleanup_free_ struct event *event = NULL;
	int r = 0, fd = *n;

	if (idle < 0)
		return -errno;
	if (has_room(idle, *n))
		return 0;
	event = malloc(event_get_struct_event_size());
	if (!event)
		return -ENOMEM;
	*n = (idle > *n ? idle : *n) + BLOCK; /* not tried again: there may be no such numbers */
	pages.is_open = pages.start != NULL;
	for (; fd < *n && r == 0; fd++)
		r = touch_as(event, base, idle, fd);
	pages.is_open = false;
	return r;
}
