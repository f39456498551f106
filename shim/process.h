/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One process that the shim answers for: the init or an exec. Its state table, its exit, its
 * streams, and who waits for it.
 */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/list.h"
#include "common/pidref.h"
#include "shim/console.h"
#include "shim/events.h"
#include "common/reaper.h"
#include "shim/stdio.h"

struct container;

/*
 *            create/add            start              exit              delete
 *   (none) ------------> CREATED -------> RUNNING ----------> STOPPED -------> DELETED
 *                           |             | ^  pause            ^
 *                           |             v |  resume           |
 *                           |         PAUSING/PAUSED -----------+
 *                           +-----------------------------------+  (killed before its start)
 */
enum process_status {
	PROCESS_CREATING, /* the runtime's create is under way: not there yet for anyone */
	PROCESS_CREATED,
	PROCESS_RUNNING,
	PROCESS_PAUSING, /* init only */
	PROCESS_PAUSED,	 /* init only */
	PROCESS_STOPPED,
	PROCESS_DELETED,
	_PROCESS_STATUS_MAX,
};

/* What can be asked of a process; the state table answers each pair. */
enum process_event {
	PROCESS_START,
	PROCESS_KILL,
	PROCESS_DELETE,
	PROCESS_PAUSE,
	PROCESS_RESUME,
	PROCESS_EXEC, /* adding an exec to the container whose init this is */
	PROCESS_RESIZE,
	PROCESS_CLOSE_IO,
	PROCESS_WAIT,
	PROCESS_UPDATE,
	PROCESS_CHECKPOINT,
	_PROCESS_EVENT_MAX,
};

struct process_exit {
	bool known;	 /* false: how it ended cannot be known; status is 255 then */
	uint32_t status; /* the code, or 128 + signal */
	uint32_t signal;
	moment at;
	uint64_t utime_us, stime_us, maxrss_kb;
	bool oom;
};

/* Somebody who waits for an exit; embedded in the caller's own object. */
struct waiter {
	struct list waiters_link;
	/* exit is NULL if the process was deleted without ever having been started */
	void (*on_exit)(const struct process_exit *exit, void *userdata);
	void *userdata;
};

struct process {
	struct list processes_link; /* container's list; the init is not in it */
	struct container *container;
	char *exec_id; /* "" for the init */
	bool is_init;
	enum process_status status;
	struct pidref pidref;
	pid_t pid;	 /* stays after the exit; 0 before the start */
	pid_t inner_pid; /* an exec's in a sandbox, for its runtime; 0: none, or not known */
	struct reaper_child child;
	char *stdin_uri, *stdout_uri, *stderr_uri;
	bool terminal;
	json_t *spec; /* an exec's process object */
	struct stdio *stdio;
	struct console *console; /* while its launch is under way */
	bool has_master;
	moment started_at;
	bool exited;	/* reaped and in the ledger */
	bool announced; /* its exit has been told */
	bool start_failed;
	bool kill_sent;	   /* SIGKILL, by us */
	bool named_by_pid; /* a 2017 exec: its id is made of its pid */
	struct process_exit exit;
	bool ledger_reserved, forward_reserved;
	struct list waiters;
};

int process_new(struct container *container, const char *exec_id, struct process **ret);
void process_free(struct process *p);

/* created running paused pausing stopped deleted unknown */
const char *process_status_word(enum process_status status);

/*
 * Whether the event is allowed now: 0, or CODE_FAILED_PRECONDITION / CODE_NOT_FOUND with words as
 * containerd has them ("cannot delete a running process", "process already finished").
 */
int process_check(const struct process *p, enum process_event event, struct error *err);

/* Whether all that it has written was passed on, as far as it will be. */
bool process_is_drained(const struct process *p);

/* Runs waiter at the exit; at once if it has been announced. Cancelled by list_unlink(). */
void process_wait(struct process *p, struct waiter *waiter,
	void (*on_exit)(const struct process_exit *exit, void *userdata), void *userdata);
/* Tells every waiter; exit as in struct waiter. */
void process_wake(struct process *p, const struct process_exit *exit);
