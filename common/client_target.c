/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds who is asked about a container. Starts none and changes nothing. Subtle: the lock decides
 * whether a shim lives, not the socket: a dead shim leaves its socket behind, and a new one has its
 * folder before it listens. And a cleatd that does not answer is an error, never passed over: two
 * owners of one folder would each think that they are alone.
 */
#include "common/client_target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/client_rpc.h"
#include "common/ids.h"
#include "supervisor.pb-c.h"

/* With the second that a call is waited for longer than its server was told: two. */
#define CHOICE_MS 1000

int client_wrap(struct error *err, const char *id)
{
	const char *m = error_message(err);
	size_t n = strlen(id);

	if (!*id || (strncmp(m, "container ", 10) == 0 && strncmp(m + 10, id, n) == 0 &&
			    strchr(": ", m[10 + n])))
		return err->code;
	return error_wrap(err, "container %s", id);
}

void client_target_close(struct client_target *t)
{
	ttrpc_client_free(t->client);
	client_line_drop(t->line);
	state_dir_close(&t->dir);
	free(t->socket);
	free(t->id);
	*t = CLIENT_TARGET_INIT;
}

bool client_target_is_orphan(const struct client_target *t)
{
	return !t->line && !t->client;
}

static int set_names(struct client_target *t, const char *id, const char *socket, struct error *err)
{
	free(t->socket);
	t->socket = socket ? strdup(socket) : NULL;
	if (!t->id)
		t->id = strdup(id);
	if (!t->id || (socket && !t->socket))
		return error_errno(err, -ENOMEM, "container %s", id);
	return 0;
}

/* To the shim's socket. */
static int connect_shim(struct client_target *t, struct event_base *base, struct error *err)
{
	if (base)
		return ttrpc_client_connect(t->socket, base, &t->client, err);
	return client_lines_get(t->place->lines, t->socket, &t->line, err);
}

static int open_shim(
	struct client_target *t, const char *id, struct event_base *base, struct error *err)
{
	int r = set_names(t, id, t->place->socket, err);

	return r == 0 ? connect_shim(t, base, err) : r;
}

/* --- through the folders --- */

/* Connects to the socket that shim.json names. */
static int open_recorded(struct client_target *t, struct event_base *base, struct error *err)
{
	struct shim_record record = { 0 };
	int r = shim_record_read(&t->dir, &record, err);

	if (r != 0)
		return r;
	r = set_names(t, t->id, record.socket, err);
	if (r == 0)
		r = connect_shim(t, base, err);
	shim_record_deinit(&record);
	return r;
}

static int open_direct(
	struct client_target *t, const char *id, struct event_base *base, struct error *err)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	int r = set_names(t, id, NULL, err);

	if (r == 0)
		r = state_dir_open(t->place->root, t->place->ns, id, &t->dir, err);
	if (r != 0)
		return r;
	r = open_recorded(t, base, &why);
	if (r == 0 || !state_dir_is_locked(&t->dir))
		return 0;
	if (r != CODE_NOT_FOUND && r != CODE_UNAVAILABLE) {
		error_move(err, &why);
		return client_wrap(err, id);
	}
	return error_set(err, CODE_UNAVAILABLE,
		"container %s: its shim is starting or ending and takes no call", id);
}

/* --- cleatd --- */

/* None is there: nobody has made its socket, or nobody listens on it. */
static bool is_none(int r)
{
	return r == CODE_NOT_FOUND || r == CODE_UNAVAILABLE;
}

static int ask_socket(struct client_target *t, struct client_line *hub, struct error *err)
{
	const struct ttrpc_metadata ns = { CLIENT_NAMESPACE_KEY, t->place->ns };
	Cleat__V1__GetRequest m = CLEAT__V1__GET_REQUEST__INIT;
	struct ttrpc_request request =
		client_rpc_request(&hub_container, &m.base, CLIENT_ANSWER_MS);
	const Cleat__V1__GetResponse *answer;
	ProtobufCMessage *message = NULL;
	int r;

	m.id = t->id;
	request.metadata = &ns;
	request.n_metadata = 1;
	r = client_line_call(hub, &request, &message, err);
	if (r != 0)
		return client_wrap(err, t->id);
	answer = (const void *)message;
	r = set_names(t, t->id, answer->container ? answer->container->socket : NULL, err);
	protobuf_c_message_free_unpacked(message, NULL);
	return r;
}

/* The shim of a container that cleatd knows. */
static int open_behind(struct client_target *t, struct client_line *hub, struct event_base *base,
	struct error *err)
{
	int r = ask_socket(t, hub, err);

	if (r != 0 || !t->socket || !*t->socket)
		return r;
	r = ttrpc_client_connect(t->socket, base, &t->client, err);
	/* cleatd will have it as an orphan soon, if it does not yet */
	if (!is_none(r))
		return r;
	error_clear(err);
	return 0;
}

static int open_hub(
	struct client_target *t, const char *id, struct event_base *base, struct error *err)
{
	const struct client_place *place = t->place;
	_cleanup_error_ struct error why = ERROR_INIT;
	struct client_line *hub = NULL;
	int r = set_names(t, id, NULL, err);

	if (r == 0)
		r = client_lines_get(place->lines, place->socket, &hub, &why);
	if (is_none(r) && place->falls_back)
		return open_direct(t, id, base, err);
	if (r != 0) {
		error_move(err, &why);
		return r;
	}
	if (!base) {
		t->is_hub = true;
		t->line = hub;
		return 0;
	}
	r = open_behind(t, hub, base, err);
	client_line_drop(hub);
	return r;
}

static int ask_hub(const struct client_place *place, struct client_line *hub, struct error *err)
{
	Cleat__V1__InfoRequest m = CLEAT__V1__INFO_REQUEST__INIT;
	const struct ttrpc_request request = client_rpc_request(&hub_info, &m.base, CHOICE_MS);
	ProtobufCMessage *message = NULL;
	int r = client_line_call(hub, &request, &message, err);

	protobuf_c_message_free_unpacked(message, NULL);
	return r == 0 ? 0 : error_wrap(err, "cleatd on %s", place->socket);
}

int client_place_choose(struct client_place *place, struct error *err)
{
	struct client_line *hub;
	int r = 0;

	if (place->via != CLIENT_VIA_CLEATD)
		return 0;
	/* one that was there and went in the middle is looked for once more */
	for (int i = 0; i < 2; i++) {
		r = client_lines_get(place->lines, place->socket, &hub, err);
		if (is_none(r) && place->falls_back) {
			error_clear(err);
			place->via = CLIENT_VIA_DIRECT;
			return 0;
		}
		if (r != 0)
			return r;
		r = ask_hub(place, hub, err);
		client_line_drop(hub);
		if (r != CODE_UNAVAILABLE)
			return r;
	}
	return r;
}

/* --- all of them --- */

static int open_any(
	struct client_target *t, const char *id, struct event_base *base, struct error *err)
{
	switch (t->place->via) {
	case CLIENT_VIA_SHIM:
		return open_shim(t, id ? id : "", base, err);
	case CLIENT_VIA_CLEATD:
		return open_hub(t, id, base, err);
	case CLIENT_VIA_DIRECT:
		break;
	}
	return open_direct(t, id, base, err);
}

int client_target_open(const struct client_place *place, const char *id, struct event_base *base,
	struct client_target *ret, struct error *err)
{
	struct client_target t = CLIENT_TARGET_INIT;
	int r = id || place->via != CLIENT_VIA_SHIM ? id_check(id, "container id", err) : 0;

	t.place = place;
	if (r == 0)
		r = open_any(&t, id, base, err);
	if (r != 0) {
		client_target_close(&t);
		return r;
	}
	*ret = t;
	return 0;
}

int client_target_open_direct(const struct client_place *place, const char *id,
	struct client_target *ret, struct error *err)
{
	struct client_target t = CLIENT_TARGET_INIT;
	int r = id_check(id, "container id", err);

	t.place = place;
	if (r == 0)
		r = open_direct(&t, id, NULL, err);
	if (r != 0) {
		client_target_close(&t);
		return r;
	}
	*ret = t;
	return 0;
}

int client_target_open_shim(struct client_target *t, struct client_target *ret, struct error *err)
{
	struct client_target shim = CLIENT_TARGET_INIT;
	int r = ask_socket(t, t->line, err);

	shim.place = t->place;
	if (r == 0 && (!t->socket || !*t->socket))
		r = error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: is orphaned: its shim is gone", t->id);
	if (r == 0)
		r = set_names(&shim, t->id, t->socket, err);
	if (r == 0)
		r = connect_shim(&shim, NULL, err);
	if (r != 0) {
		client_target_close(&shim);
		return r;
	}
	*ret = shim;
	return 0;
}

int client_target_open_living(const struct client_place *place, const char *id,
	struct event_base *base, struct client_target *ret, struct error *err)
{
	struct client_target t;
	int r = client_target_open(place, id, base, &t, err);

	if (r != 0)
		return r;
	if (client_target_is_orphan(&t)) {
		client_target_close(&t);
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: is orphaned: its shim is gone", id);
	}
	*ret = t;
	return 0;
}
