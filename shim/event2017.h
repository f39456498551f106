/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Events as the service of 2017 has words for them. */

#include <stdbool.h>

#include "google/protobuf/timestamp.pb-c.h"
#include "shim/events.h"
#include "types2017.pb-c.h"

/*
 * Fills ret, which points to id and to *time; false for what its enum lacks. An exec is told once
 * its pid is known.
 */
bool event2017_fill(const struct task_event *e, const char *id, Cleat__Shim2017__Types__Event *ret,
	Google__Protobuf__Timestamp *time);
