/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The event ring: every event of the shim in one total order, kept for slow and late subscribers
 * (design, section 6): what a subscriber has not read yet, within LIMIT_RING_, and of what
 * everyone has read the newest, within RING_TAIL_. A subscriber is a cursor with at most one frame
 * queued; nobody's slowness costs anyone else anything. Payloads are the containerd.events
 * messages, encoded when the event is made.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/clock.h"
#include "common/ring.h"

struct Containerd__Types__Mount; /* mount.pb-c.h */

enum event_kind {
	EVENT_CREATE,
	EVENT_START,
	EVENT_OOM,
	EVENT_EXIT,
	EVENT_DELETE,
	EVENT_EXEC_ADDED,
	EVENT_EXEC_STARTED,
	EVENT_PAUSED,
	EVENT_RESUMED,
	EVENT_CHECKPOINTED,
	_EVENT_KIND_MAX,
};

/* One event in the ring (struct event is libevent's). */
struct task_event {
	struct ring_entry entry;
	moment time;
	moment exited_at;
	pid_t pid;	      /* 0 where it has none */
	uint32_t exit_status; /* EXIT, DELETE; 255 where unknown */
	uint8_t kind;	      /* enum event_kind */
	bool late;	      /* as in struct event_args */
	uint8_t payload[];    /* the message of event_type_name(kind) */
};

static inline uint32_t event_n_payload(const struct task_event *e)
{
	return e->entry.size - (uint32_t)offsetof(struct task_event, payload);
}

/* What an event tells; what its kind has no use for is ignored. */
struct event_args {
	enum event_kind kind;
	const char *container_id;
	const char *exec_id; /* "" or NULL: the init */
	pid_t pid;
	uint32_t exit_status;
	moment exited_at;
	bool late; /* EXIT: of an exec, after its init's */
	const char *bundle, *stdin_uri, *stdout_uri, *stderr_uri; /* CREATE */
	bool terminal;
	struct Containerd__Types__Mount *const *rootfs; /* CREATE */
	size_t n_rootfs;
	const char *checkpoint; /* CREATE, CHECKPOINTED */
};

/* "/tasks/exit" and so on; "containerd.events.TaskExit" and so on. */
const char *event_topic(enum event_kind kind);
const char *event_type_name(enum event_kind kind);

struct events;

int events_new(struct events **ret);
void events_free(struct events *events);

uint64_t events_epoch(const struct events *events);
uint64_t events_next_seq(const struct events *events);

/*
 * Makes an event and wakes the subscribers. It asks for no memory: the ring has its room from the
 * shim's start, so that nothing can keep an exit from being told. 0, or -E2BIG for one that is
 * larger than the ring may be, which no exit is: it is lost, and counted: it keeps its number, and
 * shows as missed. A rootfs list that the ring has no room for is left out, so that a CREATE is not
 * lost for it.
 */
int events_add(struct events *events, const struct event_args *args);

/*
 * Someone who sees every event as it is made, before the subscribers, so that nothing can be lost to
 * him; on_event must not block, nor call any of these functions. There is one at most; NULL: none.
 */
void events_tap(struct events *events, void (*on_event)(const struct task_event *e, void *userdata),
	void *userdata);

/*
 * There will be no more events (the shim is ending): every cursor is woken, so that a reader can
 * read to the end and finish. Safe to repeat; events_add() still works, for what comes late.
 */
void events_end(struct events *events);
bool events_has_ended(const struct events *events);

/* For readers: see common/ring.h. */
struct ring *events_ring(struct events *events);

/* As ring_subscribe(), and as ring_next(). */
void events_subscribe(struct events *events, struct ring_cursor *cursor, uint64_t since,
	void (*wake)(void *userdata), void *userdata);
const struct task_event *events_next(struct ring_cursor *cursor, uint64_t *ret_missed);
