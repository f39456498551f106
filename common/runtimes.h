/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * runtimes.json: names for sets of runtime options. Read whenever a name is asked for that is no
 * runtime's own and no path; never written, never kept. A set may also be a file of its own.
 *
 *   {"v": 1, "runtimes": {"NAME": {"kind": "runsc", "command": "/usr/bin/runsc",
 *    "root": "/run/fast", "options": ["platform=ptrace", "network=none"],
 *    "systemd_cgroup": false, "deadline_ms": 60000}}}
 *
 * Every key of a set may be missing. Nothing that is not known is passed over.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/argv.h"
#include "common/error.h"

#define RUNTIMES_PATH	  "/etc/cleat/runtimes.json"
#define RUNTIMES_VARIABLE "CLEAT_RUNTIMES" /* in the environment: another file instead */

/* One set. NULL, false and 0: not said. */
struct runtime_set {
	char *kind;    /* runc, crun, runsc */
	char *command; /* a name or an absolute path */
	char *root;    /* absolute */
	struct argv options;
	bool systemd_cgroup;
	uint32_t deadline_ms;
};

#define RUNTIME_SET_INIT      ((struct runtime_set){ .options = ARGV_INIT })
#define _cleanup_runtime_set_ __attribute__((cleanup(runtime_set_deinit)))

void runtime_set_deinit(struct runtime_set *s);

/* The file that is read: $CLEAT_RUNTIMES, or RUNTIMES_PATH. Not owned. */
const char *runtimes_path(void);

/*
 * Finds name in the file at path. All of the file is checked, so that a mistake shows at once:
 * CODE_INVALID_ARGUMENT with file, line and key ("/etc/cleat/runtimes.json:7:
 * runtimes.fast.options: not a list of strings"). CODE_NOT_FOUND: no such name, or no such file;
 * the sentence is the caller's to make.
 */
int runtimes_find(const char *path, const char *name, struct runtime_set *ret, struct error *err);

/* The same over n bytes; file: what the sentences call it. For tests and fuzzers too. */
int runtimes_find_in(const char *file, const void *data, size_t n, const char *name,
	struct runtime_set *ret, struct error *err);

/*
 * Adds the names of all sets in the file at path to *ret, in its order. Errors as runtimes_find()'s:
 * CODE_NOT_FOUND is no such file.
 */
int runtimes_names(const char *path, struct argv *ret, struct error *err);

/*
 * One set alone, without a name, as a file's whole content: {"command": "/usr/bin/crun"}. Checked the
 * same way: "FILE:2: options: not a list of strings". Errors as runtimes_find()'s.
 */
int runtime_set_read(const char *path, struct runtime_set *ret, struct error *err);
int runtime_set_read_in(
	const char *file, const void *data, size_t n, struct runtime_set *ret, struct error *err);
