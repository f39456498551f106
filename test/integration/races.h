/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of races stand on, over a bed: calls that are under way at the same time, every
 * event of the shim with the place it had among the answers, and a teardown that holds all of it to
 * the orders that clients rely on, and the shim to the descriptors that it began with.
 *
 * Calls and events share one connection, so that what came first there was sent first. Nothing here
 * waits for time to pass: a script of the runtime waits for a file, a test for an answer, an event,
 * or a file that the runtime made.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/limits.h"
#include "common/ttrpc_client.h"
#include "test/integration/bed.h"

struct race_event {
	char topic[32];		    /* without "/tasks/" */
	char exec_id[LIMIT_ID + 1]; /* "" for the init */
	uint32_t pid, exit_status;
	bool late; /* marked so */
	unsigned order;
};

#define RACE_EVENTS 1024

struct race {
	struct bed *bed;
	struct event_base *base;
	struct ttrpc_client *line;
	struct race_event events[RACE_EVENTS];
	size_t n_events;
	bool line_ended;
	int line_code;	       /* how: 0 is the proper end */
	unsigned order;	       /* of what comes on the line */
	size_t n_fds;	       /* that the shim had before the first call */
	bool unchecked;	       /* the container lives on after the test */
	const char *late_exec; /* whose exit may be told after the init's; NULL: none's */
};

/* A call under way. */
struct flight {
	struct race *race;
	const char *method;
	struct ttrpc_client *own; /* a connection of its own, or NULL */
	const ProtobufCMessageDescriptor *response;
	bool ended;
	unsigned order; /* of its answer */
	int code;
	char *sentence;
	uint32_t value; /* a pid, or an exit status */
};

/* For cmocka: the state is a struct race. */
int race_setup_fake(void **state);
int race_setup_runc(void **state);
int race_teardown(void **state);

/* The runtime's script; each @ is the bed's folder, so that "@/go" is a file of the test's own. */
void race_script(struct race *race, const char *text);
/* Makes @/NAME. */
void race_touch(struct race *race, const char *name);
/* Waits until the runtime has made @/NAME. */
void race_await_file(struct race *race, const char *name);

/* --- calls of Task: they begin here, and end in one of the functions below --- */

struct flight *race_create(struct race *race, bool terminal);
/* With a rootfs that source, a folder, is bound to. */
struct flight *race_create_on(struct race *race, const char *source);
/* On a connection of its own, with the caller's deadline (0: a late one). */
struct flight *race_create_apart(struct race *race, int64_t timeout_ms);
/* Connect, Start, Delete, State, Wait, Pids, Pause, Resume, Shutdown: what names no more than an exec. */
struct flight *race_call(struct race *race, const char *method, const char *exec_id);
/* The same on a connection of its own, with the caller's deadline (0: a late one). */
struct flight *race_call_apart(
	struct race *race, const char *method, const char *exec_id, int64_t timeout_ms);
struct flight *race_kill(struct race *race, const char *exec_id, uint32_t signal);
struct flight *race_update(struct race *race, const char *document);

/* Waits for the success. The pid of Create and Start, the exit status of Wait and Delete. */
uint32_t race_ok(struct flight *flight);
/* The same, with the place of the answer among events and answers. */
uint32_t race_ok_order(struct flight *flight, unsigned *ret_order);
/* Waits for the failure: its sentence is exactly that one, with "ID" for the container's id, or, if
 * that one ends with "*", begins so. */
void race_refused(struct flight *flight, int code, const char *sentence);
/* Waits for it, however it ends, and tells its code. */
int race_land(struct flight *flight);
/* Whether it still is under way, now that a later call has been answered. */
bool race_pending(struct flight *flight);
/* The caller leaves: closes the connection of its own. */
void race_leave(struct flight *flight);

/* --- events --- */

/* Waits for the event of a process ("" the init). */
const struct race_event *race_await_event(
	struct race *race, const char *topic, const char *exec_id);
/*
 * The call that starts a container whose init is dead before that is answered: first it is, then the
 * exit is told, and from then on Wait and Delete tell it too.
 */
void race_dead_early(struct race *race, struct flight *start, uint32_t status);
/* How many of them there were until now. */
size_t race_count_events(struct race *race, const char *topic, const char *exec_id);

/* State, Connect, and (where there is a container) a Wait that stays: all answered at once. */
void race_assert_answers(struct race *race);
/* Waits until the shim has no more descriptors than this. */
size_t race_shim_fds(struct race *race);
void race_await_fds(struct race *race, size_t n);
/* A child of the shim's, but not that one; 0: there is none. */
pid_t race_child(struct race *race, pid_t but);
/* Waits until no process of the shim's is left but the shim: no runtime, no helper, no zombie. */
void race_await_no_children(struct race *race);

/* Waits for the end of the events, which must be the proper one: they and all answers have come. */
void race_await_line(struct race *race);
/*
 * Waits for the end of a shim that got SIGTERM, with a container: its ledger still tells the exit
 * status of the init, and what it left on disk is deleted.
 */
void race_await_end(struct race *race, const char *status);
