/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscriptions. Which shims there are to subscribe to is watched in client_feed_folders.c; what follows
 * on cleatd's end is in client_feed_leave.c. Subtle:
 * one readiness may bring several events, of which one is told at a time; as long as more of them
 * wait here, the feed's descriptor is readable by a counter of its own.
 */
#include "common/client_feed.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/client_feed_private.h"
#include "common/cleanup.h"
#include "common/client_rpc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/ids.h"
#include "common/pbtime.h"
#include "supervisor.pb-c.h"

/* --- one source --- */

void client_source_free(struct client_source *s)
{
	list_unlink(&s->feed_link);
	ttrpc_client_free(s->client);
	free(s->id);
	free(s);
}

int client_source_new(struct client_feed *feed, const char *id, bool from_start,
	struct client_source **ret, struct error *err)
{
	struct client_source *s = calloc(1, sizeof(*s));

	if (!s)
		return error_errno(err, -ENOMEM, "events");
	s->feed = feed;
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

static int post(struct client_source *s, const struct client_rpc *rpc, const ProtobufCMessage *m,
	bool stream, struct error *err)
{
	const struct ttrpc_metadata ns = { CLIENT_NAMESPACE_KEY, s->feed->place->ns };
	struct ttrpc_request request = client_rpc_request(rpc, m, 0);

	if (s->is_hub) {
		request.metadata = &ns;
		request.n_metadata = 1;
	}
	return ttrpc_client_post(s->client, &request, stream, &s->stream, err);
}

static int subscribe(struct client_source *s, uint64_t epoch, uint64_t since, struct error *err)
{
	Cleat__Shim__V1__SubscribeRequest m = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
	Cleat__V1__SubscribeRequest hub = CLEAT__V1__SUBSCRIBE_REQUEST__INIT;

	s->is_following = true;
	if (!s->is_hub) {
		m.epoch = epoch;
		m.since = since;
		return post(s, &rpc_subscribe, &m.base, true, err);
	}
	hub.id = s->id;
	hub.epoch = epoch;
	hub.since = since;
	hub.from_now = !*s->id && s->feed->options.from_now;
	return post(s, &hub_subscribe, &hub.base, true, err);
}

static int ask_info(struct client_source *s, struct error *err)
{
	Cleat__Shim__V1__InfoRequest m = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	Cleat__V1__GetRequest hub = CLEAT__V1__GET_REQUEST__INIT;

	s->is_following = false;
	if (!s->is_hub)
		return post(s, &rpc_info, &m.base, false, err);
	hub.id = s->id;
	return post(s, &hub_container, &hub.base, false, err);
}

/* What cleatd did not come to tell. */
static bool resume(struct client_source *s, int *ret, struct error *err)
{
	uint64_t epoch, seq;

	if (!s->feed->has_left)
		return false;
	if (client_feed_was_told(s->feed, s->id, &epoch, &seq)) {
		*ret = subscribe(s, epoch, seq, err);
		return true;
	}
	s->only_new = s->feed->options.from_now;
	if (!s->only_new)
		return false;
	*ret = subscribe(s, 0, 0, err);
	return true;
}

/* Who counts, and how far, has to be asked first, or the container's id; but not about many at cleatd. */
static int begin(struct client_source *s, struct error *err)
{
	const struct client_feed_options *o = &s->feed->options;
	bool ask = o->from_now || o->is_any_epoch || !*s->id;

	int r;

	if (resume(s, &r, err))
		return r;
	if (s->is_hub && !*s->id)
		ask = false;
	if (ask)
		return ask_info(s, err);
	return s->from_start ? subscribe(s, 0, 0, err) : subscribe(s, o->epoch, o->since, err);
}

int client_source_connect(struct client_source *s, const char *path, bool is_hub, struct error *err)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };
	int r = ttrpc_client_connect(path, NULL, &s->client, err);

	if (r != 0)
		return r;
	s->is_hub = is_hub;
	r = begin(s, err);
	if (r == 0 &&
		epoll_ctl(s->feed->epoll_fd, EPOLL_CTL_ADD, ttrpc_client_fd(s->client), &e) < 0)
		r = error_errno(err, -errno, "events");
	if (r != 0) {
		ttrpc_client_free(s->client);
		s->client = NULL;
	}
	return r;
}

/* --- what comes --- */

static int use_info(
	struct client_source *s, const Cleat__Shim__V1__InfoResponse *info, struct error *err)
{
	const struct client_feed_options *o = &s->feed->options;
	char *id = *s->id ? NULL : strdup(info->id);

	if (id) {
		free(s->id);
		s->id = id;
	}
	if (s->from_start)
		return subscribe(s, info->epoch, 0, err);
	if (o->from_now)
		return subscribe(s, info->epoch, info->next_seq - 1, err);
	return subscribe(s, o->is_any_epoch ? info->epoch : o->epoch, o->since, err);
}

static int take_info(struct client_source *s, struct error *err)
{
	const Cleat__Shim__V1__InfoResponse *info;
	ProtobufCMessage *message;
	int r = ttrpc_client_take(s->client, s->stream, &message, err);

	if (r != 0)
		return r;
	info = s->is_hub ? ((const Cleat__V1__GetResponse *)message)->info : (const void *)message;
	if (info)
		r = use_info(s, info, err);
	else
		r = error_set(err, CODE_INTERNAL, "container %s: nothing is told of it", s->id);
	protobuf_c_message_free_unpacked(message, NULL);
	return r;
}

static void keep(struct client_feed *feed, struct client_source *s, ProtobufCMessage *message)
{
	const Cleat__V1__ContainerEvent *hub = (const void *)message;

	protobuf_c_message_free_unpacked(feed->message, NULL);
	feed->message = message;
	feed->event = s->is_hub ? hub->event : (const void *)message;
	free(feed->event_id);
	feed->event_id = strdup(s->is_hub ? hub->id : s->id);
	if (s->is_hub && !*s->id && feed->event && feed->event_id)
		client_feed_note(feed, feed->event_id, feed->event->epoch, feed->event->seq);
}

static bool is_wanted(const struct client_source *s)
{
	const struct client_feed *feed = s->feed;

	return feed->event && feed->event_id &&
	       !(s->only_new && pbtime_get(feed->event->time) < feed->began);
}

/* Takes one thing that has come. 0, CODE_OUT_OF_RANGE at its proper end, or a code. */
static int take_one(struct client_source *s, bool *ret_event, struct error *err)
{
	struct client_feed *feed = s->feed;
	ProtobufCMessage *message = NULL;
	int r;

	*ret_event = false;
	if (!s->is_following)
		return take_info(s, err);
	r = ttrpc_client_take(s->client, s->stream, &message, err);
	if (r != 0)
		return r;
	if (!message)
		return error_set(
			err, CODE_UNAVAILABLE, "container %s: its events have ended", s->id);
	keep(feed, s, message);
	*ret_event = is_wanted(s);
	return 0;
}

/*
 * One more event, of the first source that has one; those that have ended go. 0 and *ret_event, 0
 * without, or a code where the feed is over.
 */
static int look(struct client_feed *feed, bool *ret_event, struct error *err)
{
	struct list *pos, *next;

	*ret_event = false;
	list_for_each_safe (pos, next, &feed->sources) {
		struct client_source *s = list_entry(pos, struct client_source, feed_link);
		_cleanup_error_ struct error why = ERROR_INIT;
		int r = 0;

		while (r == 0 && !*ret_event && s->client &&
			ttrpc_client_is_ready(s->client, s->stream))
			r = take_one(s, ret_event, &why);
		if (*ret_event)
			return 0;
		if (r == 0)
			continue;
		/* the folders will do; what they have is told by the looks to come */
		if (r == CODE_UNAVAILABLE && s->is_hub && !*s->id && feed->place->falls_back)
			return client_feed_leave(feed, err);
		if (feed->is_single) {
			feed->is_over = true;
			if (r != CODE_UNAVAILABLE || s->is_hub)
				error_move(&feed->failure, &why);
			return 0;
		}
		client_source_ended(s);
	}
	return 0;
}

/* What has been told of the end is told again. */
static int tell_end(const struct client_feed *feed, struct error *err)
{
	if (feed->failure.code == CODE_OK)
		return 0;
	return error_set(err, feed->failure.code, "%s", error_message(&feed->failure));
}

static void set_more(struct client_feed *feed)
{
	const uint64_t one = 1;
	uint64_t count;
	struct list *pos;

	while (read(feed->more_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	list_for_each (pos, &feed->sources) {
		struct client_source *s = list_entry(pos, struct client_source, feed_link);

		if (!s->client || !ttrpc_client_is_ready(s->client, s->stream))
			continue;
		while (write(feed->more_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
		return;
	}
}

/* Takes in what has come. 0 or -errno. */
static int wait_once(struct client_feed *feed, int64_t deadline_ms)
{
	int64_t left = deadline_ms < 0 ? -1 : deadline_ms - clock_monotonic_ms();
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct epoll_event e;
	int n;

	if (deadline_ms >= 0 && left < 0)
		left = 0;
	n = epoll_wait(feed->epoll_fd, &e, 1, left > INT_MAX ? INT_MAX : (int)left);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0 || e.data.ptr == feed)
		return 0;
	if (e.data.ptr == &feed->watch) {
		state_watch_dispatch(feed->watch);
		return 0;
	}
	/* what is over is told by the look that follows */
	ttrpc_client_pump(((struct client_source *)e.data.ptr)->client, &ignored);
	return 0;
}

int client_feed_next(struct client_feed *feed, int64_t timeout_ms, const char **ret_id,
	const Cleat__Shim__V1__Event **ret, struct error *err)
{
	int64_t deadline_ms = timeout_ms < 0 ? -1 : clock_monotonic_ms() + timeout_ms;
	bool found = false, late = false;
	int r;

	*ret = NULL;
	for (;;) {
		r = feed->is_over ? 0 : look(feed, &found, err);
		if (r != 0 || found || feed->is_over)
			break;
		if (late)
			return error_set(err, CODE_DEADLINE_EXCEEDED, "events: none has come");
		late = deadline_ms >= 0 && clock_monotonic_ms() >= deadline_ms;
		r = wait_once(feed, deadline_ms);
		if (r < 0)
			return error_errno(err, r, "events");
	}
	if (r == 0 && feed->is_over)
		r = tell_end(feed, err);
	set_more(feed);
	if (found) {
		*ret = feed->event;
		*ret_id = feed->event_id;
	} else if (r == 0) {
		error_clear(err);
	}
	return r;
}

int client_feed_fd(const struct client_feed *feed)
{
	return feed->epoll_fd;
}

/* --- the whole --- */

static int feed_new(const struct client_place *place, const struct client_feed_options *options,
	struct client_feed **ret)
{
	struct client_feed *feed = calloc(1, sizeof(*feed));
	struct epoll_event e = { .events = EPOLLIN };

	if (!feed)
		return -ENOMEM;
	e.data.ptr = feed;
	feed->place = place;
	feed->options = *options;
	feed->began = clock_now();
	feed->failure = ERROR_INIT;
	list_init(&feed->sources);
	list_init(&feed->places);
	feed->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	feed->more_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*ret = feed;
	if (feed->epoll_fd < 0 || feed->more_fd < 0 ||
		epoll_ctl(feed->epoll_fd, EPOLL_CTL_ADD, feed->more_fd, &e) < 0)
		return -errno;
	return 0;
}

/* The socket of the container's shim; NULL where it is an orphan, of which cleatd alone can tell. */
static int find_behind(
	const struct client_place *place, const char *id, char **ret, struct error *err)
{
	_cleanup_(client_target_close) struct client_target t = CLIENT_TARGET_INIT;
	_cleanup_(client_target_close) struct client_target shim = CLIENT_TARGET_INIT;
	int r = client_target_open(place, id, NULL, &t, err);

	*ret = NULL;
	if (r == 0 && t.is_hub)
		r = client_target_open_shim(&t, &shim, err);
	if (r == CODE_FAILED_PRECONDITION) {
		error_clear(err);
		return 0;
	}
	if (r == 0)
		*ret = TAKE_PTR(*(t.is_hub ? &shim.socket : &t.socket));
	return r;
}

/* cleatd may come and go meanwhile: it says where the shim is, which tells for itself. */
static int follow_behind(struct client_source *s, struct error *err)
{
	const struct client_place *place = s->feed->place;
	_cleanup_free_ char *socket = NULL;
	int r = find_behind(place, s->id, &socket, err);

	if (r != 0)
		return r;
	return socket ? client_source_connect(s, socket, false, err)
		      : client_source_connect(s, place->socket, true, err);
}

/* Its socket is known, or its container's is found. */
static int follow_one(struct client_feed *feed, const char *id, struct error *err)
{
	const struct client_place *place = feed->place;
	struct client_source *s;
	int r;

	feed->is_single = true;
	r = client_source_new(feed, id, false, &s, err);
	if (r != 0)
		return r;
	if (place->via == CLIENT_VIA_DIRECT)
		return client_source_find(s, err);
	if (place->via == CLIENT_VIA_CLEATD && id)
		return follow_behind(s, err);
	return client_source_connect(s, place->socket, place->via == CLIENT_VIA_CLEATD, err);
}

static int follow(struct client_feed *feed, const char *id, struct error *err)
{
	const struct client_place *place = feed->place;
	int r = id ? id_check(id, "container id", err) : 0;

	if (r != 0)
		return r;
	if (id || place->via != CLIENT_VIA_DIRECT) {
		r = follow_one(feed, id, err);
		if ((r != CODE_NOT_FOUND && r != CODE_UNAVAILABLE) || !place->falls_back ||
			place->via != CLIENT_VIA_CLEATD)
			return r;
		/* cleatd has gone: the folders will do */
		error_clear(err);
		client_source_free(list_first(&feed->sources, struct client_source, feed_link));
		if (id) {
			struct client_source *s;

			r = client_source_new(feed, id, false, &s, err);
			return r == 0 ? client_source_find(s, err) : r;
		}
	}
	feed->is_single = false;
	return client_feed_watch_folders(feed, err);
}

int client_feed_open(const struct client_place *place, const char *id,
	const struct client_feed_options *options, struct client_feed **ret, struct error *err)
{
	struct client_feed *feed = NULL;
	int r = feed_new(place, options, &feed);

	r = r < 0 ? error_errno(err, r, "events") : follow(feed, id, err);
	if (r != 0)
		client_feed_close(feed);
	else
		*ret = feed;
	return r;
}

void client_feed_close(struct client_feed *feed)
{
	struct client_source *s;

	if (!feed)
		return;
	while ((s = list_first(&feed->sources, struct client_source, feed_link)))
		client_source_free(s);
	client_feed_free_places(feed);
	state_watch_free(feed->watch);
	fd_close(&feed->more_fd);
	fd_close(&feed->epoll_fd);
	protobuf_c_message_free_unpacked(feed->message, NULL);
	error_clear(&feed->failure);
	free(feed->event_id);
	free(feed);
}
