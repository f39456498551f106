/* SPDX-License-Identifier: Apache-2.0 */
/* `version` and `help`. */
#include "supervisor/cli/commands.h"

#include <stdio.h>

#include "common/json.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/help.h"
#include "supervisor/cli/print.h"
#include "common/client_target.h"
#include "common/client_call.h"

static int print_version(struct cli *cli, const char *via, const char *shim, struct error *err)
{
	_cleanup_json_ json_t *j = NULL;

	if (!cli->g.json) {
		printf("cleat " CLEAT_VERSION "\n%s\n", via);
		if (shim)
			printf("cleat-shim %s\n", shim);
		return cli_flush(err);
	}
	j = json_pack("{s:s, s:s, s:s*}", "version", CLEAT_VERSION, "via", via, "shim", shim);
	return print_json(j, err);
}

static int run_version(
	struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	Cleat__Shim__V1__InfoResponse *info;
	struct client_target t;
	int r;

	(void)options;
	(void)argc;
	(void)argv;
	if (cli->place.via == CLIENT_VIA_DIRECT)
		return print_version(cli, "direct", NULL, err);
	if (cli->place.via == CLIENT_VIA_CLEATD)
		return print_version(cli, "via cleatd", NULL, err);
	r = client_target_open(&cli->place, NULL, NULL, &t, err);
	if (r != 0)
		return r;
	r = client_call_info(&t, CLIENT_ANSWER_MS, &info, err);
	if (r == 0) {
		r = print_version(cli, "shim", info->version, err);
		cleat__shim__v1__info_response__free_unpacked(info, NULL);
	}
	client_target_close(&t);
	return r;
}

static int run_help(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct command *command = argc > 0 ? command_find(argv[0]) : NULL;

	(void)cli;
	(void)options;
	if (argc > 0 && !command) {
		command_unknown(commands, argv[0], err);
		return command_misused(NULL, err);
	}
	if (command)
		help_command(command);
	else
		help_all();
	return cli_flush(err);
}

const struct command command_version = {
	.name = "version",
	.group = GROUP_KEEP,
	.usage = "",
	.brief = "Show the version, and how containers are reached",
	.more = "via cleatd: the daemon answers. direct: without it, through the folders under the\n"
		"root. shim: through the socket named with --shim.",
	.run = run_version,
};

const struct command command_help = {
	.name = "help",
	.group = GROUP_KEEP,
	.usage = "[COMMAND]",
	.brief = "Show help",
	.n_max = 1,
	.alone = true,
	.run = run_help,
};
