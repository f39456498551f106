/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines and the sharing of them; shared calls are in client_shared.c. Decides nothing about what is
 * called. Subtle: only the leader polls, outside the lock; the socket stays open until nobody holds
 * the line, so that the leader never polls a number that means something else by now.
 */
#include "common/client_line.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/client_line_private.h"
#include "common/clock.h"
#include "common/fd.h"

#define GRACE_MS 1000 /* the server's own answer to a deadline is waited for that much longer */

struct client_lines {
	pthread_mutex_t lock; /* before any line's */
	struct list lines;
};

/* --- waiting together --- */

static void poke(int fd)
{
	const uint64_t one = 1;

	/* a full counter is readable, which is all that is wanted */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Something has come in: all who wait look at it. */
static void tell(struct client_line *line)
{
	struct list *pos;

	pthread_cond_broadcast(&line->changed);
	list_for_each (pos, &line->observers)
		poke(list_entry(pos, struct client_observer, line_link)->fd);
}

void client_line_wake(struct client_line *line)
{
	pthread_cond_broadcast(&line->changed);
	if (line->has_leader)
		poke(line->wake_fd);
}

static void pump(struct client_line *line)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!line->over && ttrpc_client_pump(line->client, &err) != 0) {
		line->over = true;
		error_move(&line->why, &err);
	}
	tell(line);
}

/* Observers poll the socket themselves: they are told only where they would find nothing there. */
void client_line_take_in(struct client_line *line)
{
	struct pollfd p = { .fd = ttrpc_client_fd(line->client), .events = POLLIN };

	if (!line->over && poll(&p, 1, 0) > 0)
		pump(line);
}

static int left_of(int64_t deadline_ms)
{
	int64_t left;

	if (deadline_ms < 0)
		return -1;
	left = deadline_ms - clock_monotonic_ms();
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* Takes in frames for all, once. 0, or -ECANCELED. */
static int lead(struct client_line *line, int64_t deadline_ms)
{
	struct pollfd p[] = {
		{ .fd = ttrpc_client_fd(line->client), .events = POLLIN },
		{ .fd = line->wake_fd, .events = POLLIN },
		{ .fd = line->interrupt_fd, .events = POLLIN },
	};
	uint64_t count;

	if (ttrpc_client_wants_write(line->client))
		p[0].events |= POLLOUT;
	line->has_leader = true;
	pthread_mutex_unlock(&line->lock);
	if (poll(p, 3, left_of(deadline_ms)) < 0)
		p[0].revents = p[1].revents = p[2].revents = 0; /* EINTR: the caller looks again */
	pthread_mutex_lock(&line->lock);
	line->has_leader = false;
	if (p[1].revents)
		while (read(line->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
			;
	if (p[0].revents)
		pump(line);
	else
		pthread_cond_broadcast(&line->changed); /* one of them is the next */
	return p[2].revents ? -ECANCELED : 0;
}

/* Waits for the leader, or to be the next. */
static void follow(struct client_line *line, int64_t deadline_ms)
{
	struct timespec t = { deadline_ms / 1000, deadline_ms % 1000 * 1000000 };

	if (deadline_ms < 0)
		pthread_cond_wait(&line->changed, &line->lock);
	else
		pthread_cond_timedwait(&line->changed, &line->lock, &t);
}

int client_line_await(
	struct client_line *line, bool (*done)(void *userdata), void *userdata, int64_t deadline_ms)
{
	int r = 0;

	while (r == 0 && !done(userdata) && !line->over) {
		if (deadline_ms >= 0 && clock_monotonic_ms() >= deadline_ms)
			return -ETIMEDOUT;
		if (line->has_leader)
			follow(line, deadline_ms);
		else
			r = lead(line, deadline_ms);
	}
	return r;
}

/* --- lines --- */

static void line_free(struct client_line *line)
{
	client_line_drop_shared(line);
	ttrpc_client_free(line->client);
	fd_close(&line->wake_fd);
	error_clear(&line->why);
	pthread_cond_destroy(&line->changed);
	pthread_mutex_destroy(&line->lock);
	free(line->path);
	free(line);
}

static int line_new(
	struct client_lines *lines, const char *path, struct client_line **ret, struct error *err)
{
	struct client_line *line = calloc(1, sizeof(*line));
	pthread_condattr_t monotonic;
	int r;

	if (!line)
		return error_errno(err, -ENOMEM, "%s", path);
	pthread_mutex_init(&line->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&line->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	line->lines = lines;
	line->n_holders = 1;
	line->interrupt_fd = -1;
	line->why = ERROR_INIT;
	list_init(&line->lines_link);
	list_init(&line->observers);
	list_init(&line->shared);
	line->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	line->path = strdup(path);
	r = line->wake_fd < 0 || !line->path
		    ? error_errno(err, line->path ? -errno : -ENOMEM, "%s", path)
		    : ttrpc_client_connect(path, NULL, &line->client, err);
	if (r != 0)
		line_free(line);
	else
		*ret = line;
	return r;
}

int client_lines_new(struct client_lines **ret)
{
	struct client_lines *lines = calloc(1, sizeof(*lines));

	if (!lines)
		return -ENOMEM;
	pthread_mutex_init(&lines->lock, NULL);
	list_init(&lines->lines);
	*ret = lines;
	return 0;
}

void client_lines_free(struct client_lines *lines)
{
	if (!lines)
		return;
	pthread_mutex_destroy(&lines->lock);
	free(lines);
}

/* Whether its peer is still there. */
static bool is_open(struct client_line *line)
{
	bool over;

	pthread_mutex_lock(&line->lock);
	client_line_take_in(line);
	over = line->over;
	pthread_mutex_unlock(&line->lock);
	return !over;
}

/* Under the lock of lines. */
static struct client_line *find(struct client_lines *lines, const char *path)
{
	struct list *pos, *next;

	list_for_each_safe (pos, next, &lines->lines) {
		struct client_line *line = list_entry(pos, struct client_line, lines_link);

		if (strcmp(line->path, path) != 0)
			continue;
		if (is_open(line))
			return line;
		list_unlink(&line->lines_link); /* its holders go on to hold it */
	}
	return NULL;
}

int client_lines_get(
	struct client_lines *lines, const char *path, struct client_line **ret, struct error *err)
{
	struct client_line *line, *found;
	int r;

	pthread_mutex_lock(&lines->lock);
	line = find(lines, path);
	if (line)
		line->n_holders++;
	pthread_mutex_unlock(&lines->lock);
	if (line) {
		*ret = line;
		return 0;
	}
	/* connecting may wait, which is nobody else's business */
	r = line_new(lines, path, &line, err);
	if (r != 0)
		return r;
	pthread_mutex_lock(&lines->lock);
	found = find(lines, path);
	if (found)
		found->n_holders++;
	else
		list_append(&lines->lines, &line->lines_link);
	pthread_mutex_unlock(&lines->lock);
	if (found)
		line_free(line);
	*ret = found ? found : line;
	return 0;
}

struct client_line *client_line_hold(struct client_line *line)
{
	pthread_mutex_lock(&line->lines->lock);
	line->n_holders++;
	pthread_mutex_unlock(&line->lines->lock);
	return line;
}

void client_line_drop(struct client_line *line)
{
	struct client_lines *lines;
	bool last;

	if (!line)
		return;
	lines = line->lines;
	pthread_mutex_lock(&lines->lock);
	last = --line->n_holders == 0;
	if (last)
		list_unlink(&line->lines_link);
	pthread_mutex_unlock(&lines->lock);
	if (last)
		line_free(line);
}

int client_line_fd(const struct client_line *line)
{
	return ttrpc_client_fd(line->client);
}

void client_line_interrupt_by(struct client_line *line, int fd)
{
	line->interrupt_fd = fd;
}

static bool never(void *userdata)
{
	(void)userdata;
	return false;
}

bool client_line_is_over(struct client_line *line)
{
	bool over;

	pthread_mutex_lock(&line->lock);
	over = line->over;
	pthread_mutex_unlock(&line->lock);
	return over;
}

void client_line_await_end(struct client_line *line, int timeout_ms)
{
	pthread_mutex_lock(&line->lock);
	client_line_await(line, never, NULL, clock_monotonic_ms() + timeout_ms);
	pthread_mutex_unlock(&line->lock);
}

/* --- calls --- */

struct waiting {
	struct client_line *line;
	uint32_t stream;
};

static bool has_answer(void *userdata)
{
	const struct waiting *w = userdata;

	return ttrpc_client_is_ready(w->line->client, w->stream);
}

/* Under the lock. Why no answer comes. */
static int no_answer(const struct client_line *line, int r, const char *method, struct error *err)
{
	if (r == -ETIMEDOUT)
		return error_set(err, CODE_DEADLINE_EXCEEDED, "%s: no answer in time", method);
	if (r < 0)
		return error_errno(err, r, "%s", method);
	return client_line_ended(line, err);
}

int client_line_ended(const struct client_line *line, struct error *err)
{
	return error_set(err, line->why.code, "%s", error_message(&line->why));
}

static int call_locked(struct client_line *line, const struct ttrpc_request *request,
	ProtobufCMessage **ret, struct error *err)
{
	struct waiting w = { .line = line };
	int64_t deadline_ms = -1;
	int r;

	if (line->over)
		return client_line_ended(line, err);
	if (request->timeout_ms > 0)
		deadline_ms = clock_monotonic_ms() + request->timeout_ms + GRACE_MS;
	r = client_line_post(line, request, &w.stream, err);
	if (r != 0)
		return r;
	r = client_line_await(line, has_answer, &w, deadline_ms);
	if (r == 0 && ttrpc_client_has_answer(line->client, w.stream))
		return ttrpc_client_take(line->client, w.stream, ret, err);
	ttrpc_client_forget(line->client, w.stream);
	return no_answer(line, r, request->method, err);
}

int client_line_post(struct client_line *line, const struct ttrpc_request *request,
	uint32_t *ret_stream, struct error *err)
{
	int r = ttrpc_client_post(line->client, request, false, ret_stream, err);

	/* what did not fit is the leader's to send, who does not know yet */
	if (r == 0 && ttrpc_client_wants_write(line->client))
		client_line_wake(line);
	return r;
}

int client_line_call(struct client_line *line, const struct ttrpc_request *request,
	ProtobufCMessage **ret, struct error *err)
{
	int r;

	pthread_mutex_lock(&line->lock);
	r = call_locked(line, request, ret, err);
	pthread_mutex_unlock(&line->lock);
	return r;
}
