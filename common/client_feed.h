/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The events of one container, by its shim's own stream wherever there is a shim; or of every container
 * of a namespace, those that are made later too: cleatd's stream of them, or one subscription for each
 * shim. Where cleatd goes in the middle, and its socket was not named, the shims tell the rest: no event
 * is missing, none comes twice. Every stream has a connection of its own, so that who does not read keeps
 * nobody up. For one thread at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/client_target.h"
#include "common/error.h"
#include "monitor.pb-c.h"

struct client_feed;

struct client_feed_options {
	bool from_now;	   /* nothing that is kept, of what is there already */
	bool is_any_epoch; /* since is meant whatever process of the shim counts */
	uint64_t epoch, since;
};

/* id NULL: all (or the one of a shim's socket). place outlives it. */
int client_feed_open(const struct client_place *place, const char *id,
	const struct client_feed_options *options, struct client_feed **ret, struct error *err);
/* Readable once there may be something for client_feed_next(); owned by the feed. */
int client_feed_fd(const struct client_feed *feed);
/*
 * The next event and whose it is; both are the feed's, until the next call. *ret is NULL at the end:
 * the single container's shim has ended. CODE_DEADLINE_EXCEEDED where none came in timeout_ms (< 0:
 * for ever); CODE_UNAVAILABLE where the cleatd that was named has gone.
 */
int client_feed_next(struct client_feed *feed, int64_t timeout_ms, const char **ret_id,
	const Cleat__Shim__V1__Event **ret, struct error *err);
/* Takes NULL. */
void client_feed_close(struct client_feed *feed);
