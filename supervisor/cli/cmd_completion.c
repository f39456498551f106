/* SPDX-License-Identifier: Apache-2.0 */
/* `completion`. */
#include "supervisor/cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "common/argv.h"
#include "common/runtime.h"
#include "common/runtimes.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/completion.h"

/* What `--runtime` takes, a line each; the scripts ask for it. */
static int print_runtimes(struct error *err)
{
	_cleanup_argv_ struct argv names = ARGV_INIT;
	int r = runtimes_names(runtimes_path(), &names, err);

	if (r != 0 && r != CODE_NOT_FOUND)
		return r;
	error_clear(err);
	for (int kind = 0; kind < _RUNTIME_KIND_MAX; kind++)
		printf("%s\n", runtime_kind_name((enum runtime_kind)kind));
	for (size_t i = 0; i < names.n; i++)
		printf("%s\n", names.v[i]);
	return cli_flush(err);
}

static int run_completion(
	struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	(void)cli;
	(void)options;
	(void)argc;
	if (strcmp(argv[0], "bash") == 0)
		return completion_print(COMPLETION_BASH, err);
	if (strcmp(argv[0], "zsh") == 0)
		return completion_print(COMPLETION_ZSH, err);
	if (strcmp(argv[0], "runtimes") == 0)
		return print_runtimes(err);
	return error_set(err, CODE_INVALID_ARGUMENT,
		"completion: \"%s\" is neither bash nor zsh (nor runtimes)", argv[0]);
}

const struct command command_completion = {
	.name = "completion",
	.group = GROUP_KEEP,
	.usage = "bash|zsh",
	.brief = "Print a script that completes cleat's words in a shell",
	.more = "To try it: source <(cleat completion bash). Its script asks `cleat list -q` for ids,\n"
		"and `cleat completion runtimes` for what --runtime takes.",
	.n_min = 1,
	.n_max = 1,
	.alone = true,
	.run = run_completion,
};
