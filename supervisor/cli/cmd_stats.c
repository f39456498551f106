/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `stats`: what containers use, as their cgroups count it: once, or again and again. Subtle: JSON
 * has every figure under the name that containerd's message gives it, and these differ between
 * the two versions of cgroups; the table has what both know.
 */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "metrics_v1.pb-c.h"
#include "metrics_v2.pb-c.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/look.h"
#include "supervisor/cli/print.h"
#include "supervisor/cli/proto_json.h"
#include "common/client_target.h"
#include "common/client_call.h"

#define INTERVAL_MS	5000 /* as `runc events` has it */
#define INTERVAL_MS_MAX 86400000

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

static const ProtobufCMessageDescriptor *const metrics_types[] = {
	&io__containerd__cgroups__v1__metrics__descriptor,
	&io__containerd__cgroups__v2__metrics__descriptor,
	NULL,
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

/* A number below the keys, separated by points; 0 where it is not there. */
static json_int_t figure(const json_t *metrics, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	char *rest = NULL;

	for (char *key = copy ? strtok_r(copy, ".", &rest) : NULL; key;
		key = strtok_r(NULL, ".", &rest))
		metrics = json_object_get(metrics, key);
	return json_integer_value(metrics);
}

static json_t *bytes_cell(json_int_t n)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)n;
	size_t unit = 0;

	for (; value >= 1024 && unit < sizeof(units) / sizeof(*units) - 1; unit++)
		value /= 1024;
	return json_sprintf(unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

/* "-" for none: in version 1 that is a number that no machine has. */
static json_t *limit_cell(json_int_t n)
{
	return n <= 0 || n >= (json_int_t)1 << 62 ? json_null() : bytes_cell(n);
}

static json_int_t sum_v1(const json_t *metrics, const char *op)
{
	const json_t *list =
		json_object_get(json_object_get(metrics, "blkio"), "io_service_bytes_recursive");
	json_int_t sum = 0;
	const json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry)
		if (strcasecmp(json_get_string(entry, "op", ""), op) == 0)
			sum += figure(entry, "value");
	return sum;
}

static json_int_t sum_v2(const json_t *metrics, const char *key)
{
	const json_t *list = json_object_get(json_object_get(metrics, "io"), "usage");
	json_int_t sum = 0;
	const json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry)
		sum += figure(entry, key);
	return sum;
}

static json_t *make_row(const char *id, const json_t *metrics)
{
	bool is_v1 = json_object_get(metrics, "blkio") != NULL;
	json_t *row = json_object();
	double cpu = is_v1 ? (double)figure(metrics, "cpu.usage.total") / 1e9
			   : (double)figure(metrics, "cpu.usage_usec") / 1e6;

	json_object_set_new(row, "id", json_string(id));
	json_object_set_new(row, "cpu", json_sprintf("%.3f s", cpu));
	json_object_set_new(row, "memory",
		bytes_cell(figure(metrics, is_v1 ? "memory.usage.usage" : "memory.usage")));
	json_object_set_new(row, "limit",
		limit_cell(figure(metrics, is_v1 ? "memory.usage.limit" : "memory.usage_limit")));
	json_object_set_new(row, "pids", json_integer(figure(metrics, "pids.current")));
	json_object_set_new(row, "read",
		bytes_cell(is_v1 ? sum_v1(metrics, "read") : sum_v2(metrics, "rbytes")));
	json_object_set_new(row, "written",
		bytes_cell(is_v1 ? sum_v1(metrics, "write") : sum_v2(metrics, "wbytes")));
	return row;
}

/* --- asking --- */

/* *ret: {id, timestamp, type, metrics}, the caller's. stop_fd: as in round_of(). */
static int ask(struct cli *cli, const char *id, int stop_fd, json_t **ret, struct error *err)
{
	Containerd__Task__V2__StatsResponse *answer;
	json_t *metrics = NULL;
	struct client_target t;
	int r = client_target_open_living(&cli->place, id, NULL, &t, err);

	if (r != 0)
		return r;
	client_line_interrupt_by(t.line, stop_fd);
	r = client_call_stats(&t, &answer, err);
	client_target_close(&t);
	if (r != 0)
		return r;
	if (answer->stats)
		metrics = proto_json_any(answer->stats, metrics_types);
	if (metrics)
		*ret = json_pack("{s:s, s:o, s:s, s:o}", "id", id, "timestamp",
			print_moment(clock_now()), "type", answer->stats->type_url, "metrics",
			metrics);
	else
		r = error_set(err, CODE_INTERNAL, "container %s: figures of an unknown kind", id);
	containerd__task__v2__stats_response__free_unpacked(answer, NULL);
	return r;
}

static bool has_figures(const json_t *seen)
{
	static const char *const words[] = { "created", "running", "pausing", "paused" };
	const char *status = json_get_string(seen, "status", "");

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(status, words[i]) == 0)
			return true;
	return false;
}

/* The containers to ask for: one by its id, whatever it does, or all that are not stopped. */
static int choose(struct cli *cli, const char *id, json_t **ret, struct error *err)
{
	_cleanup_json_ json_t *all = NULL;
	const json_t *one;
	size_t i;
	int r;

	*ret = json_array();
	if (id)
		return json_array_append_new(*ret, json_string(id)) < 0
			       ? error_set(err, CODE_INVALID_ARGUMENT, "the id is no text")
			       : 0;
	r = look_all(cli, &all, err);
	json_array_foreach (all, i, one)
		if (has_figures(one))
			json_array_append(*ret, json_object_get(one, "id"));
	return r;
}

/*
 * One round; *ret_n: how many containers answered. CODE_CANCELLED once stop_fd (-1: none) is
 * readable before they have.
 */
static int round_of(struct cli *cli, const char *id, int stop_fd, size_t *ret_n, struct error *err)
{
	_cleanup_json_ json_t *ids = NULL, *rows = json_array();
	const json_t *one;
	size_t i;
	int r = choose(cli, id, &ids, err);

	*ret_n = 0;
	json_array_foreach (ids, i, one) {
		_cleanup_error_ struct error failed = ERROR_INIT;
		_cleanup_json_ json_t *stats = NULL;

		if (r != 0)
			break;
		r = ask(cli, json_string_value(one), stop_fd, &stats, &failed);
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

static int parse_interval(const char *text, int64_t *ret_ms, struct error *err)
{
	char *unit = NULL;
	double value = *text >= '0' && *text <= '9' ? strtod(text, &unit) : -1;

	if (unit && strcmp(unit, "ms") == 0)
		value /= 1000;
	else if (unit && strcmp(unit, "m") == 0)
		value *= 60;
	else if (!unit || (*unit && strcmp(unit, "s") != 0))
		value = -1;
	*ret_ms = value > 0 && value * 1000 <= INTERVAL_MS_MAX ? (int64_t)(value * 1000) : 0;
	if (*ret_ms < 1)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"--interval \"%s\" is not a time such as 500ms, 2s or 1m", text);
	return 0;
}

static bool is_stopped(struct cli *cli, const char *id)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	_cleanup_json_ json_t *seen = NULL;

	return look_one(cli, id, &seen, &ignored) != 0 || !has_figures(seen);
}

/* To be told to stop is the proper end of following. */
static int follow(struct cli *cli, const char *id, int64_t interval_ms, struct error *err)
{
	_cleanup_close_ int stop_fd = -1;
	sigset_t stop;
	size_t n;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	stop_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	if (stop_fd < 0)
		return error_errno(err, -errno, "signals");
	for (bool first = true;; first = false) {
		struct pollfd pause = { .fd = stop_fd, .events = POLLIN };
		int r;

		/* what has gone after it was seen is the end, not a failure */
		if (!first && id && is_stopped(cli, id))
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
	int r = o->interval ? parse_interval(o->interval, &interval_ms, err) : 0;

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
