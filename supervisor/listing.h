/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lists of containers, from memory. So that one that hangs is not told as if it did not, shims are asked
 * at the same time, and have as long to answer as the configuration gives them: the list waits for no
 * longer than that. Where there are LISTING_ALL or fewer, all are asked; else LISTING_TURN, those that
 * were not heard of for longest, so that each has its turn in the end: a thousand would have to be woken
 * for a list that is due in 5 ms (design, section 11).
 */

#include "common/ttrpc_server.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "supervisor.pb-c.h"
#include "supervisor/member.h"

#define LISTING_ALL  32u
#define LISTING_TURN 8u

/* Answers the call with the containers of ns (NULL: of all namespaces) as they are now known. */
typedef void (*listing_reply_fn)(struct supervisor *s, struct ttrpc_call *call, const char *ns);

/* Takes over the call. ns is copied. */
void listing_begin(
	struct supervisor *s, struct ttrpc_call *call, const char *ns, listing_reply_fn reply);

/* For registry.c: lists that wait for nobody any more are answered. */
void listing_step(struct supervisor *s);

/* As Tasks.List and Supervisor.List. */
void listing_reply_tasks(struct supervisor *s, struct ttrpc_call *call, const char *ns);
void listing_reply_containers(struct supervisor *s, struct ttrpc_call *call, const char *ns);

/* What is known of one; strings point into m, times into what is given. */
void listing_fill_process(const struct member *m, const struct member_process *p,
	Containerd__V1__Types__Process *ret, Google__Protobuf__Timestamp *exited_at);
struct listed_container {
	Cleat__V1__Container container;
	Google__Protobuf__Timestamp created_at, exited_at;
};
void listing_fill_container(const struct member *m, struct listed_container *ret);
