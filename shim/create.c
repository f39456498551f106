/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Create, from the request to a container that waits for its start, and back to nothing when it
 * fails.
 *
 *   step      does                                  undone by a failure after it
 *   prepare   bundle, streams, ledger               closed, removed
 *   mounts    the rootfs list, in a child           unmounted, in a child
 *   launch    the runtime's create, pid, console    `state` once: what is ours, delete --force;
 *                                                   strays killed and awaited, new cgroups removed
 *   publish   state.json, event, reply
 *
 * Subtle: a runtime may refuse a create before it has looked at the id, which then may be that of
 * somebody else's container: nothing is deleted by its id alone.
 */
#include "shim/container_life.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/pidref.h"
#include "common/runtime_leftover.h"
#include "mount.pb-c.h"
#include "shim/mount.h"
#include "shim/runtime_call.h"
#include "shim/shim.h"

static enum runtime_verb making_verb(const struct container *c)
{
	return c->made_running ? RUNTIME_RUN : RUNTIME_CREATE;
}

/* --- undoing --- */

static void undo_done(struct operation *op)
{
	struct container *c = op->container;
	int r = 0;

	if (op->is_asked && !op->is_anothers)
		r = runtime_leftover_remove(&c->runtime, c->id);
	if (r < 0)
		log_error("the runtime's folder of a failed create is left", F_STR("id", c->id),
			F_STR("error", strerror(-r)));
	cgroup_remove_empty(&c->new_cgroups);
	unlinkat(c->shim->dir.fd, "init.pid", 0);
	unlinkat(c->shim->dir.fd, "exits.jsonl", 0);
	unlinkat(c->shim->dir.fd, "state.json", 0);
	c->init->status = PROCESS_DELETED;
	operation_fail(op, making_verb(c));
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

static void settle_timeout(evutil_socket_t fd, short what, void *userdata)
{
	struct operation *op = userdata;

	(void)fd;
	(void)what;
	log_error("a process of a failed create does not die", F_STR("id", op->container->id));
	op->container->settling = NULL;
	undo_mounts(op);
}

/* Goes on once no child is left that the runtime may have made. */
static void settle(struct operation *op)
{
	struct container *c = op->container;

	c->settling = NULL;
	if (reaper_kill_strays(c->shim->reaper) > 0 &&
		(op->timer || operation_set_timer(op, STOP_GRACE_MS, settle_timeout) == 0)) {
		c->settling = op;
		return;
	}
	if (op->timer)
		event_del(op->timer);
	undo_mounts(op);
}

void create_settle(struct container *c)
{
	if (c->settling)
		settle(c->settling);
}

static void on_undeleted(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;

	(void)words;
	(void)outcome;
	if (err->code != CODE_OK)
		log_debug("nothing to delete after a failed create",
			F_STR("error", error_message(err)));
	if (op->timer) {
		event_free(op->timer);
		op->timer = NULL;
	}
	settle(op);
}

static void undo_runtime(struct operation *op)
{
	struct container *c = op->container;
	const struct runtime_request request = {
		.verb = RUNTIME_DELETE, .id = c->id, .force = true
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	if (runtime_call_begin(c->shim, &c->runtime, &request, NULL, STOP_GRACE_MS, on_undeleted,
		    op, NULL, &err) != 0)
		on_undeleted(&err, NULL, NULL, op);
}

static void count(pid_t pid, const struct proc_stat *stat, void *userdata)
{
	(void)pid;
	(void)stat;
	++*(unsigned *)userdata;
}

/* Whether the run has left a process to us: then it got as far as making a container. */
static bool has_strays(const struct container *c)
{
	unsigned n = 0;

	reaper_each_stray(c->shim->reaper, count, &n);
	return n > 0;
}

/*
 * An init that lives is a child of ours since the run has ended. One that has ended is told by the
 * time at which it was made, where that is known.
 */
static bool is_ours(const struct container *c, const struct runtime_state *s)
{
	struct proc_stat stat;

	if (s->pid > 0 && proc_stat_read(s->pid, &stat) == 0)
		return launch_is_child(c->shim, s->pid);
	return !s->created || s->created >= c->created_at;
}

static void on_state(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;
	struct container *c = op->container;
	struct runtime_state state = { 0 };
	bool is_gone = err->code == CODE_NOT_FOUND;

	(void)words;
	/* one that hangs may have answered before */
	if (outcome && runtime_read_state(&c->runtime, &outcome->out, &state, NULL) == 0)
		op->is_anothers = !is_ours(c, &state);
	else if (!is_gone)
		op->is_anothers = !has_strays(c);
	runtime_state_deinit(&state);
	if (op->is_anothers)
		log_warn("what the runtime has is not of the failed create, and is left alone",
			F_STR("id", c->id), F_STR("error", is_gone ? "" : error_message(err)));
	if (op->is_anothers || (is_gone && !op->was_killed))
		settle(op);
	else
		undo_runtime(op);
}

/* The runtime is asked once what it has under this id, and whose that is. */
static void undo(struct operation *op)
{
	struct container *c = op->container;
	const struct runtime_request request = { .verb = RUNTIME_STATE, .id = c->id };
	_cleanup_error_ struct error err = ERROR_INIT;

	op->is_anothers = op->error.code == CODE_ALREADY_EXISTS;
	if (!op->is_asked || op->is_anothers) {
		settle(op);
		return;
	}
	if (runtime_call_begin(c->shim, &c->runtime, &request, NULL, STOP_GRACE_MS, on_state, op,
		    NULL, &err) != 0)
		on_state(&err, NULL, NULL, op);
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
	};

	events_add(c->shim->events, &args);
}

static void publish(struct operation *op)
{
	struct container *c = op->container;
	struct process *p = c->init;
	const struct op_result result = { .pid = p->pid };

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

static void on_launched(struct operation *op, bool ok)
{
	struct container *c = op->container;
	struct shim *shim = c->shim;

	if (!ok) {
		undo(op);
		return;
	}
	publish(op);
	if (container_is_current(shim, c))
		container_announce(c);
	shim_container_changed(shim); /* it may have been told to end meanwhile */
}

static void on_mounted(const struct error *err, void *userdata)
{
	struct operation *op = userdata;

	if (err->code == CODE_OK) {
		launch_begin(op, making_verb(op->container), on_launched);
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
		launch_begin(op, making_verb(op->container), on_launched);
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

static int copy_params(struct container *c, const struct create_params *params)
{
	struct process *p = c->init;

	p->terminal = params->terminal;
	if (copy_string(&c->id, params->id) < 0 ||
		copy_string(&c->bundle_path, params->bundle) < 0 ||
		copy_string(&p->stdin_uri, params->stdin_uri) < 0 ||
		copy_string(&p->stdout_uri, params->stdout_uri) < 0 ||
		copy_string(&p->stderr_uri, params->stderr_uri) < 0 ||
		runtime_copy(&c->runtime, &params->runtime) < 0 || copy_rootfs(c, params) < 0)
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
	if (params->run && params->terminal)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"run does not go with a terminal: create, resize, start");
	return 0;
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
