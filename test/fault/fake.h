/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files of the scripted runtime share: one call of it (`struct fake`), and the steps that
 * the files offer to each other. One process is one call; what lives until its end is not freed.
 *
 * A function that can fail as runc fails returns the exit status of the process: 0, or what
 * fake_fail() gave after it told the reason.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

/* The flags of a call, of whatever command. */
struct fake_options {
	const char *bundle;
	const char *pid_file;
	const char *console_socket;
	const char *process;
	const char *cwd;
	const char *format;
	const char *image_path;
	const char *interval;
	const char *resources;
	uint64_t preserve_fds;
	const char *env[64];
	size_t n_env;
	bool detach, tty, force, all, quiet, stats, leave_running, keep, ignore_paused;
};

struct script;
struct fake_command;

struct fake {
	int argc;
	char **argv;
	/* global flags */
	const char *root, *log, *script_path;
	bool log_json, debug, version;
	/* the command, its flags, and what stands behind them: the id first */
	const struct fake_command *command;
	struct fake_options options;
	int n_args;
	char **args;
	struct script *script;
};

struct fake_command {
	const char *name;
	int min_args, max_args;
	int (*run)(struct fake *fake);
	const char *prefix; /* of its error messages */
	int failure;	    /* its exit status on failure */
};

/* fake_report.c: how runc tells */

/* One line to --log (JSON or logrus text), the bare message to stderr; without --log, the line to
 * stderr. The command's exit status for a failure. fake_fail puts the command's prefix before. */
int fake_fail(struct fake *fake, const char *format, ...) __attribute__((format(printf, 2, 3)));
int fake_fail_bare(struct fake *fake, const char *message);

/* A debug line in the log, under --debug only. */
void fake_debug(struct fake *fake, const char *message);

/* Prints what a command promises on stdout, unless the script says otherwise. Returns 0, or the
 * exit status where stdout is closed. Not consumed. */
int fake_promise(struct fake *fake, const char *text);
int fake_promise_json(struct fake *fake, const json_t *value, size_t flags);

/* New-then-rename, as runc writes a pid file. 0 or a negative errno. */
int fake_write_file(const char *path, const char *text);

/* Now, in UTC, as runc writes it: in the log to the second, in states to the nanosecond. */
void fake_time(char *ret, size_t n, bool nanoseconds);

/* fake_life.c, fake_end.c, fake_look.c: the commands */
int fake_create(struct fake *fake);
int fake_start(struct fake *fake);
int fake_run(struct fake *fake);
int fake_exec(struct fake *fake);
int fake_restore(struct fake *fake);
int fake_kill(struct fake *fake);
int fake_delete(struct fake *fake);
int fake_checkpoint(struct fake *fake);
int fake_pause(struct fake *fake);
int fake_resume(struct fake *fake);
int fake_update(struct fake *fake);
int fake_state(struct fake *fake);
int fake_list(struct fake *fake);
int fake_ps(struct fake *fake);
int fake_events(struct fake *fake);
int fake_features(struct fake *fake);
