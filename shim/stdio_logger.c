/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. The life of a logging program, as a table; what runs it is stdio_logger_run.c, what it
 * reads stdio_logger_pipe.c.
 *
 *   state       byte     end of 5   exit        timer         end
 *   idle        -        -          -           -             done
 *   starting    ready    ready (1)  try (2)     refused       ending
 *   refused     -        -          try (2)     try (2)       killed
 *   ready       -        -          done (3)    -             ending
 *   waiting     -        -          -           starting      done
 *   discarding  -        -          -           done (4)      done
 *   ending      -        -          done        killed        -
 *   killed      -        -          done        done          -
 *   done        -        -          -           -             -
 *
 *   (1) binary-v2: refused
 *   (2) the first one: told to who has started it, done. A later one: as after a death
 *   (3) if nothing is left to read and nobody is left to write. If not it has died: waiting, or, when it
 *       was started again 8 times and never was ready for as long as 10 s, discarding
 *   (4) once what is read in its place has ended
 *   The timer is in starting the time to get ready, in refused and killed that to die of SIGKILL, in
 *   waiting the back-off, in ending the 12 s. "end" is logger_end().
 *
 * Races, and what decides them (each has a test):
 *   it dies as it says ready       what it had said is looked at before its end (stdio_logger_run.c):
 *                                  it was ready, and has died
 *   it dies with bytes unread      they are in the pipe, whose reading end we have
 *   it dies after the process's    whether the pipes are at their end is asked when it is reaped: bytes
 *   end, before it has seen that   that are there, or an end that it has not seen, are read by the next
 *   the process ends before the    the pipes keep all of it; only then does the logger see their end
 *   (next) one is ready
 *   Delete, or the shim's end,     for what is left to read it is waited as for any output; at the end of
 *   while it is starting again     that time logger_end(), and what is in the pipes is lost and told
 *   its time is over as it dies    whichever is seen first, a signal to what is dead does nothing: its end
 *                                  comes in either state
 *
 * Subtle: callbacks come from tell_dispatch() only, as the last thing that it does, for they may
 * release the logger.
 */
#include "shim/stdio_logger.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/log.h"
#include "common/spawn.h"
#include "shim/stdio_logger_pipe.h"
#include "shim/stdio_logger_run.h"

static const char *const pipe_names[LOGGER_N_PIPES] = { "stdout", "stderr" };

struct loggers {
	struct loggers_options o;
	struct list loggers;
	struct event *quiet; /* libevent's */
};

enum state {
	IDLE,
	STARTING,
	REFUSED, /* killed, for it does not get ready */
	READY,
	WAITING,
	DISCARDING,
	ENDING,
	KILLED,
	DONE,
	_STATE_MAX,
};

enum happening {
	ON_BYTE,
	ON_EOF,
	ON_EXIT,
	ON_TIMER,
	ON_END,
	_HAPPENING_MAX,
};

struct logger {
	struct list loggers_link;
	struct loggers *all;
	const char *stream;
	bool wants_byte;
	char *id;
	struct argv argv, env;
	struct logger_pipe pipes[LOGGER_N_PIPES];
	enum state state;
	struct logger_run run;
	uint32_t patience_ms;
	bool was_ready;	     /* once, at least */
	unsigned n_tries;    /* to start it again, in a row, that have failed or lived shortly */
	unsigned n_restarts; /* in all */
	int64_t ready_at;    /* monotonic, ms */
	bool is_late;	     /* refused: it has said nothing; else: without a byte */
	struct error error;  /* why the last one did not get ready */
	struct event *timer, *tell; /* libevent's */
	bool is_released;
	void (*on_started)(const struct error *err, void *userdata);
	void *started_userdata;
	void (*on_done)(void *userdata);
	void *userdata;
};

static void logger_dispatch(struct logger *l, enum happening what);

static const char *path_of(const struct logger *l)
{
	return l->argv.v[0];
}

/* --- small steps --- */

static void set_timer(struct logger *l, uint32_t ms)
{
	const struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	if (event_add(l->timer, &tv) < 0)
		event_active(l->timer, EV_TIMEOUT, 1); /* no memory for patience */
}

static void tell_soon(struct logger *l)
{
	event_active(l->tell, EV_TIMEOUT, 1);
}

static void enter(struct logger *l, enum state state)
{
	event_del(l->timer);
	l->state = state;
}

static bool is_at_end(const struct logger *l)
{
	return logger_pipe_is_at_end(&l->pipes[LOGGER_OUT]) &&
	       logger_pipe_is_at_end(&l->pipes[LOGGER_ERR]);
}

/* "status 1" or "signal 9", as the last one has ended. */
static const char *how(const struct logger *l, char text[static 32])
{
	const struct reaped *r = &l->run.ended;

	snprintf(text, 32, "%s %d", r->signaled ? "signal" : "status", r->code);
	return text;
}

static void close_pipe(struct logger *l, int which)
{
	uint64_t n;

	logger_pipe_close(&l->pipes[which]);
	n = logger_pipe_n_lost(&l->pipes[which]);
	if (n > 0)
		log_warn("output was lost for want of its logger", F_STR("id", l->id),
			F_STR("stream", pipe_names[which]), F_STR("logger", path_of(l)),
			F_INT("bytes", (long long)n));
}

static void done(struct logger *l)
{
	enter(l, DONE);
	for (int i = 0; i < LOGGER_N_PIPES; i++)
		close_pipe(l, i);
	event_active(l->all->quiet, EV_TIMEOUT, 1);
	tell_soon(l);
}

/* --- giving it up --- */

static void reader_ended(void *userdata)
{
	struct logger *l = userdata;

	/* later: the stream must not be closed from within */
	if (l->state == DISCARDING)
		set_timer(l, 0);
}

static void give_up(struct logger *l)
{
	log_error("a logger cannot be kept running: output is thrown away from here on",
		F_STR("id", l->id), F_STR("logger", path_of(l)), F_INT("restarts", l->n_restarts));
	enter(l, DISCARDING);
	for (int i = 0; i < LOGGER_N_PIPES; i++)
		logger_pipe_discard(&l->pipes[i], l->all->o.base, pipe_names[i], reader_ended, l);
	reader_ended(l);
}

/* --- trying --- */

static void wait_for_another(struct logger *l)
{
	uint32_t ms = LOGGER_RETRY_MS << l->n_tries;

	if (l->n_tries == LOGGER_TRIES) {
		give_up(l);
		return;
	}
	l->n_tries++;
	enter(l, WAITING);
	set_timer(l, ms > LOGGER_RETRY_MAX_MS ? LOGGER_RETRY_MAX_MS : ms);
}

/* The first one: told. Any other: once more. l->error says why. */
static void failed(struct logger *l)
{
	if (!l->was_ready) {
		done(l);
		return;
	}
	log_warn("a logger could not be started again", F_STR("id", l->id),
		F_STR("error", error_message(&l->error)));
	wait_for_another(l);
}

static void explain(struct logger *l)
{
	char text[32];
	bool by_us = l->run.ended.signaled && l->run.ended.code == SIGKILL;

	if (l->state == REFUSED && l->is_late)
		error_set(&l->error, CODE_DEADLINE_EXCEEDED,
			"%s: logger %s was not ready in %g s, it was killed", l->stream, path_of(l),
			l->patience_ms / 1000.0);
	else if (l->state == REFUSED && (l->run.is_running || by_us))
		error_set(&l->error, CODE_INTERNAL,
			"%s: logger %s closed its descriptor 5 without a byte, it was killed",
			l->stream, path_of(l));
	else
		error_set(&l->error, CODE_INTERNAL,
			"%s: logger %s ended before it was ready, with %s", l->stream, path_of(l),
			how(l, text));
}

static bool run_is_done(void *userdata)
{
	const struct logger *l = userdata;

	return l->state == READY && is_at_end(l);
}

static void run_said(bool is_byte, void *userdata)
{
	logger_dispatch(userdata, is_byte ? ON_BYTE : ON_EOF);
}

static void run_ended(void *userdata)
{
	logger_dispatch(userdata, ON_EXIT);
}

static void start(struct logger *l)
{
	const int pipes[LOGGER_N_PIPES] = { l->pipes[LOGGER_OUT].fd, l->pipes[LOGGER_ERR].fd };
	const struct logger_run_options options = {
		.base = l->all->o.base,
		.reaper = l->all->o.reaper,
		.nofile = l->all->o.nofile,
		.argv = l->argv.v,
		.env = l->env.v,
		.pipes = pipes,
		.on_ready = run_said,
		.is_done = run_is_done,
		.on_exit = run_ended,
		.userdata = l,
	};
	int r;

	enter(l, STARTING);
	r = logger_run_begin(&l->run, &options);
	if (r < 0) {
		error_errno(&l->error, r, "%s: logger %s cannot be run", l->stream, path_of(l));
		failed(l);
		return;
	}
	set_timer(l, l->patience_ms);
}

/* --- the table --- */

static void ready(struct logger *l)
{
	enter(l, READY);
	l->was_ready = true;
	error_clear(&l->error);
	l->ready_at = clock_monotonic_ms();
	tell_soon(l);
}

static void refuse(struct logger *l, bool is_late)
{
	enter(l, REFUSED);
	l->is_late = is_late;
	logger_run_signal(&l->run, SIGKILL);
	set_timer(l, KILL_PATIENCE_MS);
}

static void refuse_late(struct logger *l)
{
	refuse(l, true);
}

static void said_nothing(struct logger *l)
{
	if (l->wants_byte)
		refuse(l, false);
	else
		ready(l);
}

static void try_ended(struct logger *l)
{
	explain(l);
	failed(l);
}

/* It hangs in the kernel: whenever it ends, it is reaped as nobody's. */
static void try_hangs(struct logger *l)
{
	log_error("a logger does not die", F_STR("id", l->id), F_STR("logger", path_of(l)));
	explain(l);
	logger_run_deinit(&l->run);
	failed(l);
}

static void ready_ended(struct logger *l)
{
	char text[32];

	if (is_at_end(l)) {
		done(l);
		return;
	}
	if (clock_monotonic_ms() - l->ready_at >= LOGGER_STEADY_MS)
		l->n_tries = 0;
	log_warn("a logger has ended before the output has", F_STR("id", l->id),
		F_STR("logger", path_of(l)), F_STR("end", how(l, text)),
		F_INT("restarts", l->n_restarts));
	wait_for_another(l);
}

static void restart(struct logger *l)
{
	l->n_restarts++;
	start(l);
}

static void look_at_readers(struct logger *l)
{
	if (logger_pipe_has_ended(&l->pipes[LOGGER_OUT]) &&
		logger_pipe_has_ended(&l->pipes[LOGGER_ERR]))
		done(l);
}

static void terminate(struct logger *l)
{
	if (!l->was_ready)
		error_set(&l->error, CODE_UNAVAILABLE,
			"%s: logger %s was ended before it was ready", l->stream, path_of(l));
	enter(l, ENDING);
	logger_run_signal(&l->run, SIGTERM);
	set_timer(l, LOGGER_TERM_MS);
	tell_soon(l);
}

static void kill_it(struct logger *l)
{
	log_warn("a logger does not end when it is told to: it is killed", F_STR("id", l->id),
		F_STR("logger", path_of(l)));
	enter(l, KILLED);
	logger_run_signal(&l->run, SIGKILL);
	set_timer(l, KILL_PATIENCE_MS);
}

static void kill_goes_on(struct logger *l)
{
	explain(l);
	l->state = KILLED; /* with the timer that runs */
	tell_soon(l);
}

static void kill_hangs(struct logger *l)
{
	log_error("a logger does not die", F_STR("id", l->id), F_STR("logger", path_of(l)));
	logger_run_deinit(&l->run);
	done(l);
}

static void nothing(struct logger *l)
{
	(void)l;
}

static void (*const table[_STATE_MAX][_HAPPENING_MAX])(struct logger *l) = {
	/*               byte   end of 5      exit         timer            end */
	[IDLE] = { nothing, nothing, nothing, nothing, done },
	[STARTING] = { ready, said_nothing, try_ended, refuse_late, terminate },
	[REFUSED] = { nothing, nothing, try_ended, try_hangs, kill_goes_on },
	[READY] = { nothing, nothing, ready_ended, nothing, terminate },
	[WAITING] = { nothing, nothing, nothing, restart, done },
	[DISCARDING] = { nothing, nothing, nothing, look_at_readers, done },
	[ENDING] = { nothing, nothing, done, kill_it, nothing },
	[KILLED] = { nothing, nothing, done, kill_hangs, nothing },
	[DONE] = { nothing, nothing, nothing, nothing, nothing },
};
_Static_assert(_HAPPENING_MAX == 5, "a column for everything that happens");

static void logger_dispatch(struct logger *l, enum happening what)
{
	table[l->state][what](l);
}

static void timer_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	logger_dispatch(userdata, ON_TIMER);
}

/* --- making, telling, freeing --- */

static void logger_free(struct logger *l)
{
	if (!l)
		return;
	list_unlink(&l->loggers_link);
	logger_run_deinit(&l->run);
	for (int i = 0; i < LOGGER_N_PIPES; i++)
		logger_pipe_deinit(&l->pipes[i]);
	if (l->timer)
		event_free(l->timer);
	if (l->tell)
		event_free(l->tell);
	error_clear(&l->error);
	argv_deinit(&l->argv);
	argv_deinit(&l->env);
	free(l->id);
	free(l);
}

static void tell_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct logger *l = userdata;
	void (*on_started)(const struct error *err, void *userdata) = l->on_started;
	void (*on_done)(void *userdata) = l->on_done;

	(void)fd;
	(void)what;
	if (on_started && l->state != STARTING && l->state != REFUSED) {
		l->on_started = NULL;
		if (l->state == DONE)
			tell_soon(l); /* that, too */
		on_started(&l->error, l->started_userdata);
	} else if (l->state == DONE && l->is_released) {
		logger_free(l);
	} else if (l->state == DONE && on_done) {
		l->on_done = NULL;
		on_done(l->userdata);
	}
}

static int fill(struct logger *l, const struct logger_options *o)
{
	int r = argv_add(&l->argv, o->path);

	for (size_t i = 0; r == 0 && i < o->args->n; i++)
		r = argv_add(&l->argv, o->args->v[i]);
	if (r == 0)
		r = argv_addf(&l->env, "CONTAINER_ID=%s", o->id);
	if (r == 0)
		r = argv_addf(&l->env, "CONTAINER_NAMESPACE=%s", l->all->o.ns);
	if (r < 0)
		return r;
	l->id = strdup(o->id);
	l->timer = evtimer_new(l->all->o.base, timer_dispatch, l);
	l->tell = evtimer_new(l->all->o.base, tell_dispatch, l);
	return l->id && l->timer && l->tell ? 0 : -ENOMEM;
}

int logger_new(struct loggers *all, const struct logger_options *options, struct logger **ret,
	struct error *err)
{
	_cleanup_free_ char *program = NULL;
	struct logger *l;
	int r = spawn_find_program(options->path, &program);

	if (r < 0)
		return error_errno(err, r, "logger %s", options->path);
	l = calloc(1, sizeof(*l));
	if (!l)
		return error_errno(err, -ENOMEM, "logger");
	l->all = all;
	list_append(&all->loggers, &l->loggers_link);
	l->run = LOGGER_RUN_INIT;
	for (int i = 0; i < LOGGER_N_PIPES; i++)
		l->pipes[i] = LOGGER_PIPE_INIT;
	l->stream = options->stream;
	l->wants_byte = options->wants_byte;
	l->on_done = options->on_done;
	l->userdata = options->userdata;
	r = fill(l, options);
	if (r < 0) {
		logger_free(l);
		return error_errno(err, r, "logger");
	}
	*ret = l;
	return 0;
}

int logger_open_pipe(struct logger *l, int which, int *ret_writer, struct error *err)
{
	int r = logger_pipe_open(&l->pipes[which], ret_writer);

	return r < 0 ? error_errno(err, r, "pipe") : 0;
}

void logger_start(struct logger *l, uint32_t patience_ms,
	void (*on_started)(const struct error *err, void *userdata), void *userdata)
{
	l->patience_ms = patience_ms;
	l->on_started = on_started;
	l->started_userdata = userdata;
	for (int i = 0; i < LOGGER_N_PIPES; i++) {
		_cleanup_close_ int writer = -1;

		if (l->pipes[i].fd < 0 && logger_open_pipe(l, i, &writer, &l->error) != 0) {
			done(l);
			return;
		}
	}
	start(l);
}

bool logger_is_done(const struct logger *l)
{
	return l->state == IDLE || l->state == DONE;
}

uint64_t logger_n_lost(const struct logger *l, int which)
{
	return logger_pipe_n_lost(&l->pipes[which]);
}

void logger_end(struct logger *l)
{
	logger_dispatch(l, ON_END);
}

void logger_release(struct logger *l)
{
	if (!l)
		return;
	logger_end(l);
	l->on_started = NULL;
	l->on_done = NULL;
	l->is_released = true;
	if (l->state == DONE)
		logger_free(l);
}

/* --- all of them --- */

bool loggers_are_quiet(const struct loggers *all)
{
	struct list *pos;

	list_for_each (pos, &all->loggers)
		if (!logger_is_done(list_entry(pos, struct logger, loggers_link)))
			return false;
	return true;
}

static void quiet_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct loggers *all = userdata;

	(void)fd;
	(void)what;
	if (all->o.on_quiet && loggers_are_quiet(all))
		all->o.on_quiet(all->o.userdata);
}

int loggers_new(const struct loggers_options *options, struct loggers **ret)
{
	struct loggers *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->o = *options;
	list_init(&all->loggers);
	all->quiet = evtimer_new(all->o.base, quiet_dispatch, all);
	if (!all->quiet) {
		free(all);
		return -ENOMEM;
	}
	*ret = all;
	return 0;
}

void loggers_end(struct loggers *all)
{
	struct list *pos;

	list_for_each (pos, &all->loggers)
		logger_end(list_entry(pos, struct logger, loggers_link));
}

void loggers_free(struct loggers *all)
{
	if (!all)
		return;
	while (!list_is_empty(&all->loggers))
		logger_free(list_first(&all->loggers, struct logger, loggers_link));
	event_free(all->quiet);
	free(all);
}
