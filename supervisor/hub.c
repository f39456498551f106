/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub's events as entries of a ring (common/ring.h does the keeping). Never knows what a payload
 * means, nor who reads. Subtle: an entry may be moved, so it holds where its texts begin, not pointers.
 */
#include "supervisor/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/limits.h"

static const struct ring_bounds bounds = { LIMIT_HUB_EVENTS, LIMIT_HUB_BYTES, HUB_TAIL_EVENTS,
	HUB_TAIL_BYTES };

struct hub {
	struct ring ring;
};

struct record {
	struct ring_entry entry;
	moment time;
	uint64_t epoch, seq, missed;
	uint32_t topic, type_url, id, payload; /* where in data; the namespace comes first */
	bool late, has_id;
	char data[];
};

int hub_new(struct hub **ret)
{
	_cleanup_free_ struct hub *hub = calloc(1, sizeof(*hub));
	int r;

	if (!hub)
		return error_trace(-ENOMEM);
	r = ring_init(&hub->ring, &bounds);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(hub);
	return 0;
}

void hub_free(struct hub *hub)
{
	if (!hub)
		return;
	ring_deinit(&hub->ring);
	free(hub);
}

static const char *id_of(const struct hub_event *e)
{
	return e->id ? e->id : "";
}

static size_t size_of(const struct hub_event *e)
{
	return offsetof(struct record, data) + strlen(e->ns) + 1 + strlen(e->topic) + 1 +
	       strlen(e->type_url) + 1 + strlen(id_of(e)) + 1 + e->n_payload;
}

bool hub_event_fits(const struct hub_event *e)
{
	return e->n_payload <= LIMIT_HUB_EVENT && size_of(e) <= LIMIT_HUB_EVENT;
}

/* Copies a text to `at` in a record's data; returns where the next one goes. */
static uint32_t put_text(struct record *r, uint32_t at, const char *text)
{
	size_t n = strlen(text) + 1;

	memcpy(r->data + at, text, n);
	return at + (uint32_t)n;
}

static void fill(struct record *r, const struct hub_event *e)
{
	r->time = e->time;
	r->epoch = e->epoch;
	r->seq = e->seq;
	r->missed = e->missed;
	r->late = e->late;
	r->has_id = e->id != NULL;
	r->topic = put_text(r, 0, e->ns);
	r->type_url = put_text(r, r->topic, e->topic);
	r->id = put_text(r, r->type_url, e->type_url);
	r->payload = put_text(r, r->id, id_of(e));
	if (e->n_payload > 0)
		memcpy(r->data + r->payload, e->payload, e->n_payload);
}

int hub_publish(struct hub *hub, const struct hub_event *e)
{
	struct record *r;

	if (!hub_event_fits(e)) {
		ring_lose(&hub->ring);
		return -E2BIG;
	}
	r = (struct record *)ring_append(&hub->ring, size_of(e));
	fill(r, e);
	ring_announce(&hub->ring, &r->entry);
	return 0;
}

void hub_end(struct hub *hub)
{
	ring_end(&hub->ring);
}

struct ring *hub_ring(struct hub *hub)
{
	return &hub->ring;
}

void hub_read(const struct ring_entry *entry, struct hub_event *ret)
{
	const struct record *r = (const struct record *)entry;

	*ret = (struct hub_event){
		.ns = r->data,
		.topic = r->data + r->topic,
		.type_url = r->data + r->type_url,
		.payload = r->data + r->payload,
		.n_payload = entry->size - offsetof(struct record, data) - r->payload,
		.time = r->time,
		.id = r->has_id ? r->data + r->id : NULL,
		.epoch = r->epoch,
		.seq = r->seq,
		.missed = r->missed,
		.late = r->late,
	};
}

bool hub_next(struct ring_cursor *cursor, struct hub_event *ret, uint64_t *ret_missed)
{
	const struct ring_entry *e = ring_next(cursor, ret_missed);

	if (!e)
		return false;
	hub_read(e, ret);
	return true;
}
