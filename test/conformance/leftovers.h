/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a shim has left behind once it is gone. */

#include "test/conformance/box.h"

/*
 * Looks for the socket, the runtime's container, its cgroups and its processes, and removes what it
 * finds. A sentence for the caller to free, or NULL when there was nothing.
 */
char *leftovers_remove(struct box *box);
