/* SPDX-License-Identifier: Apache-2.0 */
/* `checkpoint`. (`restore` makes a container, and is with `run`.) */
#include "supervisor/cli/commands.h"

#include "supervisor/cli/cli.h"
#include "supervisor/cli/criu_options.h"
#include "common/client_target.h"
#include "common/client_call.h"

struct checkpoint_options {
	struct criu_options criu;
};

static const struct option checkpoint_option_table[] = {
	CRIU_OPTIONS(struct checkpoint_options, criu),
	OPTION_FLAG(0, "leave-running", struct checkpoint_options, criu.leave_running,
		"the container goes on afterwards"),
	OPTION_FLAG(0, "pre-dump", struct checkpoint_options, criu.pre_dump,
		"of its memory alone; the container goes on"),
	OPTION_VALUE(0, "parent-path", "DIR", struct checkpoint_options, criu.parent_path,
		"image that this one builds on"),
	OPTION_VALUE(0, "page-server", "ADDRESS:PORT", struct checkpoint_options, criu.page_server,
		"send the memory there"),
	OPTION_END,
};

static int run_checkpoint(
	struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct checkpoint_options *o = options;
	_cleanup_criu_paths_ struct criu_paths paths = { 0 };
	Cleat__Shim__V1__CriuOptions m;
	struct client_target t;
	int r;

	(void)argc;
	if (o->criu.leave_running && o->criu.pre_dump)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"--leave-running and --pre-dump exclude each other");
	r = criu_options_fill(&o->criu, &m, &paths, err);
	if (r == 0)
		r = client_target_open_living(&cli->place, argv[0], NULL, &t, err);
	if (r != 0)
		return r;
	r = client_call_checkpoint(&t, paths.image, &m, err);
	client_target_close(&t);
	return r;
}

const struct command command_checkpoint = {
	.name = "checkpoint",
	.group = GROUP_INSIDE,
	.usage = "[OPTIONS] ID",
	.brief = "Write an image of a running container, for `cleat restore`",
	.more = "The container ends with it, unless it is left running, and stays, stopped, until it\n"
		"is deleted. The runtime does the work: runc with CRIU, runsc by itself; what it\n"
		"lacks is refused by name. --parent-path is relative to the image's folder.",
	.options = checkpoint_option_table,
	.options_size = sizeof(struct checkpoint_options),
	.n_min = 1,
	.n_max = 1,
	.run = run_checkpoint,
};
