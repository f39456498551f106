/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The folders above the containers' own; for state_dir.c, and for who looks for what nobody owns. What
 * others need is in state_dir.h.
 */

#include <stdbool.h>

#include "common/argv.h"
#include "common/error.h"

/*
 * Checks both names and opens ROOT/c/NS, following no link. *ret_fd is the caller's.
 * CODE_NOT_FOUND if it is not there; other errors name the folder.
 */
int state_open_ns(const char *root, const char *ns, const char *id, int *ret_fd, struct error *err);

/* The names in a folder that pass, sorted. 0 or -errno. */
int state_list_names(int dir, bool (*pass)(const char *name), struct argv *ret);
