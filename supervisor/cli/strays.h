/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What lies below ROOT and has no owner any more: found without touching anything, removed one at a
 * time. Whatever a living shim or a living container has is never among what can be removed.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum stray_kind {
	STRAY_SOCKET,	  /* in ROOT/s: nobody serves it, and no container's folder names it */
	STRAY_UNFINISHED, /* a container's folder of a start that died: there is no container */
	STRAY_CONTAINER,  /* its shim is dead, and nothing of it runs */
	STRAY_ORPHAN,	  /* its shim is dead, and it runs: it is no stray, and counted only */
	STRAY_RUNTIME,	  /* a runtime's state below ROOT/r without a container's folder */
	STRAY_TEMPORARY,  /* a file that a dead shim was writing */
	_STRAY_KIND_MAX,
};

enum stray_fate {
	STRAY_GOES,
	STRAY_KEPT, /* somebody may still want to know how it ended */
	STRAY_LEFT, /* not ours to remove: why says what to do */
};

struct stray {
	enum stray_kind kind;
	enum stray_fate fate;
	char *ns, *id; /* whose; NULL of a socket */
	char *name;    /* in its folder, of a socket and of a temporary file; else NULL */
	char *what;    /* as people call it: a path, or of a container NAMESPACE/ID */
	char *why;
};

struct strays {
	struct stray *v;
	size_t n;
};

#define STRAYS_INIT	 ((struct strays){ NULL, 0 })
#define _cleanup_strays_ __attribute__((cleanup(strays_deinit)))

void strays_deinit(struct strays *s);

/* "socket", "unfinished", ... */
const char *stray_kind_name(enum stray_kind kind);

/*
 * All of them, in the order of their kinds; of one namespace (then without sockets, which have none),
 * or of all with NULL. ask: the runtimes are asked about their states, each call with a deadline;
 * without, all those are STRAY_LEFT. A ROOT that is not there has none. 0 or a code.
 */
int strays_find(const char *root, const char *ns, bool ask, struct strays *ret, struct error *err);

/*
 * Removes one that strays_find() has found, of STRAY_GOES or STRAY_KEPT: looks at it once more with its
 * lock held. What is gone by now is a success. A code where it stays, and err says why.
 */
int stray_remove(const char *root, const struct stray *s, struct error *err);

/* --- of strays_runtime.c --- */

/* What the runtime says of ROOT/r/NS/ID: whether it can go, and why. *ret_why: the caller frees. 0 or a code. */
int stray_judge_runtime(const char *root, const char *ns, const char *id, enum stray_fate *ret_fate,
	char **ret_why, struct error *err);

/* Has the runtime delete it, after which nothing of it is left; or a code. */
int stray_delete_runtime(const char *root, const char *ns, const char *id, struct error *err);
