/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Adoptions: a shim that somebody else has started, with its state in a bundle (containerd's, say), by its
 * socket. It is looked after until it ends or this supervisor does; its end is its starter's business.
 */

#include "common/ttrpc_server.h"
#include "supervisor/supervisor.h"

/* Takes over the call: asks the shim who it is. */
void adoption_begin(struct supervisor *s, struct ttrpc_call *call, const char *socket);
