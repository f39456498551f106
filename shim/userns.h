/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A user namespace that nobody lives in, for mounts whose ids are mapped as it maps them.
 *
 *   cleat-shim userns      the verb of the process that it is made of: it goes into a new one, says
 *                          so on descriptor 3 (an int: 0 or -errno), and waits for the end of file on
 *                          descriptor 4, or its parent's end
 */

#include "common/error.h"

#define USERNS_READY_FD 3
#define USERNS_HOLD_FD	4

/*
 * *ret is a descriptor of a namespace with these mappings (lines, user_namespaces(7)). Blocks while
 * it is made; the process that it takes is gone afterwards. 0 or a code, with a sentence.
 */
int userns_open(const char *uid_map, const char *gid_map, int *ret, struct error *err);

/* The verb; an exit status. */
int userns_verb(void);
