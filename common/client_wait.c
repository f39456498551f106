/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Signals nothing and writes nothing. Subtle: the shim may die at any moment, also
 * while it is asked; then the ledger has the answer, or nobody. A dying process's descriptors go one
 * by one: its connections may have ended while its lock is still held, so that a moment has to pass
 * before the container is an orphan.
 */
#include "common/client_wait.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/client_dead.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/ids.h"

/* A shim that took no call is asked again: once it has ended, or after so long if it has not. */
#define AGAIN_MS 1000
/* How often a lock is looked at that somebody holds though its shim has ended. */
#define LOCK_MS 10

static void set_timer(struct client_wait *w, int ms)
{
	struct itimerspec t = { .it_value = { ms / 1000, ms % 1000 * 1000000 } };

	timerfd_settime(w->timer_fd, 0, &t, NULL);
}

/* ms: until it is looked at again in any case; 0: it is not. */
static void set_stage(struct client_wait *w, enum client_wait_stage stage, int ms)
{
	w->stage = stage;
	set_timer(w, ms);
	w->patience_ms -= ms;
}

static void finish(struct client_wait *w, const struct client_exit *e)
{
	w->exit = *e;
	set_stage(w, CLIENT_WAIT_DONE, 0);
}

static void fail(struct client_wait *w, struct error *err)
{
	error_move(&w->failure, err);
	set_stage(w, CLIENT_WAIT_DONE, 0);
}

/* --- what it waits for, in a descriptor --- */

static void watch(struct client_wait *w, int fd)
{
	struct epoll_event e = { .events = EPOLLIN };

	/* on failure it is only told later, by the one who takes */
	if (w->epoll_fd >= 0 && fd >= 0)
		epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static void unwatch(struct client_wait *w, int fd)
{
	if (w->epoll_fd >= 0 && fd >= 0)
		epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void observe(struct client_wait *w)
{
	if (w->epoll_fd < 0 || !w->shared || w->observing)
		return;
	w->observer.fd = w->poke_fd;
	client_shared_observe(w->shared, &w->observer);
	w->observing = true;
	watch(w, client_shared_fd(w->shared));
}

static void set_shared(struct client_wait *w, struct client_shared *shared)
{
	struct client_shared *old;

	pthread_mutex_lock(&w->lock);
	old = w->shared;
	w->shared = shared;
	pthread_mutex_unlock(&w->lock);
	if (old && w->observing) {
		unwatch(w, client_shared_fd(old));
		client_shared_unobserve(old, &w->observer);
		w->observing = false;
	}
	client_shared_drop(old);
	observe(w);
}

static void set_process(struct client_wait *w, struct pidref *p)
{
	unwatch(w, w->process.fd);
	pidref_close(&w->process);
	if (!p)
		return;
	w->process = *p;
	*p = PIDREF_INIT;
	watch(w, w->process.fd);
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 0) > 0;
}

/* --- asking --- */

/* Who was asked has answered: the exit, or that it is gone. */
static int use_answer(struct client_wait *w, struct error *err)
{
	struct client_exit e;
	int r = client_call_wait_end(&w->target, w->exec_id, w->shared, &e, err);

	if (r != 0)
		return r;
	set_shared(w, NULL);
	finish(w, &e);
	return 0;
}

/*
 * Its status, asked once the wait is known: says at once what is wrong, or that it is over already.
 * Where it has exited and was deleted in between, the wait's answer has come before.
 */
static int look(struct client_wait *w, struct error *err)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct client_status s;
	int r = client_call_state(&w->target, w->exec_id, &s, err);

	if (r == 0 && s.status == CONTAINERD__V1__TYPES__STATUS__STOPPED) {
		set_shared(w, NULL);
		finish(w, &s.exit);
		return 0;
	}
	/* one that hangs has the wait all the same */
	if (r == CODE_DEADLINE_EXCEEDED ||
		(r != 0 && client_shared_poll(w->shared) && use_answer(w, &ignored) == 0)) {
		error_clear(err);
		return 0;
	}
	return r;
}

static int be_orphan(struct client_wait *w, struct error *err)
{
	_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
	struct client_exit e = { .known = false };
	int r = 0;

	set_process(w, NULL);
	if (client_dead_exit(&w->target.dir, w->exec_id, 0, &e)) {
		finish(w, &e);
		return 0;
	}
	r = client_dead_open(&w->target, w->exec_id, &p, err);
	if (r != 0)
		return r;
	if (p.fd < 0) {
		finish(w, &e);
		return 0;
	}
	set_process(w, &p);
	set_stage(w, CLIENT_WAIT_ORPHAN, 0);
	return 0;
}

/* With the target open: the wait, then the status. */
static int ask(struct client_wait *w, struct error *err)
{
	struct client_shared *shared;
	int r;

	if (client_target_is_orphan(&w->target))
		return be_orphan(w, err);
	r = client_call_wait_begin(&w->target, w->exec_id, &shared, err);
	if (r != 0)
		return r;
	set_stage(w, CLIENT_WAIT_ASKING, 0);
	set_shared(w, shared);
	return look(w, err);
}

/* --- when who was asked is gone --- */

static bool may_go_straight(const struct client_wait *w)
{
	return w->place->via == CLIENT_VIA_DIRECT ||
	       (w->place->via == CLIENT_VIA_CLEATD && w->place->root);
}

/*
 * After a shim took no call, or broke off: to wait until it has ended, or for a while. False where
 * there is nobody to wait for: what only begins to be a container.
 */
static bool await_shim(struct client_wait *w)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_(shim_record_deinit) struct shim_record shim = { 0 };
	_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
	_cleanup_error_ struct error ignored = ERROR_INIT;

	set_stage(w, CLIENT_WAIT_LOCKED, 1);
	set_process(w, NULL);
	if (state_dir_open(w->place->root, w->place->ns, w->id, &dir, &ignored) != 0)
		return true; /* the next look says what became of it */
	if (shim_record_read(&dir, &shim, &ignored) != 0)
		return !state_dir_is_locked(&dir);
	if (pidref_open_same(shim.pid, shim.start_time, &p) == 0) {
		set_process(w, &p);
		set_stage(w, CLIENT_WAIT_ENDING, AGAIN_MS);
		return true;
	}
	/* by its child that is about to be a program, or by who deletes the container */
	if (state_dir_is_locked(&dir))
		set_stage(w, CLIENT_WAIT_LOCKED, LOCK_MS);
	return true;
}

/* Asks whoever is there now: cleatd where there is one, else its shim, else its files. */
static void ask_again(struct client_wait *w)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	int r;

	set_shared(w, NULL);
	client_target_close(&w->target);
	r = client_target_open(w->place, w->id, NULL, &w->target, &err);
	/* nobody answers where cleatd was: its shim does not need it */
	if (r != 0 && w->place->via == CLIENT_VIA_CLEATD) {
		error_clear(&err);
		r = client_target_open_direct(w->place, w->id, &w->target, &err);
	}
	if (r == 0)
		r = ask(w, &err);
	if (r == 0)
		return;
	if (r != CODE_UNAVAILABLE || w->patience_ms <= 0 || !await_shim(w))
		fail(w, &err);
}

/* 0 where somebody else can be asked, or will be; else what err says is the end of it. */
static int recover(struct client_wait *w, struct error *err)
{
	bool was_hub = w->target.is_hub;

	set_shared(w, NULL);
	if (err->code != CODE_UNAVAILABLE || !may_go_straight(w))
		return (int)err->code;
	if (was_hub)
		ask_again(w);
	else if (!await_shim(w))
		return (int)err->code;
	error_clear(err);
	return 0;
}

/* --- steps --- */

static void step_asking(struct client_wait *w)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (client_shared_poll(w->shared) && use_answer(w, &err) != 0 && recover(w, &err) != 0)
		fail(w, &err);
}

static void step_orphan(struct client_wait *w)
{
	struct client_exit e = { .known = false };

	if (!is_readable(w->process.fd))
		return;
	client_dead_exit(&w->target.dir, w->exec_id, 0, &e);
	finish(w, &e);
}

static void step(struct client_wait *w)
{
	switch (w->stage) {
	case CLIENT_WAIT_ASKING:
		step_asking(w);
		break;
	case CLIENT_WAIT_ENDING:
		if (is_readable(w->process.fd) || is_readable(w->timer_fd))
			ask_again(w);
		break;
	case CLIENT_WAIT_LOCKED:
		if (is_readable(w->timer_fd))
			ask_again(w);
		break;
	case CLIENT_WAIT_ORPHAN:
		step_orphan(w);
		break;
	case CLIENT_WAIT_DONE:
	case _CLIENT_WAIT_MAX:
		break;
	}
}

static int left_of(int64_t deadline_ms)
{
	int64_t left = deadline_ms < 0 ? -1 : deadline_ms - clock_monotonic_ms();

	if (deadline_ms >= 0 && left < 0)
		left = 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

/* Until a step may do something. */
static void await_step(struct client_wait *w, int64_t deadline_ms)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct pollfd p[] = {
		{ .fd = w->poke_fd, .events = POLLIN },
		{ .fd = w->process.fd, .events = POLLIN },
		{ .fd = w->stage == CLIENT_WAIT_ORPHAN ? -1 : w->timer_fd, .events = POLLIN },
	};

	if (w->stage == CLIENT_WAIT_ASKING)
		client_shared_await(w->shared, deadline_ms, &w->stopped, &ignored);
	else
		poll(p, 3, left_of(deadline_ms));
}

static void drain_poke(struct client_wait *w)
{
	uint64_t count;

	while (read(w->poke_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* It stays readable: there is something to be taken for ever. */
static void poke(struct client_wait *w)
{
	const uint64_t one = 1;

	while (write(w->poke_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static int result(struct client_wait *w, struct client_exit *ret, struct error *err)
{
	poke(w);
	if (w->failure.code != CODE_OK)
		return error_set(err, w->failure.code, "%s", error_message(&w->failure));
	*ret = w->exit;
	return 0;
}

int client_wait_take(
	struct client_wait *w, int64_t timeout_ms, struct client_exit *ret, struct error *err)
{
	int64_t deadline_ms = timeout_ms < 0 ? -1 : clock_monotonic_ms() + timeout_ms;

	for (;;) {
		drain_poke(w);
		if (w->stage != CLIENT_WAIT_DONE && !atomic_load(&w->stopped))
			step(w);
		if (w->stage == CLIENT_WAIT_DONE)
			return result(w, ret, err);
		if (atomic_load(&w->stopped)) {
			poke(w);
			return error_set(
				err, CODE_CANCELLED, "container %s: wait: was cancelled", w->id);
		}
		if (deadline_ms >= 0 && clock_monotonic_ms() >= deadline_ms)
			return error_set(err, CODE_DEADLINE_EXCEEDED,
				"container %s: wait: it has not ended yet", w->id);
		await_step(w, deadline_ms);
	}
}

/* --- the whole --- */

static int wait_new(const struct client_place *place, const char *id, const char *exec_id,
	struct client_wait **ret)
{
	struct client_wait *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->place = place;
	w->target = CLIENT_TARGET_INIT;
	w->process = PIDREF_INIT;
	w->failure = ERROR_INIT;
	w->patience_ms = client_call_ms(place);
	w->epoll_fd = -1;
	pthread_mutex_init(&w->lock, NULL);
	w->poke_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	w->id = strdup(id);
	w->exec_id = strdup(exec_id);
	*ret = w;
	if (!w->id || !w->exec_id)
		return -ENOMEM;
	return w->poke_fd < 0 || w->timer_fd < 0 ? -errno : 0;
}

int client_wait_begin(const struct client_place *place, const char *id, const char *exec_id,
	struct client_wait **ret, struct error *err)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	struct client_wait *w = NULL;
	int r = *exec_id ? id_check(exec_id, "exec id", err) : 0;

	if (r != 0)
		return r;
	r = wait_new(place, id, exec_id, &w);
	if (r < 0) {
		client_wait_free(w);
		return error_errno(err, r, "container %s: wait", id);
	}
	r = client_target_open(place, id, NULL, &w->target, &why);
	if (r == 0)
		r = ask(w, &why);
	/* a shim that starts or ends is waited for, as one that goes in the middle is */
	if (r != 0 && recover(w, &why) == 0)
		r = 0;
	if (r != 0)
		error_move(err, &why);
	if (r != 0)
		client_wait_free(w);
	else
		*ret = w;
	return r;
}

int client_wait_fd(struct client_wait *w)
{
	if (w->epoll_fd >= 0)
		return w->epoll_fd;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0)
		return -errno;
	watch(w, w->poke_fd);
	watch(w, w->timer_fd);
	watch(w, w->process.fd);
	observe(w);
	/* what has come meanwhile is looked at */
	poke(w);
	return w->epoll_fd;
}

void client_wait_stop(struct client_wait *w)
{
	atomic_store(&w->stopped, true);
	poke(w);
	pthread_mutex_lock(&w->lock);
	if (w->shared)
		client_shared_wake(w->shared);
	pthread_mutex_unlock(&w->lock);
}

void client_wait_free(struct client_wait *w)
{
	if (!w)
		return;
	set_shared(w, NULL);
	set_process(w, NULL);
	client_target_close(&w->target);
	fd_close(&w->epoll_fd);
	fd_close(&w->poke_fd);
	fd_close(&w->timer_fd);
	error_clear(&w->failure);
	pthread_mutex_destroy(&w->lock);
	free(w->id);
	free(w->exec_id);
	free(w);
}
