/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which shims a feed subscribes to: those that have folders, and those that come. Subtle: a
 * container's folder is there before its shim listens, and shim.json tells when it does: a source of
 * a folder without one waits until it is told of again. It is looked for once more after that was asked
 * for, or what happens in between would be missed.
 */
#include "common/client_feed.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/cleanup.h"
#include "common/client_feed_private.h"
#include "common/state_dir.h"

/* 0, CODE_NOT_FOUND while it is not there (of many, it is told of when it is), or a code. */
static int read_shim(const struct client_source *s, const struct state_dir *dir,
	struct shim_record *ret, struct error *err)
{
	const struct client_feed *feed = s->feed;
	int r = shim_record_read(dir, ret, err);

	if (r != CODE_NOT_FOUND || !feed->watch ||
		state_watch_await(feed->watch, feed->place->ns, s->id) < 0)
		return r;
	return shim_record_read(dir, ret, err);
}

int client_source_find(struct client_source *s, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_(shim_record_deinit) struct shim_record shim = { 0 };
	const struct client_place *place = s->feed->place;
	_cleanup_error_ struct error why = ERROR_INIT;
	int r = state_dir_open(place->root, place->ns, s->id, &dir, err);

	if (r != 0)
		return r;
	r = read_shim(s, &dir, &shim, &why);
	if (r == CODE_NOT_FOUND && !s->feed->is_single && state_dir_is_locked(&dir))
		return 0; /* it is told of again */
	if (r == 0)
		r = client_source_connect(s, shim.socket, false, &why);
	if (r == 0)
		return 0;
	if (!state_dir_is_locked(&dir))
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: is orphaned: nobody tells its events", s->id);
	if (r == CODE_NOT_FOUND || r == CODE_UNAVAILABLE)
		return error_set(err, CODE_UNAVAILABLE,
			"container %s: its shim is starting or ending and takes no call", s->id);
	error_move(err, &why);
	return client_wrap(err, s->id);
}

void client_source_ended(struct client_source *s)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	bool again = s->again;

	s->again = false;
	ttrpc_client_free(s->client);
	s->client = NULL;
	s->from_start = true;
	if (!again || client_source_find(s, &ignored) != 0)
		client_source_free(s);
}

/* --- every container --- */

static struct client_source *find_source(struct client_feed *feed, const char *id)
{
	struct list *pos;

	list_for_each (pos, &feed->sources) {
		struct client_source *s = list_entry(pos, struct client_source, feed_link);

		if (strcmp(s->id, id) == 0)
			return s;
	}
	return NULL;
}

/* A container that cannot be followed (an orphan, one that has gone) is none. */
static void on_folder(const char *ns, const char *id, void *userdata)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct client_feed *feed = userdata;
	struct client_source *s = find_source(feed, id);

	(void)ns;
	if (s && s->client) {
		s->again = true;
		return;
	}
	if (!s && client_source_new(feed, id, feed->is_watching, &s, &err) != 0)
		return;
	if (client_source_find(s, &err) != 0)
		client_source_free(s);
}

/* What it has said before it went is still to be told, and its end ends it. */
static void on_gone(const char *ns, const char *id, void *userdata)
{
	struct client_source *s = find_source(userdata, id);

	(void)ns;
	if (s && !s->client)
		client_source_free(s);
}

static void on_rescan(void *userdata)
{
	(void)userdata;
}

/* Those that were without a shim while the watch was not known yet. */
static void look_again(struct client_feed *feed)
{
	struct list *pos, *next;

	list_for_each_safe (pos, next, &feed->sources) {
		struct client_source *s = list_entry(pos, struct client_source, feed_link);
		_cleanup_error_ struct error err = ERROR_INIT;

		if (!s->client && client_source_find(s, &err) != 0)
			client_source_free(s);
	}
}

int client_feed_watch_folders(struct client_feed *feed, struct error *err)
{
	const struct client_place *place = feed->place;
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = &feed->watch };
	int r;

	feed->handlers = (struct state_watch_handlers){
		.on_folder = on_folder,
		.on_gone = on_gone,
		.on_rescan_begin = on_rescan,
		.on_rescan_end = on_rescan,
		.userdata = feed,
	};
	r = state_watch_new(place->root, place->ns, &feed->handlers, &feed->watch, err);
	if (r != 0)
		return r;
	look_again(feed);
	feed->is_watching = true;
	if (epoll_ctl(feed->epoll_fd, EPOLL_CTL_ADD, state_watch_fd(feed->watch), &e) < 0)
		return error_errno(err, -errno, "%s", place->root);
	return 0;
}
