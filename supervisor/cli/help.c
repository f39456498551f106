/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the tables of commands and options as help. Knows no command by name. */
#include "supervisor/cli/help.h"

#include <stdio.h>
#include <string.h>

#include "supervisor/cli/cli.h"

#define COLUMN 28

static const char *const group_titles[] = {
	[GROUP_LIFE] = "Life of a container",
	[GROUP_INSIDE] = "Inside",
	[GROUP_LOOK] = "Look",
	[GROUP_KEEP] = "Keep",
};
_Static_assert(sizeof(group_titles) / sizeof(*group_titles) == _GROUP_MAX, "a title each");

static void print_option(const struct option *o)
{
	char left[80];
	int n;

	n = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", o->letter ? '-' : ' ',
		o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name, o->value ? " " : "",
		o->value ? o->value : "");
	if (n < COLUMN)
		printf("%-*s %s\n", COLUMN, left, o->help);
	else
		printf("%s\n%-*s %s\n", left, COLUMN, "", o->help);
}

static void print_options(const struct option *options)
{
	for (const struct option *o = options; o && o->name; o++)
		print_option(o);
}

void help_all(void)
{
	printf("Usage: cleat [OPTIONS] COMMAND [ARGUMENTS]\n\n"
	       "Runs OCI containers, each under a small process of its own.\n");
	for (int group = 0; group < _GROUP_MAX; group++) {
		printf("\n%s:\n", group_titles[group]);
		for (const struct command *const *c = commands; *c; c++) {
			if ((int)(*c)->group != group)
				continue;
			printf("  %-10s %s\n", (*c)->name, (*c)->brief);
		}
	}
	printf("\nOptions:\n");
	print_options(global_options);
	printf("\nExit status: 0, or of what run, restore, exec and wait are about that of the process,\n"
	       "128 + N where signal N ended it. 125: cleat itself has failed. 126: the program cannot\n"
	       "be executed. 127: it is not found.\n"
	       "\n`cleat COMMAND --help` tells more, and so do the pages of the manual: `man cleat`.\n");
}

void help_command(const struct command *command)
{
	printf("Usage: cleat %s%s%s\n\n%s.\n", command->name, *command->usage ? " " : "",
		command->usage, command->brief);
	if (command->alias)
		printf("Also called %s.\n", command->alias);
	if (command->more)
		printf("\n%s\n", command->more);
	for (const struct command *const *c = command->subs; c && *c; c++)
		printf("%s  %s %-16s %s\n", c == command->subs ? "\n" : "", (*c)->name, (*c)->usage,
			(*c)->brief);
	if (command->options) {
		printf("\nOptions:\n");
		print_options(command->options);
	}
	printf("\nGlobal options stand here as well; `cleat --help` lists them.\n");
}
