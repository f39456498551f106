/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as containerd's messages: topics, type names, and which field says what. Never allocates.
 * The one trap: an exit of the init carries the container's id where an exec's carries the exec's,
 * and a delete of the init carries nothing there.
 */
#include "shim/event_payload.h"

#include <assert.h>

#include "common/pbtime.h"

static const struct {
	const char *topic, *type;
} kinds[_EVENT_KIND_MAX] = {
	[EVENT_CREATE] = { "/tasks/create", "containerd.events.TaskCreate" },
	[EVENT_START] = { "/tasks/start", "containerd.events.TaskStart" },
	[EVENT_OOM] = { "/tasks/oom", "containerd.events.TaskOOM" },
	[EVENT_EXIT] = { "/tasks/exit", "containerd.events.TaskExit" },
	[EVENT_DELETE] = { "/tasks/delete", "containerd.events.TaskDelete" },
	[EVENT_EXEC_ADDED] = { "/tasks/exec-added", "containerd.events.TaskExecAdded" },
	[EVENT_EXEC_STARTED] = { "/tasks/exec-started", "containerd.events.TaskExecStarted" },
	[EVENT_PAUSED] = { "/tasks/paused", "containerd.events.TaskPaused" },
	[EVENT_RESUMED] = { "/tasks/resumed", "containerd.events.TaskResumed" },
	[EVENT_CHECKPOINTED] = { "/tasks/checkpointed", "containerd.events.TaskCheckpointed" },
};
static_assert(_EVENT_KIND_MAX == 10, "a new kind needs a topic and a message");

const char *event_topic(enum event_kind kind)
{
	return kinds[kind].topic;
}

const char *event_type_name(enum event_kind kind)
{
	return kinds[kind].type;
}

/* The generated messages want char *, and only read it. */
static char *text(const char *s)
{
	return (char *)(s ? s : "");
}

static void fill_create(struct event_payload *p, const struct event_args *args)
{
	containerd__events__task_create__init(&p->create);
	p->create.container_id = text(args->container_id);
	p->create.bundle = text(args->bundle);
	p->create.checkpoint = text(args->checkpoint);
	p->create.pid = (uint32_t)args->pid;
	containerd__events__task_io__init(&p->io);
	p->io.stdin = text(args->stdin_uri);
	p->io.stdout = text(args->stdout_uri);
	p->io.stderr = text(args->stderr_uri);
	p->io.terminal = args->terminal;
	p->create.io = &p->io;
	p->create.rootfs = (Containerd__Types__Mount **)args->rootfs;
	p->create.n_rootfs = args->n_rootfs;
}

static void fill_exit(struct event_payload *p, const struct event_args *args)
{
	bool is_init = !args->exec_id || !*args->exec_id;

	containerd__events__task_exit__init(&p->exit);
	p->exit.container_id = text(args->container_id);
	p->exit.id = text(is_init ? args->container_id : args->exec_id);
	p->exit.pid = (uint32_t)args->pid;
	p->exit.exit_status = args->exit_status;
	p->exit.exited_at = pbtime_set(&p->time, args->exited_at);
}

static void fill_delete(struct event_payload *p, const struct event_args *args)
{
	containerd__events__task_delete__init(&p->delete_);
	p->delete_.container_id = text(args->container_id);
	p->delete_.id = text(args->exec_id);
	p->delete_.pid = (uint32_t)args->pid;
	p->delete_.exit_status = args->exit_status;
	p->delete_.exited_at = pbtime_set(&p->time, args->exited_at);
}

static void fill_exec_started(struct event_payload *p, const struct event_args *args)
{
	containerd__events__task_exec_started__init(&p->exec_started);
	p->exec_started.container_id = text(args->container_id);
	p->exec_started.exec_id = text(args->exec_id);
	p->exec_started.pid = (uint32_t)args->pid;
}

void event_payload_fill(struct event_payload *p, const struct event_args *args)
{
	switch (args->kind) {
	case EVENT_CREATE:
		fill_create(p, args);
		break;
	case EVENT_START:
		containerd__events__task_start__init(&p->start);
		p->start.container_id = text(args->container_id);
		p->start.pid = (uint32_t)args->pid;
		break;
	case EVENT_OOM:
		containerd__events__task_oom__init(&p->oom);
		p->oom.container_id = text(args->container_id);
		break;
	case EVENT_EXIT:
		fill_exit(p, args);
		break;
	case EVENT_DELETE:
		fill_delete(p, args);
		break;
	case EVENT_EXEC_ADDED:
		containerd__events__task_exec_added__init(&p->exec_added);
		p->exec_added.container_id = text(args->container_id);
		p->exec_added.exec_id = text(args->exec_id);
		break;
	case EVENT_EXEC_STARTED:
		fill_exec_started(p, args);
		break;
	case EVENT_PAUSED:
		containerd__events__task_paused__init(&p->paused);
		p->paused.container_id = text(args->container_id);
		break;
	case EVENT_RESUMED:
		containerd__events__task_resumed__init(&p->resumed);
		p->resumed.container_id = text(args->container_id);
		break;
	case EVENT_CHECKPOINTED:
		containerd__events__task_checkpointed__init(&p->checkpointed);
		p->checkpointed.container_id = text(args->container_id);
		p->checkpointed.checkpoint = text(args->checkpoint);
		break;
	case _EVENT_KIND_MAX:
		assert(!"no kind of event");
	}
}
