/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The runtime binding: builds the command lines of runc, crun and runsc and reads their answers.
 * What differs between the three lives in one table here. It runs nothing by itself except
 * through runtime_run(), which blocks and is for programs without a loop; the shim runs the same
 * command lines through its own asynchronous calls.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/argv.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/error.h"

enum runtime_kind {
	RUNTIME_RUNC,
	RUNTIME_CRUN,
	RUNTIME_RUNSC,
	_RUNTIME_KIND_MAX,
};

struct runtime {
	enum runtime_kind kind;
	char *command; /* absolute path */
	char *root;    /* the runtime's --root */
	bool systemd_cgroup, no_pivot, no_new_keyring;
	struct argv options; /* further global options, "name=value" or "name", without dashes */
	uint32_t deadline_ms;
	bool log_text; /* its log as text instead of JSON */
	/* what a run is to this process; both for runs of runtime_run() and runtime_follow() */
	bool same_group;  /* it stays in our process group instead of one of its own */
	int death_signal; /* sent to it when the thread that started it ends; 0: none */
};

#define RUNTIME_INIT ((struct runtime){ .options = ARGV_INIT })

enum runtime_verb {
	RUNTIME_CREATE,
	RUNTIME_START,
	RUNTIME_RUN,
	RUNTIME_EXEC,
	RUNTIME_KILL,
	RUNTIME_DELETE,
	RUNTIME_STATE,
	RUNTIME_LIST,
	RUNTIME_PS,
	RUNTIME_PAUSE,
	RUNTIME_RESUME,
	RUNTIME_STATS,	/* events --stats */
	RUNTIME_EVENTS, /* never ends by itself while the container runs */
	RUNTIME_TOP,	/* ps as a table */
	RUNTIME_WAIT,
	RUNTIME_CHECKPOINT,
	RUNTIME_RESTORE,
	RUNTIME_UPDATE,
	RUNTIME_FEATURES,
	RUNTIME_VERSION, /* --version */
	_RUNTIME_VERB_MAX,
};

/* Of checkpoint and restore; each goes to those that know it. NULL, 0, false: not said. */
struct runtime_criu {
	const char *image_path, *work_path;
	const char *parent_path; /* checkpoint: an image that this one builds on */
	bool leave_running;	 /* checkpoint: the container goes on afterwards */
	bool pre_dump;		 /* checkpoint: memory only, and the container goes on */
	bool open_tcp, external_unix_sockets, terminal, file_locks;
	bool lazy_pages, auto_dedup;
	const char *cgroups_mode;		     /* soft, full, strict (crun: ignore) */
	const char *const *empty_namespaces;	     /* ends with NULL; may be NULL */
	const char *page_server;		     /* checkpoint: ADDRESS:PORT */
	const char *lsm_profile, *lsm_mount_context; /* restore */
};

/* One call. What a verb has no use for is ignored; paths are absolute. */
struct runtime_request {
	enum runtime_verb verb;
	const char *id;		       /* not for list, features, version */
	const char *log;	       /* a file for the runtime's own log, in JSON; NULL: none */
	const char *bundle;	       /* create, run, restore */
	const char *pid_file;	       /* create, run, exec, restore; NULL: none */
	const char *internal_pid_file; /* exec: the pid as the container sees it */
	const char *console_socket;    /* create, run, exec, restore; NULL: no terminal */
	const char *user_log;	       /* create, run, restore: what is for the user's eyes */
	const char *process;	       /* exec: file with the process spec */
	bool detach;		       /* run, exec, restore */
	bool no_subreaper;	       /* run, restore */
	int signal;		       /* kill */
	bool all;		       /* kill: every process of the container */
	int kill_pid; /* kill: this process only, as the runtime's ps tells it; 0: the init */
	bool force;   /* delete */
	uint32_t interval_ms;  /* events; 0: the runtime's own. runsc: up to whole seconds */
	int wait_pid;	       /* wait: of the container's pid namespace; 0: the init */
	const char *resources; /* update: a file, or "-" for the run's stdin */
	const struct runtime_criu *criu; /* checkpoint, restore; NULL: nothing said */
	const struct argv *ps_options;	 /* top: after the id; NULL: none */
	/*
	 * update's stdin; and, for runtime_run() alone, the process spec of an exec for which a
	 * private temporary file is made and removed again (process is set to it).
	 */
	const char *input;
	const char *process_spec;
};

/*
 * Finds command (a name is searched in PATH, a path is taken) and fills ret. kind: "runc",
 * "crun", "runsc", or NULL or "" to tell it from the command's last component (runc where that
 * says nothing). deadline_ms 0: the default. CODE_NOT_FOUND names the runtime in double quotes.
 */
int runtime_init(struct runtime *ret, const char *kind, const char *command, const char *root,
	uint32_t deadline_ms, struct error *err);
void runtime_deinit(struct runtime *rt);

/*
 * Where the runtime abbreviates ids, makes its root one for this container alone: ROOT/ID, which
 * runtime_leftover_remove() removes. 0 or -ENOMEM.
 */
int runtime_own_root(struct runtime *rt, const char *id);
int runtime_copy(struct runtime *to, const struct runtime *from);

/* Adds "name=value" or "name". Letters, digits and '-' in the name: else CODE_INVALID_ARGUMENT. */
int runtime_add_option(struct runtime *rt, const char *option, struct error *err);

/* "runc", "crun", "runsc"; "create", "start", ... */
const char *runtime_kind_name(enum runtime_kind kind);
/* Whether it is the name of one. */
bool runtime_is_kind(const char *name);
const char *runtime_verb_name(enum runtime_verb verb);

/*
 * The command line of a call, argv[0] included. CODE_UNIMPLEMENTED by name where the runtime has
 * no such command or flag.
 */
int runtime_argv(const struct runtime *rt, const struct runtime_request *request, struct argv *ret,
	struct error *err);

/*
 * Whether the runtime has such a command at all, as far as our table knows ("runsc has no
 * update"). true for crun's checkpoint, restore and features, which only some of them have.
 */
bool runtime_has(const struct runtime *rt, enum runtime_verb verb);

/*
 * Whether its processes have pids inside only: what stands for one outside is a process of the
 * runtime's own, the sandbox for the init, and for an exec one that waits for it and ends as it does,
 * but passes no signal on. It makes the pipes that it is given non-blocking, and where two are one
 * description it believes that the second is meant to be so.
 */
bool runtime_is_sandbox(const struct runtime *rt);

/*
 * Whether it takes the beginning of an id for the id, so that what is asked of one container may be
 * done to another: see runtime_own_root().
 */
bool runtime_abbreviates_ids(const struct runtime *rt);

/*
 * Whether what died while it was paused is paused in its books, so that its delete refuses it. By force
 * it is deleted, and nothing is left, though the command crashes at its end.
 */
bool runtime_dead_stays_paused(const struct runtime *rt);

/*
 * Whether its detached run does the work in a process that has left our group, our session and its own
 * parent: neither our signals nor our death reach that, and nobody can tell later whose it is.
 */
bool runtime_run_goes_apart(const struct runtime *rt);

/* Whether its kill by SIGKILL lets a paused container run, without which it does not die (cgroups v1). */
bool runtime_kill_thaws(const struct runtime *rt);

/*
 * The environment of every runtime: this process's own without what belongs to its supervisor
 * (NOTIFY_SOCKET, on which `runc start` hangs, LISTEN_*, WATCHDOG_*, JOURNAL_STREAM,
 * INVOCATION_ID, MAINPID, TTRPC_ADDRESS). 0 or -ENOMEM.
 */
int runtime_env(struct argv *ret);

/* How a run ended. */
struct runtime_outcome {
	bool timed_out;	      /* it was killed at its deadline */
	uint32_t deadline_ms; /* which was this; 0: the runtime's */
	int wait_status;      /* as of waitpid(2) */
	struct buf out,
		err; /* what it printed, LIMIT_RUNTIME_JSON and LIMIT_RUNTIME_STDERR at most */
	bool out_overflow; /* it printed more than was kept */
};

#define RUNTIME_OUTCOME_INIT ((struct runtime_outcome){ .out = BUF_INIT, .err = BUF_INIT })
void runtime_outcome_deinit(struct runtime_outcome *o);

/*
 * Judges an outcome: 0 if the runtime exited with 0. Otherwise err gets "runc create: " and the
 * cause: the last error in its log (log: the file's content, may be NULL; runc's and crun's JSON
 * lines, runsc's too), else the first line of what it printed on stderr, else how it ended; at its
 * deadline "runc create: no answer in 60 s" with CODE_DEADLINE_EXCEEDED. The words tell the code:
 * CODE_NOT_FOUND for a container that does not exist, CODE_ALREADY_EXISTS for one that does,
 * CODE_UNKNOWN for the rest. Text is cut at 4 KiB and made printable.
 */
int runtime_judge(const struct runtime *rt, enum runtime_verb verb, const struct runtime_outcome *o,
	const struct buf *log, struct error *err);

/*
 * The same cause as bare words without a prefix, for containerd's wording. NULL if there are
 * none. The caller frees.
 */
char *runtime_words(const struct runtime_outcome *o, const struct buf *log);

/* One line of `list`, or the answer of `state`. */
struct runtime_state {
	char *id, *status, *bundle;
	pid_t pid;
	moment created; /* 0: not told, as by runsc */
};

void runtime_state_deinit(struct runtime_state *s);

/*
 * Readers of answers. What was not promised (truncated, wrong type, noise, too much) is
 * CODE_INTERNAL: "runc state: not the JSON that was expected: FIRST LINE".
 */
int runtime_read_state(const struct runtime *rt, const struct buf *out, struct runtime_state *ret,
	struct error *err);
/* *ret: array of *ret_n, freed with runtime_states_free(). `null` is an empty list. */
int runtime_read_list(const struct runtime *rt, const struct buf *out, struct runtime_state **ret,
	size_t *ret_n, struct error *err);
void runtime_states_free(struct runtime_state *s, size_t n);
/* *ret: array of *ret_n pids; the caller frees. */
int runtime_read_pids(const struct runtime *rt, const struct buf *out, pid_t **ret, size_t *ret_n,
	struct error *err);

/*
 * A pid file: a decimal number above 0 and nothing else but a line end. Relative to dir. CODE_INTERNAL with a
 * sentence ("runc create wrote no pid file", "... wrote \"abc\" as its pid").
 */
int runtime_read_pid_file(const struct runtime *rt, enum runtime_verb verb, int dir,
	const char *name, pid_t *ret, struct error *err);

/*
 * Runs a call to its end, for at most rt->deadline_ms, with request->input or nothing as its
 * stdin; at the deadline its process group is killed (with same_group: it alone). What the run
 * leaves behind with its outputs in hand (a container) is not waited for. The command line and how
 * it ended are logged at debug level. 0 and *ret filled however it ended (judge it), or a code if
 * it could not be run at all.
 */
int runtime_run(const struct runtime *rt, const struct runtime_request *request,
	struct runtime_outcome *ret, struct error *err);

/* The command line as one line of the log at debug level. */
void runtime_log_argv(const struct argv *argv);
