/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `stats`: what containers use, as their cgroups count it: once, or again and again. Subtle: JSON
 * has every figure under the name that containerd's message gives it, and these differ between
 * the two versions of cgroups; the table has what both know.
 */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <poll.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/figures.h"
#include "supervisor/cli/print.h"

#define INTERVAL_MS 5000 /* as `runc events` has it */

struct stats_options {
	bool follow;
	const char *interval;
};

static const struct option stats_option_table[] = {
	OPTION_FLAG('f', "follow", struct stats_options, follow,
		"again and again, until stopped or until none is left"),
	OPTION_VALUE(0, "interval", "TIME", struct stats_options, interval,
		"between two rounds: 5s if not given; 500ms, 2s, 1m; follows"),
	OPTION_END,
};

static const struct column stats_columns[] = {
	{ "ID", "id" },
	{ "CPU", "cpu" },
	{ "MEMORY", "memory" },
	{ "LIMIT", "limit" },
	{ "PIDS", "pids" },
	{ "READ", "read" },
	{ "WRITTEN", "written" },
};

/* --- the table --- */

static json_t *bytes_cell(uint64_t n)
{
	char text[FIGURES_BYTES_MAX];

	figures_bytes(n, text);
	return json_string(text);
}

static json_t *make_row(const char *id, const json_t *metrics)
{
	json_t *row = json_object();
	struct figures f;

	figures_of(metrics, &f);
	json_object_set_new(row, "id", json_string(id));
	json_object_set_new(row, "cpu", json_sprintf("%.3f s", f.cpu));
	json_object_set_new(row, "memory", bytes_cell(f.memory));
	json_object_set_new(row, "limit", f.limit ? bytes_cell(f.limit) : json_null());
	json_object_set_new(row, "pids", json_integer((json_int_t)f.pids));
	json_object_set_new(row, "read", bytes_cell(f.read));
	json_object_set_new(row, "written", bytes_cell(f.written));
	return row;
}

/* --- asking --- */

/*
 * One round; *ret_n: how many containers answered. CODE_CANCELLED once stop_fd (-1: none) is
 * readable before they have.
 */
static int round_of(struct cli *cli, const char *id, int stop_fd, size_t *ret_n, struct error *err)
{
	_cleanup_json_ json_t *ids = NULL, *rows = json_array();
	const json_t *one;
	size_t i;
	int r = figures_choose(cli, id, &ids, err);

	*ret_n = 0;
	json_array_foreach (ids, i, one) {
		_cleanup_error_ struct error failed = ERROR_INIT;
		_cleanup_json_ json_t *stats = NULL;

		if (r != 0)
			break;
		r = figures_ask(cli, json_string_value(one), stop_fd, &stats, &failed);
		if (r != 0 && (id || r == CODE_CANCELLED)) {
			error_move(err, &failed);
			return r;
		}
		if (r != 0) { /* of many, one may go meanwhile, or have no cgroup */
			cli_complain(json_string_value(one), &failed);
			r = 0;
			continue;
		}
		(*ret_n)++;
		if (cli->g.json)
			r = print_json(stats, err);
		else
			json_array_append_new(rows, make_row(json_string_value(one),
							    json_object_get(stats, "metrics")));
	}
	if (r == 0 && !cli->g.json)
		r = print_table(
			rows, stats_columns, sizeof(stats_columns) / sizeof(*stats_columns), err);
	return r;
}

/* --- again and again --- */

/* To be told to stop is the proper end of following. */
static int follow(struct cli *cli, const char *id, int64_t interval_ms, struct error *err)
{
	_cleanup_close_ int stop_fd = -1;
	size_t n;
	int code = cli_catch_stop(&stop_fd, err);

	if (code != 0)
		return code;
	for (bool first = true;; first = false) {
		struct pollfd pause = { .fd = stop_fd, .events = POLLIN };
		int r;

		/* what has gone after it was seen is the end, not a failure */
		if (!first && id && figures_are_over(cli, id))
			return 0;
		r = round_of(cli, id, stop_fd, &n, err);
		if (r == CODE_CANCELLED)
			return 0;
		if (r != 0 || (n == 0 && !first))
			return r;
		if (poll(&pause, 1, (int)interval_ms) > 0)
			return 0;
	}
}

static int run_stats(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct stats_options *o = options;
	const char *id = argc > 0 ? argv[0] : NULL;
	int64_t interval_ms = INTERVAL_MS;
	size_t n;
	int r = o->interval ? figures_interval(o->interval, &interval_ms, err) : 0;

	if (r != 0)
		return r;
	return o->follow || o->interval ? follow(cli, id, interval_ms, err)
					: round_of(cli, id, -1, &n, err);
}

const struct command command_stats = {
	.name = "stats",
	.group = GROUP_LOOK,
	.usage = "[OPTIONS] [ID]",
	.brief = "Tell what a container uses, or all that run",
	.more = "As the container's cgroup counts it: processor time since its start, memory and its\n"
		"limit, processes, bytes read and written. With --json one object a line: id,\n"
		"timestamp, type, and every figure below metrics, by containerd's names for the\n"
		"version of cgroups that the host has; null is \"no limit\".",
	.options = stats_option_table,
	.options_size = sizeof(struct stats_options),
	.n_max = 1,
	.run = run_stats,
};
