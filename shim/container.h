/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The core that every service stands over: the shim's one container, its processes, and the order
 * of what is done to them. Nothing here blocks: an operation that needs the runtime ends through
 * its callback, which always runs later than the call that began it or before it returns, once.
 * Who asked may be gone by then; the operation runs on.
 *
 * Which operations wait for which (design, section 4) is one function, operations_conflict() in
 * operation.c. Kill never waits.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bundle.h"
#include "common/error.h"
#include "common/list.h"
#include "common/runtime.h"
#include "shim/annotations.h"
#include "shim/cgroup.h"
#include "shim/mount_spec.h"
#include "shim/outer_sessions.h"
#include "shim/process.h"

struct shim;
struct operation;
struct oom_watch;
struct criu;

struct container {
	struct shim *shim;
	char *id;
	struct bundle
		bundle; /* the folder of the config.json in use; its content only during create */
	char *bundle_path; /* as the client named it */
	struct runtime runtime;
	struct process *init;  /* never NULL */
	struct list processes; /* execs, in the order in which they were added */
	size_t n_processes;    /* with the init */
	struct cgroup cgroup;  /* of the init; empty where it has none of its own */
	struct oom_watch *oom; /* NULL: its memory is not its own, or cannot be watched */
	bool is_told;	       /* its CREATE is: other events may follow */
	bool oom_untold;       /* it ran out of memory before that, or while it was started */
	moment created_at;
	json_t *annotations;  /* that updates gave it; NULL: none */
	bool made_running;    /* Create started it, too */
	struct criu *restore; /* what it is made from; NULL: from its bundle */
	bool pids_private;
	int stop_signal;		      /* for an orderly end */
	uint64_t n_launches;		      /* begun until now: each has its number */
	struct list leftovers;		      /* what failed launches may have left (leftover.h) */
	struct outer_sessions outer_sessions; /* of execs, gone ones too */
	struct list operations;		      /* waiting and running, in the order of arrival */
	struct mount_spec *rootfs;	      /* what Create asked to have mounted */
	size_t n_rootfs;
	char *rootfs_mounted;	 /* the folder that it is mounted onto; NULL: nothing is */
	bool rootfs_made;	 /* that folder was not there before our create */
	struct argv new_cgroups; /* folders that were not there before our create */
	struct {
		pid_t pid; /* the run of a create under way, for state.json; 0: none */
		uint64_t start_time;
	} making;
	struct operation *settling; /* a failed create that waits for its last process */
	bool draining;		    /* the init is gone; what is left is waited for, or killed */
	bool drain_is_over;
	struct event *drain_timer; /* libevent's */
	struct event *save_timer;  /* libevent's; pending while state.json is behind */
};

/* What an operation leaves behind for its caller. Valid during the callback only. */
struct op_result {
	pid_t pid;
	struct process_exit exit; /* Delete */
	enum runtime_verb verb;	  /* with words */
	const char *words;	  /* the runtime's own words, if it was the runtime that failed */
};
typedef void (*op_done)(const struct error *err, const struct op_result *result, void *userdata);

struct create_params {
	const char *id, *bundle;
	const char
		*spec_bundle; /* folder whose config.json is used instead; "" or NULL: bundle's */
	bool terminal;
	const char *stdin_uri, *stdout_uri, *stderr_uri; /* "" or NULL: nothing */
	const int *fds;					 /* for fd:N; not consumed */
	size_t n_fds;
	struct runtime runtime; /* copied */
	bool run;		/* started at once: events CREATE and START; not with a terminal */
	unsigned io_uid, io_gid;
	const struct mount_spec *rootfs; /* copied */
	size_t n_rootfs;
	/*
	 * Copied; NULL: a new container. With run, or otherwise by process_start(): until then
	 * there is no process (pid 0), and the runtime knows nothing of the container.
	 */
	const struct criu *restore;
};

/* event CREATE, then done with the pid. CODE_ALREADY_EXISTS, ... ; nothing is left of a failure. */
void container_create(
	struct shim *shim, const struct create_params *params, op_done done, void *userdata);

struct exec_params {
	/*
	 * NULL: an exec of 2017. process_start() names it pid-PID, tells that it was added right
	 * before that it was started, and forgets it if it could not be started.
	 */
	const char *exec_id;
	const void *spec; /* the process spec, JSON */
	size_t n_spec;
	bool terminal;
	const char *stdin_uri, *stdout_uri, *stderr_uri;
	const int *fds; /* not consumed */
	size_t n_fds;
};
/* Adds an exec: event exec-added. 0 or a code. *ret is owned by the container. */
int container_exec(struct container *c, const struct exec_params *params, struct process **ret,
	struct error *err);

/* Starts the init or an exec: event START or exec-started, then done with the pid. */
void process_start(struct process *p, op_done done, void *userdata);
/* Deletes the init (and with it the container) or an exec; done with the exit. p is gone then. */
void process_delete(struct process *p, op_done done, void *userdata);
void container_pause(struct container *c, op_done done, void *userdata);
void container_resume(struct container *c, op_done done, void *userdata);
struct update_params {
	const void *resources; /* a document of OCI LinuxResources; NULL: no other limits */
	size_t n_resources;
	const struct annotation *annotations; /* added to those that are kept; copied */
	size_t n_annotations;
};
/*
 * Other limits, and annotations, which are kept once the limits hold. A bad document is
 * CODE_INVALID_ARGUMENT with the field's name, and nothing is changed.
 */
void container_update(
	struct container *c, const struct update_params *params, op_done done, void *userdata);

/*
 * Writes an image of it; the event is CHECKPOINTED. Without exit or pre_dump it is told to leave
 * the container running. No image path: "checkpoint" in the bundle. CODE_UNIMPLEMENTED names an
 * option that the runtime lacks.
 */
void container_checkpoint(
	struct container *c, const struct criu *criu, op_done done, void *userdata);

/*
 * Signals a process, or with all (init only) every process of the container. SIGKILL goes through
 * the pidfd at once. CODE_INVALID_ARGUMENT for a number that is no signal (0 is none).
 */
void process_kill(struct process *p, uint32_t signal, bool all, op_done done, void *userdata);
/* Signals any pid that is in the container: CODE_NOT_FOUND if it is not. */
int container_kill_pid(struct container *c, pid_t pid, uint32_t signal, struct error *err);

int process_resize(struct process *p, uint32_t width, uint32_t height, struct error *err);
int process_close_stdin(struct process *p, struct error *err);

/* Every pid in the container; pids is valid during the callback. Without a cgroup: by `ps`. */
typedef void (*pids_done)(
	const struct error *err, const pid_t *pids, size_t n_pids, void *userdata);
void container_pids(struct container *c, pids_done done, void *userdata);

/* By exec id ("" or NULL: the init); NULL if there is none or it is not there for anyone yet. */
struct process *container_find(struct container *c, const char *exec_id);
/* By pid (init or exec, not deleted), the living one before the dead; NULL if unknown. */
struct process *container_find_pid(struct container *c, pid_t pid);

/* The init's status, or PROCESS_DELETED for NULL or what is still being created. */
enum process_status container_status(const struct container *c);

/* Whether it is to be made from a checkpoint, and was not yet: it has no process. */
bool container_awaits_restore(const struct container *c);
