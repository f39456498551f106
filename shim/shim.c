/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process: its loop, its signals, and its end. Never talks to a runtime or a client by
 * itself. Subtle: an idle shim has no timer armed; the only ones here run while it is waiting to
 * end.
 *
 *   state       event                                          then
 *   idle        60 s without a Create, 10 s after the last     ending
 *               container went, with nobody connected
 *   serving     Shutdown or Exit without a container           ending
 *   serving     SIGTERM with a container                       stopping: signal, 10 s, KILL
 *   stopping    the init's exit has been told                  ending
 *   ending      no runtime running and no output on its way,   last: streams of events end
 *               nor in a logger
 *   ending      2 s later, with no logger left                 last
 *   ending      2 s later                                      loggers are told to end: 22 s at most,
 *                                                              then last
 *   last        answers flushed and events forwarded           the loop ends
 *   last        2 s, with no event left to forward             the loop ends
 *   last        2 s, with events left                          forwarding
 *   forwarding  events forwarded, or 28 s more                 the loop ends
 */
#include "shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/state_bundle.h"
#include "shim/container_life.h"
#include "shim/loop_slots.h"
#include "shim/service_monitor.h"
#include "shim/service_shim.h"
#include "shim/service_task.h"
#include "shim/stdio_log.h"
#include "shim/stdio_logger.h"
#include "shim/verbs.h"

#define END_MS	   2000	 /* what is under way at the end has so long: runtimes, and output */
#define FLUSH_MS   2000	 /* and then clients, to read what they are owed */
#define FORWARD_MS 30000 /* and containerd, to take the events it has not had, from then on */

static int arm(struct event *timer, uint32_t ms)
{
	const struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	return evtimer_add(timer, &tv);
}

/* --- the end --- */

/* Once all that is owed has been taken: answers by clients, events by containerd. */
static void try_to_stop(struct shim *shim)
{
	if (shim->is_flushed && publisher_is_idle(shim->publisher))
		event_base_loopbreak(shim->base);
}

static void on_flushed(void *userdata)
{
	struct shim *shim = userdata;

	shim->is_flushed = true;
	try_to_stop(shim);
}

static void on_forwarded(void *userdata)
{
	try_to_stop(userdata);
}

/* There will be no more events: each stream gets the rest of them and its end. */
static void finish(struct shim *shim)
{
	events_end(shim->events);
	arm(shim->end_timer, FLUSH_MS);
	ttrpc_server_on_flushed(shim->server, on_flushed, shim);
}

static bool is_finishing(const struct shim *shim)
{
	return shim->end_is_due && events_has_ended(shim->events);
}

/* Late it is waited for loggers alone: that they end is seen to. */
static bool is_quiet(const struct shim *shim)
{
	if (!loggers_are_quiet(shim->loggers))
		return false;
	return shim->end_is_late ||
	       (shim->n_runs == 0 && (!shim->container || container_is_drained(shim->container)));
}

static void look_at_end(struct shim *shim)
{
	if (shim->end_is_due && !is_finishing(shim) && is_quiet(shim))
		finish(shim);
}

static void on_loggers_quiet(void *userdata)
{
	look_at_end(userdata);
}

static void on_drained(void *userdata)
{
	look_at_end(userdata);
}

void shim_run_ended(struct shim *shim)
{
	shim->n_runs--;
	look_at_end(shim);
}

/* A client does not read what it is owed, or containerd is away, which gets more time. */
static void give_up(struct shim *shim)
{
	if (shim->is_forwarding || publisher_is_idle(shim->publisher)) {
		event_base_loopbreak(shim->base);
		return;
	}
	shim->is_forwarding = shim->is_flushed = true;
	arm(shim->end_timer, FORWARD_MS - FLUSH_MS);
}

static void end_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct shim *shim = userdata;
	bool is_late = shim->end_is_due; /* a runtime hangs, or nobody reads the output */

	(void)fd;
	(void)what;
	if (is_finishing(shim)) {
		give_up(shim);
		return;
	}
	if (is_late && !shim->end_is_late) {
		shim->end_is_late = true;
		loggers_end(shim->loggers);
		arm(shim->end_timer, LOGGER_TERM_MS + 2 * KILL_PATIENCE_MS);
		look_at_end(shim);
		return;
	}
	if (is_late) {
		finish(shim);
		return;
	}
	shim->end_is_due = true;
	publisher_hurry(shim->publisher, on_forwarded, shim);
	if (shim->container)
		container_on_drained(shim->container, on_drained, shim);
	arm(shim->end_timer, END_MS);
	look_at_end(shim);
}

static void remove_files(struct shim *shim)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	unlink(shim->socket_path);
	if (!shim->container && shim->dir.fd >= 0 && state_dir_remove(&shim->dir, &err) != 0)
		log_error("the shim's folder is left", F_STR("error", error_message(&err)));
}

void shim_end(struct shim *shim)
{
	if (shim->ending && shim->end_timer_armed)
		return;
	shim->ending = true;
	shim->end_timer_armed = true;
	ttrpc_server_refuse(shim->server, "the shim is ending");
	remove_files(shim);
	/* in the loop's next turn: whoever called us answers first */
	arm(shim->end_timer, 0);
}

/* --- rule (b) --- */

static void idle_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct shim *shim = userdata;

	(void)fd;
	(void)what;
	log_info("nobody needs this shim: it ends", F_STR("id", shim->id));
	shim_end(shim);
}

static bool is_idle(const struct shim *shim)
{
	return !shim->ending && !shim->container && ttrpc_server_n_connections(shim->server) == 0;
}

static void look_at_idleness(struct shim *shim)
{
	if (!is_idle(shim))
		event_del(shim->idle_timer);
	else if (!event_pending(shim->idle_timer, EV_TIMEOUT, NULL))
		arm(shim->idle_timer,
			shim->had_container ? IDLE_AFTER_DELETE_MS : IDLE_WITHOUT_CREATE_MS);
}

static void connections_changed(void *userdata)
{
	struct shim *shim = userdata;
	const size_t n = ttrpc_server_n_connections(shim->server);

	loop_slots_ahead(shim->base, &shim->n_slots);
	look_at_idleness(shim);
	/*
	 * When somebody has left it may be long until the next one comes: nothing is held for that
	 * (some 10 us). The one who may have stayed is who supervises.
	 */
	if (n < shim->n_connections && n <= 1)
		malloc_trim(0);
	shim->n_connections = n;
}

/* --- rule (c) --- */

static void ignore_result(const struct error *err, const struct op_result *result, void *userdata)
{
	(void)err;
	(void)result;
	(void)userdata;
}

static void stop_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct shim *shim = userdata;

	(void)fd;
	(void)what;
	if (shim->container && container_status(shim->container) != PROCESS_DELETED)
		process_kill(shim->container->init, SIGKILL, true, ignore_result, NULL);
}

static void stop_container(struct shim *shim)
{
	struct container *c = shim->container;
	int signal;

	/* what is just being restored is stopped once it is there */
	if (shim->stop_is_sent || container_status(c) == PROCESS_DELETED ||
		container_awaits_restore(c))
		return;
	/* what was never started has nothing that could stop in order */
	signal = container_status(c) == PROCESS_CREATED ? SIGKILL : c->stop_signal;
	shim->stop_is_sent = true;
	arm(shim->stop_timer, STOP_GRACE_MS);
	process_kill(c->init, (uint32_t)signal, false, ignore_result, NULL);
}

/* There is nothing to stop, nor anything on its way. */
static bool is_unmade(const struct container *c)
{
	return container_awaits_restore(c) && !operation_is_running(c->init, OPERATION_START);
}

static void go_on_stopping(struct shim *shim)
{
	if (!shim->container || shim->container->init->announced || is_unmade(shim->container))
		shim_end(shim);
	else
		stop_container(shim);
}

static void on_sigterm(struct shim *shim)
{
	if (shim->ending)
		return;
	log_info("SIGTERM: the shim ends", F_STR("id", shim->id));
	shim->ending = true;
	shim->stopping = true;
	ttrpc_server_refuse(shim->server, "the shim is ending");
	event_del(shim->idle_timer);
	go_on_stopping(shim);
}

void shim_container_changed(struct shim *shim)
{
	if (shim->stopping)
		go_on_stopping(shim);
	else
		look_at_idleness(shim);
	look_at_end(shim);
}

/* --- signals --- */

static void on_sigchld(struct shim *shim)
{
	reaper_dispatch(shim->reaper);
	if (shim->container)
		container_reaped(shim->container);
}

static void signal_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct shim *shim = userdata;
	struct signalfd_siginfo info;
	bool children = false;

	(void)what;
	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			children = true;
		else if (info.ssi_signo == SIGTERM)
			on_sigterm(shim);
	}
	if (children)
		on_sigchld(shim);
}

static int open_signals(struct shim *shim)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file at its size limit costs bytes, not the shim */
	if (sigprocmask(SIG_SETMASK, &mask, NULL) < 0)
		return error_trace(-errno);
	shim->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (shim->signal_fd < 0)
		return error_trace(-errno);
	shim->signal_event =
		event_new(shim->base, shim->signal_fd, EV_READ | EV_PERSIST, signal_dispatch, shim);
	if (!shim->signal_event || event_add(shim->signal_event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

/* --- making one --- */

static int open_loop(struct shim *shim)
{
	struct event_config *config = event_config_new();

	if (!config)
		return -ENOMEM;
	loop_slots_init();
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	shim->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!shim->base)
		return -ENOMEM;
	loop_slots_ahead(shim->base, &shim->n_slots);
	shim->idle_timer = evtimer_new(shim->base, idle_dispatch, shim);
	shim->stop_timer = evtimer_new(shim->base, stop_dispatch, shim);
	shim->end_timer = evtimer_new(shim->base, end_dispatch, shim);
	if (!shim->idle_timer || !shim->stop_timer || !shim->end_timer)
		return -ENOMEM;
	return open_signals(shim);
}

/* Only our own limit: what we run gets the one that we were started with. */
static int raise_descriptor_limit(struct shim *shim)
{
	struct rlimit raised;

	if (getrlimit(RLIMIT_NOFILE, &shim->nofile) < 0)
		return error_trace(-errno);
	raised = shim->nofile;
	raised.rlim_cur = raised.rlim_max;
	setrlimit(RLIMIT_NOFILE, &raised); /* the old limit will do */
	return 0;
}

static int serve(struct shim *shim, int *listen_fd)
{
	int r = ttrpc_server_new(shim->base, *listen_fd, &shim->server);

	if (r < 0)
		return r;
	*listen_fd = -1;
	ttrpc_server_on_change(shim->server, connections_changed, shim);
	r = service_task_register(shim);
	if (r == 0)
		r = service_shim_register(shim);
	if (r == 0)
		r = service_monitor_register(shim);
	return r;
}

static int open_loggers(struct shim *shim)
{
	const struct loggers_options options = {
		.base = shim->base,
		.reaper = shim->reaper,
		.ns = shim->ns,
		.nofile = &shim->nofile,
		.on_quiet = on_loggers_quiet,
		.userdata = shim,
	};

	return loggers_new(&options, &shim->loggers);
}

static int write_record(struct shim *shim, struct error *err)
{
	struct proc_stat stat;
	struct shim_record record = {
		.pid = getpid(),
		.socket = shim->socket_path,
		.version = (char *)CLEAT_VERSION,
		.epoch = events_epoch(shim->events),
	};
	int r = proc_stat_read(getpid(), &stat);

	if (r < 0)
		return error_errno(err, r, "/proc/self/stat");
	record.start_time = stat.start_time;
	return shim_record_write(&shim->dir, &record, err);
}

static int open_publisher(struct shim *shim, const char *address)
{
	const struct publisher_options options = {
		.base = shim->base, .events = shim->events, .address = address, .ns = shim->ns
	};

	return address && *address ? publisher_new(&options, &shim->publisher) : 0;
}

/*
 * containerd's is a FIFO. Both its ends are ours: without a reader it could not be opened, and what
 * is in it would go with the last one.
 */
static void open_log(struct shim *shim, bool debug)
{
	const int flags = O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct stat st;
	bool is_fifo =
		fstatat(shim->dir.fd, "log", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISFIFO(st.st_mode);

	shim->log_fd = is_fifo ? openat(shim->dir.fd, "log", flags | O_RDWR)
			       : openat(shim->dir.fd, "log", flags | O_WRONLY | O_CREAT, 0600);
	log_init(debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, shim->log_fd);
}

/* Under containerd where its own shim has it, so that `runc --root` finds the containers. NULL: no memory. */
static char *default_runtime_root(const struct shim_options *o)
{
	char *root;
	int n = o->root ? asprintf(&root, "%s/r/%s", o->root, o->ns)
			: asprintf(&root, CONTAINERD_RUNTIMES "/%s", o->ns);

	return n < 0 ? NULL : root;
}

static int fill(struct shim *shim, const struct shim_options *o, int *listen_fd, struct error *err)
{
	int r;

	shim->ns = strdup(o->ns);
	shim->id = strdup(o->id);
	shim->socket_path = strdup(o->socket_path);
	shim->runtime_root = default_runtime_root(o);
	if (!shim->ns || !shim->id || !shim->socket_path || !shim->runtime_root)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "no memory");
	r = o->root ? state_dir_adopt(o->root, o->ns, o->id, o->lock_fd, &shim->dir, err)
		    : state_bundle_adopt(o->bundle, o->ns, o->id, o->lock_fd, &shim->dir, err);
	if (r != 0)
		return r;
	open_log(shim, o->debug);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return error_errno(err, -errno, "cannot become a subreaper");
	r = raise_descriptor_limit(shim);
	if (r == 0)
		r = open_loop(shim);
	if (r == 0)
		r = reaper_new(&shim->reaper);
	if (r == 0)
		r = open_loggers(shim);
	if (r == 0)
		r = stdio_logs_new(shim->base, &shim->logs);
	if (r == 0)
		r = events_new(&shim->events);
	if (r == 0)
		r = open_publisher(shim, o->ttrpc_address);
	if (r == 0)
		r = serve(shim, listen_fd);
	if (r < 0)
		return error_errno(err, r, "shim");
	return write_record(shim, err);
}

int shim_new(const struct shim_options *options, struct shim **ret, struct error *err)
{
	struct shim *shim = calloc(1, sizeof(*shim));
	int listen_fd = options->listen_fd, r;

	if (!shim)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "no memory");
	shim->dir = STATE_DIR_INIT;
	shim->signal_fd = shim->log_fd = -1;
	r = fill(shim, options, &listen_fd, err);
	if (r != 0) {
		fd_close(&listen_fd);
		shim_free(shim);
		return r;
	}
	look_at_idleness(shim);
	*ret = shim;
	return 0;
}

int shim_run(struct shim *shim)
{
	if (event_base_dispatch(shim->base) < 0) {
		log_error("the loop broke", F_STR("error", strerror(errno)));
		return 1;
	}
	return 0;
}

static void free_event(struct event *e)
{
	if (e)
		event_free(e);
}

void shim_free(struct shim *shim)
{
	if (!shim)
		return;
	if (shim->container)
		container_free(shim->container);
	ttrpc_server_free(shim->server);
	publisher_free(shim->publisher);
	events_free(shim->events);
	loggers_free(shim->loggers);
	stdio_logs_free(shim->logs);
	reaper_free(shim->reaper);
	free_event(shim->idle_timer);
	free_event(shim->stop_timer);
	free_event(shim->end_timer);
	free_event(shim->signal_event);
	fd_close(&shim->signal_fd);
	if (shim->base)
		event_base_free(shim->base);
	state_dir_close(&shim->dir);
	log_init(LOG_LEVEL_ERROR, -1);
	fd_close(&shim->log_fd);
	free(shim->ns);
	free(shim->id);
	free(shim->socket_path);
	free(shim->runtime_root);
	free(shim);
}
