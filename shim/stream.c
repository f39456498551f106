/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Each readiness runs stream_dispatch(), which takes steps until one must wait,
 * the stream ends, or the burst is used up (so that no stream starves the loop). Subtle: EAGAIN
 * of a splice does not tell which side it is; the sink is asked.
 */
#include "shim/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/fd.h"
#include "common/log.h"

/* Most bytes that one readiness moves before the loop looks at others. */
#define BURST ((size_t)1 << 20)
/* A piece that is copied over the stack; PIPE_BUF, so that a pipe with room takes it whole. */
#define SMALL ((size_t)4096)
/* A piece on its way into a file: mapped only while it is, so that an idle shim has none. */
#define LARGE ((size_t)64 << 10)

struct stream {
	struct event_base *base;
	const char *name;
	struct stream_end source, sink;
	struct event *source_event, *sink_event;
	bool outlive_sink;
	bool sink_broken; /* what is read is lost */
	bool splices;
	bool limited; /* left counts */
	bool ended;
	uint64_t left; /* bytes still to be read from the source */
	uint64_t n_in, n_out;
	uint64_t gap;  /* bytes lost since the sink took some */
	uint8_t *held; /* read, not yet written */
	size_t held_at, held_n;
	void (*on_end)(void *userdata);
	void *userdata;
};

enum step {
	STEP_MOVED, /* go on */
	STEP_WAIT_SOURCE,
	STEP_WAIT_SINK,
	STEP_END,
};

/* The mapped piece of one dispatch. */
struct scratch {
	uint8_t *large;
};

struct stream_end stream_end_from_fd(int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return STREAM_END_NULL;
	if (S_ISFIFO(st.st_mode))
		return (struct stream_end){ fd, STREAM_PIPE };
	if (S_ISSOCK(st.st_mode))
		return (struct stream_end){ fd, STREAM_SOCKET };
	if (S_ISCHR(st.st_mode) && isatty(fd))
		return (struct stream_end){ fd, STREAM_TTY };
	return (struct stream_end){ fd, STREAM_FILE };
}

/* --- the ends --- */

static ssize_t end_read(const struct stream_end *end, void *to, size_t n)
{
	if (end->kind == STREAM_SOCKET)
		return recv(end->fd, to, n, MSG_DONTWAIT);
	return read(end->fd, to, n);
}

static ssize_t end_write(const struct stream_end *end, const void *from, size_t n)
{
	if (end->kind == STREAM_SOCKET)
		return send(end->fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(end->fd, from, n);
}

/* Bytes that can be read now; -1 where that cannot be told. */
static int end_queued(const struct stream_end *end)
{
	int n = 0;

	return ioctl(end->fd, FIONREAD, &n) < 0 ? -1 : n;
}

static bool end_is_writable(const struct stream_end *end)
{
	struct pollfd p = { .fd = end->fd, .events = POLLOUT };

	/* An error counts: the write will tell which. */
	return poll(&p, 1, 0) > 0;
}

/* --- loss --- */

static void stream_lose(struct stream *s, size_t n, int error)
{
	if (s->gap == 0)
		log_warn("output cannot be written, it is being lost", F_STR("stream", s->name),
			F_STR("error", strerror(error)));
	s->gap += n;
}

static void stream_wrote(struct stream *s, size_t n)
{
	s->n_out += n;
	if (s->gap == 0)
		return;
	log_warn("output can be written again", F_STR("stream", s->name),
		F_INT("lost", (long long)s->gap));
	s->gap = 0;
}

/* The sink takes nothing any more. */
static enum step stream_sink_broke(struct stream *s, int error)
{
	log_debug("the reader of a stream is gone", F_STR("stream", s->name),
		F_STR("error", strerror(error)));
	free(s->held);
	s->held = NULL;
	s->held_n = 0;
	if (!s->outlive_sink)
		return STEP_END;
	if (s->sink_event)
		event_free(s->sink_event);
	s->sink_event = NULL;
	fd_close(&s->sink.fd);
	s->sink.kind = STREAM_NULL;
	s->sink_broken = true;
	s->splices = false;
	return STEP_MOVED;
}

/* --- writing --- */

static enum step stream_hold(struct stream *s, const uint8_t *from, size_t n)
{
	s->held = malloc(n);
	if (!s->held) {
		stream_lose(s, n, ENOMEM);
		return STEP_MOVED;
	}
	memcpy(s->held, from, n);
	s->held_at = 0;
	s->held_n = n;
	return STEP_WAIT_SINK;
}

/* Writes what it can; *ret_done bytes are written, also where the result is an error. */
static int stream_write_some(struct stream *s, const uint8_t *from, size_t n, size_t *ret_done)
{
	*ret_done = 0;
	while (*ret_done < n) {
		ssize_t done = end_write(&s->sink, from + *ret_done, n - *ret_done);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (done == 0) /* a terminal that is full, on some kernels */
			return -EAGAIN;
		*ret_done += (size_t)done;
		stream_wrote(s, (size_t)done);
	}
	return 0;
}

static enum step stream_write_held(struct stream *s)
{
	size_t done;
	int r = stream_write_some(s, s->held + s->held_at, s->held_n, &done);

	s->held_at += done;
	s->held_n -= done;
	if (r == -EAGAIN)
		return STEP_WAIT_SINK;
	if (r < 0)
		return stream_sink_broke(s, -r);
	free(s->held);
	s->held = NULL;
	return STEP_MOVED;
}

static enum step stream_write(struct stream *s, const uint8_t *from, size_t n)
{
	size_t done;
	int r;

	if (s->sink.kind == STREAM_NULL) {
		if (!s->sink_broken)
			s->n_out += n;
		return STEP_MOVED;
	}
	r = stream_write_some(s, from, n, &done);
	if (r == 0)
		return STEP_MOVED;
	/* A full disk may have room for the next piece; nobody could tell us when. */
	if (s->sink.kind == STREAM_FILE) {
		stream_lose(s, n - done, -r);
		return STEP_MOVED;
	}
	if (r == -EAGAIN)
		return stream_hold(s, from + done, n - done);
	return stream_sink_broke(s, -r);
}

/* --- moving --- */

static size_t stream_limit(const struct stream *s, size_t n)
{
	return s->limited && s->left < n ? (size_t)s->left : n;
}

static void stream_read_bytes(struct stream *s, size_t n)
{
	s->n_in += n;
	if (s->limited)
		s->left -= n;
}

/* What a failed read of the source means. */
static enum step stream_read_failed(struct stream *s, int error)
{
	if (error == EAGAIN)
		return STEP_WAIT_SOURCE;
	if (error == EINTR)
		return STEP_MOVED;
	/* EIO of a terminal's master: its last slave was closed, and everything has been read. */
	if (error != EIO || s->source.kind != STREAM_TTY)
		log_warn("a stream cannot be read, taken as its end", F_STR("stream", s->name),
			F_STR("error", strerror(error)));
	return STEP_END;
}

static uint8_t *scratch_map(struct scratch *scratch)
{
	void *p;

	if (scratch->large)
		return scratch->large;
	p = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		-1, 0);
	scratch->large = p == MAP_FAILED ? NULL : p;
	return scratch->large;
}

static enum step stream_copy(struct stream *s, struct scratch *scratch)
{
	uint8_t small[SMALL], *to = small;
	size_t size = sizeof(small);
	ssize_t n;

	/* Only where what was read can never have to be held: see stream_write(). */
	if ((s->sink.kind == STREAM_FILE || s->sink.kind == STREAM_NULL) &&
		end_queued(&s->source) > (int)sizeof(small) && scratch_map(scratch)) {
		to = scratch->large;
		size = LARGE;
	}
	n = end_read(&s->source, to, stream_limit(s, size));
	if (n < 0)
		return stream_read_failed(s, errno);
	if (n == 0)
		return STEP_END;
	stream_read_bytes(s, (size_t)n);
	return stream_write(s, to, (size_t)n);
}

static enum step stream_splice(struct stream *s, struct scratch *scratch, bool first)
{
	int queued = end_queued(&s->source);
	ssize_t n;

	if (queued > 0 && (size_t)queued <= SMALL)
		return stream_copy(s, scratch);
	/* Emptied by this very dispatch; whether it is the end, the next readiness tells. */
	if (queued == 0 && !first)
		return STEP_WAIT_SOURCE;
	n = splice(s->source.fd, NULL, s->sink.fd, NULL, stream_limit(s, BURST),
		SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n > 0) {
		stream_read_bytes(s, (size_t)n);
		stream_wrote(s, (size_t)n);
		return STEP_MOVED;
	}
	if (n == 0)
		return STEP_END;
	switch (errno) {
	case EAGAIN:
		return end_is_writable(&s->sink) ? STEP_WAIT_SOURCE : STEP_WAIT_SINK;
	case EINTR:
		return STEP_MOVED;
	case EPIPE:
		return stream_sink_broke(s, EPIPE);
	default: /* a kernel or sandbox without splice */
		s->splices = false;
		return STEP_MOVED;
	}
}

static enum step stream_step(struct stream *s, struct scratch *scratch, bool first)
{
	if (s->held)
		return stream_write_held(s);
	if (s->limited && s->left == 0)
		return STEP_END;
	return s->splices ? stream_splice(s, scratch, first) : stream_copy(s, scratch);
}

/* --- the loop's side --- */

static void stream_close(struct stream *s)
{
	if (s->source_event)
		event_free(s->source_event);
	if (s->sink_event)
		event_free(s->sink_event);
	s->source_event = s->sink_event = NULL;
	fd_close(&s->source.fd);
	fd_close(&s->sink.fd);
	free(s->held);
	s->held = NULL;
	s->ended = true;
}

/* A file is always ready: its next turn comes after the others', which event_active() is not. */
static int stream_want_source(struct stream *s)
{
	static const struct timeval now = { 0, 0 };

	return event_add(s->source_event, s->source.kind == STREAM_FILE ? &now : NULL);
}

static void stream_wait(struct stream *s, enum step step)
{
	if (step == STEP_END) {
		stream_close(s);
		if (s->on_end)
			s->on_end(s->userdata);
		return;
	}
	if (step == STEP_WAIT_SINK) {
		event_del(s->source_event);
		event_add(s->sink_event, NULL);
		return;
	}
	if (s->sink_event)
		event_del(s->sink_event);
	stream_want_source(s);
}

static void stream_dispatch(struct stream *s)
{
	struct scratch scratch = { NULL };
	uint64_t start = s->n_in;
	enum step step;
	bool first = true;

	do {
		step = stream_step(s, &scratch, first);
		first = false;
		/* with nothing left to come no readiness would bring us back to find the end */
	} while (step == STEP_MOVED && (s->n_in - start < BURST || (s->limited && s->left == 0)));
	if (scratch.large)
		munmap(scratch.large, LARGE);
	stream_wait(s, step);
}

static void stream_ready(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	stream_dispatch(userdata);
}

int stream_new(struct event_base *base, const struct stream_options *options, struct stream **ret)
{
	struct stream_end source = options->source, sink = options->sink;
	struct stream *s = calloc(1, sizeof(*s));

	if (!s) {
		fd_close(&source.fd);
		fd_close(&sink.fd);
		return -ENOMEM;
	}
	s->base = base;
	s->name = options->name;
	s->source = source;
	s->sink = sink;
	s->outlive_sink = options->outlive_sink;
	if (sink.fd < 0 && sink.kind != STREAM_NULL) {
		s->sink.kind = STREAM_NULL;
		s->sink_broken = true;
	}
	s->splices = source.kind == STREAM_PIPE && s->sink.kind == STREAM_PIPE;
	s->on_end = options->on_end;
	s->userdata = options->userdata;
	*ret = s;
	return 0;
}

int stream_start(struct stream *s)
{
	bool file = s->source.kind == STREAM_FILE;

	s->source_event = event_new(s->base, file ? -1 : s->source.fd,
		file ? 0 : EV_READ | EV_PERSIST, stream_ready, s);
	if (!s->source_event)
		return -ENOMEM;
	if (s->sink.kind != STREAM_NULL && s->sink.kind != STREAM_FILE) {
		s->sink_event =
			event_new(s->base, s->sink.fd, EV_WRITE | EV_PERSIST, stream_ready, s);
		if (!s->sink_event)
			return -ENOMEM;
	}
	if (s->limited) {
		event_active(s->source_event, EV_READ, 0);
		return 0;
	}
	return stream_want_source(s) < 0 ? -ENOSPC : 0;
}

void stream_finish(struct stream *s)
{
	int queued;

	if (s->ended || s->limited)
		return;
	queued = end_queued(&s->source);
	s->limited = true;
	s->left = queued > 0 ? (uint64_t)queued : 0;
	/* If nothing is queued no readiness would come. */
	if (s->source_event)
		event_active(s->source_event, EV_READ, 0);
}

void stream_stop(struct stream *s)
{
	if (!s->ended)
		stream_close(s);
}

bool stream_has_ended(const struct stream *s)
{
	return s->ended;
}

void stream_get_counters(const struct stream *s, uint64_t *ret_in, uint64_t *ret_out)
{
	*ret_in = s->n_in;
	*ret_out = s->n_out;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	stream_stop(s);
	free(s);
}
