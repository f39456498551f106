/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands. The order is that of the help. */
#include "supervisor/cli/commands.h"

#include <string.h>

#include "supervisor/cli/cli.h"
#include "supervisor/cli/nearest.h"

const struct command *const commands[] = {
	&command_run,
	&command_create,
	&command_start,
	&command_restore,
	&command_kill,
	&command_pause,
	&command_resume,
	&command_delete,
	&command_exec,
	&command_ps,
	&command_update,
	&command_checkpoint,
	&command_list,
	&command_state,
	&command_events,
	&command_logs,
	&command_stats,
	&command_top,
	&command_wait,
	&command_shim,
	&command_gc,
	&command_doctor,
	&command_completion,
	&command_version,
	&command_help,
	NULL,
};

const struct command *command_find(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (strcmp((*c)->name, name) == 0 ||
			((*c)->alias && strcmp((*c)->alias, name) == 0))
			return *c;
	return NULL;
}

const char *command_word(const struct command *command)
{
	const char *space = strrchr(command->name, ' ');

	return space ? space + 1 : command->name;
}

int command_unknown(const struct command *const *among, const char *typed, struct error *err)
{
	struct nearest nearest = nearest_to(typed, strlen(typed));

	for (const struct command *const *c = among; *c; c++) {
		nearest_offer(&nearest, command_word(*c));
		nearest_offer(&nearest, (*c)->alias);
	}
	if (nearest.word)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"unknown command \"%s\" (did you mean \"%s\"?)", typed, nearest.word);
	return error_set(err, CODE_INVALID_ARGUMENT, "unknown command \"%s\"", typed);
}
