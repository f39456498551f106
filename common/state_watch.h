/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Containers' folders as they come and go below ROOT, in every namespace or in one (inotify(7)). The
 * caller polls the descriptor and dispatches.
 *
 * Every container that is there when watching begins is told as well. A folder may be told of twice;
 * one that came and went in between may be told as gone only.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct state_watch;

struct state_watch_handlers {
	/* A folder is there, or its shim has written shim.json, if it had none when first told of. */
	void (*on_folder)(const char *ns, const char *id, void *userdata);
	/* It has been removed or renamed away. */
	void (*on_gone)(const char *ns, const char *id, void *userdata);
	/* The kernel has dropped notices: everything was told anew, what is not told is gone. */
	void (*on_rescan_begin)(void *userdata), (*on_rescan_end)(void *userdata);
	void *userdata;
};

/*
 * ROOT/c is made if it is not there. ns NULL: every namespace. Tells of what is there before it
 * returns. handlers is kept, not copied.
 */
int state_watch_new(const char *root, const char *ns, const struct state_watch_handlers *handlers,
	struct state_watch **ret, struct error *err);
/* Takes NULL. */
void state_watch_free(struct state_watch *w);

/* Readable when there is something to dispatch. */
int state_watch_fd(const struct state_watch *w);
/* Reads and tells what there is. May be called at any time. */
void state_watch_dispatch(struct state_watch *w);

/*
 * on_folder runs again once the folder has a shim.json; until then or until it is gone one watch
 * is kept on it. 0, or -errno (-ENOENT: it has gone).
 */
int state_watch_await(struct state_watch *w, const char *ns, const char *id);
