/* SPDX-License-Identifier: Apache-2.0 */
/* What filters can ask of an event: each field of each message of a task, and of what is none of them. */
#include "supervisor/event_fields.h"

#include "common/filter.h"
#include "common/pbtime.h"
#include "events.pb-c.h"
#include "test/unit/unit.h"

#define N_EVENTS 13u

/* An event for each message, called 0 to 9; then an empty one, noise, and a type that is not known. */
struct events {
	struct hub_event v[N_EVENTS];
	uint8_t *payloads[N_EVENTS];
};

static void put(struct events *events, size_t i, const char *topic, const ProtobufCMessage *m)
{
	struct hub_event *e = &events->v[i];

	events->payloads[i] = malloc(4096);
	*e = (struct hub_event){ .ns = i % 2 ? "odd" : "even",
		.topic = topic,
		.type_url = m->descriptor->name,
		.payload = events->payloads[i] };
	assert_true(protobuf_c_message_get_packed_size(m) <= 4096);
	e->n_payload = protobuf_c_message_pack(m, events->payloads[i]);
}

static void put_create(struct events *events)
{
	Containerd__Events__TaskCreate m = CONTAINERD__EVENTS__TASK_CREATE__INIT;
	Containerd__Events__TaskIO io = CONTAINERD__EVENTS__TASK_IO__INIT;
	Containerd__Types__Mount mount = CONTAINERD__TYPES__MOUNT__INIT, *list[200];

	for (size_t i = 0; i < 200; i++) /* more than there is room for on the stack */
		list[i] = &mount;
	mount.source = (char *)"/s";
	m.container_id = (char *)"c0";
	m.bundle = (char *)"/b";
	m.checkpoint = (char *)"/image";
	m.pid = 100;
	m.io = &io;
	m.rootfs = list;
	m.n_rootfs = 200;
	io.stdin = (char *)"/in";
	io.stdout = (char *)"/out";
	io.stderr = (char *)"/err";
	io.terminal = true;
	put(events, 0, "/tasks/create", &m.base);
}

static void put_ends(struct events *events)
{
	Containerd__Events__TaskDelete d = CONTAINERD__EVENTS__TASK_DELETE__INIT;
	Containerd__Events__TaskExit x = CONTAINERD__EVENTS__TASK_EXIT__INIT;
	Google__Protobuf__Timestamp time;

	d.container_id = (char *)"c2";
	d.id = (char *)"probe";
	d.pid = 102;
	d.exit_status = 137;
	d.exited_at = pbtime_set(&time, 1500000000);
	put(events, 2, "/tasks/delete", &d.base);
	x.container_id = (char *)"c3";
	x.id = (char *)"c3";
	x.pid = 103;
	put(events, 3, "/tasks/exit", &x.base);
}

#define PUT(i, topic, Type, TYPE, ...)                                                             \
	do {                                                                                       \
		Containerd__Events__##Type m = CONTAINERD__EVENTS__##TYPE##__INIT;                 \
		m.container_id = (char *)"c" #i;                                                   \
		__VA_ARGS__;                                                                       \
		put(events, i, topic, &m.base);                                                    \
	} while (0)

static void fill(struct events *events)
{
	static const uint8_t noise[] = { 0xff, 0xff, 0xff };

	put_create(events);
	PUT(1, "/tasks/start", TaskStart, TASK_START, m.pid = 101);
	put_ends(events);
	PUT(4, "/tasks/oom", TaskOOM, TASK_OOM);
	PUT(5, "/tasks/exec-added", TaskExecAdded, TASK_EXEC_ADDED, m.exec_id = (char *)"x5");
	PUT(6, "/tasks/exec-started", TaskExecStarted, TASK_EXEC_STARTED, m.exec_id = (char *)"x6";
		m.pid = 106);
	PUT(7, "/tasks/paused", TaskPaused, TASK_PAUSED);
	PUT(8, "/tasks/resumed", TaskResumed, TASK_RESUMED);
	PUT(9, "/tasks/checkpointed", TaskCheckpointed, TASK_CHECKPOINTED,
		m.checkpoint = (char *)"/image");
	/* with a host before the name */
	events->v[9].type_url = "types.containerd.io/containerd.events.TaskCheckpointed";
	events->v[10] = (struct hub_event){ .ns = "even", .topic = "/x", .type_url = "" };
	events->v[11] = (struct hub_event){ .ns = "odd",
		.topic = "/x",
		.payload = noise,
		.n_payload = sizeof(noise),
		.type_url = "containerd.events.TaskExit" };
	events->v[12] = events->v[3];
	events->v[12].type_url = "containerd.events.ContainerCreate";
}

/* The events that it picks, a letter for each. */
static void pick(const struct events *events, const char *text, char ret[static N_EVENTS + 1])
{
	struct error err = ERROR_INIT;
	struct filter *f;

	assert_ok(filter_parse(&text, 1, &f, &err), &err);
	for (size_t i = 0; i < N_EVENTS; i++) {
		_cleanup_event_fields_ struct event_fields fields;

		event_fields_init(&fields, &events->v[i]);
		if (filter_matches(f, event_field, &fields))
			*ret++ = "0123456789enu"[i];
	}
	*ret = '\0';
	filter_free(f);
}

static void test_picks(void **state)
{
	static const struct {
		const char *text, *picked;
	} cases[] = {
		{ "namespace==odd", "13579nu" },
		{ "topic==/tasks/exit", "3u" },
		{ "topic~=\"^/tasks/exec-\"", "56" },
		{ "event", "" },
		{ "event.nothing", "" },
		{ "timestamp", "" },
		{ "event.container_id", "0123456789" },
		{ "event.container_id==c4", "4" },
		{ "event.container_id!=c4", "012356789enu" },
		{ "event.container_id~=^c[0-35]$", "01235" },
		{ "event.container_id.more", "" },
		{ "event.id", "23" },
		{ "event.id==probe", "2" },
		{ "event.id==c3", "3" },
		{ "event.exec_id", "56" },
		{ "event.exec_id==x6", "6" },
		{ "event.bundle==/b", "0" },
		{ "event.checkpoint==/image", "09" },
		{ "event.rootfs", "" },
		{ "event.io", "" },
		{ "event.io.stdin==/in", "0" },
		{ "event.io.stdout==/out", "0" },
		{ "event.io.stderr==/err", "0" },
		{ "event.io.terminal==true", "0" },
		{ "event.pid", "01236" },
		{ "event.pid==100", "0" },
		{ "event.pid==101", "1" },
		{ "event.pid~=10[236]", "236" },
		{ "event.exit_status==0", "3" },
		{ "event.exit_status==137", "2" },
		{ "event.exited_at==1970-01-01T00:00:01.500000000Z", "2" },
		{ "event.exited_at", "2" },
		{ "event.exited_at.seconds", "" },
		{ "topic==/tasks/exit,event.container_id==c3,event.pid==103", "3" },
	};
	struct events events = { 0 };
	char picked[N_EVENTS + 1];

	(void)state;
	fill(&events);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		pick(&events, cases[i].text, picked);
		if (strcmp(picked, cases[i].picked) != 0)
			fail_msg("%s: %s instead of %s", cases[i].text, picked, cases[i].picked);
	}
	for (size_t i = 0; i < N_EVENTS; i++)
		free(events.payloads[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_picks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
