/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that overlap, and the events between them. Subtle: blocking calls of the bed go over
 * another connection; only what is on the line has an order.
 */
#include "test/integration/races.h"

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "events.pb-c.h"

#define RESPONSE(name) (&containerd__task__v2__##name##__descriptor)

/* --- waiting --- */

/* One turn of the loop, no longer than a moment. */
static void turn(struct race *race)
{
	const struct timeval tick = { 0, 2000 };

	event_base_loopexit(race->base, &tick);
	event_base_dispatch(race->base);
}

#define AWAIT(race, condition, ...)                                                                \
	for (int64_t end_ = clock_monotonic_ms() + CALL_MS; !(condition); turn(race))              \
		if (clock_monotonic_ms() > end_)                                                   \
			fail_msg(__VA_ARGS__);

static char *at_bed(const struct race *race, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", race->bed->dir, name) < 0)
		abort();
	return path;
}

void race_script(struct race *race, const char *text)
{
	_cleanup_free_ char *script = NULL;
	size_t size;
	FILE *f = open_memstream(&script, &size);

	for (; *text; text++)
		if (*text == '@')
			fputs(race->bed->dir, f);
		else
			fputc(*text, f);
	fclose(f);
	bed_script(race->bed, script);
}

void race_touch(struct race *race, const char *name)
{
	_cleanup_free_ char *path = at_bed(race, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fclose(f);
}

void race_await_file(struct race *race, const char *name)
{
	_cleanup_free_ char *path = at_bed(race, name);

	AWAIT(race, access(path, F_OK) == 0, "the runtime never made %s", name);
}

/* --- events --- */

static void *unpack(const Cleat__Shim__V1__Event *e, const ProtobufCMessageDescriptor *descriptor)
{
	void *m = protobuf_c_message_unpack(
		descriptor, NULL, e->event->value.len, e->event->value.data);

	assert_non_null(m);
	return m;
}

static void read_exit(const Cleat__Shim__V1__Event *e, const char *id, struct race_event *ret)
{
	Containerd__Events__TaskExit *m = unpack(e, &containerd__events__task_exit__descriptor);

	ret->pid = m->pid;
	ret->exit_status = m->exit_status;
	if (strcmp(m->id, id) != 0)
		snprintf(ret->exec_id, sizeof(ret->exec_id), "%s", m->id);
	bed_free(m);
}

static void read_delete(const Cleat__Shim__V1__Event *e, struct race_event *ret)
{
	Containerd__Events__TaskDelete *m = unpack(e, &containerd__events__task_delete__descriptor);

	ret->pid = m->pid;
	ret->exit_status = m->exit_status;
	snprintf(ret->exec_id, sizeof(ret->exec_id), "%s", m->id);
	bed_free(m);
}

static void read_exec(const Cleat__Shim__V1__Event *e, struct race_event *ret)
{
	Containerd__Events__TaskExecStarted *started;
	Containerd__Events__TaskExecAdded *added;

	if (strcmp(ret->topic, "exec-added") == 0) {
		added = unpack(e, &containerd__events__task_exec_added__descriptor);
		snprintf(ret->exec_id, sizeof(ret->exec_id), "%s", added->exec_id);
		bed_free(added);
	} else if (strcmp(ret->topic, "exec-started") == 0) {
		started = unpack(e, &containerd__events__task_exec_started__descriptor);
		snprintf(ret->exec_id, sizeof(ret->exec_id), "%s", started->exec_id);
		ret->pid = started->pid;
		bed_free(started);
	}
}

static void on_event(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Cleat__Shim__V1__Event *e = (const void *)message;
	struct race *race = userdata;
	struct race_event *ev = &race->events[race->n_events];

	(void)err;
	if (!e) {
		race->line_ended = true;
		race->line_code = code;
		return;
	}
	assert_true(race->n_events < RACE_EVENTS);
	assert_int_equal(e->missed, 0);
	assert_int_equal(e->seq, race->n_events + 1);
	assert_int_equal(strncmp(e->topic, "/tasks/", 7), 0);
	snprintf(ev->topic, sizeof(ev->topic), "%s", e->topic + 7);
	ev->order = race->order++;
	ev->late = e->late;
	if (strcmp(ev->topic, "exit") == 0)
		read_exit(e, race->bed->id, ev);
	else if (strcmp(ev->topic, "delete") == 0)
		read_delete(e, ev);
	else
		read_exec(e, ev);
	race->n_events++;
}

static const struct race_event *find_event(
	const struct race *race, const char *topic, const char *exec_id)
{
	for (size_t i = 0; i < race->n_events; i++)
		if (strcmp(race->events[i].topic, topic) == 0 &&
			strcmp(race->events[i].exec_id, exec_id) == 0)
			return &race->events[i];
	return NULL;
}

const struct race_event *race_await_event(struct race *race, const char *topic, const char *exec_id)
{
	AWAIT(race, find_event(race, topic, exec_id), "no event %s of \"%s\"", topic, exec_id);
	return find_event(race, topic, exec_id);
}

size_t race_count_events(struct race *race, const char *topic, const char *exec_id)
{
	size_t n = 0;

	for (size_t i = 0; i < race->n_events; i++)
		n += strcmp(race->events[i].topic, topic) == 0 &&
		     strcmp(race->events[i].exec_id, exec_id) == 0;
	return n;
}

/* Both there, or the later one not: then in that order. */
static void check_order(struct race *race, const char *exec_id, const char *a, const char *b)
{
	const struct race_event *first = find_event(race, a, exec_id);
	const struct race_event *second = find_event(race, b, exec_id);

	if (second && (!first || first->order > second->order))
		fail_msg("\"%s\": %s is not before %s", exec_id, a, b);
}

static void check_one(struct race *race, const char *exec_id, const char *begun)
{
	size_t n = race_count_events(race, "exit", exec_id);
	size_t n_begun = race_count_events(race, begun, exec_id);

	assert_in_range(n_begun, 0, 1);
	if (!race->unchecked || n > n_begun)
		if (n != n_begun)
			fail_msg("\"%s\": %zu exits for %zu processes", exec_id, n, n_begun);
	assert_in_range(race_count_events(race, "delete", exec_id), 0, 1);
	assert_in_range(race_count_events(race, "start", exec_id), 0, 1);
}

static void check_exec(struct race *race, const char *exec_id)
{
	const struct race_event *mine = find_event(race, "exit", exec_id);
	const struct race_event *init = find_event(race, "exit", "");

	check_one(race, exec_id, "exec-started");
	check_order(race, exec_id, "exec-added", "exec-started");
	check_order(race, exec_id, "exec-started", "exit");
	check_order(race, exec_id, "exec-added", "delete");
	if (mine)
		check_order(race, exec_id, "exit", "delete");
	if (mine && init && mine->order > init->order &&
		(!race->late_exec || strcmp(exec_id, race->late_exec) != 0))
		fail_msg("exec \"%s\" ended after the init", exec_id);
	if (mine && mine->late != (init && mine->order > init->order))
		fail_msg("exec \"%s\": late is %d", exec_id, mine->late);
}

/* The orders of contract, section 2, for everything that was told. */
static void check_events(struct race *race)
{
	check_order(race, "", "create", "start");
	/* what was to be restored, and was not, has had no process */
	if (race->bed->checkpoint && !find_event(race, "start", "")) {
		assert_int_equal(race_count_events(race, "exit", ""), 0);
		return;
	}
	check_one(race, "", "create");
	check_order(race, "", "create", "exit");
	check_order(race, "", "exit", "delete");
	if (find_event(race, "start", "") && find_event(race, "exit", ""))
		check_order(race, "", "start", "exit");
	for (size_t i = 0; i < race->n_events; i++)
		if (strcmp(race->events[i].topic, "exec-added") == 0)
			check_exec(race, race->events[i].exec_id);
}

/* --- calls --- */

static void keep_value(struct flight *f, const ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *d = f->response;

	if (d == RESPONSE(create_task_response))
		f->value = ((const Containerd__Task__V2__CreateTaskResponse *)m)->pid;
	else if (d == RESPONSE(start_response))
		f->value = ((const Containerd__Task__V2__StartResponse *)m)->pid;
	else if (d == RESPONSE(wait_response))
		f->value = ((const Containerd__Task__V2__WaitResponse *)m)->exit_status;
	else if (d == RESPONSE(delete_response))
		f->value = ((const Containerd__Task__V2__DeleteResponse *)m)->exit_status;
	else if (d == RESPONSE(state_response))
		f->value = ((const Containerd__Task__V2__StateResponse *)m)->status;
	else if (d == RESPONSE(pids_response))
		f->value = (uint32_t)((const Containerd__Task__V2__PidsResponse *)m)->n_processes;
}

static void on_reply(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct flight *f = userdata;

	f->ended = true;
	f->order = f->race->order++;
	f->code = code;
	if (code != 0)
		f->sentence = strdup(error_message(err));
	else
		keep_value(f, message);
}

static struct flight *begin(struct race *race, struct ttrpc_client *own, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response,
	int64_t timeout_ms)
{
	const struct ttrpc_request request = {
		.service = TASK,
		.method = method,
		.message = message,
		.response = response,
		.timeout_ms = timeout_ms,
	};
	_cleanup_error_ struct error err = ERROR_INIT;
	struct flight *f = calloc(1, sizeof(*f));

	f->race = race;
	f->own = own;
	f->method = method;
	f->response = response;
	if (ttrpc_client_begin(own ? own : race->line, &request, false, on_reply, f, NULL, &err) !=
		0)
		fail_msg("%s: %s", method, error_message(&err));
	return f;
}

static struct ttrpc_client *connect_line(struct race *race)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_client *client;

	if (ttrpc_client_connect(race->bed->socket, race->base, &client, &err) != 0)
		fail_msg("%s", error_message(&err));
	return client;
}

/* source: what is bound to the rootfs; NULL: nothing. */
static struct flight *create(struct race *race, struct ttrpc_client *own, bool terminal,
	const char *source, int64_t timeout_ms)
{
	Containerd__Types__Mount mount = CONTAINERD__TYPES__MOUNT__INIT, *mounts[] = { &mount };
	char *options[] = { (char *)"rbind" };
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any any;
	uint8_t room[1024];

	r.id = race->bed->id;
	r.bundle = race->bed->bundle;
	r.terminal = terminal;
	r.stdout = terminal ? (char *)"" : race->bed->out;
	r.options = bed_options(race->bed, room, &any);
	if (race->bed->checkpoint)
		r.checkpoint = race->bed->checkpoint;
	if (source) {
		mount.type = (char *)"bind";
		mount.source = (char *)source;
		mount.options = options;
		mount.n_options = 1;
		r.rootfs = mounts;
		r.n_rootfs = 1;
	}
	return begin(race, own, "Create", &r.base, RESPONSE(create_task_response), timeout_ms);
}

struct flight *race_create(struct race *race, bool terminal)
{
	return create(race, NULL, terminal, NULL, CALL_MS);
}

struct flight *race_create_on(struct race *race, const char *source)
{
	return create(race, NULL, false, source, CALL_MS);
}

struct flight *race_create_apart(struct race *race, int64_t timeout_ms)
{
	return create(race, connect_line(race), false, NULL, timeout_ms ? timeout_ms : CALL_MS);
}

static struct flight *call(struct race *race, struct ttrpc_client *own, const char *method,
	const char *exec_id, int64_t timeout_ms)
{
	/* these messages all begin with the two names, or with the one */
	static const struct {
		const char *method;
		const ProtobufCMessageDescriptor *request, *response;
	} calls[] = {
		{ "Connect", RESPONSE(connect_request), RESPONSE(connect_response) },
		{ "Start", RESPONSE(start_request), RESPONSE(start_response) },
		{ "Delete", RESPONSE(delete_request), RESPONSE(delete_response) },
		{ "State", RESPONSE(state_request), RESPONSE(state_response) },
		{ "Wait", RESPONSE(wait_request), RESPONSE(wait_response) },
		{ "Pids", RESPONSE(pids_request), RESPONSE(pids_response) },
		{ "Pause", RESPONSE(pause_request), EMPTY },
		{ "Resume", RESPONSE(resume_request), EMPTY },
		{ "Shutdown", RESPONSE(shutdown_request), EMPTY },
	};
	union {
		ProtobufCMessage base;
		Containerd__Task__V2__StateRequest state;
		uint8_t room[256];
	} message;

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		if (strcmp(calls[i].method, method) != 0)
			continue;
		protobuf_c_message_init(calls[i].request, &message);
		message.state.id = race->bed->id;
		if (exec_id)
			message.state.exec_id = (char *)exec_id;
		return begin(race, own, method, &message.base, calls[i].response, timeout_ms);
	}
	fail_msg("no call %s", method);
	return NULL;
}

struct flight *race_call(struct race *race, const char *method, const char *exec_id)
{
	return call(race, NULL, method, exec_id, CALL_MS);
}

struct flight *race_call_apart(
	struct race *race, const char *method, const char *exec_id, int64_t timeout_ms)
{
	return call(race, connect_line(race), method, exec_id, timeout_ms ? timeout_ms : CALL_MS);
}

struct flight *race_kill(struct race *race, const char *exec_id, uint32_t signal)
{
	Containerd__Task__V2__KillRequest r = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	r.id = race->bed->id;
	r.exec_id = (char *)exec_id;
	r.signal = signal;
	return begin(race, NULL, "Kill", &r.base, EMPTY, CALL_MS);
}

struct flight *race_update(struct race *race, const char *document)
{
	Containerd__Task__V2__UpdateTaskRequest r = CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
	any.value.data = (uint8_t *)document;
	any.value.len = strlen(document);
	r.id = race->bed->id;
	r.resources = &any;
	return begin(race, NULL, "Update", &r.base, EMPTY, CALL_MS);
}

static void flight_free(struct flight *f)
{
	ttrpc_client_free(f->own);
	free(f->sentence);
	free(f);
}

static void land(struct flight *f)
{
	AWAIT(f->race, f->ended, "%s: no answer", f->method);
}

uint32_t race_ok_order(struct flight *f, unsigned *ret_order)
{
	uint32_t value;

	land(f);
	if (f->code != 0)
		fail_msg("%s: %s: %s", f->method, code_name(f->code), f->sentence);
	value = f->value;
	if (ret_order)
		*ret_order = f->order;
	flight_free(f);
	return value;
}

uint32_t race_ok(struct flight *f)
{
	return race_ok_order(f, NULL);
}

/* Whether text is the pattern, with the id for "ID", and anything for a "*" at its end. */
static bool is_sentence(const char *text, const char *pattern, const char *id)
{
	const char *at = strstr(pattern, "ID");
	size_t n = at ? (size_t)(at - pattern) : strlen(pattern);

	if (!at && n > 0 && pattern[n - 1] == '*')
		return strncmp(text, pattern, n - 1) == 0;
	if (!at)
		return strcmp(text, pattern) == 0;
	return strncmp(text, pattern, n) == 0 && strncmp(text + n, id, strlen(id)) == 0 &&
	       strcmp(text + n + strlen(id), at + 2) == 0;
}

void race_refused(struct flight *f, int code, const char *sentence)
{
	land(f);
	if (f->code != code || !is_sentence(f->sentence, sentence, f->race->bed->id))
		fail_msg("%s: %s \"%s\"\n  instead of %s \"%s\"", f->method, code_name(f->code),
			f->sentence ? f->sentence : "", code_name(code), sentence);
	flight_free(f);
}

int race_land(struct flight *f)
{
	int code;

	land(f);
	code = f->code;
	flight_free(f);
	return code;
}

bool race_pending(struct flight *f)
{
	bed_assert_alive(f->race->bed);
	/* what the shim wrote before that answer is in our socket by now */
	event_base_loop(f->race->base, EVLOOP_NONBLOCK);
	return !f->ended;
}

void race_leave(struct flight *f)
{
	assert_false(f->ended);
	flight_free(f);
}

/* --- what a shim must do whatever hangs --- */

void race_assert_answers(struct race *race)
{
	struct bed *bed = race->bed;

	bed_assert_alive(bed);
	if (find_event(race, "create", ""))
		bed_status(bed, "");
	else
		race_refused(
			race_call(race, "State", ""), CODE_NOT_FOUND, "container ID: not found");
}

size_t race_shim_fds(struct race *race)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[64];
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", race->bed->shim.pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n;
}

void race_await_fds(struct race *race, size_t n)
{
	AWAIT(race, race_shim_fds(race) <= n, "the shim has %zu descriptors instead of %zu",
		race_shim_fds(race), n);
}

pid_t race_child(struct race *race, pid_t but)
{
	pid_t parent = race->bed->shim.pid;
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct proc_stat stat;
	struct dirent *e;

	while ((e = readdir(proc)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && atoi(e->d_name) != but &&
			proc_stat_read(atoi(e->d_name), &stat) == 0 && stat.ppid == parent)
			return atoi(e->d_name);
	return 0;
}

void race_await_no_children(struct race *race)
{
	AWAIT(race, race_child(race, 0) == 0, "the shim still has a child, %d",
		race_child(race, 0));
}

/* --- setup and teardown --- */

static void subscribe(struct race *race)
{
	Cleat__Shim__V1__SubscribeRequest r = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = MONITOR,
		.method = "Subscribe",
		.message = &r.base,
		.response = &cleat__shim__v1__event__descriptor,
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	race->line = connect_line(race);
	if (ttrpc_client_begin(race->line, &request, true, on_event, race, NULL, &err) != 0)
		fail_msg("%s", error_message(&err));
}

static int setup(void **state, int (*make_bed)(void **))
{
	struct race *race = calloc(1, sizeof(*race));
	void *bed = NULL;

	assert_int_equal(make_bed(&bed), 0);
	race->bed = bed;
	race->base = event_base_new();
	subscribe(race);
	/* an answer on the line: it has been accepted */
	race_ok(race_call(race, "Connect", NULL));
	race->n_fds = race_shim_fds(race);
	*state = race;
	return 0;
}

int race_setup_fake(void **state)
{
	return setup(state, bed_setup_fake);
}

int race_setup_runc(void **state)
{
	return setup(state, bed_setup_runc);
}

void race_dead_early(struct race *race, struct flight *start, uint32_t status)
{
	const struct race_event *end;
	unsigned answered;

	race_ok_order(start, &answered);
	end = race_await_event(race, "exit", "");
	assert_int_equal(end->exit_status, status);
	assert_true(answered < end->order);
	assert_int_equal(race_count_events(race, "start", ""), 1);
	assert_int_equal(bed_status(race->bed, ""), CONTAINERD__V1__TYPES__STATUS__STOPPED);
	assert_int_equal(race_ok(race_call(race, "Wait", "")), status);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), status);
}

/* Ends the container, if there is one, and takes every event that there was. */
static void finish(struct race *race)
{
	Cleat__Shim__V1__InfoRequest r = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	Cleat__Shim__V1__InfoResponse *info;
	struct bed *bed = race->bed;
	bool there;
	size_t n;

	bed_script(bed, "");
	info = bed_ok(bed, MONITOR, "Info", &r, &cleat__shim__v1__info_response__descriptor);
	there = *info->status != '\0';
	bed_free(info);
	if (there)
		bed_finish(bed);
	info = bed_ok(bed, MONITOR, "Info", &r, &cleat__shim__v1__info_response__descriptor);
	n = info->next_seq - 1;
	bed_free(info);
	AWAIT(race, race->n_events >= n, "%zu events instead of %zu", race->n_events, n);
}

void race_await_line(struct race *race)
{
	AWAIT(race, race->line_ended, "the stream of events does not end");
	assert_int_equal(race->line_code, CODE_OK);
}

/* What a shell says to it must be that. */
static void check_command(struct race *race, const char *arguments, const char *output)
{
	const struct bed *bed = race->bed;
	_cleanup_free_ char *command = NULL;
	char text[256] = "";
	FILE *f;

	if (asprintf(&command, "cleat --root %s %s %s 2>&1; true", bed->root, arguments, bed->id) <
		0)
		abort();
	f = popen(command, "re");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	assert_int_equal(pclose(f), 0);
	assert_string_equal(text, output);
}

void race_await_end(struct race *race, const char *status)
{
	char line[32];

	race_await_line(race);
	bed_await_end(race->bed);
	snprintf(line, sizeof(line), "%s\n", status);
	check_command(race, "wait", line);
	check_command(race, "delete --force", "");
}

int race_teardown(void **state)
{
	struct race *race = *state;
	void *bed = race->bed;
	int r;

	if (race->bed->shim.fd >= 0) {
		finish(race);
		race_await_no_children(race);
		race_await_fds(race, race->n_fds);
	}
	check_events(race);
	ttrpc_client_free(race->line);
	r = bed_teardown(&bed);
	event_base_free(race->base);
	free(race);
	return r;
}
