/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `delete`: of a container with its shim, of an exec's record, of an orphan. Subtle: a frozen
 * process does not die of SIGKILL before it is thawed (cgroup v1), so a paused container is
 * resumed after it was killed.
 */
#include "supervisor/cli/commands.h"

#include <signal.h>
#include <string.h>

#include "common/ids.h"
#include "common/limits.h"
#include "common/orphan.h"
#include "supervisor/cli/cli.h"
#include "common/client_target.h"
#include "common/client_call.h"

struct delete_options {
	const char *exec_id;
	bool force;
};

static const struct option delete_option_table[] = {
	OPTION_FLAG('f', "force", struct delete_options, force, "kill it first if it runs"),
	OPTION_VALUE(0, "exec-id", "ID", struct delete_options, exec_id, "an exec, not the init"),
	OPTION_END,
};

/* *ret: whether there is a container, and whether it is frozen. */
static int look(struct client_target *t, bool *ret_exists, bool *ret_frozen, struct error *err)
{
	Cleat__Shim__V1__InfoResponse *info;
	int r = client_call_info(t, CLIENT_ANSWER_MS, &info, err);

	if (r != 0)
		return r;
	*ret_exists = *info->status != '\0';
	*ret_frozen = strcmp(info->status, "paused") == 0 || strcmp(info->status, "pausing") == 0;
	cleat__shim__v1__info_response__free_unpacked(info, NULL);
	return 0;
}

/* Kills and waits for the end; what has ended already is fine. */
static int end_process(struct client_target *t, const char *exec_id, bool frozen, struct error *err)
{
	struct client_exit exit;
	int r = client_call_kill(t, exec_id, SIGKILL, false, err);

	if (r == CODE_NOT_FOUND || r == CODE_FAILED_PRECONDITION) {
		error_clear(err);
		return 0;
	}
	if (r == 0 && frozen)
		r = client_call_resume(t, err);
	if (r != 0 && !frozen)
		return r;
	error_clear(err);
	return client_call_wait(t, exec_id, STOP_GRACE_MS, &exit, err);
}

static int delete_init(struct client_target *t, bool force, struct error *err)
{
	bool exists = true, frozen = false;
	int r = force ? look(t, &exists, &frozen, err) : 0;

	if (r == 0 && exists && force)
		r = end_process(t, "", frozen, err);
	if (r == 0 && exists)
		r = client_call_delete(t, "", NULL, err);
	if (r == 0)
		client_call_shutdown(t);
	return r;
}

static int delete_exec(struct client_target *t, const char *exec_id, bool force, struct error *err)
{
	int r = force ? end_process(t, exec_id, false, err) : 0;

	return r == 0 ? client_call_delete(t, exec_id, NULL, err) : r;
}

static int run_delete(
	struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct delete_options *o = options;
	struct client_target t;
	int r;

	(void)argc;
	if (o->exec_id && id_check(o->exec_id, "exec id", err) != 0)
		return err->code;
	r = o->exec_id ? client_target_open_living(&cli->place, argv[0], NULL, &t, err)
		       : client_target_open(&cli->place, argv[0], NULL, &t, err);
	if (r != 0)
		return r;
	if (t.is_hub && !o->exec_id)
		r = client_call_delete_hub(&t, o->force, NULL, err);
	else if (!t.line)
		r = orphan_delete(&t.dir, o->force, err);
	else if (o->exec_id)
		r = delete_exec(&t, o->exec_id, o->force, err);
	else
		r = delete_init(&t, o->force, err);
	client_target_close(&t);
	return r == 0 ? 0 : client_wrap(err, argv[0]);
}

const struct command command_delete = {
	.name = "delete",
	.alias = "rm",
	.group = GROUP_LIFE,
	.usage = "[OPTIONS] ID",
	.brief = "Delete a container that has ended, and all that is kept of it",
	.more = "With --force also one that runs, is paused, or has lost its shim.",
	.options = delete_option_table,
	.options_size = sizeof(struct delete_options),
	.n_min = 1,
	.n_max = 1,
	.run = run_delete,
};
