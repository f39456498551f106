/* SPDX-License-Identifier: Apache-2.0 */
/* `list` and `state`: what look.c has seen, printed. */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <stdio.h>

#include "common/json.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/look.h"
#include "supervisor/cli/print.h"

struct list_options {
	bool quiet;
};

static const struct option list_option_table[] = {
	OPTION_FLAG('q', "quiet", struct list_options, quiet, "ids only"),
	OPTION_END,
};

static const char *const list_keys[] = { "id", "namespace", "status", "pid", "bundle", "runtime",
	"created", "shim_pid", NULL };

static const struct column list_columns[] = {
	{ "ID", "id" },
	{ "PID", "pid" },
	{ "STATUS", "status" },
	{ "BUNDLE", "bundle" },
	{ "CREATED", "created" },
	{ "RUNTIME", "runtime" },
	{ "SHIM", "shim_pid" },
};

static int print_ids(const json_t *all, struct error *err)
{
	for (size_t i = 0; i < json_array_size(all); i++)
		printf("%s\n", json_get_string(json_array_get(all, i), "id", ""));
	return cli_flush(err);
}

static int print_list_json(const json_t *all, struct error *err)
{
	_cleanup_json_ json_t *list = json_array();
	const json_t *one;
	size_t i;

	json_array_foreach (all, i, one)
		if (json_array_append_new(list, look_pick(one, list_keys)) < 0)
			return error_errno(err, -ENOMEM, "list");
	return print_json(list, err);
}

static int run_list(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct list_options *o = options;
	_cleanup_json_ json_t *all = NULL;
	int r = look_all(cli, &all, err);

	(void)argc;
	(void)argv;
	if (r != 0)
		return r;
	if (o->quiet)
		return print_ids(all, err);
	if (cli->g.json)
		return print_list_json(all, err);
	return print_table(all, list_columns, sizeof(list_columns) / sizeof(*list_columns), err);
}

static int run_state(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	_cleanup_json_ json_t *one = NULL;
	int r = look_one(cli, argv[0], &one, err);

	(void)options;
	(void)argc;
	return r == 0 ? print_json_indented(one, err) : r;
}

const struct command command_list = {
	.name = "list",
	.alias = "ls",
	.group = GROUP_LOOK,
	.usage = "[OPTIONS]",
	.brief = "List the containers of the namespace",
	.more = "A container whose shim is dead is \"orphaned\": `cleat delete --force` removes it.\n"
		"Where its files cannot be read it is \"unknown\", and `cleat state` says why.",
	.options = list_option_table,
	.options_size = sizeof(struct list_options),
	.run = run_list,
};

const struct command command_state = {
	.name = "state",
	.group = GROUP_LOOK,
	.usage = "ID",
	.brief = "Tell all about one container, as JSON",
	.n_min = 1,
	.n_max = 1,
	.run = run_state,
};
