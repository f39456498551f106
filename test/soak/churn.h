/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The churn: clients that make random calls over containers, each in a process of its own that may
 * be killed at any moment, and a model beside them of what must be true. The model lies in memory
 * that all of them share. It never has to ask how something ended: each process's end is laid down
 * by its number (churn_fate()), whoever brings it about. What a client was about to do is noted
 * before it is done, and that it was done after: between the two, both are right.
 */

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ttrpc_client.h"
#include "test/integration/bed.h"

#define CHURN_SLOTS   20 /* containers at a time */
#define CHURN_STEADY  4	 /* of them, those which live from the beginning to the end */
#define CHURN_CLIENTS 8
#define CHURN_LIVES   16384 /* containers in all */
#define CHURN_EXECS   8192  /* of one container */
#define CHURN_BUNDLES 4	    /* one for each way in which an init ends */

/* Of an exec, in life.execs: what was tried and done, and what the events have told. */
enum {
	EXEC_ADD_TRIED = 1 << 0,
	EXEC_ADDED = 1 << 1,
	EXEC_START_TRIED = 1 << 2,
	EXEC_STARTED = 1 << 3,
	EXEC_START_FAILED = 1 << 4,
	EXEC_DELETE_TRIED = 1 << 5,
	EXEC_DELETED = 1 << 6,
	TOLD_ADDED = 1 << 8,
	TOLD_STARTED = 1 << 9,
	TOLD_EXIT = 1 << 10,
	TOLD_DELETED = 1 << 11,
};

/* Of a container; in this order. */
enum life_phase {
	LIFE_NONE,
	LIFE_SHIM,    /* its shim answers, on the socket noted */
	LIFE_RUNNING, /* started, as far as its maker knows */
	LIFE_ENDING,  /* somebody is about to end it */
	LIFE_GONE,    /* deleted, its shim ended */
};

/* Of a container, in life.told. */
enum {
	LIFE_TOLD_EXIT = 1 << 0,
	LIFE_TOLD_DELETED = 1 << 1,
	LIFE_TOLD_END = 1 << 2, /* the stream has ended, in order */
	LIFE_FOLLOWED = 1 << 3,
};

enum fate_way {
	FATE_EXITS,   /* by itself, with a code */
	FATE_KILLED,  /* by Kill */
	FATE_SHOT,    /* by kill(2), past the shim */
	FATE_CLOSED,  /* by the end of its input */
	FATE_HUNG_UP, /* by Kill; it has a terminal */
	_FATE_MAX,
};

struct fate {
	enum fate_way way;
	uint32_t signal; /* to be sent; 0: none */
	uint32_t status; /* how it ends */
};

struct life {
	_Atomic uint32_t phase;
	_Atomic uint32_t n_execs; /* numbers given away */
	_Atomic uint32_t told;
	_Atomic bool inherited; /* from one who was killed: calls of its own may be under way */
	char id[64];
	char socket[108];
	_Atomic uint32_t execs[CHURN_EXECS]; /* flags */
};

struct slot {
	pthread_mutex_t lock;  /* who makes and ends the container; robust */
	_Atomic uint32_t life; /* 0: none yet */
};

struct churn {
	struct bed *bed;
	char *bundles[CHURN_BUNDLES];
	int wake; /* an eventfd: a shim is to be followed */
	_Atomic bool stop, failed;
	_Atomic uint32_t n_lives;
	_Atomic uint64_t n_calls, n_refused, n_checked, n_events;
	char why[1024];
	struct slot slots[CHURN_SLOTS];
	struct life lives[CHURN_LIVES];
};

/* How the exec, or the init, of that number ends. */
struct fate churn_exec_fate(uint32_t exec);
struct fate churn_init_fate(uint32_t life);
/* Whether an exec of that number may have ended so. */
bool churn_may_end(const struct life *life, uint32_t exec, uint32_t status);
/* The number in an exec's id, which is e and that; UINT32_MAX for any other. */
uint32_t churn_exec_number(const char *exec_id);

/* Notes the first thing that is not as it must be; the process goes on, and should end soon. */
void churn_fail(struct churn *churn, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- calls --- */

/* The longest that any call may take: a start over a paused container has the runtime's deadline. */
#define CHURN_CALL_MS 90000

/*
 * One call. 0 and the answer (freed with bed_free(); ret may be NULL), or a code. No answer in
 * timeout_ms is a failure of the churn, but for a Wait.
 */
int churn_call(struct churn *churn, struct ttrpc_client *client, const char *service,
	const char *method, const void *message, const ProtobufCMessageDescriptor *response,
	void *ret, int64_t timeout_ms, struct error *err);
int churn_kill(struct churn *churn, struct ttrpc_client *client, const struct life *life,
	const char *exec_id, uint32_t signal, bool all, struct error *err);
/* *ret_status is set on success. */
int churn_wait(struct churn *churn, struct ttrpc_client *client, const struct life *life,
	const char *exec_id, int64_t timeout_ms, uint32_t *ret_status, struct error *err);
/* Info, which always succeeds; NULL where the connection broke. */
Cleat__Shim__V1__InfoResponse *churn_info(
	struct churn *churn, struct ttrpc_client *client, struct error *err);

/* --- containers --- */

/* By the holder of the slot's lock: a new container in it, running. */
void life_begin(struct churn *churn, struct slot *slot);
/* By the holder: ends the slot's container, wherever its making or ending was left, and compares. */
void life_end(struct churn *churn, struct slot *slot);
/* Resumes the slot's container, should it be there and paused. */
void life_resume(struct churn *churn, const struct slot *slot);
/* Locks a slot, whoever died with the lock; false where somebody has it. */
bool slot_try_lock(struct slot *slot);
void slot_unlock(struct slot *slot);

/* Once no client is left: brings each exec of the slot's container to its end, and deletes it. */
void churn_settle(struct churn *churn, struct slot *slot);

/* --- processes of the churn; neither returns --- */

_Noreturn void churn_client(struct churn *churn, unsigned seed);
_Noreturn void churn_watch(struct churn *churn);
