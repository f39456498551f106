/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `update`: other limits for a container that is there. Options are those of `runc update`; they
 * are laid over the document of --resources. Subtle: a number may be -1 (no limit), and a size may
 * have a unit, of 1024.
 */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/json.h"
#include "supervisor/cli/cli.h"
#include "common/client_target.h"
#include "common/client_call.h"

#define LIMIT_DOCUMENT (1u << 20)

struct update_options {
	const char *resources, *blkio_weight, *cpu_period, *cpu_quota, *cpu_rt_period,
		*cpu_rt_runtime, *cpu_share, *cpuset_cpus, *cpuset_mems, *memory,
		*memory_reservation, *memory_swap, *pids_limit;
};

#define OPTION(name, value, field, help)                                                           \
	OPTION_VALUE(0, name, value, struct update_options, field, help)

static const struct option update_option_table[] = {
	OPTION_VALUE('r', "resources", "FILE", struct update_options, resources,
		"OCI LinuxResources as JSON; - for stdin"),
	OPTION("blkio-weight", "N", blkio_weight, "weight of its I/O, 10 to 1000"),
	OPTION("cpu-period", "USEC", cpu_period, "period of the processor limit"),
	OPTION("cpu-quota", "USEC", cpu_quota, "processor time in each period; -1: no limit"),
	OPTION("cpu-rt-period", "USEC", cpu_rt_period, "period of the realtime limit"),
	OPTION("cpu-rt-runtime", "USEC", cpu_rt_runtime, "realtime processor time in each period"),
	OPTION("cpu-share", "N", cpu_share, "weight of its processor time"),
	OPTION("cpuset-cpus", "LIST", cpuset_cpus, "processors to use: 0-2,4"),
	OPTION("cpuset-mems", "LIST", cpuset_mems, "memory nodes to use"),
	OPTION("memory", "SIZE", memory, "memory limit: 512M; -1: none"),
	OPTION("memory-reservation", "SIZE", memory_reservation, "soft memory limit"),
	OPTION("memory-swap", "SIZE", memory_swap, "memory and swap together; -1: no limit"),
	OPTION("pids-limit", "N", pids_limit, "processes; -1: no limit"),
	OPTION_END,
};

enum value_kind {
	VALUE_NUMBER,
	VALUE_SIZE,
	VALUE_TEXT,
};

/* Where an option goes: resources.GROUP.KEY. */
struct field {
	const char *option, *group, *key;
	enum value_kind kind;
	size_t offset;
};

#define FIELD(option, group, key, kind, member)                                                    \
	{                                                                                          \
		option, group, key, kind, offsetof(struct update_options, member)                  \
	}

static const struct field fields[] = {
	FIELD("blkio-weight", "blockIO", "weight", VALUE_NUMBER, blkio_weight),
	FIELD("cpu-period", "cpu", "period", VALUE_NUMBER, cpu_period),
	FIELD("cpu-quota", "cpu", "quota", VALUE_NUMBER, cpu_quota),
	FIELD("cpu-rt-period", "cpu", "realtimePeriod", VALUE_NUMBER, cpu_rt_period),
	FIELD("cpu-rt-runtime", "cpu", "realtimeRuntime", VALUE_NUMBER, cpu_rt_runtime),
	FIELD("cpu-share", "cpu", "shares", VALUE_NUMBER, cpu_share),
	FIELD("cpuset-cpus", "cpu", "cpus", VALUE_TEXT, cpuset_cpus),
	FIELD("cpuset-mems", "cpu", "mems", VALUE_TEXT, cpuset_mems),
	FIELD("memory", "memory", "limit", VALUE_SIZE, memory),
	FIELD("memory-reservation", "memory", "reservation", VALUE_SIZE, memory_reservation),
	FIELD("memory-swap", "memory", "swap", VALUE_SIZE, memory_swap),
	FIELD("pids-limit", "pids", "limit", VALUE_NUMBER, pids_limit),
};

/* How many bits a unit stands for; -1 for none that is known. */
static int unit_shift(const char *unit)
{
	static const char letters[] = "kmgt";
	const char *at;

	if (!*unit || strcasecmp(unit, "b") == 0)
		return 0;
	at = strchr(letters, *unit | 0x20);
	if (!at || (unit[1] && strcasecmp(unit + 1, "b") != 0 && strcasecmp(unit + 1, "ib") != 0))
		return -1;
	return (int)(at - letters + 1) * 10;
}

static int parse_number(const struct field *f, const char *text, json_t **ret, struct error *err)
{
	char *unit = NULL;
	long long n;
	int shift;

	errno = 0;
	n = strtoll(text, &unit, 10);
	shift = f->kind == VALUE_SIZE ? unit_shift(unit) : *unit ? -1 : 0;
	if (errno || unit == text || shift < 0 || n < -1 || n > INT64_MAX >> shift ||
		(n < 0 && *unit))
		return error_set(err, CODE_INVALID_ARGUMENT, "--%s \"%.80s\" is no %s", f->option,
			text, f->kind == VALUE_SIZE ? "size" : "number");
	*ret = json_integer(n < 0 ? n : n << shift);
	return 0;
}

static int put_field(json_t *document, const struct field *f, const char *text, struct error *err)
{
	json_t *group = json_object_get(document, f->group), *value = NULL;
	int r = f->kind == VALUE_TEXT ? 0 : parse_number(f, text, &value, err);

	if (r != 0)
		return r;
	if (f->kind == VALUE_TEXT)
		value = json_string(text);
	if (!json_is_object(group)) {
		group = json_object();
		json_object_set_new(document, f->group, group);
	}
	if (!value || json_object_set_new(group, f->key, value) < 0)
		return error_set(err, CODE_INVALID_ARGUMENT, "--%s is no text", f->option);
	return 0;
}

static int read_document(const char *path, json_t **ret, struct error *err)
{
	_cleanup_close_ int opened = -1;
	_cleanup_buf_ struct buf text = BUF_INIT;
	int fd = STDIN_FILENO, r;

	if (strcmp(path, "-") != 0)
		fd = opened = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : fd_read_all(fd, &text, LIMIT_DOCUMENT);
	if (r < 0)
		return error_errno(err, r, "%s", path);
	r = json_parse(buf_head(&text), text.len, path, ret, err);
	if (r == 0 && !json_is_object(*ret))
		r = error_set(err, CODE_INVALID_ARGUMENT, "%s is no JSON object", path);
	return r;
}

static int run_update(
	struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct update_options *o = options;
	_cleanup_json_ json_t *document = NULL;
	_cleanup_free_ char *text = NULL;
	struct client_target t;
	bool any = o->resources != NULL;
	int r = 0;

	(void)argc;
	if (o->resources)
		r = read_document(o->resources, &document, err);
	else
		document = json_object();
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields) && r == 0; i++) {
		const char *at = (const char *)o + fields[i].offset;
		const char *value = *(const char *const *)(const void *)at;

		if (value)
			r = put_field(document, &fields[i], value, err);
		any |= value != NULL;
	}
	if (r != 0)
		return r;
	if (!any)
		return error_set(err, CODE_INVALID_ARGUMENT, "update: nothing to change is named");
	text = json_text(document);
	if (!text)
		return error_errno(err, -ENOMEM, "update");
	r = client_target_open_living(&cli->place, argv[0], NULL, &t, err);
	if (r != 0)
		return r;
	r = client_call_update(&t, text, err);
	client_target_close(&t);
	return r;
}

const struct command command_update = {
	.name = "update",
	.group = GROUP_INSIDE,
	.usage = "[OPTIONS] ID",
	.brief = "Give a container other limits",
	.more = "What is not named stays as it is. Options are laid over the document of\n"
		"--resources; a size may end in K, M, G or T.",
	.options = update_option_table,
	.options_size = sizeof(struct update_options),
	.n_min = 1,
	.n_max = 1,
	.run = run_update,
};
