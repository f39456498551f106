/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between the caller's streams and the container's pipes. Never changes the flags of a
 * descriptor that it was not given. Subtle: the caller's streams are shared with its shell, so
 * they stay blocking unless they could be opened anew; a blocking one is read only when something
 * is there and written no further than a pipe that is writable has room for.
 */
#include "supervisor/cli/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "supervisor/cli/terminal.h"

static void relay_step(struct relay *r);

static void on_readable(evutil_socket_t fd, short what, void *userdata)
{
	struct relay *r = userdata;
	ssize_t n;

	(void)fd;
	(void)what;
	n = read(r->from, r->data + r->start + r->len, RELAY_BYTES - r->start - r->len);
	if (n > 0)
		r->len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		r->eof = true; /* EIO: the terminal is gone, which is an end as well */
	relay_step(r);
}

static void on_writable(evutil_socket_t fd, short what, void *userdata)
{
	struct relay *r = userdata;
	size_t most = r->to_shared && r->len > PIPE_BUF ? PIPE_BUF : r->len;
	ssize_t n;

	(void)fd;
	(void)what;
	n = write(r->to, r->data + r->start, most);
	if (n >= 0) {
		r->start += (size_t)n;
		r->len -= (size_t)n;
	} else if (errno != EAGAIN && errno != EINTR) {
		r->error = errno;
	}
	relay_step(r);
}

static void relay_end(struct relay *r)
{
	r->ended = true;
	if (r->to_owned)
		fd_close(&r->to);
	r->on_end(r->userdata);
}

/* Waits for whatever can move the bytes on. */
static void relay_step(struct relay *r)
{
	if (r->error)
		r->len = 0;
	if (r->len == 0)
		r->start = 0;
	event_del(r->readable);
	event_del(r->writable);
	if (r->len > 0)
		event_add(r->writable, NULL);
	if (!r->eof && r->start + r->len < RELAY_BYTES)
		event_add(r->readable, NULL);
	if (r->eof && r->len == 0 && !r->ended)
		relay_end(r);
}

static bool is_standard(int fd)
{
	return fd <= STDERR_FILENO;
}

/* A terminal or pipe can be opened anew; a file's offset or a socket could not be shared so. */
static bool may_reopen(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode));
}

static void set_ends(struct relay *r, int from, int to)
{
	int own;

	r->from = from;
	r->from_owned = !is_standard(from);
	if (!r->from_owned && isatty(from) && (own = terminal_reopen(from, O_RDONLY)) >= 0) {
		r->from = own;
		r->from_owned = true;
	}
	r->to = to;
	r->to_owned = !is_standard(to);
	r->to_shared = !r->to_owned;
	if (!r->to_owned && may_reopen(to) && (own = terminal_reopen(to, O_WRONLY)) >= 0) {
		r->to = own;
		r->to_owned = true;
		r->to_shared = false;
	}
}

int relay_begin(struct relay *r, struct event_base *base, int from, int to,
	void (*on_end)(void *userdata), void *userdata)
{
	*r = RELAY_INIT;
	set_ends(r, from, to);
	r->on_end = on_end;
	r->userdata = userdata;
	r->data = malloc(RELAY_BYTES);
	r->readable = event_new(base, r->from, EV_READ, on_readable, r);
	r->writable = event_new(base, r->to, EV_WRITE, on_writable, r);
	if (!r->data || !r->readable || !r->writable || event_add(r->readable, NULL) < 0) {
		r->from_owned = r->from_owned && r->from != from;
		r->to_owned = r->to_owned && r->to != to;
		relay_deinit(r);
		return -ENOMEM;
	}
	return 0;
}

void relay_deinit(struct relay *r)
{
	if (r->readable)
		event_free(r->readable);
	if (r->writable)
		event_free(r->writable);
	if (r->from_owned)
		fd_close(&r->from);
	if (r->to_owned)
		fd_close(&r->to);
	free(r->data);
	*r = RELAY_INIT;
}
