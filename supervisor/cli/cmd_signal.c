/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kill`, `pause`, `resume`. Subtle: an orphan's init is signalled here, by pid and start time,
 * and everything else in it by its runtime, since nobody else is left to do it.
 */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <string.h>

#include "common/ids.h"
#include "common/signals.h"
#include "supervisor/cli/cli.h"
#include "common/client_dead.h"
#include "common/client_target.h"
#include "common/client_call.h"

struct kill_options {
	const char *exec_id;
	bool all;
};

static const struct option kill_option_table[] = {
	OPTION_FLAG('a', "all", struct kill_options, all, "every process of the container"),
	OPTION_VALUE(0, "exec-id", "ID", struct kill_options, exec_id, "an exec, not the init"),
	OPTION_END,
};

static int run_kill(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct kill_options *o = options;
	int sig = signal_parse(argc > 1 ? argv[1] : "TERM");
	struct client_target t;
	int r;

	if (sig == 0)
		return error_set(err, CODE_INVALID_ARGUMENT, "\"%s\" is no signal", argv[1]);
	if (o->exec_id && o->all)
		return error_set(
			err, CODE_INVALID_ARGUMENT, "--all and --exec-id exclude each other");
	if (o->exec_id && id_check(o->exec_id, "exec id", err) != 0)
		return err->code;
	r = client_target_open(&cli->place, argv[0], NULL, &t, err);
	if (r != 0)
		return r;
	if (t.line)
		r = client_call_kill(&t, o->exec_id ? o->exec_id : "", sig, o->all, err);
	else
		r = client_dead_kill(&t, o->exec_id ? o->exec_id : "", sig, o->all, err);
	client_target_close(&t);
	return r;
}

static int with_target(struct cli *cli, const char *id,
	int (*call)(struct client_target *t, struct error *err), struct error *err)
{
	struct client_target t;
	int r = client_target_open_living(&cli->place, id, NULL, &t, err);

	if (r != 0)
		return r;
	r = call(&t, err);
	client_target_close(&t);
	return r;
}

static int run_pause(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	(void)options;
	(void)argc;
	return with_target(cli, argv[0], client_call_pause, err);
}

static int run_resume(
	struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	(void)options;
	(void)argc;
	return with_target(cli, argv[0], client_call_resume, err);
}

const struct command command_kill = {
	.name = "kill",
	.group = GROUP_LIFE,
	.usage = "[OPTIONS] ID [SIGNAL]",
	.brief = "Send a signal to a container, TERM if none is named",
	.more = "SIGNAL is a name, with or without SIG, or a number: KILL, SIGHUP, RTMIN+3, 15.",
	.options = kill_option_table,
	.options_size = sizeof(struct kill_options),
	.n_min = 1,
	.n_max = 2,
	.run = run_kill,
};

const struct command command_pause = {
	.name = "pause",
	.group = GROUP_LIFE,
	.usage = "ID",
	.brief = "Freeze every process of a container",
	.n_min = 1,
	.n_max = 1,
	.run = run_pause,
};

const struct command command_resume = {
	.name = "resume",
	.group = GROUP_LIFE,
	.usage = "ID",
	.brief = "Let a paused container go on",
	.n_min = 1,
	.n_max = 1,
	.run = run_resume,
};
