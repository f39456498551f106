/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wait`. Subtle: what cannot be known is printed as a word and exited with as cleat's own failure, since
 * no number could not be a real one.
 */
#include "supervisor/cli/commands.h"

#include <stdio.h>

#include <jansson.h>

#include "common/client_wait.h"
#include "common/ids.h"
#include "common/json.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/print.h"

struct wait_options {
	const char *exec_id;
};

static const struct option wait_option_table[] = {
	OPTION_VALUE(0, "exec-id", "ID", struct wait_options, exec_id, "an exec, not the init"),
	OPTION_END,
};

static int wait_for_exit(struct cli *cli, const char *id, const char *exec_id,
	struct client_exit *ret, struct error *err)
{
	struct client_wait *w;
	int r = client_wait_begin(&cli->place, id, exec_id, &w, err);

	if (r != 0)
		return r;
	r = client_wait_take(w, -1, ret, err);
	client_wait_free(w);
	return r;
}

static int print_exit(struct cli *cli, const char *id, const char *exec_id,
	const struct client_exit *exit, struct error *err)
{
	_cleanup_json_ json_t *j = NULL;

	cli->status = exit->known ? (int)(exit->status & 0xff) : STATUS_OWN_FAILURE;
	if (cli->g.json) {
		j = json_pack("{s:s, s:o, s:o, s:o}", "id", id, "exec_id",
			*exec_id ? json_string(exec_id) : json_null(), "exit_status",
			exit->known ? json_integer(exit->status) : json_null(), "exited_at",
			print_moment(exit->at));
		return print_json(j, err);
	}
	if (exit->known)
		printf("%u\n", exit->status);
	else
		printf("unknown\n");
	return cli_flush(err);
}

static int run_wait(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct wait_options *o = options;
	const char *exec_id = o->exec_id ? o->exec_id : "";
	struct client_exit exit;
	int r;

	(void)argc;
	if (o->exec_id && id_check(exec_id, "exec id", err) != 0)
		return err->code;
	r = wait_for_exit(cli, argv[0], exec_id, &exit, err);
	return r == 0 ? print_exit(cli, argv[0], exec_id, &exit, err) : r;
}

const struct command command_wait = {
	.name = "wait",
	.group = GROUP_LOOK,
	.usage = "[OPTIONS] ID",
	.brief = "Wait until a container has ended, print its exit status and exit with it",
	.more = "128 + N tells that signal N ended it. A status that nobody can know any more\n"
		"prints as \"unknown\" and exits with 125.",
	.options = wait_option_table,
	.options_size = sizeof(struct wait_options),
	.n_min = 1,
	.n_max = 1,
	.run = run_wait,
};
