/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An event's payload: the containerd.events message of its kind, built from what the event tells.
 * Filled on the caller's stack, measured, and packed into the event's own room; it owns nothing
 * and points into the arguments.
 */

#include "events.pb-c.h"
#include "shim/events.h"

struct event_payload {
	union {
		ProtobufCMessage base;
		Containerd__Events__TaskCreate create;
		Containerd__Events__TaskStart start;
		Containerd__Events__TaskOOM oom;
		Containerd__Events__TaskExit exit;
		Containerd__Events__TaskDelete delete_;
		Containerd__Events__TaskExecAdded exec_added;
		Containerd__Events__TaskExecStarted exec_started;
		Containerd__Events__TaskPaused paused;
		Containerd__Events__TaskResumed resumed;
		Containerd__Events__TaskCheckpointed checkpointed;
	};
	Containerd__Events__TaskIO io;
	Google__Protobuf__Timestamp time;
};

/* Valid as long as args is, and while it is not moved. */
void event_payload_fill(struct event_payload *p, const struct event_args *args);
