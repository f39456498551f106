/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One container's folder on disk, ROOT/c/NS/ID (design, section 8), and what lies in it. A free
 * lock means that no shim lives. Only the lock's holder writes or removes; readers live with
 * ENOENT at any step. Every file is made new and renamed, or appended by whole lines, through the
 * folder's descriptor and never through a link.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "common/clock.h"
#include "common/error.h"

struct state_dir {
	char *root, *ns, *id; /* root: NULL where the folder is a bundle, see state_bundle.h */
	char *path;	      /* ROOT/c/NS/ID, or the bundle's */
	int fd;		      /* the folder */
	int lock_fd;	      /* its `lock`, locked by us; -1 for a reader */
};

#define STATE_DIR_INIT ((struct state_dir){ .fd = -1, .lock_fd = -1 })

/*
 * ROOT for this user: /run/cleat for root, $XDG_RUNTIME_DIR/cleat for
 * others. The caller frees; NULL without memory or without XDG_RUNTIME_DIR.
 */
char *state_default_root(void);

/*
 * Makes ROOT, ROOT/c, ROOT/c/NS, ROOT/s, ROOT/r, ROOT/r/NS (0700, ours, no links). A ROOT that is
 * there may be readable by others, not writable. root is absolute, and UTF-8. ns NULL: no namespace's
 * folders.
 */
int state_prepare(const char *root, const char *ns, struct error *err);

/*
 * Makes and locks the folder of a new container, after state_prepare(). CODE_ALREADY_EXISTS names
 * it. Sweeps up what killed creators and removers left in the namespace.
 */
int state_dir_create(
	const char *root, const char *ns, const char *id, struct state_dir *ret, struct error *err);
/*
 * In the shim: takes over the folder and the locked descriptor that it inherited (closed on
 * failure). It must be the folder's own and locked.
 */
int state_dir_adopt(const char *root, const char *ns, const char *id, int lock_fd_take,
	struct state_dir *ret, struct error *err);
/* For reading. CODE_NOT_FOUND: "container ID: does not exist". */
int state_dir_open(
	const char *root, const char *ns, const char *id, struct state_dir *ret, struct error *err);
/*
 * Takes a free lock of an opened folder: 0, CODE_FAILED_PRECONDITION while a shim holds it, or
 * CODE_NOT_FOUND if the folder was removed meanwhile (and perhaps made anew).
 */
int state_dir_lock(struct state_dir *dir, struct error *err);
/* Whether somebody holds the lock. */
bool state_dir_is_locked(const struct state_dir *dir);
/*
 * By the holder: renames the folder to .gone-XXXX and removes it with all that is in it. dir->fd is
 * -1 afterwards; the name is free for another container, which is never touched. A bundle stays, and
 * in it the ledger: state_bundle_clear().
 */
int state_dir_remove(struct state_dir *dir, struct error *err);
/* Closes descriptors (the lock goes with the last one) and frees. Safe to repeat. */
void state_dir_close(struct state_dir *dir);

/*
 * Calls each for every container folder under ROOT (of one namespace, or of all with NULL), in
 * the order of their names; stops when it returns other than 0. A ROOT that is not there is empty.
 */
int state_each(const char *root, const char *ns,
	int (*each)(const char *ns, const char *id, void *userdata), void *userdata,
	struct error *err);

/* The same over the namespaces that have a folder. */
int state_each_namespace(const char *root, int (*each)(const char *ns, void *userdata),
	void *userdata, struct error *err);

/* shim.json */
struct shim_record {
	pid_t pid;
	uint64_t start_time;
	char *socket, *version;
	uint64_t epoch;
};
/* Readers: a missing file CODE_NOT_FOUND, a newer `v` CODE_FAILED_PRECONDITION, a broken one CODE_INTERNAL. */
int shim_record_write(const struct state_dir *dir, const struct shim_record *r, struct error *err);
int shim_record_read(const struct state_dir *dir, struct shim_record *ret, struct error *err);
void shim_record_deinit(struct shim_record *r);

/* state.json: the container as its shim last knew it. NULL strings are written as "". */
struct container_record {
	char *id, *ns, *bundle;
	char *runtime; /* the command's path */
	char *runtime_kind, *runtime_root;
	bool systemd_cgroup;
	char **runtime_options; /* NULL-terminated; may be NULL */
	char *status;		/* created running paused pausing stopped */
	pid_t pid;
	uint64_t start_time;
	bool terminal;
	char *stdin_uri, *stdout_uri, *stderr_uri;
	char *rootfs;	  /* the folder that a list was mounted onto; "": none */
	bool rootfs_made; /* it was not there before */
	moment created;
	/* Create is under way, or its shim was killed in it: what is needed to remove all of it. */
	struct {
		bool is_so;
		pid_t pid; /* the runtime's run, leader of a group; 0: not begun */
		uint64_t start_time;
		char **cgroups; /* not there before; NULL-terminated, parents first; may be NULL */
	} making;
	struct exec_record {
		char *exec_id, *status;
		pid_t pid;
		uint64_t start_time;
		/* of its log: "" where it has none, where it is too long, and by an older shim */
		char *stdout_uri, *stderr_uri;
	} * execs;
	size_t n_execs;
};
int container_record_write(
	const struct state_dir *dir, const struct container_record *r, struct error *err);
/* CODE_NOT_FOUND: no container was created in it (yet). A newer `v` is refused with a sentence. */
int container_record_read(
	const struct state_dir *dir, struct container_record *ret, struct error *err);
void container_record_deinit(struct container_record *r);
