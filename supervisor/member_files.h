/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a member's files tell, where its shim does not. */

#include "supervisor/member.h"

/*
 * Takes in state.json and the ledger. problem: why the shim does not tell; copied. A state file that
 * cannot be read makes the member unknown, with the reason as its problem.
 */
void member_take_files(struct member *m, const char *problem);

/* Opens the init's pidfd, by the record's start time, unless it is open. */
void member_hold_init(struct member *m);

/* The shim is dead: takes in its files, and finds out how its processes end, now or when they do. */
void member_mourn(struct member *m);

/* Gives a process up: nothing more will be learned of it. Safe to repeat. */
void member_release(struct member_process *p);
