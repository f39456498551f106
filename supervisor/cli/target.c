/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds a container's shim. Starts none and changes nothing. Subtle: the lock decides whether a
 * shim lives, not the socket: a dead shim leaves its socket behind, and a new one has its folder
 * before it listens.
 */
#include "supervisor/cli/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ids.h"
#include "supervisor/cli/cli.h"

void target_close(struct target *t)
{
	ttrpc_client_free(t->client);
	state_dir_close(&t->dir);
	free(t->socket);
	free(t->id);
	*t = TARGET_INIT;
}

static int set_names(struct target *t, const char *id, const char *socket, struct error *err)
{
	free(t->socket);
	t->socket = socket ? strdup(socket) : NULL;
	if (!t->id)
		t->id = strdup(id);
	if (!t->id || (socket && !t->socket))
		return error_errno(err, -ENOMEM, "container %s", id);
	return 0;
}

static int open_shim(struct cli *cli, const char *id, struct event_base *base, struct target *t,
	struct error *err)
{
	int r = set_names(t, id, cli->g.shim, err);

	if (r == 0)
		r = ttrpc_client_connect(cli->g.shim, base, &t->client, err);
	return r;
}

/* Connects to the socket that shim.json names. */
static int open_recorded(struct target *t, struct event_base *base, struct error *err)
{
	struct shim_record record = { 0 };
	int r = shim_record_read(&t->dir, &record, err);

	if (r != 0)
		return r;
	r = set_names(t, t->id, record.socket, err);
	if (r == 0)
		r = ttrpc_client_connect(t->socket, base, &t->client, err);
	shim_record_deinit(&record);
	return r;
}

static int open_direct(struct cli *cli, const char *id, struct event_base *base, struct target *t,
	struct error *err)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	int r = set_names(t, id, NULL, err);

	if (r == 0)
		r = state_dir_open(cli->root, cli->ns, id, &t->dir, err);
	if (r != 0)
		return r;
	r = open_recorded(t, base, &why);
	if (r == 0 || !state_dir_is_locked(&t->dir))
		return 0;
	if (r != CODE_NOT_FOUND && r != CODE_UNAVAILABLE) {
		error_move(err, &why);
		return cli_wrap_container(err, id);
	}
	return error_set(err, CODE_UNAVAILABLE,
		"container %s: its shim is starting or ending and takes no call", id);
}

int target_open(struct cli *cli, const char *id, struct event_base *base, struct target *ret,
	struct error *err)
{
	struct target t = TARGET_INIT;
	int r = id || cli->via == VIA_DIRECT ? id_check(id, "container id", err) : 0;

	if (r == 0)
		r = cli->via == VIA_SHIM ? open_shim(cli, id ? id : "", base, &t, err)
					 : open_direct(cli, id, base, &t, err);
	if (r != 0) {
		target_close(&t);
		return r;
	}
	*ret = t;
	return 0;
}

int target_open_living(struct cli *cli, const char *id, struct event_base *base, struct target *ret,
	struct error *err)
{
	struct target t;
	int r = target_open(cli, id, base, &t, err);

	if (r != 0)
		return r;
	if (!t.client) {
		target_close(&t);
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: is orphaned: its shim is gone", id);
	}
	*ret = t;
	return 0;
}
