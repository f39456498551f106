/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One direction of a foreground terminal: bytes from one descriptor to another over the loop, in
 * order, none added and none lost.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#define RELAY_BYTES 65536

struct relay {
	int from, to; /* owned or not, as begun */
	bool from_owned, to_owned;
	bool to_shared; /* a write may block: only as much as is sure to fit */
	bool eof;	/* nothing more comes from `from` */
	int error;	/* errno of a write that failed: from then on bytes are read and dropped */
	bool ended;
	struct event *readable, *writable;
	uint8_t *data;
	size_t start, len;
	void (*on_end)(void *userdata);
	void *userdata;
};

#define RELAY_INIT ((struct relay){ .from = -1, .to = -1 })

/*
 * Begins. from and to are owned by the caller if they are standard streams (then reopened where
 * that can be, so that their flags stay as they are), else taken: a taken `to` is closed after the
 * last byte. on_end runs once, from the loop, when that has happened. 0 or -errno (nothing is
 * taken then).
 */
int relay_begin(struct relay *r, struct event_base *base, int from, int to,
	void (*on_end)(void *userdata), void *userdata);

/* Safe after a failure, and to repeat. */
void relay_deinit(struct relay *r);
