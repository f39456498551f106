/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is owed to containerd. Never sends anything, and asks for memory only when room is
 * reserved. Subtle: OOMs have no process whose start could reserve room, so each is kept in the
 * room of the exit that follows it, and the last ones, which no exit has followed yet, in ours.
 */
#include "shim/owed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* Two ids, two numbers, and a timestamp of two numbers, each with its tag and length. */
#define EXIT_ROOM (2 * (2 + LIMIT_ID) + 2 * 6 + 2 + 2 * 11)

struct owed_exit {
	struct list link;
	struct owed_oom oom; /* before it */
	uint64_t seq;
	moment time;
	size_t n_payload;
	uint8_t payload[];
};

static_assert(LIMIT_OWED_EXITS > LIMIT_PROCESSES, "a full container may run without containerd");

void owed_init(struct owed *owed)
{
	*owed = (struct owed){ 0 };
	list_init(&owed->room);
	list_init(&owed->exits);
}

static struct owed_exit *first_of(const struct list *list)
{
	return list_first(list, struct owed_exit, link);
}

static void drop_first(struct list *list, size_t *n)
{
	struct owed_exit *x = first_of(list);

	list_unlink(&x->link);
	(*n)--;
	free(x);
}

void owed_deinit(struct owed *owed)
{
	while (owed->n_room > 0)
		drop_first(&owed->room, &owed->n_room);
	while (owed->n_exits > 0)
		drop_first(&owed->exits, &owed->n_exits);
}

int owed_reserve(struct owed *owed, struct error *err)
{
	struct owed_exit *x;

	if (owed->n_room + owed->n_exits >= LIMIT_OWED_EXITS)
		return error_set(err, CODE_RESOURCE_EXHAUSTED,
			"%zu exits wait for containerd to take their events", owed->n_exits);
	x = malloc(sizeof(*x) + EXIT_ROOM);
	if (!x)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "no memory for an exit");
	list_init(&x->link);
	list_append(&owed->room, &x->link);
	owed->n_room++;
	return 0;
}

void owed_release(struct owed *owed)
{
	if (owed->n_room > 0)
		drop_first(&owed->room, &owed->n_room);
}

static void note_oom(struct owed *owed, const struct task_event *e)
{
	if (event_n_payload(e) > sizeof(owed->oom_payload))
		return; /* no valid id is so long */
	memcpy(owed->oom_payload, e->payload, event_n_payload(e));
	owed->n_oom_payload = event_n_payload(e);
	owed->oom = (struct owed_oom){ e->entry.seq, e->time };
}

static void note_exit(struct owed *owed, const struct task_event *e)
{
	struct owed_exit *x = first_of(&owed->room), *smaller;

	if (!x || event_n_payload(e) > EXIT_ROOM) {
		log_error("no room is reserved for an exit", F_INT("seq", (long long)e->entry.seq));
		return;
	}
	list_unlink(&x->link);
	owed->n_room--;
	smaller = realloc(x, sizeof(*x) + event_n_payload(e));
	if (smaller)
		x = smaller;
	x->oom = owed->oom;
	x->seq = e->entry.seq;
	x->time = e->time;
	x->n_payload = event_n_payload(e);
	memcpy(x->payload, e->payload, event_n_payload(e));
	list_init(&x->link);
	list_append(&owed->exits, &x->link);
	owed->n_exits++;
	owed->oom = (struct owed_oom){ 0 };
}

void owed_note(struct owed *owed, const struct task_event *e)
{
	if (e->kind == EVENT_EXIT)
		note_exit(owed, e);
	else if (e->kind == EVENT_OOM)
		note_oom(owed, e);
}

bool owed_first(const struct owed *owed, struct outgoing *ret)
{
	const struct owed_exit *x = first_of(&owed->exits);
	const struct owed_oom *oom = x ? &x->oom : &owed->oom;

	if (oom->seq != 0)
		*ret = (struct outgoing){ oom->seq, oom->time, EVENT_OOM, owed->n_oom_payload,
			owed->oom_payload };
	else if (x)
		*ret = (struct outgoing){ x->seq, x->time, EVENT_EXIT, x->n_payload, x->payload };
	return oom->seq != 0 || x;
}

static void oom_done(struct owed_oom *oom, uint64_t seq)
{
	if (oom->seq <= seq)
		oom->seq = 0;
}

void owed_done(struct owed *owed, uint64_t seq)
{
	while (owed->n_exits > 0 && first_of(&owed->exits)->seq <= seq)
		drop_first(&owed->exits, &owed->n_exits);
	if (owed->n_exits > 0)
		oom_done(&first_of(&owed->exits)->oom, seq);
	else
		oom_done(&owed->oom, seq);
}
