/* SPDX-License-Identifier: Apache-2.0 */

/* The scripted runtime's commands that stop, end or change a container. Paused is SIGSTOP for all
 * of its processes: what is frozen by a cgroup elsewhere is stopped here. */

#include "test/fault/fake_container.h"
#include "test/fault/fake_script.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fake_kill(struct fake *fake)
{
	const char *name = fake->n_args > 1 ? fake->args[1] : "TERM";
	struct container c;
	int sig, r = container_need(fake, &c);

	if (r != 0)
		return r;
	if (strcmp(name, "0") == 0)
		sig = 0;
	else if (!parse_signal(name, &sig)) {
		if (*name >= '0' && *name <= '9')
			return fake_fail(fake, "unable to signal init: invalid argument");
		return fake_fail(fake, "unknown signal \"%s\"", name);
	}
	if (fake->options.all) {
		(void)container_signal_all(&c, sig);
		return 0;
	}
	if (container_status(&c) == STATUS_STOPPED)
		return fake_fail(fake, "container not running");
	r = process_signal(c.pid, c.start_time, sig);
	if (r == -ESRCH)
		return fake_fail(fake, "unable to signal init: os: process already finished");
	return r < 0 ? fake_fail(fake, "unable to signal init: %s", strerror(-r)) : 0;
}

static int destroy(struct fake *fake, const struct container *c)
{
	if (!container_kill_all(c))
		return fake_fail(fake, "container init still running");
	container_remove(fake, c->id);
	return 0;
}

int fake_delete(struct fake *fake)
{
	const char *id = fake->args[0];
	struct container c;
	enum status status;
	int r;

	if (fake->options.force && container_open(fake, id, &c) < 0) {
		if (!strchr(id, '/'))
			container_remove(fake, id);
		return 0;
	}
	r = container_need(fake, &c);
	if (r != 0)
		return r;
	status = container_status(&c);
	if (!fake->options.force && (status == STATUS_RUNNING || status == STATUS_PAUSED))
		return fake_fail(fake, "cannot delete container %s that is not stopped: %s", id,
			status_name(status));
	return destroy(fake, &c);
}

int fake_pause(struct fake *fake)
{
	struct container c;
	enum status status;
	int r = container_need(fake, &c);

	if (r != 0)
		return r;
	status = container_status(&c);
	if (status != STATUS_RUNNING && status != STATUS_CREATED)
		return fake_fail(fake, "container not running");
	if (container_put(&c, "paused", "") < 0)
		return fake_fail(fake, "unable to freeze");
	(void)container_signal_all(&c, SIGSTOP);
	return 0;
}

int fake_resume(struct fake *fake)
{
	struct container c;
	enum status status;
	int r = container_need(fake, &c);

	if (r != 0)
		return r;
	status = container_status(&c);
	if (status == STATUS_STOPPED)
		return fake_fail(fake, "container not running");
	if (status != STATUS_PAUSED)
		return fake_fail(fake, "container not paused");
	(void)container_signal_all(&c, SIGCONT);
	(void)unlinkat(c.dir, "paused", 0);
	return 0;
}

int fake_checkpoint(struct fake *fake)
{
	const char *folder = fake->options.image_path ? fake->options.image_path : "checkpoint";
	struct container c;
	enum status status;
	char path[4096];
	int r = container_need(fake, &c);

	if (r != 0)
		return r;
	status = container_status(&c);
	if (status == STATUS_CREATED || status == STATUS_STOPPED)
		return fake_fail(
			fake, "Container cannot be checkpointed in %s state", status_name(status));
	snprintf(path, sizeof(path), "%s/fake.img", folder);
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return fake_fail(fake, "mkdir %s: %s", folder, strerror(errno));
	r = fake_write_file(path, "image\n");
	if (r < 0)
		return fake_fail(fake, "open %s: %s", path, strerror(-r));
	return fake->options.leave_running ? 0 : destroy(fake, &c);
}

int fake_update(struct fake *fake)
{
	const char *path = fake->options.resources;
	struct container c;
	json_error_t error;
	json_t *resources;
	int r = container_need(fake, &c);

	if (r != 0)
		return r;
	if (container_status(&c) == STATUS_STOPPED)
		return fake_fail(fake, "container not running");
	if (!path)
		return 0;
	resources = strcmp(path, "-") == 0 ? json_loadf(stdin, 0, &error)
					   : json_load_file(path, 0, &error);
	if (!resources)
		return fake_fail(fake, "%s", error.text);
	json_decref(resources);
	return 0;
}
