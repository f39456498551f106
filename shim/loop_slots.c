/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches an idle descriptor under each number that is free, once. Leaves nothing open. Subtle: a
 * number that is in use is left alone, and gets its record when its owner watches it.
 */
#include "shim/loop_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"

#define HEADROOM 24 /* a connection, or an exec with its streams, takes fewer */
#define BLOCK	 96

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

int loop_slots_ahead(struct event_base *base, int *n)
{
	_cleanup_close_ int idle = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	_cleanup_free_ struct event *event = NULL;
	int r = 0, fd = *n;

	if (idle < 0)
		return -errno;
	if (idle + HEADROOM <= *n)
		return 0;
	event = malloc(event_get_struct_event_size());
	if (!event)
		return -ENOMEM;
	*n = idle + BLOCK; /* not tried again: there may be no such numbers */
	for (; fd < *n && r == 0; fd++)
		r = touch_as(event, base, idle, fd);
	return r;
}
