/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The commands of the multi-tool, by file. Each takes the arguments after its name (args[n_args]
 * is NULL) and returns the exit status of the process. How many there may be is checked against
 * the table in tool.c before.
 */

/* tool.c */

/* Prints "tool: ..." and a newline on stderr. Always 1, so that a command can return it. */
int tool_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs one command, args[0] being its name. 2 where there is no such command or the number of its
 * arguments is wrong. */
int tool_run(int n_args, char **args);

/* tool_stream.c: bytes in, bytes out */
int tool_cat(int n_args, char **args);
int tool_tee2(int n_args, char **args);
int tool_burst(int n_args, char **args);
int tool_random(int n_args, char **args);
int tool_check(int n_args, char **args);
int tool_count_stdin(int n_args, char **args);
int tool_lines(int n_args, char **args);
int tool_notify(int n_args, char **args);

/* tool_signal.c: ends, signals, waiting */
int tool_exit(int n_args, char **args);
int tool_kill_self(int n_args, char **args);
int tool_pause(int n_args, char **args);
int tool_ignore_term(int n_args, char **args);
int tool_trap(int n_args, char **args);
int tool_sleep(int n_args, char **args);
int tool_spin(int n_args, char **args);

/* tool_family.c: children */
int tool_hold(int n_args, char **args);
int tool_sibling(int n_args, char **args);
int tool_orphan(int n_args, char **args);
int tool_seq(int n_args, char **args);
int tool_chain(int n_args, char **args);
int tool_reaper(int n_args, char **args);

/* tool_look.c: what a process sees of itself */
int tool_args(int n_args, char **args);
int tool_err(int n_args, char **args);
int tool_env(int n_args, char **args);
int tool_cwd(int n_args, char **args);
int tool_id(int n_args, char **args);
int tool_fds(int n_args, char **args);
int tool_file(int n_args, char **args);
int tool_touch(int n_args, char **args);
int tool_wait_file(int n_args, char **args);
int tool_wait_pid(int n_args, char **args);
int tool_mem(int n_args, char **args);

/* tool_tty.c: terminals */
int tool_winsize(int n_args, char **args);
int tool_winsize_follow(int n_args, char **args);
int tool_raw_cat(int n_args, char **args);
int tool_console(int n_args, char **args);

/* tool_deny.c: what the kernel does not have */
int tool_deny_ioctl(int n_args, char **args);

/* tool_logger.c: a logging program of binary:// */
int tool_logger(int n_args, char **args);
