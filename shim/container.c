/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's record: made, looked up, saved, freed. Never runs anything. Subtle: while its
 * create is under way a container is there for nobody but the operation that makes it.
 */
#include "shim/container.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/log.h"
#include "shim/container_life.h"
#include "shim/criu.h"
#include "shim/leftover.h"
#include "shim/shim.h"

/*
 * The file is written whole, some 6 us for each exec in it: with thousands of them a change would
 * cost tens of milliseconds. Beyond SAVE_AT_ONCE most changes of execs are therefore written together.
 */
#define SAVE_AT_ONCE  64u /* processes */
#define SAVE_DELAY_MS 250

static bool save_is_owed(const struct container *c)
{
	return c->save_timer && evtimer_pending(c->save_timer, NULL);
}

struct container *container_new(struct shim *shim)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->shim = shim;
	c->cgroup = CGROUP_INIT;
	list_init(&c->processes);
	list_init(&c->operations);
	list_init(&c->leftovers);
	shim->container = c;
	shim->had_container = true;
	return c;
}

void container_free(struct container *c)
{
	struct shim *shim;

	if (!c)
		return;
	shim = c->shim;
	if (save_is_owed(c))
		container_save(c);
	shim->container = NULL;
	operations_cancel(c, NULL);
	leftovers_forget(c);
	outer_sessions_deinit(&c->outer_sessions);
	while (!list_is_empty(&c->processes)) {
		struct process *p = list_first(&c->processes, struct process, processes_link);

		reaper_unwatch(&p->child);
		process_free(p);
	}
	if (c->init)
		reaper_unwatch(&c->init->child);
	process_free(c->init);
	if (c->drain_timer)
		event_free(c->drain_timer);
	if (c->save_timer)
		event_free(c->save_timer);
	container_oom_unwatch(c);
	cgroup_close(&c->cgroup);
	mount_specs_free(c->rootfs, c->n_rootfs);
	free(c->rootfs_mounted);
	argv_deinit(&c->new_cgroups);
	if (c->restore)
		criu_deinit(c->restore);
	free(c->restore);
	runtime_deinit(&c->runtime);
	bundle_deinit(&c->bundle);
	free(c->bundle_path);
	json_decref(c->annotations);
	free(c->id);
	free(c);
	ledger_free(shim->ledger);
	shim->ledger = NULL;
	shim_container_changed(shim);
}

bool container_is_current(const struct shim *shim, const struct container *c)
{
	return shim->container == c;
}

struct event_base *container_base(const struct container *c)
{
	return c->shim->base;
}

enum process_status container_status(const struct container *c)
{
	if (!c || c->init->status == PROCESS_CREATING)
		return PROCESS_DELETED;
	return c->init->status;
}

bool container_awaits_restore(const struct container *c)
{
	return c->restore && c->init->pid == 0 && c->init->status == PROCESS_CREATED;
}

struct process *container_find(struct container *c, const char *exec_id)
{
	struct list *pos;

	if (!c || container_status(c) == PROCESS_DELETED)
		return NULL;
	if (!exec_id || !*exec_id)
		return c->init;
	list_for_each (pos, &c->processes) {
		struct process *p = list_entry(pos, struct process, processes_link);

		if (strcmp(p->exec_id, exec_id) == 0)
			return p;
	}
	return NULL;
}

struct process *container_find_pid(struct container *c, pid_t pid)
{
	struct process *ended = NULL;
	struct list *pos;

	if (!c || pid <= 0 || container_status(c) == PROCESS_DELETED)
		return NULL;
	if (c->init->pid == pid)
		ended = c->init;
	if (ended && ended->status != PROCESS_STOPPED)
		return ended;
	list_for_each (pos, &c->processes) {
		struct process *p = list_entry(pos, struct process, processes_link);

		if (p->pid != pid || p->status == PROCESS_CREATED)
			continue;
		if (p->status != PROCESS_STOPPED)
			return p;
		ended = ended ? ended : p;
	}
	return ended;
}

bool container_is_drained(const struct container *c)
{
	struct list *pos;

	if (!process_is_drained(c->init))
		return false;
	list_for_each (pos, &c->processes)
		if (!process_is_drained(list_entry(pos, struct process, processes_link)))
			return false;
	return true;
}

static void on_drained(struct process *p, void (*cb)(void *userdata), void *userdata)
{
	if (!process_is_drained(p) && !operation_is_running(p, OPERATION_DELETE))
		stdio_on_drained(p->stdio, cb, userdata);
}

void container_on_drained(struct container *c, void (*cb)(void *userdata), void *userdata)
{
	struct list *pos;

	on_drained(c->init, cb, userdata);
	list_for_each (pos, &c->processes)
		on_drained(list_entry(pos, struct process, processes_link), cb, userdata);
}

void container_drop_exec(struct container *c, struct process *p)
{
	reaper_unwatch(&p->child);
	process_free(p);
	c->n_processes--;
	container_save_exec(c);
	shim_container_changed(c->shim);
	/* the last one's end is answered by now: what execs had lies in holes between what stays */
	if (c->n_processes == 1)
		malloc_trim(0);
}

/* Only logs are read again; and all execs have to fit into one file. */
static char *log_uri(char *uri)
{
	bool is_log = uri && (strncmp(uri, "cri://", 6) == 0 || strncmp(uri, "json://", 7) == 0 ||
				     strncmp(uri, "file://", 7) == 0);

	return is_log && strlen(uri) <= LIMIT_EXEC_LOG_URI ? uri : (char *)"";
}

static void fill_execs(const struct container *c, struct container_record *r)
{
	struct list *pos;

	list_for_each (pos, &c->processes) {
		const struct process *p = list_entry(pos, struct process, processes_link);

		r->execs[r->n_execs++] = (struct exec_record){
			.exec_id = p->exec_id,
			.status = (char *)process_status_word(p->status),
			.pid = p->pid,
			.start_time = p->pidref.start_time,
			.stdout_uri = log_uri(p->stdout_uri),
			.stderr_uri = log_uri(p->stderr_uri),
		};
	}
}

void container_save(struct container *c)
{
	const struct process *p = c->init;
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ struct exec_record *execs = calloc(c->n_processes, sizeof(*execs));
	struct container_record r = {
		.id = c->id,
		.ns = c->shim->ns,
		.bundle = c->bundle_path,
		.runtime = c->runtime.command,
		.runtime_kind = (char *)runtime_kind_name(c->runtime.kind),
		.runtime_root = c->runtime.root,
		.systemd_cgroup = c->runtime.systemd_cgroup,
		.runtime_options = c->runtime.options.v,
		/* who reads of one in the making has to know what to remove, no more */
		.status = (char *)process_status_word(
			p->status == PROCESS_CREATING ? PROCESS_CREATED : p->status),
		.pid = p->pid,
		.start_time = p->pidref.start_time,
		.terminal = p->terminal,
		.stdin_uri = p->stdin_uri,
		.stdout_uri = p->stdout_uri,
		.stderr_uri = p->stderr_uri,
		.rootfs = c->rootfs_mounted,
		.rootfs_made = c->rootfs_made,
		.created = c->created_at,
		.making = {
			.is_so = p->status == PROCESS_CREATING,
			.pid = c->making.pid,
			.start_time = c->making.start_time,
			.cgroups = c->new_cgroups.v,
		},
		.execs = execs,
	};

	if (c->save_timer)
		event_del(c->save_timer);
	if (c->shim->dir.fd < 0)
		return;
	if (!execs)
		error_set(&err, CODE_RESOURCE_EXHAUSTED, "no memory");
	else
		fill_execs(c, &r);
	if (!execs || container_record_write(&c->shim->dir, &r, &err) != 0)
		log_error("the container's state could not be written", F_STR("id", c->id),
			F_STR("error", error_message(&err)));
}

static void save_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	container_save(userdata);
}

/* 0 or -1. */
static int save_later(struct container *c)
{
	const struct timeval tv = { 0, SAVE_DELAY_MS * 1000 };

	if (!c->save_timer)
		c->save_timer = evtimer_new(c->shim->base, save_dispatch, c);
	if (!c->save_timer || save_is_owed(c))
		return c->save_timer ? 0 : -1;
	return evtimer_add(c->save_timer, &tv);
}

void container_save_exec(struct container *c)
{
	if (c->n_processes <= SAVE_AT_ONCE || save_later(c) < 0)
		container_save(c);
}
