/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Never knows a program. Subtle: a pipe whose writers have gone tells so by POLLHUP also
 * while there is something in it; only POLLHUP alone is its end.
 */
#include "shim/stdio_logger_pipe.h"

#include <poll.h>
#include <sys/ioctl.h>

#include "common/fd.h"
#include "shim/stream.h"

int logger_pipe_open(struct logger_pipe *p, int *ret_writer)
{
	return fd_pipe(&p->fd, ret_writer, 0);
}

bool logger_pipe_is_at_end(const struct logger_pipe *p)
{
	struct pollfd look = { .fd = p->fd, .events = POLLIN };

	if (p->fd < 0)
		return true;
	return poll(&look, 1, 0) == 1 && look.revents == POLLHUP;
}

/* To a sink that is broken: read, counted, and not written. */
void logger_pipe_discard(struct logger_pipe *p, struct event_base *base, const char *name,
	void (*on_end)(void *userdata), void *userdata)
{
	const struct stream_options options = {
		.name = name,
		.source = { p->fd, STREAM_PIPE },
		.sink = { -1, STREAM_PIPE },
		.outlive_sink = true,
		.on_end = on_end,
		.userdata = userdata,
	};

	if (p->fd < 0 || p->reader)
		return;
	fd_set_nonblock(p->fd, true); /* no program has this description */
	p->fd = -1;
	if (stream_new(base, &options, &p->reader) < 0)
		return;
	if (stream_start(p->reader) < 0)
		stream_stop(p->reader);
}

bool logger_pipe_has_ended(const struct logger_pipe *p)
{
	return !p->reader || stream_has_ended(p->reader);
}

uint64_t logger_pipe_n_lost(const struct logger_pipe *p)
{
	uint64_t n_in = 0, n_out;

	if (p->reader)
		stream_get_counters(p->reader, &n_in, &n_out);
	return p->n_left + n_in;
}

void logger_pipe_close(struct logger_pipe *p)
{
	int n = 0;

	if (p->fd >= 0 && ioctl(p->fd, FIONREAD, &n) == 0 && n > 0)
		p->n_left = (uint64_t)n;
	if (p->reader)
		stream_stop(p->reader);
	fd_close(&p->fd);
}

void logger_pipe_deinit(struct logger_pipe *p)
{
	stream_free(p->reader);
	p->reader = NULL;
	fd_close(&p->fd);
}
