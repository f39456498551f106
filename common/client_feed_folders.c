/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which shims a feed subscribes to: those that have folders, and those that come. Subtle: a
 * container's folder is there before its shim listens, and shim.json tells when it does; so a folder
 * without one is watched until it appears. The watch is set before the look, or what happens in
 * between would be missed. The kernel tells an overflow of its queue with the number -1, which is what
 * a source without a watch has.
 */
#include "common/client_feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/client_feed_private.h"
#include "common/ids.h"
#include "common/state_dir.h"

/* Watches a folder whose shim does not listen yet. */
static void watch_folder(struct client_source *s)
{
	const struct client_place *place = s->feed->place;
	_cleanup_free_ char *path = NULL;

	if (s->wd >= 0 || s->feed->inotify_fd < 0)
		return;
	if (asprintf(&path, "%s/c/%s/%s", place->root, place->ns, s->id) < 0) {
		path = NULL;
		return;
	}
	s->wd = inotify_add_watch(s->feed->inotify_fd, path, IN_MOVED_TO | IN_ONLYDIR);
}

void client_source_unwatch(struct client_source *s)
{
	if (s->wd >= 0)
		inotify_rm_watch(s->feed->inotify_fd, s->wd);
	s->wd = -1;
}

int client_source_find(struct client_source *s, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_(shim_record_deinit) struct shim_record shim = { 0 };
	const struct client_place *place = s->feed->place;
	_cleanup_error_ struct error why = ERROR_INIT;
	int r;

	if (!s->feed->is_single)
		watch_folder(s);
	r = state_dir_open(place->root, place->ns, s->id, &dir, err);
	if (r != 0)
		return r;
	r = shim_record_read(&dir, &shim, &why);
	if (r == 0)
		r = client_source_connect(s, shim.socket, false, &why);
	if (r == 0) {
		client_source_unwatch(s);
		return 0;
	}
	if (!state_dir_is_locked(&dir))
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: is orphaned: nobody tells its events", s->id);
	if ((r == CODE_NOT_FOUND || r == CODE_UNAVAILABLE) && s->wd >= 0)
		return 0;
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

static struct client_source *find_source(struct client_feed *feed, const char *id, int wd)
{
	struct list *pos;

	list_for_each (pos, &feed->sources) {
		struct client_source *s = list_entry(pos, struct client_source, feed_link);

		if (id ? strcmp(s->id, id) == 0 : s->wd == wd)
			return s;
	}
	return NULL;
}

/* A container that cannot be followed (an orphan, one that has gone) is none. */
static int follow(struct client_feed *feed, const char *id, bool from_start)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct client_source *s = find_source(feed, id, -1);

	if (s) {
		s->again = true;
		return 0;
	}
	if (client_source_new(feed, id, from_start, &s, &err) != 0)
		return -ENOMEM;
	if (client_source_find(s, &err) != 0)
		client_source_free(s);
	return 0;
}

static int follow_existing(const char *ns, const char *id, void *userdata)
{
	(void)ns;
	return follow(userdata, id, false);
}

static int follow_new(const char *ns, const char *id, void *userdata)
{
	(void)ns;
	return follow(userdata, id, true);
}

/* Its shim may listen by now. */
static void retry(struct client_source *s)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (s->wd < 0 || client_source_find(s, &err) != 0)
		client_source_free(s);
}

/* There was more to tell than the kernel kept: looks for all of it. */
static int rescan(struct client_feed *feed)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct list *pos, *next;
	int r;

	list_for_each_safe (pos, next, &feed->sources) {
		struct client_source *s = list_entry(pos, struct client_source, feed_link);

		if (s->wd >= 0)
			retry(s);
	}
	r = state_each(feed->place->root, feed->place->ns, follow_new, feed, &err);
	return r < 0 ? r : 0;
}

static int on_changed(struct client_feed *feed, const struct inotify_event *e)
{
	struct client_source *s;

	if (e->mask & IN_Q_OVERFLOW)
		return rescan(feed);
	if (e->wd == feed->namespace_wd)
		return e->len > 0 && id_is_valid(e->name) ? follow(feed, e->name, true) : 0;
	s = find_source(feed, NULL, e->wd);
	if (!s)
		return 0;
	if (e->mask & IN_IGNORED)
		s->wd = -1;
	retry(s);
	return 0;
}

int client_feed_look_at_folders(struct client_feed *feed)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read(feed->inotify_fd, buffer, sizeof(buffer))) > 0) {
		for (const char *p = buffer; p < buffer + n && r == 0;) {
			const struct inotify_event *e = (const void *)p;

			r = on_changed(feed, e);
			p += sizeof(*e) + e->len;
		}
	}
	return r;
}

int client_feed_watch_folders(struct client_feed *feed, struct error *err)
{
	const struct client_place *place = feed->place;
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = &feed->inotify_fd };
	_cleanup_free_ char *path = NULL;
	int r = state_prepare(place->root, place->ns, err);

	if (r != 0)
		return r;
	if (asprintf(&path, "%s/c/%s", place->root, place->ns) < 0) {
		path = NULL;
		return error_errno(err, -ENOMEM, "events");
	}
	feed->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (feed->inotify_fd < 0)
		return error_errno(err, -errno, "inotify");
	feed->namespace_wd =
		inotify_add_watch(feed->inotify_fd, path, IN_MOVED_TO | IN_CREATE | IN_ONLYDIR);
	if (feed->namespace_wd < 0 ||
		epoll_ctl(feed->epoll_fd, EPOLL_CTL_ADD, feed->inotify_fd, &e) < 0)
		return error_errno(err, -errno, "%s", path);
	return state_each(place->root, place->ns, follow_existing, feed, err);
}
