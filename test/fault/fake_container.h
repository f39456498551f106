/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the scripted runtime keeps of a container between two calls, and the processes it consists
 * of. ROOT/ID/ holds:
 *	state.json	id, pid, start_time, bundle, rootfs, created; never changed
 *	exec.fifo	until `start`: there means created
 *	paused		there means paused
 *	sessions	"PID START_TIME" for the init and each exec, which all lead a session
 *	verdict		how the init is to end instead of running its program (by `start`'s script)
 *
 * Subtle rule: the status is never stored. It is told from the files and from the init, known by
 * pid and start time: no call can leave a lie behind, wherever it is killed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "test/fault/fake.h"

enum status { STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED, STATUS_STOPPED };

struct container {
	const char *id;
	int dir; /* ROOT/ID */
	pid_t pid;
	uint64_t start_time; /* in clock ticks since boot, as of /proc/PID/stat; 0: it was gone */
	json_t *state;
};

/* "created", "running", "paused", "stopped" */
const char *status_name(enum status status);

/* Makes ROOT (and its parents, 0700) and ROOT/ID. ret has no process yet. 0, -EEXIST or another
 * negative errno. */
int container_make(struct fake *fake, const char *id, struct container *ret);

/* Adds the init and writes state.json. 0 or a negative errno. */
int container_save(struct container *c, pid_t pid, const char *bundle, const char *rootfs);

/* Reads it. 0, or -ENOENT where there is none or it is half made, or a negative errno. */
int container_open(struct fake *fake, const char *id, struct container *ret);

/* container_open for a command: its error is told, and is the exit status. */
int container_need(struct fake *fake, struct container *ret);

/* Removes ROOT/ID, half made or not. Descriptors stay open. */
void container_remove(struct fake *fake, const char *id);

enum status container_status(const struct container *c);

/* The object that `state` and `list` print. */
json_t *container_describe(const struct container *c, const char *owner);

bool container_has(const struct container *c, const char *name);
int container_put(const struct container *c, const char *name, const char *text);

/* Records that a process leads a session of the container. */
int container_add_session(const struct container *c, pid_t pid);

/* A process that can't be taken for another. */
struct process_id {
	pid_t pid;
	uint64_t start_time;
};

/* All living processes: those in a session of it, and their descendants; by number. The caller
 * frees the array. */
struct process_id *container_processes(const struct container *c, size_t *ret_n);

/* Signals one process of it if it is still the one with that start time (0: unchecked), through a
 * pidfd. 0, -ESRCH or another negative errno. */
int process_signal(pid_t pid, uint64_t start_time, int sig);

/* Blocks until it has ended (it may be a zombie then), timeout_ms (-1: no limit) at most. Whether
 * it has ended. */
bool process_await(pid_t pid, uint64_t start_time, int timeout_ms);

/* Start time of a process, 0 where there is none. */
uint64_t process_start_time(pid_t pid);

/* Signals every process of it. How many there were. */
size_t container_signal_all(const struct container *c, int sig);

/* Kills all of it and waits until that is done, 10 s at most. Whether nothing lives. */
bool container_kill_all(const struct container *c);
