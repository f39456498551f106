/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client: random calls over random containers until it is told to stop, or killed. An answer is
 * held against what was known before the call and after it; refusals that no state explains end the
 * churn. Never waits longer for an exit than a moment: others may be needed to bring it about.
 */
#include "test/soak/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"

uint32_t client_below(struct client *c, uint32_t n)
{
	return (uint32_t)rand_r(&c->seed) % n;
}

const char *client_task(struct client *c)
{
	return client_below(c, 2) ? TASK : TASK3;
}

/* --- what an answer may be --- */

bool client_is_ending(const struct client *c)
{
	return c->life->phase >= LIFE_ENDING;
}

void client_refused(
	struct client *c, bool fine, const char *what, const char *exec_id, const struct error *err)
{
	if (!fine && !client_is_ending(c))
		churn_fail(c->churn, "%s %s: %s: %s \"%s\"", c->life->id, exec_id, what,
			code_name(err->code), error_message(err));
	if (err->code == CODE_UNAVAILABLE) {
		ttrpc_client_free(c->link->client);
		c->link->client = NULL;
	}
}

/* --- the container --- */

/* A call that has no more than the id: fine is a code that may come besides. */
static void call_id(struct client *c, const char *service, const char *method, const void *request,
	const ProtobufCMessageDescriptor *response, int fine)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (churn_call(c->churn, c->link->client, service, method, request, response, NULL,
		    CHURN_CALL_MS, &err) != 0)
		client_refused(c, (int)err.code == fine, method, "", &err);
}

static void look(struct client *c)
{
	Containerd__Task__V2__PidsRequest pids = CONTAINERD__TASK__V2__PIDS_REQUEST__INIT;
	Containerd__Task__V2__StatsRequest stats = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;
	Containerd__Task__V2__ConnectRequest connect = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
	Cleat__Shim__V1__InfoRequest info = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	Cleat__Shim2017__StateRequest state = CLEAT__SHIM2017__STATE_REQUEST__INIT;

	pids.id = stats.id = connect.id = c->life->id;
	switch (client_below(c, 5)) {
	case 0:
		return call_id(c, client_task(c), "Pids", &pids,
			&containerd__task__v2__pids_response__descriptor, 0);
	case 1:
		return call_id(c, client_task(c), "Stats", &stats,
			&containerd__task__v2__stats_response__descriptor, 0);
	case 2:
		return call_id(c, client_task(c), "Connect", &connect,
			&containerd__task__v2__connect_response__descriptor, 0);
	case 3:
		return call_id(
			c, MONITOR, "Info", &info, &cleat__shim__v1__info_response__descriptor, 0);
	default:
		return call_id(
			c, SHIM, "State", &state, &cleat__shim2017__state_response__descriptor, 0);
	}
}

static void pause_it(struct client *c)
{
	Containerd__Task__V2__PauseRequest r = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;

	r.id = c->life->id;
	call_id(c, client_task(c), "Pause", &r, EMPTY, CODE_FAILED_PRECONDITION);
}

static void resume_it(struct client *c)
{
	Containerd__Task__V2__ResumeRequest r = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;

	r.id = c->life->id;
	call_id(c, client_task(c), "Resume", &r, EMPTY, CODE_FAILED_PRECONDITION);
}

static void update(struct client *c)
{
	static const char json[] = "{\"cpu\":{\"shares\":512}}";
	Containerd__Task__V2__UpdateTaskRequest r = CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
	any.value.data = (uint8_t *)json;
	any.value.len = strlen(json);
	r.id = c->life->id;
	r.resources = &any;
	call_id(c, client_task(c), "Update", &r, EMPTY, CODE_FAILED_PRECONDITION);
}

/* With a container neither does anything. */
static void refuse_to_end(struct client *c)
{
	Containerd__Task__V2__ShutdownRequest r = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
	Cleat__Shim2017__ExitRequest exit_request = CLEAT__SHIM2017__EXIT_REQUEST__INIT;

	r.id = c->life->id;
	if (client_below(c, 2))
		call_id(c, client_task(c), "Shutdown", &r, EMPTY, 0);
	else
		call_id(c, SHIM, "Exit", &exit_request, EMPTY, CODE_FAILED_PRECONDITION);
}

/* A reader of events that leaves before it has read them all, and never says so. */
static void follow_for_a_while(struct client *c)
{
	Cleat__Shim__V1__SubscribeRequest r = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = MONITOR,
		.method = "Subscribe",
		.message = &r.base,
		.response = &cleat__shim__v1__event__descriptor,
	};
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_client *client = NULL;
	uint32_t stream;

	if (ttrpc_client_connect(c->life->socket, NULL, &client, &err) != 0 ||
		ttrpc_client_stream(client, &request, &stream, &err) != 0) {
		client_refused(c, false, "Subscribe", "", &err);
		ttrpc_client_free(client);
		return;
	}
	for (uint32_t i = client_below(c, 20); i > 0; i--) {
		ProtobufCMessage *m = NULL;

		if (ttrpc_client_next(client, stream, 50, &m, &err) != 0 || !m)
			break;
		bed_free(m);
	}
	ttrpc_client_free(client);
}

/* Bytes that are none of ttrpc's. */
static void talk_nonsense(struct client *c)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint8_t bytes[64];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)client_below(c, 256);
	if (client_below(c, 2))
		bytes[0] = 0;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", c->life->socket);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
		send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0 && !client_is_ending(c))
		churn_fail(c->churn, "%s: a connection was not read from", c->life->id);
}

/* Ends the container and makes another in its place; the first few live on. */
static void renew(struct client *c)
{
	struct slot *slot = c->slot;

	if (slot < &c->churn->slots[CHURN_STEADY] || !slot_try_lock(slot))
		return;
	life_end(c->churn, slot);
	if (!c->churn->failed)
		life_begin(c->churn, slot);
	slot_unlock(slot);
}

/* --- the end, when nobody else is there --- */

static void settle_exec(struct client *c, const Cleat__Shim__V1__ProcessRecord *p)
{
	const uint32_t exec = churn_exec_number(p->exec_id);

	if (exec == UINT32_MAX)
		return churn_fail(c->churn, "%s: has an exec \"%s\"", c->life->id, p->exec_id);
	if (strcmp(p->status, "running") == 0) {
		c->life->execs[exec] |=
			EXEC_STARTED; /* whoever started it may not have lived to say so */
		client_see_it_end(c, exec);
	}
	client_delete_exec(c, exec);
	if (!(c->life->execs[exec] & EXEC_DELETED))
		churn_fail(c->churn, "%s %s: cannot be deleted", c->life->id, p->exec_id);
}

void churn_settle(struct churn *churn, struct slot *slot)
{
	struct client c = { .churn = churn, .seed = 1, .slot = slot };
	_cleanup_error_ struct error err = ERROR_INIT;
	Cleat__Shim__V1__InfoResponse *info = NULL;

	c.life = &churn->lives[slot->life];
	c.link = &c.links[slot - churn->slots];
	if (c.life->phase != LIFE_RUNNING)
		return;
	if (ttrpc_client_connect(c.life->socket, NULL, &c.link->client, &err) != 0)
		return churn_fail(churn, "%s: %s", c.life->id, error_message(&err));
	resume_it(&c);
	info = churn_info(churn, c.link->client, &err);
	for (size_t i = 1; info && i < info->n_processes && !churn->failed; i++)
		settle_exec(&c, info->processes[i]);
	bed_free(info);
	ttrpc_client_free(c.link->client);
}

/* --- which --- */

static const struct act {
	unsigned weight;
	void (*on_exec)(struct client *c, uint32_t exec);
	void (*on_container)(struct client *c);
} acts[] = {
	{ 16, NULL, client_add_exec },
	{ 24, client_start_exec, NULL },
	{ 24, client_fulfil, NULL },
	{ 12, client_wait_for, NULL },
	{ 12, client_state_of, NULL },
	{ 32, client_delete_exec, NULL },
	{ 4, client_resize, NULL },
	{ 10, NULL, look },
	{ 1, NULL, pause_it },
	{ 4, NULL, resume_it },
	{ 1, NULL, update },
	{ 1, NULL, refuse_to_end },
	{ 2, NULL, follow_for_a_while },
	{ 1, NULL, talk_nonsense },
	{ 1, NULL, renew },
};

static const struct act *choose_act(struct client *c)
{
	unsigned sum = 0, at;

	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++)
		sum += acts[i].weight;
	at = client_below(c, sum);
	for (size_t i = 0;; i++) {
		if (at < acts[i].weight)
			return &acts[i];
		at -= acts[i].weight;
	}
}

/* A container that runs, and a connection to it; false where that is not to be had now. */
static bool choose_container(struct client *c)
{
	const uint32_t at = client_below(c, CHURN_SLOTS);
	const uint32_t number = c->churn->slots[at].life;
	_cleanup_error_ struct error err = ERROR_INIT;

	c->slot = &c->churn->slots[at];
	c->life = &c->churn->lives[number];
	c->link = &c->links[at];
	if (!number || c->life->phase != LIFE_RUNNING)
		return false;
	if (c->link->life == number && c->link->client)
		return true;
	ttrpc_client_free(c->link->client);
	c->link->client = NULL;
	c->link->life = number;
	if (ttrpc_client_connect(c->life->socket, NULL, &c->link->client, &err) == 0)
		return true;
	client_refused(c, false, "connect", "", &err);
	return false;
}

/* One whose maker, or ender, was killed stands still until somebody takes it over. */
static void take_over(struct client *c)
{
	const uint32_t number = c->slot->life;

	if (c->life->phase != LIFE_RUNNING && number)
		renew(c);
}

void churn_client(struct churn *churn, unsigned seed)
{
	struct client c = { .churn = churn, .seed = seed };
	uint32_t exec;

	while (!churn->stop) {
		const struct act *act = choose_act(&c);

		if (!choose_container(&c))
			take_over(&c);
		else if (act->on_container)
			act->on_container(&c);
		else if (client_choose_exec(&c, &exec))
			act->on_exec(&c, exec);
	}
	for (size_t i = 0; i < CHURN_SLOTS; i++)
		ttrpc_client_free(c.links[i].client);
	_exit(0);
}
