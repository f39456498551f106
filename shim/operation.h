/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Operations on a container that take time, and which of them wait for which (design, section 4).
 * All live in one list in the order of arrival; one runs as soon as nothing before it conflicts.
 */

#include <stdbool.h>

#include <event2/event.h>

#include "common/error.h"
#include "common/list.h"
#include "shim/container.h"

enum operation_kind {
	OPERATION_CREATE,
	OPERATION_START,
	OPERATION_DELETE,
	OPERATION_PAUSE,
	OPERATION_RESUME,
	OPERATION_UPDATE,
	OPERATION_CHECKPOINT,
};

struct operation {
	struct list operations_link;
	enum operation_kind kind;
	struct container *container;
	struct process *process; /* the init, for what is done to the container */
	bool running;
	void (*run)(struct operation *op);
	op_done done;
	void *userdata;
	/* scratch of the running one */
	struct launch *launch; /* CREATE, START of an exec, or of what is restored */
	bool is_asked;	       /* the launch: the runtime was run, and may have made something */
	bool was_killed;       /* the launch: in the middle of that, and could not clean up */
	bool is_starting;      /* CREATE: what was made is being started, by another call */
	bool is_anothers;   /* the launch: what the runtime has under the id was not made by it */
	struct error error; /* kept while what failed is cleaned up */
	char *words;
	void (*undone)(struct operation *op); /* goes on once that is done */
	struct event *timer;		      /* libevent's */
	bool killed;			      /* DELETE: a created init was killed first */
	bool is_forced;			      /* DELETE: the runtime is told to use force */
};

/* Queues an operation and runs it if it may. Without memory, done tells so at once. */
void operation_begin(struct container *c, enum operation_kind kind, struct process *p,
	void (*run)(struct operation *op), op_done done, void *userdata);

/*
 * Ends a running operation: its caller is told, it is freed, and those that waited for it run.
 * result may be NULL. A process or container that is DELETED by then is freed with it.
 */
void operation_finish(
	struct operation *op, const struct error *err, const struct op_result *result);

/* Ends it with the error and words kept in it. */
void operation_fail(struct operation *op, enum runtime_verb verb);

/* Looks again at what waits: after an exit was announced, for one. */
void operations_advance(struct container *c);

/* Whether a process has an operation of that kind under way. */
bool operation_is_running(const struct process *p, enum operation_kind kind);

/* Fails everything that still waits, of one process or (NULL) of all. */
void operations_cancel(struct container *c, const struct process *p);

/* Starts op->timer, in place of one that is there: fn runs after ms with op. 0 or -ENOMEM. */
int operation_set_timer(struct operation *op, uint32_t ms, event_callback_fn fn);
/* Safe to repeat, and from within fn. */
void operation_clear_timer(struct operation *op);
