/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The scripted runtime: stands in for runc, with runc's command line, files, answers and error
 * messages (those of 1.1), and does wrong what a script tells it to. Containers are plain
 * processes: no namespaces, no cgroups, no mounts. This file owns the command line.
 *
 * It never leaves a process that is not in a session of a container or in its own process group,
 * and keeps nothing outside --root, the paths it is given, and the markers beside the script.
 *
 * Subtle rule: like runc's, the init is a child of `create` and `create` does not wait for it, so
 * that it goes to whoever adopts orphans when `create` ends, dead or alive.
 *
 * THE SCRIPT is named by --script=FILE, or is `PROGRAM.script` beside argv[0] where that has a
 * slash and the file exists (for callers that can't pass a flag: link PROGRAM to this program).
 * A line is `COMMAND DIRECTIVE [ARG]`; `#` begins a comment line; COMMAND `*` is any. A line that
 * makes no sense, or a directive that fails, ends any call with 70. Prefixes, in any order:
 *	once:	takes effect in one call only, the first; marker FILE.once.LINENUMBER
 *	after:	(only for those under "acts") at the end, when the work is done, the pid file
 *		written and the answer printed, before exit; not after an error
 *
 * Acts, done in the order of the lines, at the beginning: the flags are read, nothing else done.
 *	touch PATH		makes the file
 *	wait PATH		blocks until it exists (10 minutes at most)
 *	sleep MS
 *	hang			for ever; TERM is ignored from the start of the process
 *	grandchild-hang		the same in a child in the same group, which the runtime waits for
 *	crash			SIGKILL to itself
 *	fail MESSAGE		as runc fails: log, stderr, exit 1 (255 for exec, as runc)
 *	exit N			silently
 *	stdout-noise BYTES, stderr-noise BYTES, log-noise BYTES
 *				binary garbage, an end of line every 128 bytes; the work goes on.
 *				With `print`, noise is all there is
 *	hold-stdout [SECONDS]	leaves a child with stdout and stderr open, for ever or so long
 *	argv-to PATH		appends its argv as a JSON array on a line
 *	env-to PATH, fds-to PATH
 *				writes the environment, or `N TARGET` of its open descriptors
 *
 * Traits, which alter the work (create, run, restore and exec unless said otherwise):
 *	crash-after-fork	the process and the state exist, no pid file: SIGKILL to itself.
 *				In start: the init is through the gate
 *	crash-after-pid		the same after the pid file
 *	no-pid-file
 *	pid-file TEXT		TEXT in place of the number; `empty` for nothing at all
 *	reused-pid		the process is killed and reaped here, its number written anyway
 *	init-exits N		the process ends so instead of running its program, and is waited
 *	init-killed SIG		for: a zombie when the runtime returns. In start: the init ends so
 *				once it is through the gate
 *	await-exit		(exec, start) the program runs, and its end is waited for before
 *				the runtime returns
 *	early-orphan		the process is no child of the runtime: whoever adopts orphans may
 *				reap it before the runtime returns
 *	late-orphan PATH	the process is no child of the runtime: a process between the two
 *				lives on, until the file is there
 *	no-console		(terminal) never connects to the console socket
 *	bad-console		(terminal) sends the name without a descriptor
 *	print [TEXT]		(state, list, ps, events, features) TEXT and an end of line in place
 *				of the answer
 *	half-json		(the same) the first half of the answer
 */

#include "test/fault/fake_script.h"

#include "test/fault/util.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct fake_command commands[] = {
	{ "create", 1, 1, fake_create, "runc create failed: ", 1 },
	{ "start", 1, 1, fake_start, "", 1 },
	{ "run", 1, 1, fake_run, "runc run failed: ", 1 },
	{ "exec", 1, 4096, fake_exec, "exec failed: ", 255 },
	{ "restore", 1, 1, fake_restore, "", 1 },
	{ "kill", 1, 2, fake_kill, "", 1 },
	{ "delete", 1, 1, fake_delete, "", 1 },
	{ "checkpoint", 1, 1, fake_checkpoint, "", 1 },
	{ "pause", 1, 1, fake_pause, "", 1 },
	{ "resume", 1, 1, fake_resume, "", 1 },
	{ "update", 1, 1, fake_update, "", 1 },
	{ "state", 1, 1, fake_state, "", 1 },
	{ "list", 0, 0, fake_list, "", 1 },
	{ "ps", 1, 4096, fake_ps, "", 1 },
	{ "events", 1, 1, fake_events, "", 1 },
	{ "features", 0, 0, fake_features, "", 1 },
};

enum flag_kind { FLAG_BOOL, FLAG_TEXT, FLAG_NUMBER, FLAG_ENV, FLAG_SKIP, FLAG_SKIP_VALUE };

/* commands: of those, each between spaces, "" for the global ones; offset: into struct fake. */
struct flag {
	const char *commands, *name, *alias;
	enum flag_kind kind;
	size_t offset;
};

#define GLOBAL(field) offsetof(struct fake, field)
#define OPTION(field) offsetof(struct fake, options.field)

static const struct flag flags[] = {
	{ "", "root", "root", FLAG_TEXT, GLOBAL(root) },
	{ "", "log", "log", FLAG_TEXT, GLOBAL(log) },
	{ "", "script", "script", FLAG_TEXT, GLOBAL(script_path) },
	{ "", "version", "v", FLAG_BOOL, GLOBAL(version) },
	{ "", "debug", "debug", FLAG_BOOL, GLOBAL(debug) },
	{ "", "systemd-cgroup", "systemd-cgroup", FLAG_SKIP },
	{ "", "rootless", "criu", FLAG_SKIP_VALUE },
	{ " create run restore ", "bundle", "b", FLAG_TEXT, OPTION(bundle) },
	{ " create run restore exec ", "pid-file", "pid-file", FLAG_TEXT, OPTION(pid_file) },
	{ " create run restore exec ", "console-socket", "console-socket", FLAG_TEXT,
		OPTION(console_socket) },
	{ " create run restore ", "no-pivot", "no-new-keyring", FLAG_SKIP },
	{ " create run exec ", "preserve-fds", "preserve-fds", FLAG_NUMBER, OPTION(preserve_fds) },
	{ " run restore exec ", "detach", "d", FLAG_BOOL, OPTION(detach) },
	{ " run ", "keep", "keep", FLAG_BOOL, OPTION(keep) },
	{ " run restore ", "no-subreaper", "no-subreaper", FLAG_SKIP },
	{ " exec ", "process", "p", FLAG_TEXT, OPTION(process) },
	{ " exec ", "tty", "t", FLAG_BOOL, OPTION(tty) },
	{ " exec ", "cwd", "cwd", FLAG_TEXT, OPTION(cwd) },
	{ " exec ", "env", "e", FLAG_ENV, 0 },
	{ " exec ", "ignore-paused", "ignore-paused", FLAG_BOOL, OPTION(ignore_paused) },
	{ " exec ", "no-new-privs", "no-new-privs", FLAG_SKIP },
	{ " exec ", "user", "u", FLAG_SKIP_VALUE },
	{ " exec ", "cap", "c", FLAG_SKIP_VALUE },
	{ " exec ", "additional-gids", "g", FLAG_SKIP_VALUE },
	{ " exec ", "process-label", "apparmor", FLAG_SKIP_VALUE },
	{ " exec ", "cgroup", "cgroup", FLAG_SKIP_VALUE },
	{ " kill ", "all", "a", FLAG_BOOL, OPTION(all) },
	{ " delete ", "force", "f", FLAG_BOOL, OPTION(force) },
	{ " list ps ", "format", "f", FLAG_TEXT, OPTION(format) },
	{ " list ", "quiet", "q", FLAG_BOOL, OPTION(quiet) },
	{ " events ", "stats", "stats", FLAG_BOOL, OPTION(stats) },
	{ " events ", "interval", "interval", FLAG_TEXT, OPTION(interval) },
	{ " checkpoint restore ", "image-path", "image-path", FLAG_TEXT, OPTION(image_path) },
	{ " checkpoint ", "leave-running", "pre-dump", FLAG_BOOL, OPTION(leave_running) },
	{ " checkpoint ", "page-server", "status-fd", FLAG_SKIP_VALUE },
	{ " checkpoint ", "parent-path", "parent-path", FLAG_SKIP_VALUE },
	{ " checkpoint restore ", "work-path", "work-path", FLAG_SKIP_VALUE },
	{ " checkpoint restore ", "manage-cgroups-mode", "empty-ns", FLAG_SKIP_VALUE },
	{ " checkpoint restore ", "tcp-established", "ext-unix-sk", FLAG_SKIP },
	{ " checkpoint restore ", "shell-job", "lazy-pages", FLAG_SKIP },
	{ " checkpoint restore ", "file-locks", "auto-dedup", FLAG_SKIP },
	{ " update ", "resources", "r", FLAG_TEXT, OPTION(resources) },
	{ " update ", "blkio-weight", "pids-limit", FLAG_SKIP_VALUE },
	{ " update ", "cpu-period", "cpu-quota", FLAG_SKIP_VALUE },
	{ " update ", "cpu-share", "cpu-rt-period", FLAG_SKIP_VALUE },
	{ " update ", "cpu-rt-runtime", "cpuset-cpus", FLAG_SKIP_VALUE },
	{ " update ", "cpuset-mems", "memory", FLAG_SKIP_VALUE },
	{ " update ", "memory-reservation", "memory-swap", FLAG_SKIP_VALUE },
	{ " update ", "l3-cache-schema", "mem-bw-schema", FLAG_SKIP_VALUE },
};

static bool is_for(const struct flag *flag, const char *command)
{
	char word[64];

	if (!command)
		return *flag->commands == '\0';
	snprintf(word, sizeof(word), " %s ", command);
	return strstr(flag->commands, word) != NULL;
}

/* The flag that a word without its dashes names, up to a '='. */
static const struct flag *find_flag(const char *command, const char *word, size_t n)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		const struct flag *f = &flags[i];

		if (is_for(f, command) &&
			((strlen(f->name) == n && strncmp(f->name, word, n) == 0) ||
				(strlen(f->alias) == n && strncmp(f->alias, word, n) == 0)))
			return f;
	}
	return NULL;
}

static bool set_flag(struct fake *fake, const struct flag *flag, const char *value)
{
	char *target = (char *)fake + flag->offset;

	switch (flag->kind) {
	case FLAG_BOOL:
		*(bool *)target = !value || strcmp(value, "false") != 0;
		return true;
	case FLAG_TEXT:
		*(const char **)target = value;
		return true;
	case FLAG_NUMBER:
		return parse_size(value, (uint64_t *)target);
	case FLAG_ENV:
		if (fake->options.n_env == 64)
			return false;
		fake->options.env[fake->options.n_env++] = value;
		return true;
	case FLAG_SKIP:
	case FLAG_SKIP_VALUE:
		return true;
	}
	return false;
}

static int refuse_flag(struct fake *fake, const char *why, const char *word)
{
	char message[4096];

	snprintf(message, sizeof(message), "%s: -%s", why, word);
	(void)fake_fail_bare(fake, message);
	return -1;
}

/* Takes the flags at the front of args, as Go's flag package does: -x, --x, --x=v, --x v. Returns
 * how many words that were, or -1 after telling what is wrong. */
static int take_flags(struct fake *fake, const char *command, int n, char **args)
{
	int i = 0;

	for (; i < n && args[i][0] == '-' && args[i][1] != '\0'; i++) {
		const char *word = args[i] + (args[i][1] == '-' ? 2 : 1), *value;
		size_t n_name = strcspn(word, "=");
		const struct flag *flag = find_flag(command, word, n_name);

		if (strcmp(args[i], "--") == 0)
			return i + 1;
		if (!flag && !command && strncmp(word, "log-format", n_name) == 0 && n_name == 10) {
			value = word[n_name] ? word + n_name + 1 : i + 1 < n ? args[++i] : "";
			fake->log_json = strcmp(value, "json") == 0;
			continue;
		}
		if (!flag)
			return refuse_flag(fake, "flag provided but not defined", word);
		value = word[n_name] ? word + n_name + 1 : NULL;
		if (!value && flag->kind != FLAG_BOOL && flag->kind != FLAG_SKIP) {
			if (i + 1 == n)
				return refuse_flag(fake, "flag needs an argument", word);
			value = args[++i];
		}
		if (!set_flag(fake, flag, value))
			return refuse_flag(fake, "invalid value for flag", word);
	}
	return i;
}

static const struct fake_command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int print_version(void)
{
	return emitf(STDOUT_FILENO, "runc version 1.1.5+fake\ncommit: fake\nspec: 1.0.2-dev\n") < 0;
}

/* --script, or what lies beside argv[0], or NULL. */
static const char *find_script(const struct fake *fake, char *beside, size_t n)
{
	if (fake->script_path)
		return fake->script_path;
	snprintf(beside, n, "%s.script", fake->argv[0]);
	return strchr(fake->argv[0], '/') && access(beside, F_OK) == 0 ? beside : NULL;
}

/* Acts before, work, acts after. */
static int run_command(struct fake *fake)
{
	char beside[4096], message[128];
	int r = script_load(fake, find_script(fake, beside, sizeof(beside)));

	if (r != 0)
		return r;
	r = script_act(fake, false);
	if (r >= 0)
		return r;
	snprintf(message, sizeof(message), "%s of the scripted runtime", fake->command->name);
	fake_debug(fake, message);
	r = fake->command->run(fake);
	if (r != 0)
		return r;
	r = script_act(fake, true);
	return r >= 0 ? r : 0;
}

/* Reads the global flags, the command and its flags. -1 to go on, or an exit status. */
static int read_command_line(struct fake *fake)
{
	int n = take_flags(fake, NULL, fake->argc - 1, fake->argv + 1), at = n + 1;

	if (n < 0)
		return 1;
	if (fake->version)
		return print_version();
	if (at >= fake->argc)
		return fake_fail_bare(fake, "no command");
	fake->command = find_command(fake->argv[at]);
	if (!fake->command) {
		(void)fake_fail(fake, "No help topic for '%s'", fake->argv[at]);
		return 3;
	}
	at++;
	n = take_flags(fake, fake->command->name, fake->argc - at, fake->argv + at);
	if (n < 0)
		return 1;
	fake->args = fake->argv + at + n;
	fake->n_args = fake->argc - at - n;
	if (fake->n_args >= fake->command->min_args && fake->n_args <= fake->command->max_args)
		return -1;
	return fake_fail_bare(fake, "runc: wrong number of arguments");
}

int main(int argc, char **argv)
{
	struct fake fake = { .argc = argc, .argv = argv, .root = "/run/fake-runtime" };
	int r = read_command_line(&fake);

	return r >= 0 ? r : run_command(&fake);
}
