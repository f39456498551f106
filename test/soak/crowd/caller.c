/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that call, again and again, with a moment between: Get, lists, signals that change nothing; and
 * some of them the life of an exec, from Exec to DeleteProcess. Subtle: an exec is waited for before it is
 * started, and deleted once that wait has been answered, so its exit is known to have been told.
 */
#include "test/soak/crowd/crowd.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "google/protobuf/empty.pb-c.h"
#include "supervisor.pb-c.h"
#include "tasks.pb-c.h"

#define PAUSE_US     10000
#define LIGHT_CALLS  10u /* between two execs */
#define PROCESS_TYPE "types.containerd.io/opencontainers/runtime-spec/1/Process"
#define EMPTY	     (&google__protobuf__empty__descriptor)

static void next(struct caller *c);
static void exec_kill(struct caller *c);
static void exec_delete(struct caller *c);

static void rest(struct caller *c)
{
	const struct timeval tv = { 0, PAUSE_US };

	c->is_busy = false;
	if (c->crowd->is_calling)
		evtimer_add(c->pause, &tv);
}

static void check(const struct caller *c, const char *what, int code, const struct error *err)
{
	if (code != 0)
		crowd_fail("%s %s: %s: %s", c->id, c->exec_id, what, error_message(err));
	c->crowd->n_calls++;
}

/* --- light calls --- */

static void on_light(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct caller *c = userdata;
	struct crowd *crowd = c->crowd;

	(void)message;
	check(c, "a call", code, err);
	if (c->is_timed && crowd->n_times < MAX_TIMES)
		crowd->times[crowd->n_times++] = crowd_now_us() - c->begun_us;
	rest(c);
}

static void on_list(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Cleat__V1__ListResponse *r = (const void *)message;
	struct caller *c = userdata;

	check(c, "List", code, err);
	if (r->n_containers != c->crowd->n_ids)
		crowd_fail("a list of %zu containers", r->n_containers);
	for (size_t i = 0; i < r->n_containers; i++)
		if (strcmp(r->containers[i]->status, "running") != 0)
			crowd_fail("%s is %s", r->containers[i]->id, r->containers[i]->status);
	rest(c);
}

static void get(struct caller *c)
{
	Containerd__Services__Tasks__V1__GetRequest r =
		CONTAINERD__SERVICES__TASKS__V1__GET_REQUEST__INIT;

	r.container_id = (char *)c->id;
	c->is_timed = true;
	c->begun_us = crowd_now_us();
	crowd_begin(c->client, TASKS, "Get", &r.base,
		&containerd__services__tasks__v1__get_response__descriptor, 0, on_light, c);
}

static void list(struct caller *c)
{
	Cleat__V1__ListRequest r = CLEAT__V1__LIST_REQUEST__INIT;

	crowd_begin(c->client, SUPERVISOR, "List", &r.base, &cleat__v1__list_response__descriptor,
		0, on_list, c);
}

static void look(struct caller *c)
{
	Cleat__V1__GetRequest r = CLEAT__V1__GET_REQUEST__INIT;

	r.id = (char *)c->id;
	crowd_begin(c->client, SUPERVISOR, "Get", &r.base, &cleat__v1__get_response__descriptor, 0,
		on_light, c);
}

static void kill_with(
	struct caller *c, const char *exec_id, uint32_t signal, ttrpc_reply_fn on_reply)
{
	Containerd__Services__Tasks__V1__KillRequest r =
		CONTAINERD__SERVICES__TASKS__V1__KILL_REQUEST__INIT;

	r.container_id = (char *)c->id;
	r.exec_id = (char *)exec_id;
	r.signal = signal;
	crowd_begin(c->client, TASKS, "Kill", &r.base, EMPTY, 0, on_reply, c);
}

/* --- an exec --- */

static void on_deleted(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Containerd__Services__Tasks__V1__DeleteResponse *r = (const void *)message;
	struct caller *c = userdata;

	check(c, "DeleteProcess", code, err);
	if (r->exit_status != CROWD_KILLED)
		crowd_fail("%s %s: deleted with %u", c->id, c->exec_id, r->exit_status);
	c->crowd->n_execs++;
	c->crowd->execs_of[crowd_index(c->crowd, c->id)]++;
	c->exec_id[0] = '\0';
	rest(c);
}

static void exec_delete(struct caller *c)
{
	Containerd__Services__Tasks__V1__DeleteProcessRequest r =
		CONTAINERD__SERVICES__TASKS__V1__DELETE_PROCESS_REQUEST__INIT;

	r.container_id = (char *)c->id;
	r.exec_id = c->exec_id;
	crowd_begin(c->client, TASKS, "DeleteProcess", &r.base,
		&containerd__services__tasks__v1__delete_response__descriptor, 0, on_deleted, c);
}

static void on_exec_ended(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Containerd__Services__Tasks__V1__WaitResponse *r = (const void *)message;
	struct caller *c = userdata;

	check(c, "Wait", code, err);
	if (!c->is_killed || r->exit_status != CROWD_KILLED)
		crowd_fail("%s %s: ends with %u", c->id, c->exec_id, r->exit_status);
	exec_delete(c);
}

static void on_exec_killed(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	(void)message;
	check(userdata, "Kill", code, err);
}

static void exec_kill(struct caller *c)
{
	c->is_killed = true;
	kill_with(c, c->exec_id, SIGKILL, on_exec_killed);
}

static void on_exec_started(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct caller *c = userdata;

	(void)message;
	check(c, "Start", code, err);
	exec_kill(c);
}

static void on_exec_added(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	Containerd__Services__Tasks__V1__WaitRequest wait =
		CONTAINERD__SERVICES__TASKS__V1__WAIT_REQUEST__INIT;
	Containerd__Services__Tasks__V1__StartRequest start =
		CONTAINERD__SERVICES__TASKS__V1__START_REQUEST__INIT;
	struct caller *c = userdata;

	(void)message;
	check(c, "Exec", code, err);
	wait.container_id = start.container_id = (char *)c->id;
	wait.exec_id = start.exec_id = c->exec_id;
	crowd_begin(c->client, TASKS, "Wait", &wait.base,
		&containerd__services__tasks__v1__wait_response__descriptor, 0, on_exec_ended, c);
	crowd_begin(c->client, TASKS, "Start", &start.base,
		&containerd__services__tasks__v1__start_response__descriptor, 0, on_exec_started,
		c);
}

static void exec(struct caller *c)
{
	static const char spec[] =
		"{\"args\": [\"/bin/tool\", \"pause\"], \"cwd\": \"/\", \"user\": {\"uid\": 0, \"gid\": 0}}";
	Containerd__Services__Tasks__V1__ExecProcessRequest r =
		CONTAINERD__SERVICES__TASKS__V1__EXEC_PROCESS_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	snprintf(c->exec_id, sizeof(c->exec_id), "e%u-%u", c->number, c->n_execs++);
	c->is_killed = false;
	any.type_url = (char *)PROCESS_TYPE;
	any.value = (ProtobufCBinaryData){ sizeof(spec) - 1, (uint8_t *)spec };
	r.container_id = (char *)c->id;
	r.exec_id = c->exec_id;
	r.spec = &any;
	crowd_begin(c->client, TASKS, "Exec", &r.base, EMPTY, 0, on_exec_added, c);
}

/* --- the whole --- */

static void next(struct caller *c)
{
	const uint32_t n = c->n_calls++;

	c->is_busy = true;
	c->is_timed = false;
	if (c->number < N_EXECUTERS && n % LIGHT_CALLS == LIGHT_CALLS - 1)
		exec(c);
	else if (n % 4 == 1)
		list(c);
	else if (n % 4 == 2)
		look(c);
	else if (n % 4 == 3)
		kill_with(c, "", SIGWINCH, on_light);
	else
		get(c);
}

static void on_pause_over(evutil_socket_t fd, short what, void *userdata)
{
	struct caller *c = userdata;

	(void)fd;
	(void)what;
	if (c->crowd->is_calling)
		next(c);
}

void caller_begin(struct caller *c, uint32_t number)
{
	c->number = c->n_calls = number; /* not all the same at once */
	c->id = c->crowd->ids[number % c->crowd->n_ids];
	c->client = crowd_connect(c->crowd, c->crowd->base);
	c->pause = evtimer_new(c->crowd->base, on_pause_over, c);
	if (!c->pause)
		crowd_fail("no memory");
}

void caller_go(struct caller *c)
{
	const struct timeval tv = { 0, (suseconds_t)(c->number * PAUSE_US / N_CALLERS) };

	evtimer_add(c->pause, &tv);
}
