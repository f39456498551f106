/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Keeps nothing. Subtle: version 1 says "no limit" with a number that no machine has, and
 * what one version counts the other may not.
 */
#include "supervisor/cli/figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/client_call.h"
#include "common/client_target.h"
#include "common/clock.h"
#include "common/json.h"
#include "metrics_v1.pb-c.h"
#include "metrics_v2.pb-c.h"
#include "supervisor/cli/look.h"
#include "supervisor/cli/print.h"
#include "supervisor/cli/proto_json.h"

#define INTERVAL_MS_MAX 86400000

static const ProtobufCMessageDescriptor *const metrics_types[] = {
	&io__containerd__cgroups__v1__metrics__descriptor,
	&io__containerd__cgroups__v2__metrics__descriptor,
	NULL,
};

/* --- numbers --- */

/* A number below the keys, separated by points; 0 where it is not there. */
static uint64_t figure(const json_t *metrics, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	char *rest = NULL;

	for (char *key = copy ? strtok_r(copy, ".", &rest) : NULL; key;
		key = strtok_r(NULL, ".", &rest))
		metrics = json_object_get(metrics, key);
	return json_integer_value(metrics) > 0 ? (uint64_t)json_integer_value(metrics) : 0;
}

static uint64_t sum_v1(const json_t *metrics, const char *op)
{
	const json_t *list =
		json_object_get(json_object_get(metrics, "blkio"), "io_service_bytes_recursive");
	uint64_t sum = 0;
	const json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry)
		if (strcasecmp(json_get_string(entry, "op", ""), op) == 0)
			sum += figure(entry, "value");
	return sum;
}

static uint64_t sum_v2(const json_t *metrics, const char *key)
{
	const json_t *list = json_object_get(json_object_get(metrics, "io"), "usage");
	uint64_t sum = 0;
	const json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry)
		sum += figure(entry, key);
	return sum;
}

void figures_of(const json_t *metrics, struct figures *ret)
{
	bool is_v1 = json_object_get(metrics, "blkio") != NULL;
	uint64_t limit = figure(metrics, is_v1 ? "memory.usage.limit" : "memory.usage_limit");

	*ret = (struct figures){
		.cpu = is_v1 ? (double)figure(metrics, "cpu.usage.total") / 1e9
			     : (double)figure(metrics, "cpu.usage_usec") / 1e6,
		.memory = figure(metrics, is_v1 ? "memory.usage.usage" : "memory.usage"),
		.limit = limit >= (uint64_t)1 << 62 ? 0 : limit,
		.pids = figure(metrics, "pids.current"),
		.read = is_v1 ? sum_v1(metrics, "read") : sum_v2(metrics, "rbytes"),
		.written = is_v1 ? sum_v1(metrics, "write") : sum_v2(metrics, "wbytes"),
	};
}

void figures_bytes(uint64_t n, char ret[static FIGURES_BYTES_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)n;
	size_t unit = 0;

	for (; value >= 1024 && unit < sizeof(units) / sizeof(*units) - 1; unit++)
		value /= 1024;
	snprintf(ret, FIGURES_BYTES_MAX, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

/* --- asking --- */

int figures_ask(struct cli *cli, const char *id, int stop_fd, json_t **ret, struct error *err)
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

int figures_choose(struct cli *cli, const char *id, json_t **ret, struct error *err)
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

bool figures_are_over(struct cli *cli, const char *id)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	_cleanup_json_ json_t *seen = NULL;

	return look_one(cli, id, &seen, &ignored) != 0 || !has_figures(seen);
}

int figures_interval(const char *text, int64_t *ret_ms, struct error *err)
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
