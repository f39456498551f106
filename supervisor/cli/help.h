/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The help, made from the tables of commands and options. Goes to stdout. */

struct command;

void help_all(void);
void help_command(const struct command *command);
