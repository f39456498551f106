/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The link of a member to its shim: found, lost, found again. The states are in member.h.
 *
 * Races:
 * - The folder is there before its shim has written shim.json: it is awaited by a watch, not by time.
 * - The connection ends before the folder is gone, or before the dead shim's lock is free: what is
 *   locked is tried again, a little later each time, until it is gone, free, or answers.
 * - The folder is gone before the last events were read: the member leaves the registry, so that the
 *   name is free, and is kept until its connection ends.
 * - The shim dies before it has reaped its init: its exit is learned from the kernel, by the pidfd
 *   that was opened while it lived, or by reaping it, where it has become our child.
 */

#include "supervisor/member.h"

/* Its folder is there, or has a shim.json now: connects. Harmless where it is connected. */
void member_find_shim(struct member *m);

/* Has the shim tell all it knows, unless it is being asked already; what it says is taken in. */
void member_ask(struct member *m);

/* Its folder is gone. The member may be freed by this. */
void member_folder_gone(struct member *m);

/* It has no container, or none any more: tells its shim to end. */
void member_shut_down(struct member *m);

/* Ends the link, for member_free(). */
void member_unlink(struct member *m);

/* Whether calls can be sent to its shim. */
bool member_is_linked(const struct member *m);

/* Opens its folder to read in it, below our root or as a bundle. */
struct state_dir;
int member_open_folder(const struct member *m, struct state_dir *ret, struct error *err);
