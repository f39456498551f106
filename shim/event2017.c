/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mapping of events to those of 2017. Subtle: adding an exec and starting it were one step
 * then, so its EXEC_ADDED is what we know as exec-started.
 */
#include "shim/event2017.h"

#include "common/pbtime.h"

#define TYPE(name) CLEAT__SHIM2017__TYPES__EVENT__EVENT_TYPE__##name
#define NO_WORD	   (-1)

static int type_of(enum event_kind kind)
{
	static const int types[_EVENT_KIND_MAX] = {
		[EVENT_CREATE] = TYPE(CREATE),
		[EVENT_START] = TYPE(START),
		[EVENT_OOM] = TYPE(OOM),
		[EVENT_EXIT] = TYPE(EXIT),
		[EVENT_DELETE] = NO_WORD,
		[EVENT_EXEC_ADDED] = NO_WORD,
		[EVENT_EXEC_STARTED] = TYPE(EXEC_ADDED),
		[EVENT_PAUSED] = TYPE(PAUSED),
		[EVENT_RESUMED] = NO_WORD,
		[EVENT_CHECKPOINTED] = NO_WORD,
	};

	return types[kind];
}

bool event2017_fill(const struct task_event *e, const char *id, Cleat__Shim2017__Types__Event *ret,
	Google__Protobuf__Timestamp *time)
{
	int type = type_of(e->kind);

	if (type == NO_WORD)
		return false;
	cleat__shim2017__types__event__init(ret);
	ret->id = (char *)id;
	ret->type = (Cleat__Shim2017__Types__Event__EventType)type;
	ret->pid = (uint32_t)e->pid;
	if (e->kind == EVENT_EXIT) {
		ret->exit_status = e->exit_status;
		ret->exited_at = pbtime_set(time, e->exited_at);
	}
	return true;
}
