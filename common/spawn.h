/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The only fork of the project. The child shares our memory until it executes (vfork), gets the
 * descriptors it is given and no other, default signal dispositions, an empty mask, and tells by
 * a close-on-exec pipe whether the program could be executed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

#include "common/pidref.h"

struct spawn_fd {
	int from; /* ours; stays open here; may repeat */
	int to;	  /* the child's number for it; each at most once */
};

struct spawn_options {
	const char *
		path; /* searched in the PATH of this process when it has no slash; NULL: argv[0] */
	char *const *argv;	    /* ends with NULL */
	char *const *env;	    /* ends with NULL; NULL: this process's own */
	const char *cwd;	    /* NULL: unchanged */
	const struct spawn_fd *fds; /* of 0, 1, 2 what is not named is /dev/null */
	size_t n_fds;
	bool new_group;	  /* a process group of its own, so that all of it can be signalled */
	bool new_session; /* a session of its own (and so a group) */
	int death_signal; /* sent to it when this thread ends; 0: none */
	const struct rlimit *nofile; /* the descriptor limit to run with; NULL: unchanged */
};

/*
 * 0, or -errno: of the fork, of preparing the child, or of execve itself (-ENOENT, -EACCES,
 * -ENOEXEC, ...); then no child is left. ret is owned by the caller, who also reaps.
 */
int spawn(const struct spawn_options *options, struct pidref *ret);

/*
 * The absolute path of a program: name itself if it has a slash, else the first executable file
 * of that name in an absolute folder of PATH (a default path if PATH is not set). The caller frees.
 * 0, -ENOENT, -EACCES (found, none an executable file), -ENOMEM, or -errno for a name with a slash.
 */
int spawn_find_program(const char *name, char **ret);
