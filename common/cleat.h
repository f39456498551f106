/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * libcleat: OCI containers under cleat, for C and C++ programs. A client reaches them through cleatd,
 * or where there is none straight through their shims, or through the one shim that is named; what a
 * program does with them is the same.
 *
 * Calls block, and any thread may make any of them at any time on one client, unless it is said
 * otherwise; the library makes no thread, handles no signal and prints nothing. A wait and a stream of
 * events have a descriptor for a loop of the caller's own.
 *
 * Functions that can fail return 0 or a positive CLEAT_E code, and fill err (which may be NULL) with
 * that code and one sentence. Ids and namespaces match [A-Za-z0-9]+([._-][A-Za-z0-9]+)* and have 76
 * bytes at most. Moments are nanoseconds since 1970, UTC; 0 is none. A structure of options begins
 * with its size, so that it can grow: use its _INIT. What is not said in it is 0.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- errors --- */

/* The codes of google.rpc.Code. */
enum {
	CLEAT_ECANCELLED = 1,
	CLEAT_EUNKNOWN = 2,
	CLEAT_EINVALID_ARGUMENT = 3,
	CLEAT_EDEADLINE_EXCEEDED = 4,
	CLEAT_ENOT_FOUND = 5,
	CLEAT_EALREADY_EXISTS = 6,
	CLEAT_EPERMISSION_DENIED = 7,
	CLEAT_ERESOURCE_EXHAUSTED = 8,
	CLEAT_EFAILED_PRECONDITION = 9,
	CLEAT_EABORTED = 10,
	CLEAT_EOUT_OF_RANGE = 11,
	CLEAT_EUNIMPLEMENTED = 12,
	CLEAT_EINTERNAL = 13,
	CLEAT_EUNAVAILABLE = 14,
	CLEAT_EDATA_LOSS = 15,
	CLEAT_EUNAUTHENTICATED = 16
};

struct cleat_error {
	int code;      /* 0 or a CLEAT_E code */
	char *message; /* freed by cleat_error_clear(); see cleat_error_message() */
};

#define CLEAT_ERROR_INIT                                                                           \
	{                                                                                          \
		0, NULL                                                                            \
	}

/* The sentence, or the code's name where there is none. Never NULL; owned by err. */
const char *cleat_error_message(const struct cleat_error *err);
/* Frees the sentence and sets the code to 0. A function that fails does this first. Takes NULL. */
void cleat_error_clear(struct cleat_error *err);

/* "0.1.0" */
const char *cleat_version(void);

/* --- the client --- */

struct cleat_client;

struct cleat_client_options {
	size_t size;
	const char *
		socket; /* cleatd's; NULL: ROOT/cleatd.sock, and the folders where it is not there */
	const char *shim; /* the socket of one shim, and nothing else is asked */
	const char *root; /* absolute; NULL: /run/cleat, or a user's own $XDG_RUNTIME_DIR/cleat */
	const char *ns;	  /* namespace of ids; NULL: "default" */
	uint32_t deadline_ms; /* for each call of a runtime; 0: 60 s */
	bool debug;	      /* shims that are started log everything */
};

#define CLEAT_CLIENT_OPTIONS_INIT                                                                  \
	{                                                                                          \
		sizeof(struct cleat_client_options), NULL, NULL, NULL, NULL, 0, false              \
	}

enum cleat_via {
	CLEAT_VIA_DIRECT, /* through the folders under the root, to each shim */
	CLEAT_VIA_SHIM,
	CLEAT_VIA_CLEATD
};

/*
 * options: NULL for none. With no socket named, no cleatd at ROOT/cleatd.sock means that there is none,
 * and the client goes straight to the shims; one that is there and does not answer in 2 s is an error.
 * *ret is the caller's, until cleat_client_close().
 */
int cleat_client_open(const struct cleat_client_options *options, struct cleat_client **ret,
	struct cleat_error *err);
/* All that was made with it must be gone. Takes NULL. */
void cleat_client_close(struct cleat_client *client);
/* How containers are reached. Where a cleatd goes in the middle, calls go straight from then on. */
enum cleat_via cleat_client_via(const struct cleat_client *client);

/* How a process ended. An exit that nobody saw is not known, and then status means nothing. */
struct cleat_exit {
	bool known;
	uint32_t status; /* the exit code, or 128 + the signal that ended it */
	int64_t exited_at;
};

struct cleat_container {
	char *id, *ns;
	char *status; /* created running paused pausing stopped orphaned unknown */
	uint32_t pid; /* the init's; 0: none */
	char *bundle, *runtime;
	int64_t created_at;
	uint32_t shim_pid; /* 0: it is dead */
	char *socket;	   /* of its shim */
	bool exited;	   /* its init has; then: */
	struct cleat_exit exit;
};

/* Every container of the namespace, by id. *ret: freed by cleat_containers_free(). */
int cleat_client_list(struct cleat_client *client, struct cleat_container **ret, size_t *ret_n,
	struct cleat_error *err);
void cleat_containers_free(struct cleat_container *containers, size_t n);

/* --- streams --- */

/* What a process reads from and writes to. NULL where one is asked for: nothing at all. */
struct cleat_io;

enum cleat_stream { CLEAT_STDIN, CLEAT_STDOUT, CLEAT_STDERR };

/*
 * The process gets these descriptors as they are, -1 for none; nothing is copied. Not consumed: they
 * stay the caller's, who may close them once the process has been created or added.
 */
int cleat_io_new_fds(int in, int out, int err_fd, struct cleat_io **ret, struct cleat_error *err);
/*
 * FIFOs in a new folder in dir (NULL: $TMPDIR or /tmp), which goes with the io. The caller's ends are
 * cleat_io_fd(). A container outlives its client so: another one may open the FIFOs by their paths.
 */
int cleat_io_new_fifos(const char *dir, struct cleat_io **ret, struct cleat_error *err);
/* A terminal: what is written to CLEAT_STDIN's end is typed, CLEAT_STDOUT's has what is shown. */
int cleat_io_new_terminal(struct cleat_io **ret, struct cleat_error *err);
/* Output to a URI (file:///p, json:///p, cri:///p, binary:///p, ...), and no input. */
int cleat_io_new_log(const char *uri, struct cleat_io **ret, struct cleat_error *err);

/* The caller's end, owned by io, non-blocking; -1: there is none. */
int cleat_io_fd(const struct cleat_io *io, enum cleat_stream stream);
/*
 * What cleat_io_wait() reads of that output it writes to fd (not consumed; must outlive the io)
 * instead of throwing it away.
 */
void cleat_io_copy_to(struct cleat_io *io, enum cleat_stream stream, int fd);
/* Ends a cleat_io_wait(), also one that is yet to come. */
void cleat_io_cancel(struct cleat_io *io);
/*
 * Until the output has ended, reading what nobody has read: for a program that does not want to do so
 * itself, and the drain before a delete. 0, CLEAT_ECANCELLED, or CLEAT_EDEADLINE_EXCEEDED after
 * timeout_ms (< 0: never). Of two threads the second only waits.
 */
int cleat_io_wait(struct cleat_io *io, int64_t timeout_ms, struct cleat_error *err);
/* Closes the caller's ends and removes FIFOs. Safe to repeat; nobody may be in cleat_io_wait(). */
void cleat_io_close(struct cleat_io *io);
/* For one that no process has taken. Takes NULL. */
void cleat_io_free(struct cleat_io *io);

/* --- tasks --- */

/* One container with its processes. */
struct cleat_task;
struct cleat_process;

enum cleat_terminal {
	CLEAT_TERMINAL_AS_CONFIGURED, /* as config.json has it */
	CLEAT_TERMINAL_NONE,
	CLEAT_TERMINAL_WANTED
};

struct cleat_create_options {
	size_t size;
	const char *bundle;  /* folder with config.json; NULL: the working folder */
	const char *runtime; /* runc, crun, runsc, a path, a name of runtimes.json; NULL: runc */
	const char *const
		*runtime_options; /* "name=value" or "name"; ends with NULL; may be NULL */
	enum cleat_terminal terminal;
	bool no_pivot, no_new_keyring;
	const char *image; /* folder of a checkpoint to start from; absolute */
};

#define CLEAT_CREATE_OPTIONS_INIT                                                                  \
	{                                                                                          \
		sizeof(struct cleat_create_options), NULL, NULL, NULL,                             \
			CLEAT_TERMINAL_AS_CONFIGURED, false, false, NULL                           \
	}

/*
 * Makes a container, whose init waits for cleat_process_start(). io is taken over where it succeeds,
 * and stays the caller's where it fails. CLEAT_EALREADY_EXISTS. On failure nothing is left.
 */
int cleat_task_create(struct cleat_client *client, const char *id,
	const struct cleat_create_options *options, struct cleat_io *io, struct cleat_task **ret,
	struct cleat_error *err);
/* One that is there. CLEAT_ENOT_FOUND. An orphan, whose shim is dead, can be opened as well. */
int cleat_task_open(struct cleat_client *client, const char *id, struct cleat_task **ret,
	struct cleat_error *err);
/* The container stays; its execs' processes must have been freed before. Takes NULL. */
void cleat_task_free(struct cleat_task *task);
const char *cleat_task_id(const struct cleat_task *task);
/* Its init, which is the task's. */
struct cleat_process *cleat_task_init(struct cleat_task *task);

struct cleat_exec_options {
	size_t size;
	const char *const *args; /* ends with NULL */
	const char *cwd;	 /* what is NULL here is as config.json has it for the init */
	const char *const *env;	 /* "NAME=VALUE", added; ends with NULL */
	const char *user;	 /* UID[:GID] */
	bool terminal;
	const char *process; /* the whole OCI process as JSON, instead of all that */
};

#define CLEAT_EXEC_OPTIONS_INIT                                                                    \
	{                                                                                          \
		sizeof(struct cleat_exec_options), NULL, NULL, NULL, NULL, false, NULL             \
	}

/* Adds a process, which cleat_process_start() starts. io as with cleat_task_create(). */
int cleat_task_exec(struct cleat_task *task, const char *exec_id,
	const struct cleat_exec_options *options, struct cleat_io *io, struct cleat_process **ret,
	struct cleat_error *err);
/* One that somebody added; it has no io here. CLEAT_ENOT_FOUND. */
int cleat_task_process(struct cleat_task *task, const char *exec_id, struct cleat_process **ret,
	struct cleat_error *err);

int cleat_task_pause(struct cleat_task *task, struct cleat_error *err);
int cleat_task_resume(struct cleat_task *task, struct cleat_error *err);
/* A signal for every process in it. */
int cleat_task_kill_all(struct cleat_task *task, int signal, struct cleat_error *err);
/* resources: OCI LinuxResources as JSON. */
int cleat_task_update(struct cleat_task *task, const char *resources, struct cleat_error *err);
/* Every pid in it, as this host counts. *ret: freed with free(). */
int cleat_task_pids(
	struct cleat_task *task, uint32_t **ret, size_t *ret_n, struct cleat_error *err);
/* Writes an image to the folder path (absolute); exits: the container ends with it. */
int cleat_task_checkpoint(
	struct cleat_task *task, const char *path, bool exits, struct cleat_error *err);

/* --- processes --- */

/* Frees an exec's object; the process stays. Not for a task's init. Takes NULL. */
void cleat_process_free(struct cleat_process *process);
/* The exec's id, "" for the init. */
const char *cleat_process_id(const struct cleat_process *process);
/* 0 until cleat_process_start() has returned; of one that somebody else had started: as it was found. */
uint32_t cleat_process_pid(const struct cleat_process *process);
/* What it was made with; NULL: nothing. Owned by process. */
struct cleat_io *cleat_process_io(const struct cleat_process *process);

/* On failure its io is cancelled, waited for and closed before the error is told. */
int cleat_process_start(struct cleat_process *process, struct cleat_error *err);
/* CLEAT_ENOT_FOUND once it has ended. */
int cleat_process_kill(struct cleat_process *process, int signal, struct cleat_error *err);
/* The size of its terminal, in characters. Before its start, too. */
int cleat_process_resize(
	struct cleat_process *process, uint32_t width, uint32_t height, struct cleat_error *err);
/* The end of its input, once what is queued has been read. */
int cleat_process_close_io(struct cleat_process *process, struct cleat_error *err);

struct cleat_status {
	const char *status; /* created running stopped paused pausing unknown; a constant */
	uint32_t pid;
	struct cleat_exit exit; /* of a stopped one */
};
int cleat_process_status(
	struct cleat_process *process, struct cleat_status *ret, struct cleat_error *err);

/*
 * What a delete does first, in their order; one that fails ends it. Its own functions may do anything
 * with the process but delete or free it.
 */
typedef int (*cleat_delete_option)(struct cleat_process *process, struct cleat_error *err);
/* SIGKILL, and its end is waited for; one that has ended already is fine. */
int cleat_delete_kill(struct cleat_process *process, struct cleat_error *err);

/*
 * Runs options (ends with NULL; may be NULL), refuses what is running, paused or pausing with
 * CLEAT_EFAILED_PRECONDITION, waits for the end of its output (10 s at most) and closes its io, and
 * deletes it: an exec, or with the init all of the container. ret (may be NULL): how it had ended.
 */
int cleat_process_delete(struct cleat_process *process, const cleat_delete_option *options,
	struct cleat_exit *ret, struct cleat_error *err);

/* --- waiting --- */

/*
 * Until the process has ended: 0, or CLEAT_EDEADLINE_EXCEEDED after timeout_ms (< 0: never). Any
 * number of threads, before or after its end. An exit cannot be missed, also where cleatd or the shim
 * dies meanwhile: then it is told from what is on disk, and where nobody saw it, as not known.
 */
int cleat_process_wait(struct cleat_process *process, int64_t timeout_ms, struct cleat_exit *ret,
	struct cleat_error *err);

/* The same begun, for a loop, or to be cancelled. */
struct cleat_wait;
/* Afterwards an exit is told, whenever it is. The process must outlive it. */
int cleat_wait_begin(
	struct cleat_process *process, struct cleat_wait **ret, struct cleat_error *err);
/*
 * Readable once cleat_wait_take() with timeout 0 should be called, which may also find that it was too
 * early. Level-triggered, owned by wait, always the same. -1 without descriptors.
 */
int cleat_wait_fd(struct cleat_wait *wait);
/*
 * As cleat_process_wait(); timeout_ms 0: does not wait. CLEAT_ECANCELLED once it was cancelled. By one
 * thread at a time. What has been told is told again.
 */
int cleat_wait_take(struct cleat_wait *wait, int64_t timeout_ms, struct cleat_exit *ret,
	struct cleat_error *err);
/* By any thread: ends what is in cleat_wait_take(), and makes the descriptor readable. */
void cleat_wait_cancel(struct cleat_wait *wait);
/* Takes NULL. */
void cleat_wait_free(struct cleat_wait *wait);

/* --- events --- */

struct cleat_events;

struct cleat_event {
	const char *id;	   /* the container's */
	const char *topic; /* "/tasks/exit" */
	int64_t time;
	uint64_t
		epoch; /* of the shim's process; numbers of different ones are not to be compared */
	uint64_t seq;  /* rises by one, from 1 */
	uint64_t missed; /* so many between the one before and this one are lost to this reader */
	bool late;	 /* an exec's exit, told after its init's */
	const char *exec_id; /* "" for the init; of what is about one process */
	uint32_t pid;	     /* 0: it says none */
	bool has_exit; /* of an exit or a delete; 255 may stand for "not known" here: ask for the status */
	uint32_t exit_status;
	int64_t exited_at;
	const char *type;    /* the message's full name, such as containerd.events.TaskExit */
	const void *payload; /* its bytes, as protobuf has them */
	size_t n_payload;
};

struct cleat_events_options {
	size_t size;
	const char *id; /* NULL: every container of the namespace, those that are made later too */
	uint64_t epoch,
		since; /* with an id: what comes after that event; since 0: all that is kept */
	bool from_now; /* what happens from now on, and nothing that is kept */
};

#define CLEAT_EVENTS_OPTIONS_INIT                                                                  \
	{                                                                                          \
		sizeof(struct cleat_events_options), NULL, 0, 0, false                             \
	}

/*
 * A stream has a connection of its own: who does not read from it keeps nobody up. Without cleatd a
 * stream of all finds a new container only while it is read: one that has come and gone in between is
 * not told of.
 */
int cleat_events_open(struct cleat_client *client, const struct cleat_events_options *options,
	struct cleat_events **ret, struct cleat_error *err);
/* Readable once cleat_events_next() with timeout 0 should be called. Owned by events. */
int cleat_events_fd(const struct cleat_events *events);
/*
 * The next one; *ret is valid until the next call. *ret is NULL at the stream's end: the one
 * container's shim has ended. CLEAT_EDEADLINE_EXCEEDED where none came in timeout_ms (0: does not
 * wait, < 0: for ever). Where cleatd goes, the shims tell the rest, each event once; CLEAT_EUNAVAILABLE
 * where its socket was named. By one thread at a time.
 */
int cleat_events_next(struct cleat_events *events, int64_t timeout_ms,
	const struct cleat_event **ret, struct cleat_error *err);
/* Takes NULL. */
void cleat_events_close(struct cleat_events *events);

#ifdef __cplusplus
}
#endif
