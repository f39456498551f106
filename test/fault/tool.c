/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The multi-tool: one static program that tests run as the init of a container or as an exec in
 * it, and sometimes beside one. It needs no file, no shell and no library around it, and works as
 * process 1 of a pid namespace. The table below is its manual.
 *
 * It never buffers output, never changes a descriptor it was given (but the terminal of `raw-cat`),
 * and leaves nothing behind but what `hold`, `sibling` and `orphan` are for.
 *
 * Subtle rule: as process 1 of a pid namespace, signals with their default disposition are thrown
 * away by the kernel. What waits for a signal here installs a handler; `kill-self` can't die then.
 *
 * Sizes are bytes, with K, M, G for powers of 1024. Signals are names (TERM, SIGTERM, RTMIN+2) or
 * numbers. Exit 1 is a failure with a sentence on stderr, 2 a wrong command line.
 */

#include "test/fault/tool.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct command {
	const char *name;
	int min_args;
	int max_args;
	int (*run)(int n_args, char **args);
	const char *usage;
};

static const struct command commands[] = {
	/* ends, signals, waiting */
	{ "exit", 1, 1, tool_exit, "N: exits with N" },
	{ "kill-self", 1, 1, tool_kill_self,
		"SIG: raises SIG in its default disposition, without a core file. 125 where that does "
		"not end it: process 1, or a signal that is ignored by default" },
	{ "pause", 0, 0, tool_pause, "waits until TERM, then exits 0" },
	{ "ignore-term", 0, 0, tool_ignore_term, "ignores TERM, prints `ready`, waits for ever" },
	{ "trap", 2, 2, tool_trap, "SIG CODE: prints `ready`, exits CODE once SIG has arrived" },
	{ "sleep", 1, 1, tool_sleep, "MS: exits 0 after that time" },
	{ "spin", 1, 1, tool_spin, "MS: uses that much processor time" },
	/* bytes in, bytes out */
	{ "cat", 0, 0, tool_cat, "stdin to stdout" },
	{ "tee2", 0, 0, tool_tee2, "stdin to both stdout and stderr" },
	{ "burst", 1, 2, tool_burst,
		"N [FD]: N bytes of the stream with seed 1 to FD (1), in writes as large as can be, and "
		"ends at once" },
	{ "random", 2, 2, tool_random, "SEED N: N bytes of the stream with that seed to stdout" },
	{ "check", 2, 2, tool_check,
		"SEED N: 0 where stdin is exactly that stream, else 1 and the first difference" },
	{ "count-stdin", 0, 0, tool_count_stdin, "prints `BYTES FNV1A64` of stdin" },
	{ "lines", 1, 1, tool_lines, "N: `line 1` to `line N`" },
	{ "notify", 1, INT_MAX, tool_notify,
		"LINE...: one datagram of these lines to NOTIFY_SOCKET, a path" },
	/* children */
	{ "hold", 1, 1, tool_hold,
		"N: leaves a child that keeps stdout, and nothing else, open for N seconds; exits 0" },
	{ "sibling", 1, INT_MAX, tool_sibling,
		"A...: runs this command as a child of our own parent, and ends; exits 0" },
	{ "orphan", 1, 1, tool_orphan,
		"N: makes N grandchildren that end as orphans, prints `ready`, waits until TERM" },
	{ "seq", 1, INT_MAX, tool_seq,
		"A... -- B...: runs these commands one after the other as children, passes TERM, INT, "
		"HUP, QUIT, USR1 and USR2 on to them; the status of the last (128 + signal)" },
	{ "chain", 1, INT_MAX, tool_chain, "A... -- B...: as seq, but becomes the last itself" },
	{ "reaper", 2, INT_MAX, tool_reaper,
		"LOG PROGRAM [ARG...]: runs a program as a subreaper and appends `exit PID CODE` or "
		"`signal PID SIG` to LOG for all it reaps. Ends with the status of the program when no "
		"child is left; `left PID` and 125 for those there 10 s later" },
	/* what a process sees of itself */
	{ "args", 0, INT_MAX, tool_args, "TEXT...: each on a line" },
	{ "err", 0, INT_MAX, tool_err, "TEXT...: each on a line, to stderr" },
	{ "env", 0, 0, tool_env, "the environment, each on a line" },
	{ "cwd", 0, 0, tool_cwd, "the working directory" },
	{ "id", 0, 0, tool_id, "`UID GID GROUP,GROUP...`, `-` for no groups" },
	{ "fds", 0, 0, tool_fds, "`N TARGET` for each open descriptor" },
	{ "file", 1, INT_MAX, tool_file,
		"PATH...: `UID GID TEXT` of each, its text up to the first line's end; 1 where one cannot "
		"be read" },
	{ "touch", 1, 1, tool_touch, "PATH: makes it where it is missing" },
	{ "wait-file", 1, 1, tool_wait_file, "PATH: waits until it exists, 60 s at most" },
	{ "wait-pid", 1, 1, tool_wait_pid,
		"PID: waits until that process has ended (it may be a zombie then), 60 s at most" },
	{ "mem", 1, 2, tool_mem,
		"MB [hold]: touches that much memory; with hold, prints `ready` and waits until TERM" },
	/* terminals */
	{ "winsize", 0, 0, tool_winsize, "`ROWS COLS` of the terminal on stdin" },
	{ "winsize-follow", 0, 0, tool_winsize_follow,
		"the size at once and after each change, until stdin ends or TERM" },
	{ "raw-cat", 0, 1, tool_raw_cat,
		"[N]: sets the terminal on stdin raw, prints `ready`, copies N bytes (or all) to stdout" },
	{ "console", 1, 3, tool_console,
		"SOCKET [ROWS COLS]: takes the place of a runtime's caller: receives a terminal there, "
		"prints `console NAME` on stderr, copies its output to stdout until it is hung up and, "
		"from its first output on, stdin to it" },
	/* what the kernel does not have */
	{ "deny-ioctl", 2, INT_MAX, tool_deny_ioctl,
		"REQUEST PROGRAM [ARG...]: becomes the program, for which, and for whatever it starts, "
		"that ioctl (its number, decimal) fails with ENOTTY" },
	/* a logging program */
	{ "logger", 1, INT_MAX, tool_logger,
		"DIR [KEY VALUE]...: a logging program of binary://, see tool_logger.c for its keys" },
};

int tool_fail(const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	(void)emitf(STDERR_FILENO, "tool: %s\n", text ? text : "out of memory");
	return 1;
}

static int usage(void)
{
	(void)emitf(STDERR_FILENO, "usage: tool COMMAND [ARG...]\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		(void)emitf(STDERR_FILENO, "  %s %s\n", commands[i].name, commands[i].usage);
	return 2;
}

int tool_run(int n_args, char **args)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, args[0]) != 0)
			continue;
		if (n_args - 1 < c->min_args || n_args - 1 > c->max_args) {
			tool_fail("usage: %s %s", c->name, c->usage);
			return 2;
		}
		return c->run(n_args - 1, args + 1);
	}
	tool_fail("no command \"%s\"", args[0]);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage();
	return tool_run(argc - 1, argv + 1);
}
