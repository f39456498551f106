/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * cleatd.json: what the administrator sets about the supervisor. Read when cleatd starts and whenever
 * it is told to reload; never written. Options of the command line go before it, which is its reader's
 * to see to.
 *
 *   {"v": 1, "root": "/run/cleat", "socket": "/run/cleat/cleatd.sock",
 *    "shim": "/usr/libexec/cleat/cleat-shim", "runtime": "crun", "log_level": "info",
 *    "shim_answer_ms": 50, "deadline_ms": 60000, "max_connections": 1024}
 *
 * Every key but "v" may be missing, and so may the file. Nothing that is not known is passed over.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/argv.h"
#include "common/error.h"
#include "common/log.h"
#include "common/limits.h"

#define CONFIG_PATH "/etc/cleat/cleatd.json"

/* NULL: not said, and then it is as the comment has it. */
struct config {
	char *root;    /* absolute; state_default_root() */
	char *socket;  /* absolute, fit for sun_path; ROOT/cleatd.sock */
	char *shim;    /* absolute; as shim_find() finds it */
	char *runtime; /* of creations that name none: as `--runtime` has it; runc */
	enum log_level log_level;
	uint32_t shim_answer_ms; /* after that a shim is shown from its files */
	uint32_t deadline_ms;	 /* of a runtime call */
	uint32_t max_connections;
};

#define CONFIG_INIT                                                                                \
	((struct config){ .log_level = LOG_LEVEL_INFO,                                             \
		.shim_answer_ms = SHIM_ANSWER_MS,                                                  \
		.deadline_ms = RUNTIME_DEADLINE_MS,                                                \
		.max_connections = SUPERVISOR_CONNECTIONS })
#define _cleanup_config_ __attribute__((cleanup(config_deinit)))

/* Becomes CONFIG_INIT. Safe to repeat. */
void config_deinit(struct config *c);

/*
 * Reads the file at path; *ret, an initialised one, is replaced on success alone. No file: the defaults (a
 * link that leads nowhere is a mistake, though). CODE_INVALID_ARGUMENT with file, line and key:
 * "/etc/cleat/cleatd.json:3: log_level: none of debug, info, warning, error".
 */
int config_read(const char *path, struct config *ret, struct error *err);

/* The same over n bytes; file: what the sentences call it. For tests and fuzzers too. */
int config_read_in(
	const char *file, const void *data, size_t n, struct config *ret, struct error *err);

/*
 * Takes over what can change while cleatd runs: runtime, log_level, shim_answer_ms, deadline_ms. The
 * names of the keys that differ and stay as they are in *now (root, socket, shim, max_connections) are
 * added to *ret_kept: those need a restart. Both are as they were read: what the command line has gone
 * before with is not in either. 0, or -ENOMEM with *now as it was.
 */
int config_reload(struct config *now, const struct config *wanted, struct argv *ret_kept);
