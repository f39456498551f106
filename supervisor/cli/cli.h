/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command line as a whole: global options, the table of commands, how a command is run, and
 * what this program exits with.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/argv.h"
#include "common/client_target.h"
#include "common/error.h"
#include "supervisor/cli/options.h"

/* What cleat exits with on failures that are its own; 126 and 127 as a shell has them. */
enum {
	STATUS_OWN_FAILURE = 125,
	STATUS_CANNOT_EXECUTE = 126,
	STATUS_NOT_FOUND = 127,
	STATUS_SIGNAL = 128, /* plus the signal */
};

struct globals {
	const char *socket, *shim, *root, *ns, *runtime, *format, *deadline;
	struct argv runtime_options;
	bool json, debug, direct, help, version;
};

struct cli {
	struct globals g;
	struct client_place place; /* how this invocation reaches shims */
	char *root_owned, *socket_owned;
	const struct command *command;
	int status;  /* what a command that succeeds exits with: 0, or its process's */
	int failure; /* what one that fails exits with */
};

enum command_group {
	GROUP_LIFE,
	GROUP_INSIDE,
	GROUP_LOOK,
	GROUP_KEEP,
	_GROUP_MAX,
};

struct command {
	const char *name, *alias;
	enum command_group group;
	const char *usage; /* what follows the name: "[OPTIONS] ID [SIGNAL]"; see completion.h */
	const char *brief; /* one line for the list of commands */
	const char *more;  /* what else its --help says, wrapped at 80 columns; may be NULL */
	const struct option *options; /* may be NULL */
	size_t options_size;	      /* of the struct that they fill */
	int n_min, n_max;	      /* arguments; n_max -1: any number */
	bool alone;		      /* needs neither root nor socket */
	/* or: what the first argument picks, by the last word of its name; ends with NULL */
	const struct command *const *subs;
	/*
	 * options: that struct, filled. argv has argc arguments and ends with NULL. 0 (then
	 * cli->status is exited with), or a code (err is printed, cli->failure exited with).
	 */
	int (*run)(struct cli *cli, const void *options, int argc, char **argv, struct error *err);
};

/* Every command, in the order of the help; ends with NULL. */
extern const struct command *const commands[];

/* By name or alias; NULL if there is none. */
const struct command *command_find(const char *name);

/* What it is called below the command that it is a part of: "list" of "shim list". */
const char *command_word(const struct command *command);

/*
 * CODE_INVALID_ARGUMENT: typed is none of these (which end with NULL), and which one may have been
 * meant.
 */
int command_unknown(const struct command *const *among, const char *typed, struct error *err);

/*
 * Makes a mistake on the command line the whole sentence: whose it is, and where to look. command: NULL
 * for that of cleat itself.
 */
int command_misused(const struct command *command, struct error *err);

/* The options that every command has. */
extern const struct option global_options[];

/* The whole program: what main() returns. */
int cli_main(int argc, char **argv);

/* Prints an error that does not change what the program exits with. */
void cli_complain(const char *id, const struct error *err);

/* The same where err's sentence names the thing already. */
void cli_say(const struct error *err);

/*
 * For a command that is alone, and about the folders below the root whoever serves: settles the root.
 * CODE_INVALID_ARGUMENT with --shim, CODE_FAILED_PRECONDITION where there is no root (it is NULL then).
 */
int cli_use_folders(struct cli *cli, struct error *err);

/*
 * From now on INT and TERM end nothing: *ret is readable once one of them has come; the caller's. For what
 * follows until it is told to stop.
 */
int cli_catch_stop(int *ret, struct error *err);

/* The whole of stdout is written: 0, or a code that names stdout. */
int cli_flush(struct error *err);
