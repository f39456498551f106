/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A container whose shim is dead: what is known of it, and how all of it is removed. For programs
 * that may block; the shim's own `delete`, the command line and the supervisor share it.
 */

#include <stdbool.h>

#include "common/ending.h"
#include "common/error.h"
#include "common/ledger.h"
#include "common/runtime.h"
#include "common/state_dir.h"

/*
 * The init's entry in the folder's ledger. *ret: found is false where nothing was recorded. The
 * caller frees the entry with exit_entry_deinit().
 */
int orphan_exit(
	const struct state_dir *dir, bool *ret_found, struct exit_entry *ret, struct error *err);

struct orphan_options {
	bool force;
	bool is_leashed;     /* what is run stays in our process group, and dies with this thread */
	const char *program; /* that has the verb `unmount`; NULL: cleat-shim is looked for */
	/*
	 * Where the init lives until it is killed here, how it ended, which is put into the ledger, too;
	 * the caller's. NULL: nobody wants to know.
	 */
	struct ending *init;
};

/*
 * Removes an orphan: with force its processes are killed first; without, one whose init lives is
 * CODE_FAILED_PRECONDITION, as is any container whose shim lives. Then the runtime's delete
 * --force, the rootfs that Create had mounted (by `cleat-shim unmount`), the socket, and the
 * folder; what fails leaves the rest as it is, to be tried again. dir is a reader's; it is locked
 * and removed (a bundle is cleared), and to be closed by the caller.
 */
int orphan_remove(struct state_dir *dir, const struct orphan_options *options, struct error *err);
/* The same with force alone said. */
int orphan_delete(struct state_dir *dir, bool force, struct error *err);

/* The runtime that an orphan was made with, to be asked about it. *ret: runtime_deinit(). */
int orphan_runtime(const struct container_record *record, struct runtime *ret, struct error *err);
