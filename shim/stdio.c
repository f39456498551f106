/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Owns the process's ends until the runtime has them, the client's ends until a
 * stream has them, and what is kept open for its own sake. Copies nothing itself: stream.c does.
 * Subtle: while the process lives we hold its terminal's slave open. Linux reports EIO on a master
 * whenever no slave is open, so that a process which closes /dev/console for a moment would else
 * look as if it had ended; letting go of it in stdio_exited() makes that EIO the end.
 */
#include "shim/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "shim/stdio_ends.h"
#include "shim/stdio_log.h"
#include "shim/stdio_logger.h"
#include "common/stdio_uri.h"
#include "shim/stream.h"

enum { IN, OUT, ERR, N_STREAMS };

static const char *const stream_names[N_STREAMS] = { "stdin", "stdout", "stderr" };

struct one {
	struct stream *stream; /* NULL: nothing is copied (yet) */
	struct stream_end far; /* the client's end, until the stream has it */
	int child;	       /* the process's end, until stdio_begin() */
	int keep;	       /* the client's FIFO's other end */
	struct logger *logger; /* stderr's may be stdout's, and is then there */
	struct stdio_log *log;
	bool shares_log; /* stderr: stdout's */
};

struct stdio {
	struct event_base *base;
	struct one one[N_STREAMS];
	bool terminal, begun, attached, exited, stdin_closed;
	bool cut_off; /* abandoned before it was drained */
	int master;   /* for the size; the streams have their own */
	int slave;
	bool has_size;
	unsigned width, height;
	struct event *drained_event;
	void (*on_drained)(void *userdata);
	void *userdata;
	size_t n_starting; /* loggers */
	void (*on_loggers)(const struct error *err, void *userdata);
	void *loggers_userdata;
};

/* --- drained --- */

bool stdio_is_drained(const struct stdio *s)
{
	if (s->cut_off || (s->terminal && !s->attached))
		return false;
	for (int i = OUT; i < N_STREAMS; i++)
		if ((s->one[i].stream && !stream_has_ended(s->one[i].stream)) ||
			(s->one[i].logger && !logger_is_done(s->one[i].logger)) ||
			(s->one[i].log && !stdio_log_is_done(s->one[i].log)))
			return false;
	return true;
}

static void drained_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct stdio *s = userdata;
	void (*cb)(void *userdata) = s->on_drained;

	(void)fd;
	(void)what;
	s->on_drained = NULL;
	if (cb)
		cb(s->userdata); /* may have freed s */
}

static void stdio_check_drained(struct stdio *s)
{
	if (s->on_drained && stdio_is_drained(s))
		event_active(s->drained_event, EV_TIMEOUT, 0);
}

static void stdio_output_ended(void *userdata)
{
	struct stdio *s = userdata;

	if (s->terminal)
		fd_close(&s->master);
	stdio_check_drained(s);
}

void stdio_on_drained(struct stdio *s, void (*cb)(void *userdata), void *userdata)
{
	s->on_drained = cb;
	s->userdata = userdata;
	stdio_check_drained(s);
}

/* --- opening --- */

static int stdio_fd_of(const struct stdio_spec *spec, unsigned index, int *ret, struct error *err)
{
	if (index >= spec->n_fds)
		return error_set(err, CODE_INVALID_ARGUMENT, "%zu descriptors came with the call",
			spec->n_fds);
	*ret = spec->fds[index];
	return 0;
}

static int open_fd(
	struct stdio *s, int i, const struct stdio_spec *spec, unsigned index, struct error *err)
{
	int fd = -1, r;

	r = stdio_fd_of(spec, index, &fd, err);
	if (r)
		return r;
	if (s->terminal)
		return stdio_fd_copy(fd, i != IN, &s->one[i].far, err);
	s->one[i].child = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return s->one[i].child < 0 ? error_errno(err, -errno, "duplicate") : 0;
}

static int open_file(struct stdio *s, int i, const struct stdio_uri *uri, struct error *err)
{
	struct one *one = &s->one[i];
	int fd = -1, r;

	if (i == IN)
		return error_set(err, CODE_INVALID_ARGUMENT, "file:// is for output only");
	r = stdio_file_open(uri->path, &fd, err);
	if (r)
		return r;
	if (uri->direct && !s->terminal) {
		one->child = fd;
		return 0;
	}
	one->far = stream_end_from_fd(fd);
	if (one->far.kind != STREAM_TTY)
		return 0;
	r = fd_set_nonblock(fd, true);
	return r < 0 ? error_errno(err, r, "open") : 0;
}

/* A pipe that the process gets is to be its own. */
static int give_pipe(int fd, const struct stdio_spec *spec, struct error *err)
{
	if (!spec->io_uid && !spec->io_gid)
		return 0;
	if (fchown(fd, spec->io_uid, spec->io_gid) < 0)
		return error_errno(
			err, -errno, "give the pipe to %u:%u", spec->io_uid, spec->io_gid);
	return 0;
}

/* The process writes to it itself; a terminal is copied. */
static int use_logger(struct stdio *s, int i, const struct stdio_spec *spec, struct logger *logger,
	struct error *err)
{
	struct one *one = &s->one[i];
	int *writer = s->terminal ? &one->far.fd : &one->child;
	int r = logger_open_pipe(logger, i == OUT ? LOGGER_OUT : LOGGER_ERR, writer, err);

	if (r || !s->terminal)
		return r ? r : give_pipe(*writer, spec, err);
	one->far.kind = STREAM_PIPE;
	r = fd_set_nonblock(*writer, true);
	return r < 0 ? error_errno(err, r, "pipe") : 0;
}

static void logger_done(void *userdata)
{
	stdio_check_drained(userdata);
}

static int open_logger(struct stdio *s, int i, const struct stdio_spec *spec,
	const struct stdio_uri *uri, struct error *err)
{
	const struct logger_options options = {
		.stream = stream_names[i],
		.path = uri->path,
		.args = &uri->args,
		.wants_byte = uri->wants_byte,
		.id = spec->id,
		.on_done = logger_done,
		.userdata = s,
	};
	int r;

	if (!spec->loggers)
		return error_set(err, CODE_UNIMPLEMENTED, "there are no loggers here");
	if (i == IN)
		return error_set(err, CODE_INVALID_ARGUMENT, "a logger is for output only");
	r = logger_new(spec->loggers, &options, &s->one[i].logger, err);
	return r ? r : use_logger(s, i, spec, s->one[i].logger, err);
}

/* --- formatted logs --- */

static int open_log(struct stdio *s, int i, const struct stdio_spec *spec,
	const struct stdio_uri *uri, struct error *err)
{
	const struct log_file_options options = {
		.path = uri->path,
		.format = uri->format,
		.max_size = uri->max_size,
		.max_files = uri->max_files,
	};

	if (!spec->logs)
		return error_set(err, CODE_UNIMPLEMENTED, "there are no formatted logs here");
	if (i == IN)
		return error_set(err, CODE_INVALID_ARGUMENT, "a log is for output only");
	return stdio_log_new(spec->logs, &options, stdio_output_ended, s, &s->one[i].log, err);
}

/* The log that a stream goes to. */
static struct stdio_log *log_of(const struct stdio *s, int i)
{
	if (i == IN)
		return NULL;
	return i == ERR && s->one[ERR].shares_log ? s->one[OUT].log : s->one[i].log;
}

static void add_to_log(const struct stdio *s, int i, int near_take)
{
	stdio_log_add(log_of(s, i), i == OUT ? STDIO_LOG_OUT : STDIO_LOG_ERR, near_take);
}

static int start_log(const struct stdio *s, int i, struct error *err)
{
	int r = s->one[i].log ? stdio_log_start(s->one[i].log) : 0;

	return r < 0 ? error_errno(err, r, "%s: start its log", stream_names[i]) : 0;
}

/* The client's end; or, where it is handed over as it is, the process's. */
static int open_far(struct stdio *s, int i, const struct stdio_spec *spec,
	const struct stdio_uri *uri, struct error *err)
{
	struct one *one = &s->one[i];

	switch (uri->scheme) {
	case STDIO_FD:
		return open_fd(s, i, spec, uri->fd, err);
	case STDIO_FILE:
		return open_file(s, i, uri, err);
	case STDIO_FIFO:
		/* A terminal's input outlives the client that types, as with the reference shim. */
		if (i == IN)
			return stdio_fifo_read(uri->path, s->terminal, &one->far, &one->keep, err);
		return stdio_fifo_write(uri->path, &one->far, &one->keep, err);
	case STDIO_LOGGER:
		return open_logger(s, i, spec, uri, err);
	case STDIO_LOG:
		return open_log(s, i, spec, uri, err);
	case STDIO_NULL:
		break;
	}
	return 0;
}

/* The pipe between process and copier. Only our end is non-blocking. */
static int make_pipe(
	struct stdio *s, int i, const struct stdio_spec *spec, int *ret_near, struct error *err)
{
	_cleanup_close_ int reading = -1, writing = -1;
	int *near = i == IN ? &writing : &reading, *child = i == IN ? &reading : &writing;
	int r;

	r = fd_pipe(&reading, &writing, 0);
	if (r >= 0)
		r = fd_set_nonblock(*near, true);
	if (r < 0)
		return error_errno(err, r, "pipe");
	r = give_pipe(*child, spec, err);
	if (r)
		return r;
	*ret_near = TAKE_FD(*near);
	s->one[i].child = TAKE_FD(*child);
	return 0;
}

static int make_stream(struct stdio *s, int i, struct stream_end near_take, struct error *err)
{
	struct one *one = &s->one[i];
	struct stream_options options = {
		.name = stream_names[i],
		.source = i == IN ? one->far : near_take,
		.sink = i == IN ? near_take : one->far,
		.outlive_sink = i != IN,
		.on_end = i == IN ? NULL : stdio_output_ended,
		.userdata = s,
	};
	int r;

	one->far = STREAM_END_NULL;
	r = stream_new(s->base, &options, &one->stream);
	return r < 0 ? error_errno(err, r, "%s", stream_names[i]) : 0;
}

static int open_one(
	struct stdio *s, int i, const struct stdio_spec *spec, const char *text, struct error *err)
{
	_cleanup_stdio_uri_ struct stdio_uri uri = STDIO_URI_INIT;
	int near = -1, r = 0;

	if (!s->one[i].shares_log) {
		r = stdio_uri_parse(text, &uri, err);
		if (!r)
			r = open_far(s, i, spec, &uri, err);
	}
	if (r || s->terminal || (s->one[i].far.kind == STREAM_NULL && !log_of(s, i)))
		return r;
	r = make_pipe(s, i, spec, &near, err);
	if (r)
		return r;
	if (log_of(s, i)) {
		add_to_log(s, i, near);
		return 0;
	}
	return make_stream(s, i, (struct stream_end){ near, STREAM_PIPE }, err);
}

/* One FIFO for both directions: the process would be fed its own output. */
static bool same_fifo(const struct stdio_spec *spec, const char *output)
{
	struct stat a, b;

	return spec->in && spec->in[0] == '/' && output && output[0] == '/' &&
	       stat(spec->in, &a) == 0 && stat(output, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Whether stderr goes to the logger that stdout has. */
static bool shares_logger(const struct stdio *s, const struct stdio_spec *spec)
{
	return s->one[OUT].logger &&
	       (!spec->err || !*spec->err || strcmp(spec->out, spec->err) == 0);
}

static int open_all(struct stdio *s, const struct stdio_spec *spec, struct error *err)
{
	const char *const text[N_STREAMS] = { spec->in, spec->out, spec->err };

	for (int i = 0; i < (s->terminal ? ERR : N_STREAMS); i++) {
		s->one[i].shares_log = i == ERR && s->one[OUT].log && spec->err &&
				       strcmp(spec->out, spec->err) == 0;
		int r = i == ERR && shares_logger(s, spec)
				? use_logger(s, ERR, spec, s->one[OUT].logger, err)
				: open_one(s, i, spec, text[i], err);

		if (!r && i != IN && same_fifo(spec, text[i]))
			r = error_set(err, CODE_INVALID_ARGUMENT, "the same FIFO as stdin");
		if (r)
			return error_wrap(err, "%s %.1024s", stream_names[i], text[i]), r;
	}
	return 0;
}

int stdio_open(struct event_base *base, const struct stdio_spec *spec, struct stdio **ret,
	struct error *err)
{
	struct stdio *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_errno(err, -ENOMEM, "standard streams");
	s->base = base;
	s->terminal = spec->terminal;
	s->master = s->slave = -1;
	for (int i = 0; i < N_STREAMS; i++)
		s->one[i] = (struct one){ .far = STREAM_END_NULL, .child = -1, .keep = -1 };
	s->drained_event = event_new(base, -1, 0, drained_dispatch, s);
	r = s->drained_event ? open_all(s, spec, err)
			     : error_errno(err, -ENOMEM, "standard streams");
	if (r) {
		stdio_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void stdio_child_fds(const struct stdio *s, int ret[3])
{
	for (int i = 0; i < N_STREAMS; i++)
		ret[i] = s->one[i].child;
}

void stdio_reopen_pipes(struct stdio *s)
{
	for (int i = 0; i < N_STREAMS; i++) {
		int again;

		/* where we copy, the pipe is our own */
		if (s->one[i].child < 0 || s->one[i].stream || log_of(s, i) ||
			fd_reopen_pipe(s->one[i].child, &again) < 0)
			continue;
		fd_close(&s->one[i].child);
		s->one[i].child = again;
	}
}

/* --- loggers --- */

static void loggers_started(struct stdio *s, const struct error *err)
{
	void (*cb)(const struct error *err, void *userdata) = s->on_loggers;

	s->on_loggers = NULL;
	cb(err, s->loggers_userdata); /* may have freed s */
}

static void on_logger_started(const struct error *err, void *userdata)
{
	struct stdio *s = userdata;

	s->n_starting--;
	if (!s->on_loggers) /* the other's failure has been told */
		return;
	if (err->code != CODE_OK)
		for (int i = OUT; i < N_STREAMS; i++)
			if (s->one[i].logger)
				logger_end(s->one[i].logger);
	if (err->code != CODE_OK || s->n_starting == 0)
		loggers_started(s, err);
}

void stdio_start_loggers(struct stdio *s, uint32_t patience_ms,
	void (*done)(const struct error *err, void *userdata), void *userdata)
{
	s->on_loggers = done;
	s->loggers_userdata = userdata;
	for (int i = OUT; i < N_STREAMS; i++) {
		if (!s->one[i].logger)
			continue;
		s->n_starting++;
		logger_start(s->one[i].logger, patience_ms, on_logger_started, s);
	}
	if (s->n_starting == 0)
		loggers_started(s, &ERROR_INIT);
}

void stdio_launch_failed(struct stdio *s)
{
	for (int i = OUT; i < N_STREAMS; i++) {
		if (!s->one[i].logger && !s->one[OUT].logger)
			continue;
		fd_close(&s->one[i].child);
		fd_close(&s->one[i].far.fd);
		s->one[i].far = STREAM_END_NULL;
	}
	fd_close(&s->slave); /* what a terminal has on its way comes, and then its end */
}

/* --- starting --- */

static int start_one(struct stdio *s, int i, struct error *err)
{
	struct stream *stream = s->one[i].stream;
	int r;

	if (!stream)
		return 0;
	if (i == IN && s->stdin_closed)
		stream_finish(stream);
	r = stream_start(stream);
	return r < 0 ? error_errno(err, r, "%s: start copying", stream_names[i]) : 0;
}

int stdio_begin(struct stdio *s, struct error *err)
{
	int r = 0;

	s->begun = true;
	for (int i = 0; i < N_STREAMS; i++)
		fd_close(&s->one[i].child);
	for (int i = 0; !r && !s->terminal && i < N_STREAMS; i++) {
		r = start_one(s, i, err);
		if (!r)
			r = start_log(s, i, err);
	}
	return r;
}

static int set_size(const struct stdio *s)
{
	struct winsize size = { .ws_row = (unsigned short)s->height,
		.ws_col = (unsigned short)s->width };

	return ioctl(s->master, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

/* A stream between one of the client's ends and a descriptor of its own for the master. */
static int attach_one(struct stdio *s, int i, struct error *err)
{
	int near = fcntl(s->master, F_DUPFD_CLOEXEC, 3);
	int r;

	if (near < 0)
		return error_errno(err, -errno, "%s: duplicate the terminal", stream_names[i]);
	if (log_of(s, i)) {
		add_to_log(s, i, near);
		return start_log(s, i, err);
	}
	r = make_stream(s, i, (struct stream_end){ near, STREAM_TTY }, err);
	return r ? r : start_one(s, i, err);
}

int stdio_attach_console(struct stdio *s, int master_take, struct error *err)
{
	_cleanup_close_ int master = master_take;
	int r;

	if (!s->terminal || s->attached || s->cut_off)
		return error_set(err, CODE_FAILED_PRECONDITION, "no terminal is awaited");
	r = fd_set_nonblock(master, true);
	if (r < 0)
		return error_errno(err, r, "terminal");
	s->master = TAKE_FD(master);
	s->attached = true;
	/* Kernels before 4.13 have no such call: there any EIO is the end. */
	s->slave = ioctl(s->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	r = s->has_size ? set_size(s) : 0;
	if (r < 0)
		return error_errno(err, r, "terminal: set its size");
	r = attach_one(s, OUT, err);
	if (!r && !s->exited && s->one[IN].far.kind != STREAM_NULL)
		r = attach_one(s, IN, err);
	if (s->exited) /* opened all the same: closing it is what makes the master's end */
		fd_close(&s->slave);
	return r;
}

int stdio_resize(struct stdio *s, unsigned width, unsigned height, struct error *err)
{
	int r;

	if (!s->terminal)
		return error_set(err, CODE_FAILED_PRECONDITION, "the process has no terminal");
	if (width > 65535 || height > 65535)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"a terminal of %u by %u: 65535 is the most", width, height);
	s->width = width;
	s->height = height;
	s->has_size = true;
	r = s->master >= 0 ? set_size(s) : 0;
	return r < 0 ? error_errno(err, r, "set the terminal's size") : 0;
}

bool stdio_size(const struct stdio *s, unsigned *ret_width, unsigned *ret_height)
{
	if (!s->has_size)
		return false;
	*ret_width = s->width;
	*ret_height = s->height;
	return true;
}

/* --- ending --- */

void stdio_close_stdin(struct stdio *s)
{
	s->stdin_closed = true;
	if (s->one[IN].stream && (s->begun || s->attached))
		stream_finish(s->one[IN].stream);
}

/* Of a stream all but the other end of its FIFO. */
static void stop_one(struct one *one)
{
	if (one->stream)
		stream_stop(one->stream);
	fd_close(&one->far.fd);
	one->far = STREAM_END_NULL;
	fd_close(&one->child);
}

void stdio_exited(struct stdio *s)
{
	s->exited = true;
	stop_one(&s->one[IN]);
	fd_close(&s->one[IN].keep);
	fd_close(&s->slave);
}

void stdio_abandon(struct stdio *s)
{
	s->cut_off = !stdio_is_drained(s);
	s->on_drained = NULL;
	for (int i = 0; i < N_STREAMS; i++)
		stop_one(&s->one[i]);
	for (int i = OUT; i < N_STREAMS; i++) {
		if (s->one[i].logger)
			logger_end(s->one[i].logger);
		if (s->one[i].log)
			stdio_log_stop(s->one[i].log);
	}
	fd_close(&s->slave);
	fd_close(&s->master);
}

bool stdio_is_cut_off(const struct stdio *s)
{
	return s->cut_off;
}

/* By loggers: of a terminal it is counted on its way already. */
static uint64_t n_lost(const struct stdio *s, int i)
{
	const struct logger *l = s->one[i].logger;

	if (i == ERR && !l)
		l = s->one[OUT].logger;
	return l && !s->terminal ? logger_n_lost(l, i == OUT ? LOGGER_OUT : LOGGER_ERR) : 0;
}

void stdio_get_counters(const struct stdio *s, struct stdio_counters *ret)
{
	uint64_t n[N_STREAMS][2] = { { 0 } };

	for (int i = 0; i < N_STREAMS; i++) {
		if (s->one[i].stream)
			stream_get_counters(s->one[i].stream, &n[i][0], &n[i][1]);
		else if (log_of(s, i))
			stdio_log_get_counters(log_of(s, i),
				i == OUT ? STDIO_LOG_OUT : STDIO_LOG_ERR, &n[i][0], &n[i][1]);
	}
	for (int i = OUT; i < N_STREAMS; i++)
		n[i][0] += n_lost(s, i);
	*ret = (struct stdio_counters){
		.in_in = n[IN][0],
		.in_out = n[IN][1],
		.out_in = n[OUT][0],
		.out_out = n[OUT][1],
		.err_in = n[ERR][0],
		.err_out = n[ERR][1],
	};
}

void stdio_free(struct stdio *s)
{
	if (!s)
		return;
	for (int i = 0; i < N_STREAMS; i++) {
		stop_one(&s->one[i]);
		stream_free(s->one[i].stream);
		logger_release(s->one[i].logger);
		stdio_log_release(s->one[i].log);
		fd_close(&s->one[i].keep);
	}
	fd_close(&s->slave);
	fd_close(&s->master);
	if (s->drained_event)
		event_free(s->drained_event);
	free(s);
}
