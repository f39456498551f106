/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Create, from the request to a container that waits for its start, and back to nothing when it
 * fails.
 *
 *   step      does                                  undone by a failure after it
 *   prepare   bundle, streams, ledger               closed, removed
 *   mounts    the rootfs list, in a child           unmounted, in a child
 *   launch    the runtime's create, pid, console    undo.c
 *   start     where it is to run, and was not yet   undo.c
 *   publish   state.json, event, reply
 */
#include "shim/container_life.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/log.h"
#include "mount.pb-c.h"
#include "shim/criu.h"
#include "shim/mount.h"
#include "shim/runtime_call.h"
#include "shim/shim.h"

static enum runtime_verb making_verb(const struct container *c)
{
	if (c->restore)
		return RUNTIME_RESTORE;
	return c->made_running && !runtime_run_goes_apart(&c->runtime) ? RUNTIME_RUN
								       : RUNTIME_CREATE;
}

/* --- undoing --- */

static void undo_done(struct operation *op)
{
	struct container *c = op->container;

	if (c->restore)
		criu_work_remove(c);
	unlinkat(c->shim->dir.fd, "init.pid", 0);
	unlinkat(c->shim->dir.fd, "exits.jsonl", 0);
	unlinkat(c->shim->dir.fd, "state.json", 0);
	c->init->status = PROCESS_DELETED;
	operation_fail(op, op->is_starting ? RUNTIME_START : making_verb(c));
}

static void on_unmounted(const struct error *err, void *userdata)
{
	struct operation *op = userdata;

	if (err->code != CODE_OK)
		log_error("mounts of a failed create are left", F_STR("error", error_message(err)));
	undo_done(op);
}

static void undo_mounts(struct operation *op)
{
	struct container *c = op->container;
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!c->rootfs_mounted) {
		undo_done(op);
		return;
	}
	if (unmount_begin(c->shim, c->rootfs_mounted, c->rootfs_made, on_unmounted, op, &err) != 0)
		on_unmounted(&err, op);
}

/* --- doing --- */

/* The list as the event has it, in one piece that points into the container. NULL without memory. */
static Containerd__Types__Mount **rootfs_messages(const struct container *c)
{
	size_t n = c->n_rootfs;
	Containerd__Types__Mount **list = calloc(1, n * (sizeof(*list) + sizeof(**list)) + 1);
	Containerd__Types__Mount *room = list ? (void *)(list + n) : NULL;

	for (size_t i = 0; list && i < n; i++) {
		const struct mount_spec *m = &c->rootfs[i];

		list[i] = &room[i];
		containerd__types__mount__init(list[i]);
		list[i]->type = m->type;
		list[i]->source = m->source;
		list[i]->target = m->target;
		list[i]->options = m->options.v;
		list[i]->n_options = m->options.n;
	}
	return list;
}

static void tell(const struct container *c)
{
	_cleanup_free_ Containerd__Types__Mount **rootfs = rootfs_messages(c);
	const struct process *p = c->init;
	const struct event_args args = {
		.kind = EVENT_CREATE,
		.container_id = c->id,
		.pid = p->pid,
		.bundle = c->bundle_path,
		.stdin_uri = p->stdin_uri,
		.stdout_uri = p->stdout_uri,
		.stderr_uri = p->stderr_uri,
		.terminal = p->terminal,
		.rootfs = rootfs,
		.n_rootfs = rootfs ? c->n_rootfs : 0,
		.checkpoint = c->restore ? c->restore->image_path : NULL,
	};

	events_add(c->shim->events, &args);
}

static void publish(struct operation *op)
{
	struct container *c = op->container;
	struct process *p = c->init;
	const struct op_result result = { .pid = p->pid };

	if (p->status == PROCESS_CREATING)
		p->status = PROCESS_CREATED; /* it is restored later */
	bundle_forget_config(&c->bundle);
	container_save(c);
	tell(c);
	if (c->made_running)
		process_publish(p, EVENT_START);
	c->is_told = true;
	container_oom_tell(c);
	operation_finish(op, &ERROR_INIT, &result);
	/* the document is gone: its pages go back, for most of a shim's life is idle */
	malloc_trim(0);
}

static void finish(struct operation *op)
{
	struct container *c = op->container;
	struct shim *shim = c->shim;

	publish(op);
	if (container_is_current(shim, c))
		container_announce(c);
	shim_container_changed(shim); /* it may have been told to end meanwhile */
}

static void on_started(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;
	struct process *p = op->process;

	if (err->code == CODE_OK) {
		p->started_at = clock_now();
		if (!p->exited)
			p->status = PROCESS_RUNNING;
		finish(op);
		return;
	}
	error_set(&op->error, err->code, "%s", error_message(err));
	op->words = words ? strdup(words) : NULL;
	op->was_killed = outcome && WIFSIGNALED(outcome->wait_status);
	launch_take_back(p, PROCESS_CREATING);
	undo_begin(op, undo_mounts);
}

/* The second half of a run in two calls. Until it has ended the container is there for nobody. */
static void start(struct operation *op)
{
	struct container *c = op->container;
	const struct runtime_request request = { .verb = RUNTIME_START, .id = c->id };
	_cleanup_error_ struct error err = ERROR_INIT;
	struct runtime_call *call;

	op->is_starting = true;
	if (!c->init->exited)
		c->init->status = PROCESS_CREATING;
	if (runtime_call_begin(
		    c->shim, &c->runtime, &request, NULL, 0, on_started, op, &call, &err) != 0)
		on_started(&err, NULL, NULL, op);
	else
		launch_record_run(c, runtime_call_process(call));
}

static void on_launched(struct operation *op, bool ok)
{
	const struct container *c = op->container;

	if (!ok)
		undo_begin(op, undo_mounts);
	else if (c->made_running && making_verb(c) == RUNTIME_CREATE)
		start(op);
	else
		finish(op);
}

/* What is to be restored later is not the runtime's before: its restore makes it. */
static void make(struct operation *op)
{
	struct container *c = op->container;

	if (c->restore && !c->made_running)
		publish(op);
	else
		launch_begin(op, making_verb(c), on_launched);
}

static void on_mounted(const struct error *err, void *userdata)
{
	struct operation *op = userdata;

	if (err->code == CODE_OK) {
		make(op);
		return;
	}
	error_set(&op->error, err->code, "%s", error_message(err));
	undo_done(op);
}

static void run_create(struct operation *op)
{
	struct container *c = op->container;
	struct stat st;

	if (cgroup_missing(bundle_cgroups_path(&c->bundle), c->id, &c->new_cgroups) < 0)
		log_warn("cgroups cannot be listed", F_STR("id", c->id));
	/* before anything is made: if we are killed, whoever cleans up reads it there */
	if (c->n_rootfs == 0) {
		container_save(c);
		make(op);
		return;
	}
	c->rootfs_made = lstat(c->rootfs_mounted, &st) < 0 && errno == ENOENT;
	container_save(c);
	if (mount_begin(c->shim, c->rootfs, c->n_rootfs, c->rootfs_mounted, c->rootfs_made,
		    on_mounted, op, &op->error) != 0)
		undo_done(op);
}

static int copy_string(char **to, const char *from)
{
	*to = strdup(from ? from : "");
	return *to ? 0 : -ENOMEM;
}

/* The list is mounted onto the bundle's folder rootfs, as containerd has it. */
static int copy_rootfs(struct container *c, const struct create_params *params)
{
	if (params->n_rootfs == 0)
		return 0;
	c->rootfs = calloc(params->n_rootfs, sizeof(*c->rootfs));
	if (!c->rootfs || asprintf(&c->rootfs_mounted, "%s/rootfs", params->bundle) < 0)
		return -ENOMEM;
	for (; c->n_rootfs < params->n_rootfs; c->n_rootfs++) {
		const struct mount_spec *from = &params->rootfs[c->n_rootfs];
		struct mount_spec *to = &c->rootfs[c->n_rootfs];

		if (copy_string(&to->type, from->type) < 0 ||
			copy_string(&to->source, from->source) < 0 ||
			copy_string(&to->target, from->target) < 0 ||
			argv_copy(&to->options, &from->options) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int copy_restore(struct container *c, const struct create_params *params)
{
	if (!params->restore)
		return 0;
	c->restore = calloc(1, sizeof(*c->restore));
	if (!c->restore || criu_copy(c->restore, params->restore) < 0)
		return -ENOMEM;
	return criu_default_work(c, c->restore);
}

static int copy_params(struct container *c, const struct create_params *params)
{
	struct process *p = c->init;

	p->terminal = params->terminal;
	if (copy_string(&c->id, params->id) < 0 ||
		copy_string(&c->bundle_path, params->bundle) < 0 ||
		copy_string(&p->stdin_uri, params->stdin_uri) < 0 ||
		copy_string(&p->stdout_uri, params->stdout_uri) < 0 ||
		copy_string(&p->stderr_uri, params->stderr_uri) < 0 ||
		runtime_copy(&c->runtime, &params->runtime) < 0 || copy_rootfs(c, params) < 0 ||
		copy_restore(c, params) < 0)
		return -ENOMEM;
	return 0;
}

static int open_streams(struct container *c, const struct create_params *params, struct error *err)
{
	const struct stdio_spec spec = {
		.in = c->init->stdin_uri,
		.out = c->init->stdout_uri,
		.err = c->init->stderr_uri,
		.terminal = params->terminal,
		.fds = params->fds,
		.n_fds = params->n_fds,
		.io_uid = params->io_uid,
		.io_gid = params->io_gid,
		.loggers = c->shim->loggers,
		.logs = c->shim->logs,
		.id = c->id,
	};

	return stdio_open(c->shim->base, &spec, &c->init->stdio, err);
}

static int prepare(struct container *c, const struct create_params *params, struct error *err)
{
	const char *spec_bundle = params->spec_bundle;
	int r = process_new(c, "", &c->init);

	if (r == 0)
		r = copy_params(c, params);
	if (r < 0)
		return error_errno(err, r, "create");
	c->created_at = clock_now();
	c->n_processes = 1;
	c->made_running = params->run;
	r = bundle_load(
		spec_bundle && *spec_bundle ? spec_bundle : params->bundle, &c->bundle, err);
	if (r != 0)
		return r;
	c->pids_private = bundle_private_pids(&c->bundle);
	c->stop_signal = bundle_stop_signal(&c->bundle);
	r = open_streams(c, params, err);
	if (r != 0)
		return r;
	return ledger_open(c->shim->dir.fd, &c->shim->ledger, err);
}

/* Where there is no image the runtime need not be asked. */
static int check_restore(const struct criu *criu, struct error *err)
{
	const char *path = criu->image_path;
	struct stat st;

	if (!path || *path != '/')
		return error_set(err, CODE_INVALID_ARGUMENT,
			"checkpoint \"%.200s\" is not an absolute path", path ? path : "");
	if (criu->work_path && *criu->work_path != '/')
		return error_set(err, CODE_INVALID_ARGUMENT,
			"the work folder \"%.200s\" is not an absolute path", criu->work_path);
	if (stat(path, &st) < 0)
		return error_errno(err, -errno, "checkpoint \"%.200s\"", path);
	if (!S_ISDIR(st.st_mode))
		return error_errno(err, -ENOTDIR, "checkpoint \"%.200s\"", path);
	return 0;
}

static int check(struct shim *shim, const struct create_params *params, struct error *err)
{
	if (strcmp(params->id, shim->id) != 0)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"this shim is for container %s, not for \"%.80s\"", shim->id, params->id);
	if (shim->container)
		return error_set(err, CODE_ALREADY_EXISTS, "container %s already exists", shim->id);
	if (shim->dir.fd < 0)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s was deleted: its shim is about to end", shim->id);
	if (!params->bundle || params->bundle[0] != '/')
		return error_set(err, CODE_INVALID_ARGUMENT,
			"bundle \"%.200s\" is not an absolute path",
			params->bundle ? params->bundle : "");
	if (params->run && params->terminal && !params->restore)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"run does not go with a terminal: create, resize, start");
	if (params->n_rootfs > LIMIT_MOUNTS)
		return error_set(err, CODE_RESOURCE_EXHAUSTED,
			"container %s: %zu mounts for its rootfs, and %u is the limit", shim->id,
			params->n_rootfs, LIMIT_MOUNTS);
	return params->restore ? check_restore(params->restore, err) : 0;
}

void container_create(
	struct shim *shim, const struct create_params *params, op_done done, void *userdata)
{
	static const struct op_result nothing = { 0 };
	_cleanup_error_ struct error err = ERROR_INIT;
	struct container *c = NULL;

	if (check(shim, params, &err) != 0) {
		done(&err, &nothing, userdata);
		return;
	}
	c = container_new(shim);
	if (!c)
		error_set(&err, CODE_RESOURCE_EXHAUSTED, "no memory");
	if (!c || prepare(c, params, &err) != 0) {
		done(&err, &nothing, userdata);
		container_free(c);
		return;
	}
	shim_container_changed(shim);
	operation_begin(c, OPERATION_CREATE, c->init, run_create, done, userdata);
}
