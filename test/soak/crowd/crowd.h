/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A crowd: two hundred clients of one cleatd at once, each with a connection of its own, in one loop, and
 * beside them two that subscribe and do not read. What is told to one is held against what was brought
 * about by the others: every event by its number, every exit by its count.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/error.h"
#include "common/ttrpc_client.h"

#define TASKS	   "containerd.services.tasks.v1.Tasks"
#define EVENTS	   "containerd.services.events.v1.Events"
#define SUPERVISOR "cleat.v1.Supervisor"

#define CROWD_NS       "crowd" /* where the markers and the ballast are published */
#define CROWD_BEGIN    "/crowd/begin"
#define CROWD_END      "/crowd/end"
#define CROWD_BALLAST  "/crowd/ballast"
#define CROWD_KILLED   137u
#define MAX_CONTAINERS 64u
#define N_WAITERS      50u
#define N_FOLLOWERS    50u /* half of them of Supervisor, half of Events */
#define N_CALLERS      100u
#define N_EXECUTERS    8u /* callers that run execs as well */
#define MAX_TIMES      (1u << 20)

struct crowd;

/* Waits for the end of an init. */
struct waiter {
	struct crowd *crowd;
	struct ttrpc_client *client;
	bool is_answered;
};

struct follower {
	struct crowd *crowd;
	struct ttrpc_client *client;
	const char *id; /* of Supervisor: one container's; NULL: all */
	bool of_events, is_filtered;
	uint64_t epochs[MAX_CONTAINERS], seqs[MAX_CONTAINERS];
	uint64_t n_exits, n_execs; /* n_execs: added, and started */
	uint64_t
		n_between; /* of Events: from the marker at the begin to that at the end, both counted */
	bool has_begun, has_ended;
};

struct caller {
	struct crowd *crowd;
	struct ttrpc_client *client;
	struct event *pause;
	uint32_t number, n_calls, n_execs;
	const char *id; /* whom it calls about */
	char exec_id[24];
	int64_t begun_us;
	bool is_busy, is_timed, is_killed; /* is_killed: its exec was */
};

/* Subscribes, and reads nothing until it is told to. */
struct slow {
	struct crowd *crowd;
	struct ttrpc_client *client;
	uint32_t stream;
	uint64_t n_got, n_missed;
};

struct crowd {
	struct event_base *base;
	const char *socket, *ids[MAX_CONTAINERS];
	size_t n_ids;
	struct waiter waiters[N_WAITERS];
	struct follower followers[N_FOLLOWERS];
	struct caller callers[N_CALLERS];
	struct slow slow_events, slow_supervisor;
	bool is_calling, is_ending; /* is_ending: inits may end */
	uint64_t n_calls, n_execs;
	uint64_t execs_of[MAX_CONTAINERS]; /* that have ended */
	int64_t *times;			   /* microseconds that Get took */
	size_t n_times;
};

/* Prints why, and ends the program: a crowd has nothing to save. */
void crowd_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
size_t crowd_index(const struct crowd *crowd, const char *id);
int64_t crowd_now_us(void);
/* Connects; base: the crowd's, or NULL. */
struct ttrpc_client *crowd_connect(struct crowd *crowd, struct event_base *base);
/* A call of a service in the containers' namespace. */
void crowd_begin(struct ttrpc_client *client, const char *service, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response, int stream,
	ttrpc_reply_fn on_reply, void *userdata);
/* The request as crowd_begin() sends it, for who posts it; valid until the next. */
struct ttrpc_request crowd_request(const char *service, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response);

void waiter_begin(struct waiter *w, const char *id);
void follower_begin(struct follower *f, size_t number);
void caller_begin(struct caller *c, uint32_t number);
/* Has it call, now that crowd->is_calling. */
void caller_go(struct caller *c);

void slow_begin(struct crowd *crowd);
/* Reads all that they have been sent, and holds it against what there was. */
void slow_catch_up(struct crowd *crowd, uint64_t n_between);
