/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wait`. Subtle: the shim may die while it is waited for; then the ledger has the answer, or
 * nobody.
 */
#include "supervisor/cli/commands.h"

#include <stdio.h>

#include <jansson.h>

#include "common/ids.h"
#include "common/json.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/dead.h"
#include "supervisor/cli/print.h"
#include "supervisor/cli/target.h"

struct wait_options {
	const char *exec_id;
};

static const struct option wait_option_table[] = {
	OPTION_VALUE(0, "exec-id", "ID", struct wait_options, exec_id, "an exec, not the init"),
	OPTION_END,
};

static int wait_once(struct cli *cli, const char *id, const char *exec_id, bool *ret_died,
	struct task_exit *ret, struct error *err)
{
	struct target t;
	int r = target_open(cli, id, NULL, &t, err);

	*ret_died = false;
	if (r != 0)
		return r;
	if (t.client) {
		r = task_wait(&t, exec_id, 0, ret, err);
		*ret_died = r == CODE_UNAVAILABLE && cli->via == VIA_DIRECT &&
			    !state_dir_is_locked(&t.dir);
	} else {
		r = dead_wait(&t, exec_id, ret, err);
	}
	target_close(&t);
	return r;
}

static int print_exit(struct cli *cli, const char *id, const char *exec_id,
	const struct task_exit *exit, struct error *err)
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
	struct task_exit exit;
	bool died;
	int r;

	(void)argc;
	if (o->exec_id && id_check(exec_id, "exec id", err) != 0)
		return err->code;
	r = wait_once(cli, argv[0], exec_id, &died, &exit, err);
	if (died) {
		error_clear(err);
		r = wait_once(cli, argv[0], exec_id, &died, &exit, err);
	}
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
