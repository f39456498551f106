/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks many shims at once for what they know. Subtle: a shim that hangs may cost a bounded time
 * in all, not each, so the shims of a batch are asked together and waited for together.
 */
#include "supervisor/cli/look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/argv.h"
#include "common/json.h"
#include "common/ttrpc_client.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/look_json.h"
#include "supervisor/cli/rpc.h"
#include "supervisor/cli/target.h"
#include "supervisor/cli/task.h"

/* Connections open at once. */
#define BATCH 64

struct batch;

struct item {
	struct batch *batch;
	struct target target;
	bool answered;
	json_t *seen;
	struct error why; /* it was not seen */
};

struct batch {
	struct event_base *base;
	struct item items[BATCH];
	size_t n_items, n_waiting;
	bool full;
	int64_t timeout_ms;
};

static void on_info(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct item *item = userdata;

	(void)err;
	if (code == 0) {
		item->answered = true;
		item->seen = look_from_info((const void *)message, item->batch->full);
	}
	if (--item->batch->n_waiting == 0)
		event_base_loopbreak(item->batch->base);
}

static void ask(struct item *item)
{
	Cleat__Shim__V1__InfoRequest m = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	const struct ttrpc_request request =
		rpc_request(&rpc_info, &m.base, item->batch->timeout_ms);
	struct ttrpc_pending *pending;

	if (ttrpc_client_begin(item->target.client, &request, 0, on_info, item, &pending, NULL) ==
		0)
		item->batch->n_waiting++;
}

/* What the shim did not tell. */
static void look_at_files(struct item *item)
{
	const struct state_dir *dir = &item->target.dir;

	if (!item->answered && dir->fd >= 0)
		item->seen = look_from_files(
			dir, !state_dir_is_locked(dir), item->batch->full, &item->why);
}

/* Opens one; a container that is gone or not made yet is none. */
static int add(struct cli *cli, struct batch *b, const char *id, struct error *err)
{
	struct item *item = &b->items[b->n_items];
	int r;

	*item = (struct item){ .batch = b, .target = TARGET_INIT, .why = ERROR_INIT };
	r = target_open(cli, id, b->base, &item->target, err);
	/* it has a folder, at least; who asks for one is told what is wrong with it */
	if (cli->via == VIA_DIRECT && r != CODE_NOT_FOUND &&
		(r == CODE_UNAVAILABLE || (r != 0 && !b->full)))
		r = state_dir_open(cli->root, cli->ns, id, &item->target.dir, err);
	if (r != 0)
		return r;
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

static void batch_deinit(struct batch *b)
{
	for (size_t i = 0; i < b->n_items; i++) {
		target_close(&b->items[i].target);
		json_decref(b->items[i].seen);
		error_clear(&b->items[i].why);
	}
	if (b->base)
		event_base_free(b->base);
}

static int look_batch(struct cli *cli, char *const *ids, size_t n, json_t *ret, struct error *err)
{
	struct batch b = { .base = event_base_new(), .timeout_ms = LIST_ANSWER_MS };
	int r = b.base ? 0 : error_errno(err, -ENOMEM, "event loop");

	for (size_t i = 0; i < n && r == 0; i++) {
		r = add(cli, &b, ids[i], err);
		if (cli->via == VIA_DIRECT)
			r = 0;
	}
	if (r == 0)
		r = finish(&b, err);
	for (size_t i = 0; i < b.n_items && r == 0; i++)
		if (b.items[i].seen)
			json_array_append(ret, b.items[i].seen);
	batch_deinit(&b);
	return r;
}

static int collect(const char *ns, const char *id, void *userdata)
{
	(void)ns;
	return argv_add(userdata, id);
}

int look_all(struct cli *cli, json_t **ret, struct error *err)
{
	_cleanup_argv_ struct argv ids = ARGV_INIT;
	_cleanup_json_ json_t *all = json_array();
	char *no_id[] = { NULL };
	int r = 0;

	if (cli->via == VIA_SHIM) {
		r = look_batch(cli, no_id, 1, all, err);
	} else {
		r = state_each(cli->root, cli->ns, collect, &ids, err);
		if (r < 0)
			r = error_errno(err, r, "%s", cli->root);
		for (size_t i = 0; i < ids.n && r == 0; i += BATCH)
			r = look_batch(
				cli, ids.v + i, ids.n - i < BATCH ? ids.n - i : BATCH, all, err);
	}
	if (r == 0) {
		error_clear(err);
		*ret = json_incref(all);
	}
	return r;
}

/* Why nobody told of it: its files are wrong, or there is nothing. */
static int refuse(struct item *item, const char *id, struct error *err)
{
	int r = (int)item->why.code;

	if (item->seen || r == CODE_OK || r == CODE_NOT_FOUND)
		return error_set(err, CODE_NOT_FOUND, "container %s: does not exist", id);
	error_move(err, &item->why);
	return r;
}

int look_one(struct cli *cli, const char *id, json_t **ret, struct error *err)
{
	struct batch b = { .base = event_base_new(), .timeout_ms = ANSWER_MS, .full = true };
	json_t *seen;
	int r = b.base ? 0 : error_errno(err, -ENOMEM, "event loop");

	if (r == 0)
		r = add(cli, &b, id, err);
	if (r == 0)
		r = finish(&b, err);
	if (r == 0) {
		seen = b.items[0].seen;
		if (seen && strcmp(json_get_string(seen, "id", ""), id) == 0)
			*ret = json_incref(seen);
		else
			r = refuse(&b.items[0], id, err);
	}
	batch_deinit(&b);
	return r;
}

json_t *look_pick(const json_t *obj, const char *const *keys)
{
	json_t *picked = json_object();

	for (; *keys; keys++)
		json_object_set(picked, *keys, json_object_get(obj, *keys));
	return picked;
}
