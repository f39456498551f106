/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From cleatd's stream to the shims' own, where cleatd has gone: how far each container was told is kept
 * as it is told, and each shim is asked from there on. Asks nobody itself. Subtle: of a container that
 * nothing was told of it is not known how far that is. All that its shim has is asked for, and what is
 * older than the feed is left out where only news were wanted.
 */
#include "common/client_feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/client_feed_private.h"

/* Containers whose place is kept; of those told of longest ago it is as if nothing had been told. */
#define PLACES_MAX 4096u

struct client_feed_place {
	struct list places_link;
	uint64_t epoch, seq;
	char id[];
};

static struct client_feed_place *find_place(const struct client_feed *feed, const char *id)
{
	struct list *pos;

	list_for_each (pos, &feed->places) {
		struct client_feed_place *p =
			list_entry(pos, struct client_feed_place, places_link);

		if (strcmp(p->id, id) == 0)
			return p;
	}
	return NULL;
}

static void place_free(struct client_feed *feed, struct client_feed_place *p)
{
	list_unlink(&p->places_link);
	feed->n_places--;
	free(p);
}

static struct client_feed_place *place_new(struct client_feed *feed, const char *id)
{
	size_t n = strlen(id) + 1;
	struct client_feed_place *p;

	if (feed->n_places >= PLACES_MAX)
		place_free(feed, list_first(&feed->places, struct client_feed_place, places_link));
	p = calloc(1, sizeof(*p) + n);
	if (!p)
		return NULL;
	memcpy(p->id, id, n);
	feed->n_places++;
	list_init(&p->places_link);
	return p;
}

void client_feed_note(struct client_feed *feed, const char *id, uint64_t epoch, uint64_t seq)
{
	struct client_feed_place *p;

	/* epoch 0: cleatd's own word for what a dead shim could not tell */
	if (epoch == 0)
		return;
	p = find_place(feed, id);
	if (p)
		list_unlink(&p->places_link);
	else
		p = place_new(feed, id);
	if (!p)
		return; /* as if nothing had been told of it */
	p->epoch = epoch;
	p->seq = seq;
	list_append(&feed->places, &p->places_link);
}

bool client_feed_was_told(
	const struct client_feed *feed, const char *id, uint64_t *ret_epoch, uint64_t *ret_seq)
{
	const struct client_feed_place *p = find_place(feed, id);

	if (!p)
		return false;
	*ret_epoch = p->epoch;
	*ret_seq = p->seq;
	return true;
}

int client_feed_leave(struct client_feed *feed, struct error *err)
{
	client_source_free(list_first(&feed->sources, struct client_source, feed_link));
	feed->is_single = false;
	feed->has_left = true;
	return client_feed_watch_folders(feed, err);
}

void client_feed_free_places(struct client_feed *feed)
{
	struct client_feed_place *p;

	while ((p = list_first(&feed->places, struct client_feed_place, places_link)))
		place_free(feed, p);
}
