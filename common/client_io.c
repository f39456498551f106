/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams as a program asks for them, and as a request names them. Copies only in cleat_io_wait().
 * Subtle: a FIFO that nobody has opened for writing yet reads as ended, so its end is believed only
 * where poll(2) tells of a writer that has gone.
 */
#include "common/cleat.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/client_private.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"

#define N_STREAMS  3u
#define COPY_BYTES 65536u

static const char *const fifo_names[N_STREAMS] = { "stdin", "stdout", "stderr" };

struct cleat_io {
	char *uris[N_STREAMS]; /* as the request has them; NULL: none */
	int theirs[N_STREAMS]; /* sent with it: fd:0 and so on */
	bool owns_theirs;      /* a terminal's pipes, closed once they were sent */
	size_t n_fds;
	int ours[N_STREAMS];  /* our ends; -1 */
	int sinks[N_STREAMS]; /* where cleat_io_wait() writes what it reads; -1: nowhere */
	bool terminal;
	char *folder; /* of FIFOs */

	int cancel_fd; /* eventfd: readable from cleat_io_cancel() on */
	pthread_mutex_t lock;
	pthread_cond_t copied;
	bool is_copying;
};

/* --- making --- */

static int io_new(struct cleat_io **ret, struct error *err)
{
	struct cleat_io *io = calloc(1, sizeof(*io));
	pthread_condattr_t monotonic;

	if (!io)
		return error_errno(err, -ENOMEM, "streams");
	for (size_t i = 0; i < N_STREAMS; i++)
		io->theirs[i] = io->ours[i] = io->sinks[i] = -1;
	pthread_mutex_init(&io->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&io->copied, &monotonic);
	pthread_condattr_destroy(&monotonic);
	io->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (io->cancel_fd < 0) {
		int r = error_errno(err, -errno, "streams");

		cleat_io_free(io);
		return r;
	}
	*ret = io;
	return 0;
}

/* The next of the descriptors that are sent. */
static int add_fd(struct cleat_io *io, enum cleat_stream stream, int fd)
{
	if (asprintf(&io->uris[stream], "fd:%zu", io->n_fds) < 0) {
		io->uris[stream] = NULL;
		return -ENOMEM;
	}
	io->theirs[io->n_fds++] = fd;
	return 0;
}

static int finish(
	struct cleat_io *io, int r, const char *what, struct cleat_io **ret, struct error *err)
{
	if (r == 0) {
		*ret = io;
		return 0;
	}
	cleat_io_free(io);
	return error_errno(err, r, "%s", what);
}

PUBLIC int cleat_io_new_fds(
	int in, int out, int err_fd, struct cleat_io **ret, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	const int fds[N_STREAMS] = { in, out, err_fd };
	struct cleat_io *io;
	int r = io_new(&io, &e.error);

	if (r != 0)
		return r;
	for (size_t i = 0; i < N_STREAMS && r == 0; i++)
		if (fds[i] >= 0)
			r = add_fd(io, (enum cleat_stream)i, fds[i]);
	return finish(io, r, "streams", ret, &e.error);
}

static int make_terminal(struct cleat_io *io)
{
	int theirs[2] = { -1, -1 };
	int r = fd_pipe(&theirs[0], &io->ours[CLEAT_STDIN], 0);

	if (r == 0)
		r = fd_pipe(&io->ours[CLEAT_STDOUT], &theirs[1], 0);
	/* our ends alone: the others expect theirs as they were born */
	for (size_t i = 0; i < 2 && r == 0; i++)
		r = fd_set_nonblock(io->ours[i], true);
	for (size_t i = 0; i < 2; i++)
		if (r == 0)
			r = add_fd(io, (enum cleat_stream)i, theirs[i]);
		else
			fd_close(&theirs[i]);
	io->owns_theirs = io->terminal = true;
	return r;
}

PUBLIC int cleat_io_new_terminal(struct cleat_io **ret, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct cleat_io *io;
	int r = io_new(&io, &e.error);

	return r != 0 ? r : finish(io, make_terminal(io), "pipes for a terminal", ret, &e.error);
}

PUBLIC int cleat_io_new_log(const char *uri, struct cleat_io **ret, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct cleat_io *io;
	int r = io_new(&io, &e.error);

	if (r != 0)
		return r;
	io->uris[CLEAT_STDOUT] = strdup(uri);
	io->uris[CLEAT_STDERR] = strdup(uri);
	return finish(io, io->uris[CLEAT_STDOUT] && io->uris[CLEAT_STDERR] ? 0 : -ENOMEM, uri, ret,
		&e.error);
}

static int make_fifo(struct cleat_io *io, size_t i)
{
	if (asprintf(&io->uris[i], "%s/%s", io->folder, fifo_names[i]) < 0) {
		io->uris[i] = NULL;
		return -ENOMEM;
	}
	if (mkfifo(io->uris[i], 0600) < 0)
		return -errno;
	/* of the input both ends: until the shim has its own, who opened one alone would wait or fail */
	io->ours[i] = open(io->uris[i],
		(i == CLEAT_STDIN ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	return io->ours[i] < 0 ? -errno : 0;
}

static int make_fifos(struct cleat_io *io, const char *dir)
{
	const char *tmp = getenv("TMPDIR");
	int r = 0;

	if (!dir)
		dir = tmp && *tmp == '/' ? tmp : "/tmp";
	if (asprintf(&io->folder, "%s/cleat-io-XXXXXX", dir) < 0 || !mkdtemp(io->folder)) {
		r = io->folder ? -errno : -ENOMEM;
		free(io->folder);
		io->folder = NULL;
		return r;
	}
	for (size_t i = 0; i < N_STREAMS && r == 0; i++)
		r = make_fifo(io, i);
	return r;
}

PUBLIC int cleat_io_new_fifos(const char *dir, struct cleat_io **ret, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct cleat_io *io;
	int r = io_new(&io, &e.error);

	if (r != 0)
		return r;
	if (dir && *dir != '/') {
		cleat_io_free(io);
		return error_set(&e.error, CODE_INVALID_ARGUMENT,
			"the FIFOs' folder \"%s\" is not absolute", dir);
	}
	return finish(io, make_fifos(io, dir), "FIFOs", ret, &e.error);
}

/* --- for a request --- */

static const char *uri_of(const struct cleat_io *io, enum cleat_stream stream)
{
	return io && io->uris[stream] ? io->uris[stream] : "";
}

void client_io_streams(const struct cleat_io *io, struct client_streams *ret)
{
	*ret = (struct client_streams){
		.in = uri_of(io, CLEAT_STDIN),
		.out = uri_of(io, CLEAT_STDOUT),
		/* a terminal has one output */
		.err = io && io->terminal ? "" : uri_of(io, CLEAT_STDERR),
		.terminal = io && io->terminal,
	};
	if (io)
		ret->fds = (struct client_fds){ io->theirs, io->n_fds };
}

int client_io_begun(struct cleat_io *io, struct error *err)
{
	int fd;

	if (!io)
		return 0;
	for (size_t i = 0; io->owns_theirs && i < io->n_fds; i++)
		fd_close(&io->theirs[i]);
	io->n_fds = 0;
	if (!io->folder)
		return 0;
	/* the end of the input is that of its last writer: ours must not be a reader, too */
	fd = open(io->uris[CLEAT_STDIN], O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_errno(err, -errno, "%s", io->uris[CLEAT_STDIN]);
	fd_close(&io->ours[CLEAT_STDIN]);
	io->ours[CLEAT_STDIN] = fd;
	return 0;
}

void client_io_close_stdin(struct cleat_io *io)
{
	if (io)
		fd_close(&io->ours[CLEAT_STDIN]);
}

void client_io_undo(struct cleat_io *io)
{
	if (!io)
		return;
	cleat_io_cancel(io);
	cleat_io_wait(io, -1, NULL);
	cleat_io_close(io);
}

void client_io_drain(struct cleat_io *io)
{
	if (!io)
		return;
	cleat_io_wait(io, DRAIN_DEADLINE_MS, NULL);
	cleat_io_close(io);
}

/* --- what its user does --- */

PUBLIC int cleat_io_fd(const struct cleat_io *io, enum cleat_stream stream)
{
	return stream <= CLEAT_STDERR ? io->ours[stream] : -1;
}

PUBLIC void cleat_io_copy_to(struct cleat_io *io, enum cleat_stream stream, int fd)
{
	if (stream <= CLEAT_STDERR)
		io->sinks[stream] = fd;
}

PUBLIC void cleat_io_cancel(struct cleat_io *io)
{
	const uint64_t one = 1;

	while (write(io->cancel_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* To a sink of whatever kind; one that fails has had enough. */
static void write_out(int sink, const char *data, size_t n)
{
	while (n > 0) {
		struct pollfd p = { .fd = sink, .events = POLLOUT };
		ssize_t done = write(sink, data, n);

		if (done > 0) {
			data += done;
			n -= (size_t)done;
		} else if (errno == EAGAIN) {
			poll(&p, 1, -1);
		} else if (errno != EINTR) {
			return;
		}
	}
}

/* One readiness. False once the stream has ended. */
static bool copy_some(int from, int sink, short what)
{
	char data[COPY_BYTES];
	ssize_t n;

	if (!(what & POLLIN))
		return false; /* its last writer has gone, and all is read */
	n = read(from, data, sizeof(data));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n > 0 && sink >= 0)
		write_out(sink, data, (size_t)n);
	return n > 0;
}

static int left_of(int64_t deadline_ms)
{
	int64_t left = deadline_ms < 0 ? -1 : deadline_ms - clock_monotonic_ms();

	if (deadline_ms >= 0 && left < 0)
		left = 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

/* 0, -ECANCELED, or -ETIMEDOUT. */
static int copy(struct cleat_io *io, int64_t deadline_ms)
{
	struct pollfd p[] = {
		{ .fd = io->cancel_fd, .events = POLLIN },
		{ .fd = io->ours[CLEAT_STDOUT], .events = POLLIN },
		{ .fd = io->ours[CLEAT_STDERR], .events = POLLIN },
	};

	while (p[1].fd >= 0 || p[2].fd >= 0) {
		int n = poll(p, 3, left_of(deadline_ms));

		if (n < 0 && errno == EINTR)
			continue;
		if (p[0].revents)
			return -ECANCELED;
		if (n == 0)
			return -ETIMEDOUT;
		for (size_t i = 1; i < 3; i++)
			if (p[i].revents && !copy_some(p[i].fd, io->sinks[i], p[i].revents))
				p[i].fd = -1;
	}
	return 0;
}

/* Another thread copies: until it has done so. 0 or -ETIMEDOUT. */
static int await_turn(struct cleat_io *io, int64_t deadline_ms)
{
	struct timespec t = { deadline_ms / 1000, deadline_ms % 1000 * 1000000 };

	while (io->is_copying) {
		if (deadline_ms < 0)
			pthread_cond_wait(&io->copied, &io->lock);
		else if (pthread_cond_timedwait(&io->copied, &io->lock, &t) == ETIMEDOUT)
			return -ETIMEDOUT;
	}
	return 0;
}

PUBLIC int cleat_io_wait(struct cleat_io *io, int64_t timeout_ms, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	int64_t deadline_ms = timeout_ms < 0 ? -1 : clock_monotonic_ms() + timeout_ms;
	int r;

	pthread_mutex_lock(&io->lock);
	r = await_turn(io, deadline_ms);
	io->is_copying = io->is_copying || r == 0;
	pthread_mutex_unlock(&io->lock);
	if (r == 0) {
		r = copy(io, deadline_ms);
		pthread_mutex_lock(&io->lock);
		io->is_copying = false;
		pthread_cond_broadcast(&io->copied);
		pthread_mutex_unlock(&io->lock);
	}
	if (r == -ECANCELED)
		return error_set(&e.error, CODE_CANCELLED, "streams: was cancelled");
	return r == 0 ? 0
		      : error_set(&e.error, CODE_DEADLINE_EXCEEDED,
				"streams: the output has not ended yet");
}

PUBLIC void cleat_io_close(struct cleat_io *io)
{
	for (size_t i = 0; i < N_STREAMS; i++) {
		fd_close(&io->ours[i]);
		if (io->owns_theirs)
			fd_close(&io->theirs[i]);
		if (io->folder && io->uris[i])
			unlink(io->uris[i]);
	}
	if (io->folder)
		rmdir(io->folder);
	free(io->folder);
	io->folder = NULL;
}

PUBLIC void cleat_io_free(struct cleat_io *io)
{
	if (!io)
		return;
	cleat_io_close(io);
	fd_close(&io->cancel_fd);
	for (size_t i = 0; i < N_STREAMS; i++)
		free(io->uris[i]);
	pthread_cond_destroy(&io->copied);
	pthread_mutex_destroy(&io->lock);
	free(io);
}
