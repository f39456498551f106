/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signals for what a dead shim has left: one process by the descriptor that is held of it, all of them
 * (or one in a sandbox, whose own pids only its runtime knows) through the runtime, in a child.
 */

#include "common/ttrpc_server.h"
#include "supervisor/member.h"
#include "tasks.pb-c.h"

/* Takes over the call. */
void orphan_kill(struct member *m, struct ttrpc_call *call,
	const Containerd__Services__Tasks__V1__KillRequest *request);

/* The process that has the runtime send it: what main() returns. argv: ROOT NS ID SIGNAL all|init. */
int orphan_kill_child(int argc, char **argv);
