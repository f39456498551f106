/* SPDX-License-Identifier: Apache-2.0 */
/* `shim list`, `shim ping`, `shim exit`: the shims themselves, whatever they have in them. */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/state_dir.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/print.h"
#include "common/client_target.h"
#include "common/client_call.h"

/* --- list --- */

struct listing {
	struct cli *cli;
	json_t *rows;
};

static json_t *make_row(
	const char *id, const char *ns, int pid, const char *socket, const char *version)
{
	return json_pack("{s:s, s:s, s:i, s:o, s:o}", "id", id, "namespace", ns, "pid", pid,
		"socket", print_text(socket), "version", print_text(version));
}

/* A folder without a living shim is no shim; one that goes meanwhile neither. */
static int list_one(const char *ns, const char *id, void *userdata)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_(shim_record_deinit) struct shim_record shim = { 0 };
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct listing *l = userdata;

	if (state_dir_open(l->cli->place.root, ns, id, &dir, &ignored) != 0 ||
		!state_dir_is_locked(&dir) || shim_record_read(&dir, &shim, &ignored) != 0)
		return 0;
	json_array_append_new(l->rows, make_row(id, ns, shim.pid, shim.socket, shim.version));
	return 0;
}

static int list_named(struct cli *cli, json_t *rows, struct error *err)
{
	Cleat__Shim__V1__InfoResponse *info;
	struct client_target t;
	int r = client_target_open(&cli->place, NULL, NULL, &t, err);

	if (r != 0)
		return r;
	r = client_call_info(&t, CLIENT_ANSWER_MS, &info, err);
	if (r == 0) {
		json_array_append_new(
			rows, make_row(info->id, info->namespace_, (int)info->shim_pid,
				      info->socket, info->version));
		cleat__shim__v1__info_response__free_unpacked(info, NULL);
	}
	client_target_close(&t);
	return r;
}

static int run_list(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	static const struct column columns[] = {
		{ "ID", "id" },
		{ "NAMESPACE", "namespace" },
		{ "PID", "pid" },
		{ "VERSION", "version" },
		{ "SOCKET", "socket" },
	};
	_cleanup_json_ json_t *rows = json_array();
	struct listing listing = { cli, rows };
	int r;

	(void)options;
	(void)argc;
	(void)argv;
	if (cli->place.via == CLIENT_VIA_SHIM)
		r = list_named(cli, rows, err);
	else
		r = state_each(cli->place.root, cli->place.ns, list_one, &listing, err);
	if (r != 0)
		return r;
	if (cli->g.json)
		return print_json(rows, err);
	return print_table(rows, columns, sizeof(columns) / sizeof(*columns), err);
}

/* --- one of them --- */

/* The shim itself, also where there is cleatd: what cleatd would say of it is not the question. */
static int open_one(
	struct cli *cli, int argc, char **argv, struct client_target *ret, struct error *err)
{
	const char *id = argc > 0 ? argv[0] : NULL;
	int r;

	if (!id && cli->place.via != CLIENT_VIA_SHIM)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"which shim? an ID or --shim is needed; see `cleat %s --help`",
			cli->command->name);
	if (cli->place.via == CLIENT_VIA_SHIM)
		return client_target_open_living(&cli->place, id, NULL, ret, err);
	r = client_target_open_direct(&cli->place, id, ret, err);
	if (r != 0 || !client_target_is_orphan(ret))
		return r;
	client_target_close(ret);
	return error_set(
		err, CODE_FAILED_PRECONDITION, "container %s: is orphaned: its shim is gone", id);
}

/* --- ping --- */

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int run_ping(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	Cleat__Shim__V1__InfoResponse *info;
	long long before = now_us();
	struct client_target t;
	int r;

	(void)options;
	r = open_one(cli, argc, argv, &t, err);
	if (r != 0)
		return r;
	r = client_call_info(&t, CLIENT_ANSWER_MS, &info, err);
	if (r == 0) {
		printf("%s: ok (%lld µs)\n", info->id, now_us() - before);
		cleat__shim__v1__info_response__free_unpacked(info, NULL);
		r = cli_flush(err);
	}
	client_target_close(&t);
	return r;
}

/* --- exit --- */

static int run_exit(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	struct client_target t;
	int r;

	(void)options;
	r = open_one(cli, argc, argv, &t, err);
	if (r != 0)
		return r;
	r = client_call_shim_exit(&t, err);
	client_target_close(&t);
	return r;
}

static const struct command shim_list = {
	.name = "shim list",
	.usage = "",
	.brief = "List the shims that live",
	.run = run_list,
};

static const struct command shim_ping = {
	.name = "shim ping",
	.usage = "[ID]",
	.brief = "Ask a shim for an answer, and say how long it took",
	.n_max = 1,
	.run = run_ping,
};

static const struct command shim_exit_command = {
	.name = "shim exit",
	.usage = "[ID]",
	.brief = "End a shim that has nothing in it any more",
	.n_max = 1,
	.run = run_exit,
};

static const struct command *const shim_commands[] = {
	&shim_list,
	&shim_ping,
	&shim_exit_command,
	NULL,
};

const struct command command_shim = {
	.name = "shim",
	.group = GROUP_KEEP,
	.usage = "list|ping|exit [ID]",
	.brief = "Look after the shims themselves",
	.n_min = 1,
	.n_max = -1,
	.subs = shim_commands,
};
