/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/error.h"
#include "common/state_dir.h"

/*
 * Where a bundle's state.json cannot be read: writes one anew of what the bundle's option files and
 * its mounts tell, which is enough to remove the container by its runtime. Its pid is not in it: a bare
 * number says nothing. Takes the lock for as long as that. Errors as state_dir_lock() and
 * options_file_read().
 */
int record_rebuild(struct state_dir *dir, const char *default_root, struct error *err);
