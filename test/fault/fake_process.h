/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The making of a container's process, init or exec: what config.json or a process spec asks for,
 * and the fork that does it. No namespaces, no mounts, no uid: a plain process that leads a
 * session of its own. Its program and working directory are looked for under the rootfs first and
 * on the host then.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "test/fault/fake_container.h"
#include "test/fault/fake_script.h"

/* What to run. Lives until the end of the process. */
struct program {
	char **args;
	char **env;
	const char *path; /* of args[0], found */
	const char *cwd;
	bool terminal;
	unsigned rows, cols; /* of consoleSize; 0: none */
	char bundle[4096], rootfs[4096];
};

/* Reads bundle (its config.json) into ret and finds the program. 0 or an exit status, told. */
int program_from_bundle(struct fake *fake, const char *bundle, struct program *ret);

/* For an exec into a container of that bundle: --process, or the arguments after the id over what
 * config.json has for cwd and env, then --cwd, --env and --tty. 0 or an exit status, told. */
int program_for_exec(struct fake *fake, const char *bundle, struct program *ret);

/* Whether terminal, --console-socket and detaching fit. 0 or an exit status, told. */
int program_check_console(struct fake *fake, const struct program *program, bool detach);

/*
 * Forks it. gated: it waits in exec.fifo of the container before it runs the program, else it has
 * executed the program when this returns. verdict: it ends so instead. early_orphan: its parent
 * is already whoever adopts orphans; late_orphan: it is a process that lives until the file is
 * there. 0, or an exit status, told; then no process is left.
 */
struct launch {
	const struct program *program;
	const struct container *container;
	bool gated, early_orphan;
	const char *late_orphan; /* NULL: not */
	struct verdict verdict;
};

int launch_process(struct fake *fake, const struct launch *launch, pid_t *ret_pid);
