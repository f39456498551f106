/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Starting a shim through its `start` command: the one way for every client of ours. */

#include <stdbool.h>

#include "common/argv.h"
#include "common/error.h"

/*
 * Finds cleat-shim beside this program, then in libexec (PREFIX/libexec/cleat), then on the PATH.
 * The caller frees. CODE_NOT_FOUND.
 */
int shim_find(char **ret, struct error *err);

/*
 * Runs `cleat-shim -root ROOT -namespace NS -id ID -ttrpc-address= [-cgroup PATH] [-debug] start` and reads the
 * address it prints ("unix://PATH"); *ret is PATH, the caller frees. The empty address keeps a stray
 * TTRPC_ADDRESS in our environment from sending the events anywhere. On failure err is the sentence that the
 * command printed, with CODE_ALREADY_EXISTS if it exits with SHIM_START_EXISTS.
 */
#define SHIM_START_EXISTS 17
/* `cleat-shim unmount ROOTFS made`: the folder was made for the mounts, and goes too, if it is empty */
#define SHIM_UNMOUNT_MADE "made"
int shim_start(const char *root, const char *ns, const char *id, bool debug, char **ret,
	struct error *err);

/* The same in two halves, for who has a loop: the command, and what its end means. cgroup: which the
 * shim is to be in; NULL: its starter's. */
int shim_start_line(const char *program, const char *root, const char *ns, const char *id,
	const char *cgroup, bool debug, struct argv *ret);
struct run_result;
int shim_start_judge(const struct run_result *run, char **ret, struct error *err);
#define SHIM_START_OUTPUT      (64u << 10) /* bytes of either of its streams that are looked at */
#define SHIM_START_DEADLINE_MS 10000
