/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What client_feed.c (subscriptions and their events), client_feed_folders.c (which shims there are) and
 * client_feed_leave.c (how far each was told, for when cleatd goes) know of each other. Included by
 * nothing else.
 */

#include "common/client_feed.h"
#include "common/clock.h"
#include "common/list.h"
#include "common/state_watch.h"
#include "common/ttrpc_client.h"

struct client_feed {
	const struct client_place *place;
	struct client_feed_options options;
	bool is_single; /* one container, or cleatd: its end is the feed's */
	bool is_over;
	struct error failure; /* why it is; none: at its proper end */
	int epoll_fd, more_fd;
	struct state_watch *watch; /* NULL: nothing is watched */
	struct state_watch_handlers handlers;
	bool is_watching; /* what comes now is new */
	struct list sources;

	/* of cleatd's stream of every container, which may go on without it */
	moment began;
	bool has_left;	    /* cleatd has gone: these are the shims' own */
	struct list places; /* how far each was told; what was told longest ago first */
	size_t n_places;

	ProtobufCMessage *message; /* what was told last */
	const Cleat__Shim__V1__Event *event;
	char *event_id;
};

struct client_source {
	struct list feed_link;
	struct client_feed *feed;
	char *id;		     /* "": all of cleatd's, or until the shim has told its own */
	struct ttrpc_client *client; /* NULL: its shim does not listen yet */
	uint32_t stream;
	bool is_hub;
	bool is_following; /* false: its Info was asked for */
	bool from_start;   /* it came while we watched: all of it is wanted */
	bool again;	   /* a new folder of that name came meanwhile */
	bool only_new;	   /* what is older than the feed is left out */
};

int client_source_new(struct client_feed *feed, const char *id, bool from_start,
	struct client_source **ret, struct error *err);
void client_source_free(struct client_source *s);
/* To who tells its events. */
int client_source_connect(
	struct client_source *s, const char *path, bool is_hub, struct error *err);

/* --- client_feed_folders.c --- */

/* Finds its shim by its folder and connects. 0 also while that is awaited, where folders are watched. */
int client_source_find(struct client_source *s, struct error *err);
/* Its shim has ended: it goes, or begins anew with a new container of its name. */
void client_source_ended(struct client_source *s);
/* Every container of the namespace, and those to come. */
int client_feed_watch_folders(struct client_feed *feed, struct error *err);

/* --- client_feed_leave.c --- */

/* An event of cleatd's stream was told. */
void client_feed_note(struct client_feed *feed, const char *id, uint64_t epoch, uint64_t seq);
/* Whether there was one, and which was the last. */
bool client_feed_was_told(
	const struct client_feed *feed, const char *id, uint64_t *ret_epoch, uint64_t *ret_seq);
/* Its only source, cleatd, has gone: each shim is followed instead, from where it was told. */
int client_feed_leave(struct client_feed *feed, struct error *err);
void client_feed_free_places(struct client_feed *feed);
