/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every event of the shim, forwarded to containerd through the ttrpc service
 * containerd.services.events.ttrpc.v1.Events: in order, one at a time, each until it has been
 * taken, for as long as the shim lives.
 */

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/error.h"
#include "shim/events.h"

struct publisher;

struct publisher_options {
	struct event_base *base;
	struct events *events; /* there is one publisher to a ring; it outlives the publisher */
	const char *address;   /* as TTRPC_ADDRESS has it: a path, "unix://" may stand before it */
	const char *ns;
	uint32_t deadline_ms, retry_ms, retry_max_ms; /* 0: as in common/limits.h */
};

/* Whether an address is one: CODE_INVALID_ARGUMENT. */
int publisher_check_address(const char *address, struct error *err);

/* Events that are in the ring already are forwarded too. 0 or -errno. */
int publisher_new(const struct publisher_options *options, struct publisher **ret);
/* What was not taken yet is lost. Takes NULL. */
void publisher_free(struct publisher *publisher);

/*
 * Before a process starts: room for its exit, so that it will be told whatever the ring loses
 * meanwhile; its EVENT_EXIT uses it up. CODE_RESOURCE_EXHAUSTED. For both, NULL is a publisher
 * that needs no room.
 */
int publisher_reserve(struct publisher *publisher, struct error *err);
void publisher_release(struct publisher *publisher);

/* Whether everything has been taken. NULL: it has. */
bool publisher_is_idle(const struct publisher *publisher);

/*
 * The shim is about to end: what waits is tried again soon and often, and on_idle runs whenever
 * everything has been taken, but not from within here. Takes NULL.
 */
void publisher_hurry(struct publisher *publisher, void (*on_idle)(void *userdata), void *userdata);
