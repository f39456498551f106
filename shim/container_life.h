/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files of the core share among themselves: launching, exits, the record on disk, the
 * container's end. Services do not include this.
 */

#include <event2/event.h>

#include "shim/container.h"
#include "shim/operation.h"

/* An empty container, which becomes shim->container. NULL without memory. */
struct container *container_new(struct shim *shim);
/* Frees the container, its processes and what waits; shim->container is NULL afterwards. */
void container_free(struct container *c);
bool container_is_current(const struct shim *shim, const struct container *c);
struct event_base *container_base(const struct container *c);

/* Writes state.json; a failure is logged, for the container goes on. */
void container_save(struct container *c);
/*
 * The same after an exec was added, has ended or was deleted: where there are many, the file is
 * written up to 250 ms later, with all that has changed until then, and before the shim ends in
 * order. Not after one was started: who reads the file after the shim was killed ends the processes
 * that are in it, so none may be missing. One that is gone by then does no harm: its start time is
 * compared, and its exit is in the ledger.
 */
void container_save_exec(struct container *c);

/* Whether process_is_drained() of all. */
bool container_is_drained(const struct container *c);
/* Runs cb whenever one more is, but of those that a Delete waits for. */
void container_on_drained(struct container *c, void (*cb)(void *userdata), void *userdata);

/* Forgets a deleted exec. */
void container_drop_exec(struct container *c, struct process *p);

/* --- launch.c: what Create, a restore and the Start of an exec share --- */

struct launch; /* files, console and reservations of one launch */
typedef void (*launch_done)(struct operation *op, bool ok);

/*
 * Reserves what the exit of op->process needs, listens for its console, and runs create, run, restore
 * or exec.
 * When that has ended, its pid is known and checked, and its terminal is there, done runs with
 * true; with false, op->error and op->words say why and nothing of it is left but what the
 * runtime itself may have made.
 */
void launch_begin(struct operation *op, enum runtime_verb verb, launch_done done);

/*
 * Takes back a launch that has succeeded: its process is killed, and is reaped as a stray; what its
 * exit had reserved is given back. Nothing of it may have been told yet.
 */
void launch_take_back(struct process *p, enum process_status before);

/* Keeps the run of a create that has begun, for who cleans up after our death. */
struct pidref;
void launch_record_run(struct container *c, const struct pidref *run);

/* Whether a process that a run of the runtime has made is our child, or about to be. */
bool launch_is_child(const struct shim *shim, pid_t pid);

/* --- start.c --- */

/* An event that says no more than which process it is about. */
void process_publish(const struct process *p, enum event_kind kind);

/* --- undo.c --- */

/*
 * Removes what the runtime may have made for op, which has failed with op->error; then undone runs.
 * What the runtime had before under this id, or may have if it was not asked, is somebody else's
 * and stays.
 */
void undo_begin(struct operation *op, void (*undone)(struct operation *op));
/* After children were reaped: one may have been waiting for its last process. */
void undo_settle(struct container *c);

/* --- restore.c --- */

/*
 * Where no folder for CRIU's own files is named it is one in the state folder: there its log is found
 * after a failure. 0 or -ENOMEM.
 */
int criu_default_work(const struct container *c, struct criu *criu);
/* Removes that, if it is there. */
void criu_work_remove(const struct container *c);

/* Runs the START of a container that is to be restored. */
void restore_run(struct operation *op);

/* --- container_oom.c --- */

/*
 * Finds the init's cgroup and watches its memory, from create on; where that is not possible, a
 * line in the log says so. pid 0: the init has ended already.
 */
void container_find_cgroup(struct container *c, pid_t pid);
/* Tells what could not be told before the container was made (is_told), or had started. */
void container_oom_tell(struct container *c);
/* Safe to repeat. */
void container_oom_unwatch(struct container *c);
/*
 * Once more when p was reaped: tells of a kill that was not told yet, before p's exit is. Whether
 * that exit came of it.
 */
bool container_oom_look(struct container *c, const struct process *p, const struct reaped *r);

/* --- exit.c --- */

/* Watches for the exit of a process whose pidref is open. */
void process_watch(struct process *p);
/* Records an exit: ledger first. */
void process_exited(struct process *p, const struct reaped *r);
/* Tells the exits that may be told now, in their order (design, section 4). */
void container_announce(struct container *c);
/* After children were reaped: while the rest of a container is being killed, looks again. */
void container_reaped(struct container *c);
