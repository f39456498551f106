/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The states that a cell begins in. */

#include "test/conformance/box.h"

enum state {
	STATE_CREATED,
	STATE_RUNNING,
	STATE_PAUSED,
	STATE_STOPPED,
	STATE_DELETED,
	STATE_UNKNOWN,
	_STATE_MAX,
};

const char *state_name(enum state state);

/*
 * Brings init or exec into a state. For the exec the init runs; "paused" is the container with the
 * exec running in it; "unknown" is an init, or an exec, that was never made. NULL, or what could not
 * be done, as a sentence for the caller to free.
 */
char *state_enter(struct box *box, enum state state, enum who who);
