/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The script of the scripted runtime: what it does wrong, and when. Read whole and checked at the
 * start of every call, so that a misspelt line fails the test that wrote it. The grammar stands at
 * the head of fake_runtime.c.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "test/fault/fake.h"

/* What alters the work of a command, rather than happening before or after it. */
enum trait {
	TRAIT_CRASH_AFTER_FORK,
	TRAIT_CRASH_AFTER_PID,
	TRAIT_NO_PID_FILE,
	TRAIT_PID_FILE,
	TRAIT_REUSED_PID,
	TRAIT_PRINT,
	TRAIT_HALF_JSON,
	TRAIT_INIT_EXITS,
	TRAIT_INIT_KILLED,
	TRAIT_EARLY_ORPHAN,
	TRAIT_LATE_ORPHAN,
	TRAIT_AWAIT_EXIT,
	TRAIT_NO_CONSOLE,
	TRAIT_BAD_CONSOLE,
	_TRAIT_MAX,
};

/* How the container's process ends instead of running its program. */
struct verdict {
	enum { VERDICT_NONE, VERDICT_EXIT, VERDICT_SIGNAL } kind;
	int value;
};

/* Reads the script at path (none for NULL). 0, or an exit status after saying on stderr which line
 * is wrong. */
int script_load(struct fake *fake, const char *path);

/* Does what the script says for the time before (after = false) or after the work. -1 to go on,
 * or the exit status to end with; for hang and crash it does not return. */
int script_act(struct fake *fake, bool after);

/* Whether this call has the trait; its argument ("" for none) in ret_arg, which may be NULL. */
bool script_trait(struct fake *fake, enum trait trait, const char **ret_arg);

/* What init-exits and init-killed say for this call. */
struct verdict script_verdict(struct fake *fake);

/* Ends this process as a crash does. */
void script_crash(void) __attribute__((noreturn));
