/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a bundle's container under cleat, with our own streams, and exits as it does: run BUNDLE ID [ROOT] */
#include <cleat.h>

#include <stdio.h>

static int fail(struct cleat_error *err)
{
	fprintf(stderr, "run: %s\n", cleat_error_message(err));
	cleat_error_clear(err);
	return 125;
}

int main(int argc, char **argv)
{
	struct cleat_client_options where = CLEAT_CLIENT_OPTIONS_INIT;
	struct cleat_create_options options = CLEAT_CREATE_OPTIONS_INIT;
	struct cleat_error err = CLEAT_ERROR_INIT;
	struct cleat_client *client;
	struct cleat_process *init;
	struct cleat_task *task;
	struct cleat_exit exit;
	struct cleat_io *io;

	if (argc < 3)
		return 125;
	where.root = argv[3];
	options.bundle = argv[1];
	options.terminal = CLEAT_TERMINAL_NONE;
	if (cleat_client_open(&where, &client, &err) != 0 ||
		cleat_io_new_fds(0, 1, 2, &io, &err) != 0 ||
		cleat_task_create(client, argv[2], &options, io, &task, &err) != 0)
		return fail(&err);
	init = cleat_task_init(task);
	if (cleat_process_start(init, &err) != 0)
		fail(&err);
	else if (cleat_process_wait(init, -1, &exit, &err) != 0)
		fail(&err);
	if (cleat_process_delete(init, NULL, &exit, &err) != 0)
		return fail(&err);
	cleat_task_free(task);
	cleat_client_close(client);
	return exit.known ? (int)exit.status : 125;
}
