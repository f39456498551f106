/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscriptions. Prints nothing. Subtle: a container's folder is there before its shim listens,
 * and shim.json tells when it does; so a folder without one is watched until it appears. The
 * watch is set before the look, or what happens in between would be missed. The kernel tells an
 * overflow of its queue with the number -1, which is what a source without a watch has.
 */
#include "supervisor/cli/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/ids.h"
#include "common/state_dir.h"
#include "common/ttrpc_client.h"
#include "supervisor/cli/cli.h"
#include "common/client_rpc.h"
#include "common/client_target.h"
#include "common/client_call.h"

struct source {
	struct list feed_link;
	struct feed *feed;
	char *id; /* "" until --shim's has told its own */
	struct client_target target;
	int wd;		 /* of its folder, until its shim is there; -1 */
	bool from_start; /* it came while we watched: all of it is wanted */
	bool again;	 /* a new folder of that name came meanwhile */
};

static int source_connect(struct source *s, struct error *err);

static void source_free(struct source *s)
{
	if (s->wd >= 0)
		inotify_rm_watch(s->feed->inotify_fd, s->wd);
	list_unlink(&s->feed_link);
	client_target_close(&s->target);
	free(s->id);
	free(s);
}

static void feed_fail(struct feed *feed, const struct error *err)
{
	if (feed->failure.code == CODE_OK)
		error_set(&feed->failure, err->code, "%s", error_message(err));
	event_base_loopbreak(feed->base);
}

/* --- one shim --- */

/* Its shim has ended. In its own client's callback: that must not be freed before we return. */
static void source_ended(struct source *s)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	bool again = s->again;

	if (s->feed->single) {
		event_base_loopbreak(s->feed->base);
		return;
	}
	s->again = false;
	client_target_close(&s->target);
	s->from_start = true;
	if (!again || source_connect(s, &ignored) != 0)
		source_free(s);
}

static void on_event(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	_cleanup_error_ struct error failed = ERROR_INIT;
	struct source *s = userdata;
	struct feed *feed = s->feed;

	if (message) {
		if (feed->on_event(s->id, (const void *)message, feed->userdata, &failed) != 0)
			feed_fail(feed, &failed);
		return;
	}
	if (code != 0 && code != CODE_UNAVAILABLE && feed->single)
		feed_fail(feed, err);
	else
		source_ended(s);
}

static void subscribe(struct source *s, uint64_t epoch, uint64_t since)
{
	Cleat__Shim__V1__SubscribeRequest m = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
	const struct ttrpc_request request = client_rpc_request(&rpc_subscribe, &m.base, 0);
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_pending *pending;

	m.epoch = epoch;
	m.since = since;
	if (ttrpc_client_begin(s->target.client, &request, 1, on_event, s, &pending, &err) != 0)
		feed_fail(s->feed, &err);
}

static void on_info(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Cleat__Shim__V1__InfoResponse *info = (const void *)message;
	struct source *s = userdata;
	struct feed *feed = s->feed;
	char *id;

	if (code != 0) {
		if (feed->single)
			feed_fail(feed, err);
		else
			source_ended(s);
		return;
	}
	id = strdup(info->id);
	if (id) {
		free(s->id);
		s->id = id;
	}
	if (s->from_start)
		subscribe(s, info->epoch, 0);
	else
		subscribe(s, info->epoch, feed->has_since ? feed->since : info->next_seq - 1);
}

static int ask_info(struct source *s, struct error *err)
{
	Cleat__Shim__V1__InfoRequest m = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	const struct ttrpc_request request = client_rpc_request(&rpc_info, &m.base, 0);
	struct ttrpc_pending *pending;

	return ttrpc_client_begin(s->target.client, &request, 0, on_info, s, &pending, err);
}

/* Watches a folder whose shim does not listen yet. */
static void watch_folder(struct source *s)
{
	struct feed *feed = s->feed;
	_cleanup_free_ char *path = NULL;

	if (s->wd >= 0 || feed->inotify_fd < 0)
		return;
	if (asprintf(&path, "%s/c/%s/%s", feed->cli->place.root, feed->cli->place.ns, s->id) < 0) {
		path = NULL;
		return;
	}
	s->wd = inotify_add_watch(feed->inotify_fd, path, IN_MOVED_TO | IN_ONLYDIR);
}

/* 0 also while its shim is awaited (then the folder is watched). */
static int source_connect(struct source *s, struct error *err)
{
	struct feed *feed = s->feed;
	int r;

	if (!feed->single)
		watch_folder(s);
	r = client_target_open(
		&feed->cli->place, *s->id ? s->id : NULL, feed->base, &s->target, err);
	if (r == 0 && !s->target.client) {
		client_target_close(&s->target);
		r = error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: is orphaned: nobody tells its events", s->id);
	}
	if (r == CODE_UNAVAILABLE && s->wd >= 0) {
		error_clear(err);
		return 0;
	}
	if (r != 0)
		return r;
	if (s->wd >= 0)
		inotify_rm_watch(feed->inotify_fd, s->wd);
	s->wd = -1;
	return ask_info(s, err);
}

static int source_new(
	struct feed *feed, const char *id, bool from_start, struct source **ret, struct error *err)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return error_errno(err, -ENOMEM, "events");
	s->feed = feed;
	s->target = CLIENT_TARGET_INIT;
	s->wd = -1;
	s->from_start = from_start;
	list_init(&s->feed_link);
	s->id = strdup(id ? id : "");
	if (!s->id) {
		free(s);
		return error_errno(err, -ENOMEM, "events");
	}
	list_append(&feed->sources, &s->feed_link);
	*ret = s;
	return 0;
}

/* --- every shim --- */

static struct source *find_source(struct feed *feed, const char *id, int wd)
{
	struct list *pos;

	list_for_each (pos, &feed->sources) {
		struct source *s = list_entry(pos, struct source, feed_link);

		if (id ? strcmp(s->id, id) == 0 : s->wd == wd)
			return s;
	}
	return NULL;
}

/* A container that cannot be followed (an orphan, one that has gone) is none. */
static int follow(struct feed *feed, const char *id, bool from_start)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct source *s = find_source(feed, id, -1);

	if (s) {
		s->again = true;
		return 0;
	}
	if (source_new(feed, id, from_start, &s, &err) != 0)
		return -ENOMEM;
	if (source_connect(s, &err) != 0)
		source_free(s);
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
static void source_retry(struct source *s)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (s->wd < 0 || source_connect(s, &err) != 0)
		source_free(s);
}

/* There was more to tell than the kernel kept: looks for all of it. */
static void rescan(struct feed *feed)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct list *pos, *next;

	list_for_each_safe (pos, next, &feed->sources) {
		struct source *s = list_entry(pos, struct source, feed_link);

		if (s->wd >= 0)
			source_retry(s);
	}
	if (state_each(feed->cli->place.root, feed->cli->place.ns, follow_new, feed, &err) > 0)
		feed_fail(feed, &err);
}

static void on_folder_changed(struct feed *feed, const struct inotify_event *e)
{
	struct source *s;

	if (e->mask & IN_Q_OVERFLOW) {
		rescan(feed);
		return;
	}
	if (e->wd == feed->namespace_wd) {
		if (e->len > 0 && id_is_valid(e->name))
			follow(feed, e->name, true);
		return;
	}
	s = find_source(feed, NULL, e->wd);
	if (!s)
		return;
	if (e->mask & IN_IGNORED)
		s->wd = -1;
	source_retry(s);
}

static void on_inotify(evutil_socket_t fd, short what, void *userdata)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	(void)what;
	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		for (const char *p = buffer; p < buffer + n;) {
			const struct inotify_event *e = (const void *)p;

			on_folder_changed(userdata, e);
			p += sizeof(*e) + e->len;
		}
	}
}

static int watch_namespace(struct feed *feed, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	int r = state_prepare(feed->cli->place.root, feed->cli->place.ns, err);

	if (r != 0)
		return r;
	if (asprintf(&path, "%s/c/%s", feed->cli->place.root, feed->cli->place.ns) < 0) {
		path = NULL;
		return error_errno(err, -ENOMEM, "events");
	}
	feed->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (feed->inotify_fd < 0)
		return error_errno(err, -errno, "inotify");
	feed->namespace_wd =
		inotify_add_watch(feed->inotify_fd, path, IN_MOVED_TO | IN_CREATE | IN_ONLYDIR);
	if (feed->namespace_wd < 0)
		return error_errno(err, -errno, "%s", path);
	feed->inotify_event =
		event_new(feed->base, feed->inotify_fd, EV_READ | EV_PERSIST, on_inotify, feed);
	if (!feed->inotify_event || event_add(feed->inotify_event, NULL) < 0)
		return error_errno(err, -ENOMEM, "events");
	return state_each(feed->cli->place.root, feed->cli->place.ns, follow_existing, feed, err);
}

/* --- the whole --- */

static int begin(struct feed *feed, const char *id, struct error *err)
{
	struct source *s;
	int r;

	if (!feed->single)
		return watch_namespace(feed, err);
	r = source_new(feed, id, false, &s, err);
	return r == 0 ? source_connect(s, err) : r;
}

static void end(struct feed *feed)
{
	struct source *s;

	while ((s = list_first(&feed->sources, struct source, feed_link)))
		source_free(s);
	if (feed->inotify_event)
		event_free(feed->inotify_event);
	fd_close(&feed->inotify_fd);
	error_clear(&feed->failure);
}

int feed_run(struct feed *feed, const char *id, struct error *err)
{
	int r;

	list_init(&feed->sources);
	feed->failure = ERROR_INIT;
	feed->inotify_fd = feed->namespace_wd = -1;
	feed->inotify_event = NULL;
	feed->single = id || feed->cli->place.via == CLIENT_VIA_SHIM;
	r = begin(feed, id, err);
	if (r == 0) {
		event_base_dispatch(feed->base);
		r = (int)feed->failure.code;
		if (r != 0)
			error_move(err, &feed->failure);
	}
	end(feed);
	return r;
}
