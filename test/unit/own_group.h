/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Groups of this host for a test, and children in them. */

#include <sys/wait.h>

#include "common/cleanup.h"
#include "shim/cgroup_places.h"
#include "test/unit/unit.h"

/* A hierarchy of this host in which a group can be made; freed by the caller. NULL: there is none. */
static inline char *own_folder(void)
{
	_cleanup_cgroup_places_ struct cgroup_places own = CGROUP_PLACES_INIT;

	assert_int_equal(cgroup_places_read(0, &own), 0);
	for (size_t i = 0; i < own.n; i++)
		if (strcmp(own.v[i].controllers, "pids") == 0)
			return cgroup_place_folder(&own.v[i], own.v[i].path);
	for (size_t i = 0; i < own.n; i++)
		if (cgroup_place_is_v2(&own.v[i]))
			return cgroup_place_folder(&own.v[i], own.v[i].path);
	return NULL;
}

static inline _Noreturn void wait_for_ever(void)
{
	for (;;)
		pause();
}

/* A child that waits for ever, in a group (NULL: ours). */
static inline pid_t sleeper(const char *folder)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *path = NULL;
	pid_t pid = fork_child();
	char text[32];

	if (pid == 0)
		wait_for_ever();
	if (!folder)
		return pid;
	assert_true(asprintf(&path, "%s/cgroup.procs", folder) > 0);
	snprintf(text, sizeof(text), "%d", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return pid;
}

/* The signal that has ended a child. */
static inline int reap(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return WTERMSIG(status);
}
