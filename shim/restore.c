/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of a container that is made from a checkpoint: until then nothing has been asked of the
 * runtime, whose restore makes the container and sets it going in one. A restore that fails is
 * undone like a create; what stays is a container that was never started, to be deleted.
 */
#include "shim/container_life.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "shim/criu.h"
#include "shim/shim.h"

#define WORK "criu-work"

int criu_default_work(const struct container *c, struct criu *criu)
{
	if (criu->work_path)
		return 0;
	if (asprintf(&criu->work_path, "%s/" WORK, c->shim->dir.path) >= 0)
		return 0;
	criu->work_path = NULL;
	return error_trace(-ENOMEM);
}

void criu_work_remove(const struct container *c)
{
	int r = remove_tree(c->shim->dir.fd, WORK);

	if (r < 0)
		log_warn("CRIU's files are left", F_STR("id", c->id), F_STR("error", strerror(-r)));
}

static void finish(struct operation *op, bool ok)
{
	const struct op_result result = { .pid = op->process->pid };
	struct container *c = op->container;
	struct shim *shim = c->shim;

	container_save(c);
	if (ok)
		process_publish(op->process, EVENT_START);
	if (ok)
		operation_finish(op, &ERROR_INIT, &result);
	else
		operation_fail(op, RUNTIME_RESTORE);
	if (container_is_current(shim, c))
		container_announce(c);
	shim_container_changed(shim); /* it may have been told to end meanwhile */
}

static void on_undone(struct operation *op)
{
	finish(op, false);
}

static void on_launched(struct operation *op, bool ok)
{
	if (ok) {
		finish(op, true);
		return;
	}
	op->process->start_failed = true;
	undo_begin(op, on_undone);
}

void restore_run(struct operation *op)
{
	struct process *p = op->process;
	int r = process_check(p, PROCESS_START, &op->error);

	if (r == 0 && p->start_failed)
		r = error_set(&op->error, CODE_FAILED_PRECONDITION,
			"container %s could not be restored before; delete it", op->container->id);
	if (r != 0)
		finish(op, false);
	else
		launch_begin(op, RUNTIME_RESTORE, on_launched);
}
