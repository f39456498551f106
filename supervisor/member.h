/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A container that the supervisor looks after, as it knows it: its processes, where they are in their
 * lives, and who waits for them. Kept up to date from the shim's events; read from the shim's Info
 * when they begin, and from its files where it does not answer.
 *
 * The link to its shim is a part of it (member_link.h). State of the link by what happens:
 *
 *   state    | Info answered | asked, no answer in time | refused      | connection ended
 *   ---------+---------------+--------------------------+--------------+---------------------------
 *   AWAITED  |       -       |            -             |      -       |  -  (shim.json is awaited)
 *   ASKING   | -> LIVE       | late: told from files    | -> FOREIGN   | folder gone: the member goes
 *   LIVE     | late no more  | late: told from files    | -> FOREIGN   | lock free: -> LOST
 *   FOREIGN  | -> LIVE       |            -             |      -       | else: tried again, -> ASKING
 *   LOST     |       -       |            -             |      -       |  -  (until its folder goes)
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/list.h"
#include "common/pidref.h"
#include "common/reaper.h"
#include "common/ttrpc_client.h"
#include "common/ttrpc_server.h"
#include "monitor.pb-c.h"
#include "supervisor.pb-c.h"
#include "types.pb-c.h"

struct supervisor;

enum link_state {
	LINK_AWAITED, /* it has no shim.json yet, or is to be tried again */
	LINK_ASKING,
	LINK_LIVE,
	LINK_FOREIGN, /* something answers that is no shim that we understand */
	LINK_LOST,    /* its shim is dead: an orphan */
	_LINK_STATE_MAX,
};

struct member_process {
	struct member *member;
	struct list processes_link;
	uint32_t pid; /* 0: not started */
	Containerd__V1__Types__Status status;
	bool exited, exit_known;
	uint32_t exit_status; /* where known */
	moment exited_at;
	bool terminal;
	char *stdin_uri, *stdout_uri, *stderr_uri; /* NULL: "" */

	/* to know how it ended should its shim not tell: of the init always, of others once it is dead */
	struct pidref ref;
	struct event *ended;
	struct reaper_child child; /* ours to reap once its shim is dead */
	bool is_owned, is_reaped;
	int reaped_status; /* as of waitpid(2) */

	char exec_id[]; /* "" for the init */
};

struct member {
	struct supervisor *supervisor;
	char *ns, *id;
	bool is_there; /* while folders are looked at anew: it has been seen */
	bool has_left; /* deleted: no longer in the registry, its shim has yet to end */
	struct list leaving_link;

	/* the link */
	enum link_state state;
	bool late;    /* the shim has not answered in time */
	bool adopted; /* its folder is not below our root */
	struct ttrpc_client *client;
	struct ttrpc_pending *asked; /* Info under way */
	struct event *answer_timer, *retry_timer;
	uint32_t retry_ms;
	int64_t heard;			 /* when the shim last said anything; monotonic ms */
	uint64_t epoch, seq;		 /* of the last event; epoch 0: none yet */
	char *socket, *version, *folder; /* NULL: not known */
	uint32_t shim_pid;
	struct list forwards; /* calls that wait for the shim's answer */

	/* the container; is_made: Create has been answered */
	bool is_made;
	char *bundle, *runtime,
		*problem; /* problem: why this is told from files; NULL: it is not */
	moment created_at;
	bool is_sandbox;       /* of an orphan: its processes are not those of this kernel */
	bool is_unknown;       /* its files do not say what it is */
	struct list processes; /* the init first */
	struct list waiters;
};

/* Names are copied. NULL without memory. */
struct member *member_new(struct supervisor *supervisor, const char *ns, const char *id);
/* Whoever still waits for it is answered: it has been deleted. Takes NULL. */
void member_free(struct member *m);

/* NULL if there is none. */
struct member_process *member_find(const struct member *m, const char *exec_id);
struct member_process *member_init_process(const struct member *m);

/* What the shim tells. 0 or -ENOMEM. */
int member_take_info(struct member *m, const Cleat__Shim__V1__InfoResponse *info);
/* One event: what it changes here. *ret_ask: the event does not say all, Info is to be asked. */
void member_take_event(struct member *m, const Cleat__Shim__V1__Event *event, bool *ret_ask);

/* A process has ended; waiters are answered. Only the first word counts. */
void member_exited(
	struct member *m, struct member_process *p, bool known, uint32_t status, moment at);

/*
 * What a call through us has changed, noted at its answer: the event may come later. A Create that has
 * started it as well (RuntimeOptions.run) is noted so.
 */
void member_created(struct member *m, const Cleat__V1__CreateRequest *request, uint32_t pid);
void member_started(struct member *m, const char *exec_id, uint32_t pid);
void member_paused(struct member *m, bool paused);
void member_deleted(struct member *m, const char *exec_id);

/* "created" ... "pausing", "unknown". */
const char *member_status_word(Containerd__V1__Types__Status status);
/* The word for List: the same of the init, or "orphaned". */
const char *member_word(const struct member *m);
/* Whether it is shown: its Create has been answered, or nobody can say. */
bool member_is_shown(const struct member *m);

/*
 * Runs once the process has ended, with it, or once there is none of that name any more, with NULL; at
 * once where it is so already. Takes over the call until then: one whose client leaves is forgotten.
 */
typedef void (*member_end_fn)(struct member *m, struct ttrpc_call *call, const char *exec_id,
	const struct member_process *p);
void member_wait(
	struct member *m, struct ttrpc_call *call, const char *exec_id, member_end_fn done);
/* As Tasks.Wait is answered. */
void member_answer_wait(struct member *m, struct ttrpc_call *call, const char *exec_id,
	const struct member_process *p);
/* Info has come: who waits for a process that is not there is told so. */
void member_judge_waiters(struct member *m);
