/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The commands, each defined in the file of its group. */

struct command;

extern const struct command command_run, command_create, command_start, command_restore;
extern const struct command command_kill, command_pause, command_resume;
extern const struct command command_delete;
extern const struct command command_exec, command_ps, command_update, command_checkpoint;
extern const struct command command_list, command_state, command_events, command_logs,
	command_stats, command_top, command_wait;
extern const struct command command_shim, command_gc, command_doctor, command_completion,
	command_version, command_help;
