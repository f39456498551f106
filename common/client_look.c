/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks many shims at once for what they know, or cleatd, which has done so. Subtle: a shim that hangs
 * may cost a bounded time in all, not each, so the shims of a batch are asked together and waited for
 * together.
 */
#include "common/client_look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/argv.h"
#include "common/client_rpc.h"
#include "common/ttrpc_client.h"

/* Connections open at once. */
#define BATCH 64

struct batch;

struct item {
	struct batch *batch;
	struct client_target target;
	bool answered;
	bool has_id; /* the answer was about the id that was asked for, or none was */
	char *id;
	void *made;
	struct error why; /* nothing was */
};

struct batch {
	const struct client_place *place;
	const struct client_look *look;
	struct event_base *base;
	struct item items[BATCH];
	size_t n_items, n_waiting;
	bool is_one; /* asked for by its id */
	int64_t timeout_ms;
};

static void *make(struct item *item, const struct client_seen *seen)
{
	const struct client_look *look = item->batch->look;

	return look->make(seen, look->userdata, &item->why);
}

static void on_info(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct item *item = userdata;
	const struct client_seen seen = { .info = (const void *)message };

	(void)err;
	if (code == 0) {
		item->answered = true;
		item->has_id = !item->id || strcmp(seen.info->id, item->id) == 0;
		item->made = make(item, &seen);
	}
	if (--item->batch->n_waiting == 0)
		event_base_loopbreak(item->batch->base);
}

static void ask(struct item *item)
{
	Cleat__Shim__V1__InfoRequest m = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	const struct ttrpc_request request =
		client_rpc_request(&rpc_info, &m.base, item->batch->timeout_ms);
	struct ttrpc_pending *pending;

	if (ttrpc_client_begin(item->target.client, &request, 0, on_info, item, &pending, NULL) ==
		0)
		item->batch->n_waiting++;
}

/* What the shim did not tell. */
static void look_at_files(struct item *item)
{
	const struct state_dir *dir = &item->target.dir;
	struct client_seen seen = { .dir = dir };

	if (item->answered || dir->fd < 0)
		return;
	seen.is_orphan = !state_dir_is_locked(dir);
	item->has_id = true;
	item->made = make(item, &seen);
}

/* Opens one; a container that is gone or not made yet is none. */
static int add(struct batch *b, const char *id, struct error *err)
{
	const struct client_place *place = b->place;
	struct item *item = &b->items[b->n_items];
	int r;

	*item = (struct item){ .batch = b, .target = CLIENT_TARGET_INIT, .why = ERROR_INIT };
	r = client_target_open(place, id, b->base, &item->target, err);
	/* it has a folder, at least; who asks for one is told what is wrong with it */
	if (place->via == CLIENT_VIA_DIRECT && r != CODE_NOT_FOUND &&
		(r == CODE_UNAVAILABLE || (r != 0 && !b->is_one)))
		r = state_dir_open(place->root, place->ns, id, &item->target.dir, err);
	if (r != 0)
		return r;
	item->id = id ? strdup(id) : NULL;
	b->n_items++;
	if (item->target.client)
		ask(item);
	return 0;
}

static int finish(struct batch *b, struct error *err)
{
	struct timeval tv = { b->timeout_ms / 1000, b->timeout_ms % 1000 * 1000 };

	if (b->n_waiting > 0) {
		if (event_base_loopexit(b->base, &tv) < 0)
			return error_errno(err, -ENOMEM, "event loop");
		event_base_dispatch(b->base);
	}
	for (size_t i = 0; i < b->n_items; i++)
		look_at_files(&b->items[i]);
	return 0;
}

static void take(struct item *item)
{
	const struct client_look *look = item->batch->look;

	if (item->made)
		look->take(item->made, look->userdata);
	item->made = NULL;
}

static void batch_deinit(struct batch *b)
{
	for (size_t i = 0; i < b->n_items; i++) {
		client_target_close(&b->items[i].target);
		if (b->items[i].made)
			b->look->drop(b->items[i].made);
		error_clear(&b->items[i].why);
		free(b->items[i].id);
	}
	if (b->base)
		event_base_free(b->base);
}

static int look_batch(const struct client_place *place, const struct client_look *look,
	char *const *ids, size_t n, struct error *err)
{
	struct batch b = { .place = place,
		.look = look,
		.base = event_base_new(),
		.timeout_ms = CLIENT_LIST_ANSWER_MS };
	int r = b.base ? 0 : error_errno(err, -ENOMEM, "event loop");

	for (size_t i = 0; i < n && r == 0; i++) {
		r = add(&b, ids[i], err);
		if (place->via == CLIENT_VIA_DIRECT)
			r = 0;
	}
	if (r == 0)
		r = finish(&b, err);
	for (size_t i = 0; i < b.n_items && r == 0; i++)
		take(&b.items[i]);
	batch_deinit(&b);
	return r;
}

static int collect(const char *ns, const char *id, void *userdata)
{
	(void)ns;
	return argv_add(userdata, id);
}

static int look_at_folders(
	const struct client_place *place, const struct client_look *look, struct error *err)
{
	_cleanup_argv_ struct argv ids = ARGV_INIT;
	int r = state_each(place->root, place->ns, collect, &ids, err);

	if (r < 0)
		return error_errno(err, r, "%s", place->root);
	for (size_t i = 0; i < ids.n && r == 0; i += BATCH)
		r = look_batch(place, look, ids.v + i, ids.n - i < BATCH ? ids.n - i : BATCH, err);
	return r;
}

/* --- cleatd --- */

/* *ret: freed with protobuf_c_message_free_unpacked(). */
static int call_hub(const struct client_place *place, const struct client_rpc *rpc,
	const ProtobufCMessage *m, ProtobufCMessage **ret, struct error *err)
{
	const struct ttrpc_metadata ns = { CLIENT_NAMESPACE_KEY, place->ns };
	struct ttrpc_request request = client_rpc_request(rpc, m, CLIENT_ANSWER_MS);
	struct client_line *line;
	int r = client_lines_get(place->lines, place->socket, &line, err);

	if (r != 0)
		return r;
	request.metadata = &ns;
	request.n_metadata = 1;
	r = client_line_call(line, &request, ret, err);
	client_line_drop(line);
	return r;
}

static int list_hub(
	const struct client_place *place, const struct client_look *look, struct error *err)
{
	Cleat__V1__ListRequest m = CLEAT__V1__LIST_REQUEST__INIT;
	const Cleat__V1__ListResponse *answer;
	ProtobufCMessage *message = NULL;
	int r = call_hub(place, &hub_list, &m.base, &message, err);

	if (r != 0)
		return r;
	answer = (const void *)message;
	for (size_t i = 0; i < answer->n_containers; i++) {
		const struct client_seen seen = { .container = answer->containers[i] };
		void *made = look->make(&seen, look->userdata, NULL);

		if (made)
			look->take(made, look->userdata);
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}

static int get_hub(const struct client_place *place, const char *id, const struct client_look *look,
	struct error *err)
{
	Cleat__V1__GetRequest m = CLEAT__V1__GET_REQUEST__INIT;
	const Cleat__V1__GetResponse *answer;
	ProtobufCMessage *message = NULL;
	struct client_seen seen = { 0 };
	void *made;
	int r;

	m.id = (char *)id;
	r = call_hub(place, &hub_container, &m.base, &message, err);
	if (r != 0)
		return client_wrap(err, id);
	answer = (const void *)message;
	seen.container = answer->container;
	seen.info = answer->info;
	made = seen.container || seen.info ? look->make(&seen, look->userdata, err) : NULL;
	if (made)
		look->take(made, look->userdata);
	else
		r = error_set(err, CODE_NOT_FOUND, "container %s: does not exist", id);
	protobuf_c_message_free_unpacked(message, NULL);
	return r;
}

/* Whether there is no cleatd any more, and the folders will do. */
static bool is_gone(const struct client_place *place, int r, struct error *err)
{
	if ((r != CODE_UNAVAILABLE && r != CODE_NOT_FOUND) || !place->falls_back)
		return false;
	error_clear(err);
	return true;
}

/* --- the whole --- */

int client_look_all(
	const struct client_place *place, const struct client_look *look, struct error *err)
{
	struct client_place direct = *place;
	char *no_id[] = { NULL };
	int r;

	if (place->via == CLIENT_VIA_SHIM) {
		r = look_batch(place, look, no_id, 1, err);
	} else if (place->via == CLIENT_VIA_DIRECT) {
		r = look_at_folders(place, look, err);
	} else {
		r = list_hub(place, look, err);
		direct.via = CLIENT_VIA_DIRECT;
		if (is_gone(place, r, err))
			r = look_at_folders(&direct, look, err);
	}
	if (r == 0)
		error_clear(err);
	return r;
}

/* Why nobody told of it: its files are wrong, or there is nothing. */
static int refuse(struct item *item, const char *id, struct error *err)
{
	int r = (int)item->why.code;

	if (item->made || r == CODE_OK || r == CODE_NOT_FOUND)
		return error_set(err, CODE_NOT_FOUND, "container %s: does not exist", id);
	error_move(err, &item->why);
	return r;
}

int client_look_one(const struct client_place *place, const char *id,
	const struct client_look *look, struct error *err)
{
	struct batch b = {
		.place = place, .look = look, .is_one = true, .timeout_ms = CLIENT_ANSWER_MS
	};
	int r;

	if (place->via == CLIENT_VIA_CLEATD)
		return get_hub(place, id, look, err);
	b.base = event_base_new();
	r = b.base ? add(&b, id, err) : error_errno(err, -ENOMEM, "event loop");
	if (r == 0)
		r = finish(&b, err);
	if (r == 0 && b.items[0].made && b.items[0].has_id)
		take(&b.items[0]);
	else if (r == 0)
		r = refuse(&b.items[0], id, err);
	batch_deinit(&b);
	return r;
}
