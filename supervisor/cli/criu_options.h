/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Options that `checkpoint` and `restore` share, after those of runc, and the message that they
 * become. Paths of folders are made absolute here: the shim's working folder is not the caller's.
 */

#include <stdbool.h>

#include "common/argv.h"
#include "common/error.h"
#include "monitor.pb-c.h"
#include "supervisor/cli/options.h"

struct criu_options {
	const char *image_path, *work_path, *cgroups_mode;
	struct argv empty_namespaces;
	bool open_tcp, external_unix_sockets, shell_job, file_locks, lazy_pages, auto_dedup;
	/* checkpoint */
	const char *parent_path, *page_server;
	bool leave_running, pre_dump;
	/* restore */
	const char *lsm_profile, *lsm_mount_context;
};

/* s: the command's struct; m: its member that is a struct criu_options. */
#define CRIU_OPTIONS(s, m)                                                                         \
	OPTION_VALUE(                                                                              \
		0, "image-path", "DIR", s, m.image_path, "folder of the image [./checkpoint]"),    \
		OPTION_VALUE(0, "work-path", "DIR", s, m.work_path,                                \
			"folder for CRIU's files and logs"),                                       \
		OPTION_FLAG(0, "tcp-established", s, m.open_tcp, "with open TCP connections"),     \
		OPTION_FLAG(0, "ext-unix-sk", s, m.external_unix_sockets,                          \
			"with Unix sockets that lead out of it"),                                  \
		OPTION_FLAG(0, "shell-job", s, m.shell_job,                                        \
			"with a session or a terminal from outside"),                              \
		OPTION_FLAG(0, "file-locks", s, m.file_locks, "with file locks"),                  \
		OPTION_FLAG(0, "lazy-pages", s, m.lazy_pages, "memory comes page by page"),        \
		OPTION_FLAG(0, "auto-dedup", s, m.auto_dedup,                                      \
			"drop what a later image has from those before"),                          \
		OPTION_CHOICE(0, "manage-cgroups-mode", "MODE", "soft full strict", s,             \
			m.cgroups_mode, "soft, full or strict"),                                   \
		OPTION_MANY(0, "empty-ns", "NAMESPACE", s, m.empty_namespaces,                     \
			"leave out what is in it; may be repeated")

/* What owns the strings of a message. */
struct criu_paths {
	char *image, *work;
};

#define _cleanup_criu_paths_ __attribute__((cleanup(criu_paths_deinit)))
void criu_paths_deinit(struct criu_paths *paths);

/*
 * Fills m, which points into o and paths. exit is as `checkpoint` has it: unless it is told to go
 * on. 0, or a code.
 */
int criu_options_fill(const struct criu_options *o, Cleat__Shim__V1__CriuOptions *m,
	struct criu_paths *paths, struct error *err);
