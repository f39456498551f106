/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The exits and OOMs that containerd has not taken yet: copies of their events, in order, so that
 * the ring may lose the events themselves. Nothing is lost from here: room for an exit is reserved
 * before its process starts, and where LIMIT_OWED_EXITS are owed, no further process does.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/limits.h"
#include "common/list.h"
#include "shim/events.h"

/* An event as it will be sent. payload is whoever's filled it in. */
struct outgoing {
	uint64_t seq;
	moment time;
	enum event_kind kind;
	size_t n_payload;
	const uint8_t *payload;
};

/* Room for a TaskOOM: an id of LIMIT_ID bytes. */
#define OWED_OOM_ROOM (2 + LIMIT_ID)

/* The newest OOM since the exit before it; seq 0: there is none. */
struct owed_oom {
	uint64_t seq;
	moment time;
};

struct owed {
	struct list room;  /* reserved and not used yet */
	struct list exits; /* oldest first */
	size_t n_room, n_exits;
	struct owed_oom oom; /* after all exits */
	size_t n_oom_payload;
	uint8_t oom_payload[OWED_OOM_ROOM]; /* the same for all: it names the container alone */
};

void owed_init(struct owed *owed);
void owed_deinit(struct owed *owed);

/*
 * Room for one exit, before its process starts. CODE_RESOURCE_EXHAUSTED. An exit that is noted uses
 * one up; owed_release() gives one back that will not be needed.
 */
int owed_reserve(struct owed *owed, struct error *err);
void owed_release(struct owed *owed);

/*
 * Every event as it is made; of those that are neither exits nor OOMs nothing is kept. Of several
 * OOMs with no exit between them the newest is kept: they say the same.
 */
void owed_note(struct owed *owed, const struct task_event *e);

/* The oldest that is owed; false: none. *ret is valid until the next note or done. */
bool owed_first(const struct owed *owed, struct outgoing *ret);
/* All up to seq have been taken. */
void owed_done(struct owed *owed, uint64_t seq);
