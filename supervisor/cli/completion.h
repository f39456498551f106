/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Completion for shells: scripts made from the tables of commands and options. What a word is about is told by
 * what those call it: ID is a container, SIGNAL a signal, DIR, FILE and SOCKET are files, RUNTIME a
 * runtime, COMMAND (as a command's first argument) one of ours, "a|b" one of these words, and of an
 * option that has choices one of those. The scripts ask cleat for containers and runtimes as they run.
 */

#include "common/error.h"

enum completion_shell {
	COMPLETION_BASH,
	COMPLETION_ZSH,
};

/* Prints the script of that shell. 0, or a code that names stdout. */
int completion_print(enum completion_shell shell, struct error *err);
