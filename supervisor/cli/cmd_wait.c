/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wait`. Subtle: the shim may die at any moment, also while it is asked; then the ledger has the
 * answer, or nobody. A dying process's descriptors go one by one: its connections may have ended
 * while its lock is still held, so that a moment has to pass before the container is an orphan.
 */
#include "supervisor/cli/commands.h"

#include <poll.h>
#include <stdio.h>

#include <jansson.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/json.h"
#include "common/pidref.h"
#include "common/state_dir.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/dead.h"
#include "supervisor/cli/print.h"
#include "supervisor/cli/target.h"
#include "supervisor/cli/task.h"

/* A shim that took no call is asked again: once it has ended, or after so long if it has not. */
#define AGAIN_MS 1000
/* How often a lock is looked at that somebody holds though its shim has ended. */
#define LOCK_MS 10

struct wait_options {
	const char *exec_id;
};

static const struct option wait_option_table[] = {
	OPTION_VALUE(0, "exec-id", "ID", struct wait_options, exec_id, "an exec, not the init"),
	OPTION_END,
};

static int wait_once(struct cli *cli, const char *id, const char *exec_id, struct task_exit *ret,
	struct error *err)
{
	struct target t;
	int r = target_open(cli, id, NULL, &t, err);

	if (r != 0)
		return r;
	if (t.client)
		r = task_wait(&t, exec_id, 0, ret, err);
	else
		r = dead_wait(&t, exec_id, ret, err);
	target_close(&t);
	return r;
}

/*
 * After a shim took no call, or broke off: waits until it has ended and its lock is free, or for a
 * while. Whether to ask again; not what only begins to be a container.
 */
static bool await_shim(struct cli *cli, const char *id)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_(shim_record_deinit) struct shim_record shim = { 0 };
	_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct pollfd poll_fd = { .events = POLLIN };

	if (state_dir_open(cli->root, cli->ns, id, &dir, &ignored) != 0)
		return true; /* the next one says what became of it */
	if (shim_record_read(&dir, &shim, &ignored) != 0)
		return !state_dir_is_locked(&dir);
	if (pidref_open_same(shim.pid, shim.start_time, &p) == 0) {
		poll_fd.fd = p.fd;
		if (poll(&poll_fd, 1, AGAIN_MS) == 0)
			return true;
	}
	/* by its child that is about to be a program, or by who deletes the container */
	if (state_dir_is_locked(&dir))
		poll(NULL, 0, LOCK_MS);
	return true;
}

/* A shim that was told to end may take as long as a call of it does. */
static int wait_for_exit(struct cli *cli, const char *id, const char *exec_id,
	struct task_exit *ret, struct error *err)
{
	int64_t left = task_call_ms(cli), before;
	int r;

	for (;;) {
		r = wait_once(cli, id, exec_id, ret, err);
		if (r != CODE_UNAVAILABLE || cli->via != VIA_DIRECT || left <= 0)
			return r;
		before = clock_monotonic_ms();
		if (!await_shim(cli, id))
			return r;
		left -= clock_monotonic_ms() - before;
		error_clear(err);
	}
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
