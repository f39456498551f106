/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Deletions: a process's through its shim; the init's followed by the shim's end; an orphan's by a child
 * of our own program, since a runtime may hang.
 *
 * With force (Supervisor.Delete), of one whose shim lives:
 *
 *   KILLING --answer--> (paused: RESUMING) --> ENDING --exit--> DELETING --answer--> answered
 *
 * where an answer that it has ended already is as good as any; a shim without a container is told to end.
 */

#include "common/ttrpc_server.h"
#include "supervisor.pb-c.h"
#include "supervisor/member.h"

/* Each takes over the call. exec_id "": the init. */
void deletion_begin_tasks(struct member *m, struct ttrpc_call *call, const char *exec_id);
void deletion_begin(struct member *m, struct ttrpc_call *call, bool force);

/* The process that deletes an orphan: what main() returns. argv: ROOT NS ID force|gently SHIM. */
int deletion_child(int argc, char **argv);
