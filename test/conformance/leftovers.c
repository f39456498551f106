/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for leftovers by names that nothing else on the machine has. Removes only what it finds
 * under them; processes end with the container that the runtime removes.
 */
#include "test/conformance/leftovers.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/argv.h"
#include "common/cleanup.h"
#include "common/run.h"
#include "shim/cgroup_places.h"
#include "test/conformance/launch.h"

#define REMOVE_MS 10000

static void remove_container(const struct box *box, const char *root)
{
	_cleanup_(run_result_deinit) struct run_result result = RUN_RESULT_INIT;
	const char *const argv[] = { "runc", "--root", root, "delete", "--force", box->id, NULL };
	const struct run_options options = {
		.argv = (char *const *)argv,
		.out_limit = 4096,
		.err_limit = 4096,
		.deadline_ms = REMOVE_MS,
	};

	run_program(&options, &result);
}

static bool processes_gone(void *userdata)
{
	const struct box *box = userdata;
	struct proc_stat stat;

	/* pids are given anew after 4 million others */
	for (int who = INIT; who < _WHO_MAX; who++)
		if (box->pid[who] && proc_stat_read((pid_t)box->pid[who], &stat) == 0 &&
			stat.state != 'Z')
			return false;
	return true;
}

/* Whether one of the folders is there. */
static bool has_cgroups(const struct argv *folders)
{
	for (size_t i = 0; i < folders->n; i++)
		if (access(folders->v[i], F_OK) == 0)
			return true;
	return false;
}

/* A group is busy until the last of its processes has been reaped. */
static bool cgroups_removed(void *userdata)
{
	const struct argv *folders = userdata;

	for (size_t i = folders->n; i-- > 0;)
		rmdir(folders->v[i]);
	return !has_cgroups(folders);
}

static void find_cgroups(const struct box *box, struct argv *ret)
{
	_cleanup_cgroup_places_ struct cgroup_places own = CGROUP_PLACES_INIT;

	if (cgroup_places_read(0, &own) < 0 || cgroup_places_wanted(&own, NULL, box->id, ret) < 0)
		die("the cgroups of %s cannot be looked for", box->id);
}

char *leftovers_remove(struct box *box)
{
	_cleanup_free_ char *top = launch_runtime_root(box->conform);
	_cleanup_free_ char *root = format("%s/%s", top, CONFORM_NS);
	_cleanup_free_ char *state = format("%s/%s", root, box->id);
	_cleanup_argv_ struct argv folders = ARGV_INIT;
	bool socket = unlink(box->socket) == 0, container = access(state, F_OK) == 0;
	bool processes, cgroups;

	if (container)
		remove_container(box, root);
	processes = !conform_wait(box->conform, processes_gone, box, container ? REMOVE_MS : 0);
	find_cgroups(box, &folders);
	cgroups = has_cgroups(&folders);
	if (cgroups)
		conform_wait(box->conform, cgroups_removed, &folders, REMOVE_MS);
	if (!socket && !container && !processes && !cgroups)
		return NULL;
	/* the cgroups of a container that is left are no news */
	return format("left behind:%s%s%s%s", socket ? " socket" : "",
		container ? " container" : "", processes ? " processes" : "",
		cgroups && !container ? " cgroups" : "");
}
