/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a runtime leaves below its root, and its own delete does not remove. runc (1.1) protects its
 * program by a bind mount of it, ROOT/ID/runc.XXXXXX, for an instant of each create, run and exec: a
 * killed one leaves it. runsc leaves the root, which is the container's own (runtime_own_root()), and
 * where it was killed a lock in it.
 */

#include "common/error.h"
#include "common/runtime.h"

/*
 * Removes the folder of a container that the runtime does not know (any more): for runc one without
 * a state.json, with the mounts and the few files that runc makes in it; for runsc a root of the
 * container's own without its state file. Anything else in it stays, and so does the folder. To be
 * called after the runtime's delete, when none of its runs is under way. 1 if a folder was removed, 0
 * if there was none to remove, or -errno.
 */
int runtime_leftover_remove(const struct runtime *rt, const char *id);
