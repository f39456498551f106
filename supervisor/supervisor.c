/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's process: its loop, its signals, and the order in which it begins. Subtle: nobody is
 * served before every container was found, so that no client ever sees half a list; a shim that hangs
 * is waited for no longer than a list would wait for it.
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/reaper.h"
#include "common/shim_start.h"
#include "common/state_dir.h"
#include "common/ttrpc_server.h"
#include "supervisor/hub.h"
#include "supervisor/registry.h"
#include "supervisor/service_events.h"
#include "supervisor/service_supervisor.h"
#include "supervisor/service_tasks.h"
#include "supervisor/shim_groups.h"

/*
 * What a dead shim leaves is our child, and may be reaped before its shim is known to be dead: then it is
 * looked for among what was reaped lately.
 */
#define KEPT_NS	  (30LL * 1000000000)
#define SETTLE_MS 1000 /* then clients are served, whoever is still silent */

/* --- signals --- */

static void stop(struct supervisor *s)
{
	if (s->handlers->on_stopping)
		s->handlers->on_stopping(s, s->handlers->userdata);
	event_base_loopbreak(s->base);
}

static void on_signal(evutil_socket_t fd, short what, void *userdata)
{
	struct supervisor *s = userdata;
	struct signalfd_siginfo info;

	(void)what;
	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			reaper_forget_before(s->reaper, clock_now() - KEPT_NS);
			reaper_dispatch(s->reaper);
		} else if (info.ssi_signo == SIGHUP && s->handlers->on_reload)
			s->handlers->on_reload(s, s->handlers->userdata);
		else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			stop(s);
	}
}

static int open_signals(struct supervisor *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGPIPE);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	sigdelset(&set, SIGPIPE);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return -errno;
	s->signal_event = event_new(s->base, s->signal_fd, EV_READ | EV_PERSIST, on_signal, s);
	return s->signal_event && event_add(s->signal_event, NULL) == 0 ? 0 : -ENOMEM;
}

/* --- serving --- */

static int serve(struct supervisor *s)
{
	int r = ttrpc_server_new(s->base, s->listen_fd, &s->server);

	if (r < 0)
		return r;
	s->listen_fd = -1;
	ttrpc_server_set_max_connections(s->server, s->config.max_connections);
	r = service_tasks_register(s);
	if (r == 0)
		r = service_events_add(s->hub, s->server);
	if (r == 0)
		r = service_supervisor_register(s);
	return r;
}

void supervisor_settled(struct supervisor *s)
{
	int r;

	if (s->server)
		return;
	if (s->settle_timer)
		evtimer_del(s->settle_timer);
	r = serve(s);
	if (r < 0) {
		error_errno(&s->failure, r, "the socket cannot be served");
		event_base_loopbreak(s->base);
		return;
	}
	if (s->handlers->on_serving)
		s->handlers->on_serving(s, s->handlers->userdata);
}

static void on_settle_timer(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	supervisor_settled(userdata);
}

/* --- the whole --- */

static int raise_descriptor_limit(struct supervisor *s)
{
	struct rlimit raised;

	if (getrlimit(RLIMIT_NOFILE, &s->nofile) < 0)
		return -errno;
	raised = s->nofile;
	raised.rlim_cur = raised.rlim_max;
	setrlimit(RLIMIT_NOFILE, &raised); /* the old limit will do */
	return 0;
}

static int find_root(struct supervisor *s, const char *root, struct error *err)
{
	const char *named = root ? root : s->config.root;

	s->root = named ? strdup(named) : state_default_root();
	if (s->root)
		return 0;
	return named ? error_errno(err, -ENOMEM, "%s", named)
		     : error_set(err, CODE_FAILED_PRECONDITION,
			       "XDG_RUNTIME_DIR is not set: --root is needed");
}

static int find_shim(struct supervisor *s, struct error *err)
{
	if (!s->config.shim)
		return shim_find(&s->shim, err);
	s->shim = strdup(s->config.shim);
	return s->shim ? 0 : error_errno(err, -ENOMEM, "%s", s->config.shim);
}

static int begin(struct supervisor *s)
{
	const struct timeval tv = { SETTLE_MS / 1000, SETTLE_MS % 1000 * 1000 };
	int r = raise_descriptor_limit(s);

	/* the init of a shim that dies is then ours to reap, if we have started that shim */
	if (r == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		r = -errno;
	s->base = event_base_new();
	if (r == 0 && !s->base)
		r = -ENOMEM;
	if (r == 0)
		r = open_signals(s);
	if (r == 0)
		r = reaper_new(&s->reaper);
	if (r == 0) {
		reaper_keep(s->reaper);
		r = hub_new(&s->hub);
	}
	if (r < 0)
		return r;
	s->settle_timer = evtimer_new(s->base, on_settle_timer, s);
	return s->settle_timer && evtimer_add(s->settle_timer, &tv) == 0 ? 0 : -ENOMEM;
}

int supervisor_init(struct supervisor *s, struct config *config_take, const char *root,
	const char *shims_cgroup, int listen_fd_take, const struct supervisor_handlers *handlers,
	struct error *err)
{
	int r;

	*s = (struct supervisor){
		.config = *config_take,
		.started_at = clock_now(),
		.signal_fd = -1,
		.listen_fd = listen_fd_take,
		.handlers = handlers,
		.failure = ERROR_INIT,
	};
	*config_take = CONFIG_INIT;
	list_init(&s->listings);
	r = find_root(s, root, err);
	if (r == 0)
		r = find_shim(s, err);
	if (r != 0)
		return r;
	r = begin(s);
	if (r == 0 && shims_cgroup)
		r = shim_groups_new(s->base, shims_cgroup, &s->shim_groups);
	return r < 0 ? error_errno(err, r, "cleatd") : 0;
}

int supervisor_run(struct supervisor *s, struct error *err)
{
	int r = registry_new(s, &s->registry, err);

	if (r != 0)
		return r;
	if (event_base_dispatch(s->base) < 0)
		return error_errno(err, -EIO, "event loop");
	r = (int)s->failure.code;
	if (r != 0)
		error_move(err, &s->failure);
	return r;
}

void supervisor_deinit(struct supervisor *s)
{
	ttrpc_server_free(s->server);
	s->server = NULL;
	registry_free(s->registry);
	s->registry = NULL;
	shim_groups_free(s->shim_groups);
	s->shim_groups = NULL;
	hub_free(s->hub);
	s->hub = NULL;
	reaper_free(s->reaper);
	s->reaper = NULL;
	if (s->settle_timer)
		event_free(s->settle_timer);
	if (s->signal_event)
		event_free(s->signal_event);
	s->settle_timer = s->signal_event = NULL;
	fd_close(&s->signal_fd);
	fd_close(&s->listen_fd);
	if (s->base)
		event_base_free(s->base);
	s->base = NULL;
	free(s->root);
	free(s->shim);
	s->root = s->shim = NULL;
	config_deinit(&s->config);
	error_clear(&s->failure);
}
