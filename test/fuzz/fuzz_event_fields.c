/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event's fields: the first byte picks the message, the others are its payload. Each field that is
 * there is a text, and the same when it is asked for again.
 */
#include "supervisor/event_fields.h"

#include "events.pb-c.h"
#include "test/fuzz/fuzz_folder.h"

static const char *const types[] = { "containerd.events.TaskCreate", "containerd.events.TaskStart",
	"containerd.events.TaskDelete", "x/containerd.events.TaskExit", "containerd.events.TaskOOM",
	"containerd.events.TaskExecAdded", "containerd.events.TaskExecStarted",
	"containerd.events.TaskPaused", "containerd.events.TaskResumed",
	"containerd.events.TaskCheckpointed", "containerd.events.TaskIO", "" };

static const char *const paths[][3] = { { "namespace" }, { "topic" }, { "event" },
	{ "event", "container_id" }, { "event", "id" }, { "event", "exec_id" }, { "event", "pid" },
	{ "event", "bundle" }, { "event", "checkpoint" }, { "event", "rootfs" }, { "event", "io" },
	{ "event", "io", "stdin" }, { "event", "io", "terminal" }, { "event", "exit_status" },
	{ "event", "exited_at" }, { "event", "exited_at", "nanos" } };

static void look(struct event_fields *f, const char *const path[3])
{
	size_t n = path[1] ? path[2] ? 3 : 2 : 1;
	const char *value = event_field(path, n, f);
	char *copy;

	if (!value)
		return;
	copy = strdup(value);
	CHECK(strcmp(event_field(path, n, f), copy) == 0);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct hub_event e = { .ns = "n", .topic = "/t" };
	_cleanup_event_fields_ struct event_fields f;

	if (n == 0)
		return 0;
	e.type_url = types[data[0] % (sizeof(types) / sizeof(*types))];
	e.payload = data + 1;
	e.n_payload = n - 1;
	event_fields_init(&f, &e);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		look(&f, paths[i]);
	return 0;
}
