/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What everything here stands on: the loop, and strings. Subtle: a wait looks again every 10 ms as
 * well, for what the loop does not watch, such as the end of a process or a FIFO.
 */
#include "test/conformance/conform.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

#define TICK_MS	 10
#define NEVER_MS 600
#define LONG_MS	 5000

char *format(const char *fmt, ...)
{
	char *s;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		die("no memory");
	va_end(ap);
	return s;
}

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("conformance: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static void on_tick(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)userdata;
}

void conform_init(struct conform *conform)
{
	const struct timeval often = { .tv_usec = TICK_MS * 1000 };

	conform->base = event_base_new();
	conform->tick =
		conform->base ? event_new(conform->base, -1, EV_PERSIST, on_tick, NULL) : NULL;
	if (!conform->tick || event_add(conform->tick, &often) < 0)
		die("no event loop");
}

void conform_deinit(struct conform *conform)
{
	event_free(conform->tick);
	event_base_free(conform->base);
}

int64_t conform_watch_ms(const struct conform *conform)
{
	return conform->reference ? NEVER_MS : LONG_MS;
}

bool conform_wait(
	struct conform *conform, bool (*holds)(void *userdata), void *userdata, int64_t timeout_ms)
{
	int64_t end = clock_monotonic_ms() + timeout_ms;

	while (!holds(userdata)) {
		if (clock_monotonic_ms() >= end || conform->ended)
			return false;
		if (event_base_loop(conform->base, EVLOOP_ONCE) < 0)
			die("the event loop failed");
	}
	return true;
}
