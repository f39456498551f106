/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Create, a restore and the Start of an exec share: from the reservations that an exit needs
 * to a pid that is known, checked to be our own child, and watched, with its terminal in our hands.
 *
 *   step                       what can go wrong               then
 *   reserve a ledger line      no room                         refused by name, nothing began
 *   console socket             no file                         the same
 *   loggers                    cannot be run, do not get       the same
 *                              ready, die before they do
 *   runtime call               fails, hangs, is killed         its words; reservations given back
 *   pid file                   missing, no number              "wrote no pid file"
 *   pid                        dead already                    its exit was kept by the reaper
 *                              of another, or never was ours   refused; nothing is signalled
 *   console                    never comes                     refused after 10 s, process killed
 *   failure of any kind        an exec's process is there,     ended once it is nobody else's
 *                              though not known                (leftover.c)
 *
 * Subtle: the runtime has exited before its pid file is read, so a container that lives is our
 * own child by then (subreaper), and one that died has been seen by our reaper.
 */
#include "shim/container_life.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/ids.h"
#include "common/json.h"
#include "common/limits.h"
#include "shim/criu.h"
#include "shim/leftover.h"
#include "shim/runtime_call.h"
#include "shim/shim.h"

struct launch {
	enum runtime_verb verb;
	launch_done done;
	enum process_status before;			  /* what the process was */
	uint64_t number;				  /* of the container's launches */
	uint64_t began;					  /* in ticks, as start times */
	char pid_name[32], spec_name[32], inner_name[32]; /* in the state folder */
	char *pid_path, *spec_path, *inner_path;	  /* the last: of an exec in a sandbox */
	bool called;					  /* the runtime has done its part */
	int console_error; /* the console has ended without a terminal */
};

static void launch_free(struct operation *op)
{
	struct launch *l = op->launch;
	struct shim *shim = op->container->shim;

	op->launch = NULL;
	if (l->spec_name[0])
		unlinkat(shim->dir.fd, l->spec_name, 0);
	/* the init's stays: users and containerd look for it */
	if (l->verb == RUNTIME_EXEC)
		unlinkat(shim->dir.fd, l->pid_name, 0);
	if (l->inner_name[0])
		unlinkat(shim->dir.fd, l->inner_name, 0);
	console_free(op->process->console);
	op->process->console = NULL;
	free(l->pid_path);
	free(l->spec_path);
	free(l->inner_path);
	free(l);
	reaper_release(shim->reaper);
}

/* The number of the oldest launch under way, UINT64_MAX for none. */
static uint64_t oldest_launch(const struct container *c)
{
	uint64_t oldest = UINT64_MAX;
	struct list *pos;

	list_for_each (pos, &c->operations) {
		const struct launch *l = list_entry(pos, struct operation, operations_link)->launch;

		if (l && l->number < oldest)
			oldest = l->number;
	}
	return oldest;
}

static void give_back(struct process *p)
{
	if (p->ledger_reserved)
		ledger_unreserve(p->container->shim->ledger);
	p->ledger_reserved = false;
	if (p->forward_reserved)
		publisher_release(p->container->shim->publisher);
	p->forward_reserved = false;
}

void launch_take_back(struct process *p, enum process_status before)
{
	reaper_unwatch(&p->child);
	pidref_signal(&p->pidref, SIGKILL);
	pidref_close(&p->pidref);
	if (p->exited) /* recorded, but nobody will be told of it, nor delete it by this pid */
		ledger_forget(p->container->shim->ledger, p->exec_id, p->pid);
	p->exit = (struct process_exit){ 0 };
	p->exited = false;
	p->pid = 0;
	p->status = before;
	give_back(p);
}

static void launch_failed(struct operation *op)
{
	launch_done done = op->launch->done;

	operation_clear_timer(op); /* of the console's, which is given up */
	/* it may have been adopted: then its terminal never came */
	launch_take_back(op->process, op->launch->before);
	stdio_launch_failed(op->process->stdio);
	if (op->launch->verb == RUNTIME_EXEC)
		leftovers_find(op->container, op->container->n_launches, op->launch->began);
	launch_free(op);
	leftovers_end(op->container, oldest_launch(op->container));
	done(op, false);
}

static void launch_succeeded(struct operation *op)
{
	launch_done done = op->launch->done;

	operation_clear_timer(op);
	launch_free(op);
	leftovers_end(op->container, oldest_launch(op->container));
	done(op, true);
}

static int reserve(struct process *p, struct error *err)
{
	int r = ledger_reserve(p->container->shim->ledger, err);

	if (r != 0)
		return r;
	p->ledger_reserved = true;
	r = publisher_reserve(p->container->shim->publisher, err);
	p->forward_reserved = r == 0;
	return r;
}

/* --- the pid --- */

static moment pid_file_written(const struct launch *l, int dir)
{
	struct stat st;

	if (fstatat(dir, l->pid_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (moment)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/*
 * What crun leaves in the background to set the container up ends a moment after crun itself has,
 * and until then is the parent of what it made.
 */
bool launch_is_child(const struct shim *shim, pid_t pid)
{
	struct proc_stat stat, parent;

	for (int i = 0; i < 2; i++) { /* twice: the one between may end as we look */
		if (proc_stat_read(pid, &stat) != 0)
			return false;
		if (stat.ppid == getpid())
			return true;
		if (proc_stat_read(stat.ppid, &parent) == 0)
			return parent.ppid == getpid() &&
			       !reaper_is_watched(shim->reaper, stat.ppid);
	}
	return false;
}

/*
 * Which process does the number mean: one that lives, or one that was reaped during this launch?
 * A living child of ours is it, unless the file was written before the dead one of that number
 * was reaped: then the living one came later. *ret_dead is NULL for the living.
 */
static int identify(const struct operation *op, pid_t pid, struct pidref *ret,
	const struct reaped **ret_dead, struct error *err)
{
	const struct shim *shim = op->container->shim;
	const char *runtime = runtime_kind_name(op->container->runtime.kind);
	const char *verb = runtime_verb_name(op->launch->verb);
	const struct reaped *dead = reaper_find_kept(shim->reaper, pid);
	int r;

	if (reaper_is_watched(shim->reaper, pid))
		return error_set(err, CODE_INTERNAL, "%s %s wrote pid %d, which is another process",
			runtime, verb, pid);
	r = pidref_open(pid, ret);
	*ret_dead = dead;
	if (r == 0 && launch_is_child(shim, pid) &&
		!(dead && dead->at >= pid_file_written(op->launch, shim->dir.fd))) {
		*ret_dead = NULL;
		return 0;
	}
	if (r == 0)
		pidref_close(ret);
	if (dead)
		return 0;
	if (r == 0)
		return error_set(err, CODE_INTERNAL,
			"%s %s wrote pid %d, which is not a process of this container", runtime,
			verb, pid);
	if (r == -ESRCH)
		return error_set(err, CODE_INTERNAL, "%s %s wrote pid %d, which does not exist",
			runtime, verb, pid);
	return error_errno(err, r, "%s %s: pid %d", runtime, verb, pid);
}

/* The process that the pid file names: alive, with *ret its reference, or *ret_dead. */
static int find(struct operation *op, pid_t *ret_pid, struct pidref *ret,
	const struct reaped **ret_dead, struct error *err)
{
	int r = runtime_read_pid_file(&op->container->runtime, op->launch->verb,
		op->container->shim->dir.fd, op->launch->pid_name, ret_pid, err);

	return r != 0 ? r : identify(op, *ret_pid, ret, ret_dead, err);
}

/* A 2017 Exec is known by its pid: pid-N, or pid-N-2 where an old one of that number is kept. */
static void name_by_pid(struct process *p)
{
	char name[LIMIT_ID + 1];
	char *copy;

	snprintf(name, sizeof(name), "pid-%d", p->pid);
	for (int i = 2; container_find(p->container, name); i++)
		snprintf(name, sizeof(name), "pid-%d-%d", p->pid, i);
	copy = strdup(name);
	if (!copy)
		return; /* it keeps the random name that it had */
	free(p->exec_id);
	p->exec_id = copy;
}

static void know_session(const struct process *p, const struct reaped *dead)
{
	struct proc_stat stat;

	if (dead)
		leftovers_know_session(p->container, p->pid, dead->session);
	else if (proc_stat_read(p->pid, &stat) == 0)
		leftovers_know_session(p->container, p->pid, stat.session);
}

static int adopt(struct operation *op, struct error *err)
{
	struct process *p = op->process;
	const struct reaped *dead = NULL;
	int r = find(op, &p->pid, &p->pidref, &dead, err);

	if (r != 0)
		return r;
	if (p->named_by_pid)
		name_by_pid(p); /* before its exit may be written down */
	if (op->launch->verb == RUNTIME_EXEC)
		know_session(p, dead);
	p->started_at = dead ? dead->at : clock_now();
	p->status = op->launch->verb == RUNTIME_CREATE ? PROCESS_CREATED : PROCESS_RUNNING;
	if (op->launch->inner_path)
		(void)runtime_read_pid_file(&p->container->runtime, op->launch->verb,
			p->container->shim->dir.fd, op->launch->inner_name, &p->inner_pid, NULL);
	if (p->is_init)
		container_find_cgroup(p->container, dead ? 0 : p->pid);
	if (dead)
		process_exited(p, dead);
	else
		process_watch(p);
	return 0;
}

/* A runtime that failed may have got as far as a process: it is ended, and reaped as a stray. */
static void end_what_began(struct operation *op)
{
	_cleanup_(pidref_close) struct pidref ref = PIDREF_INIT;
	const struct reaped *dead;
	pid_t pid;

	if (find(op, &pid, &ref, &dead, NULL) == 0 && !dead)
		pidref_signal(&ref, SIGKILL);
}

/* --- the terminal --- */

static void console_timeout(evutil_socket_t fd, short what, void *userdata)
{
	struct operation *op = userdata;
	struct container *c = op->container;

	(void)fd;
	(void)what;
	error_set(&op->error, CODE_INTERNAL, "%s %s handed over no terminal",
		runtime_kind_name(c->runtime.kind), runtime_verb_name(op->launch->verb));
	launch_failed(op);
}

static void no_master(struct operation *op)
{
	error_errno(&op->error, op->launch->console_error, "%s %s handed over no terminal",
		runtime_kind_name(op->container->runtime.kind),
		runtime_verb_name(op->launch->verb));
	/* whatever the socket said, it is not our own connection that is broken */
	op->error.code = CODE_INTERNAL;
	launch_failed(op);
}

static void check_complete(struct operation *op)
{
	struct process *p = op->process;
	uint32_t patience = op->container->runtime.deadline_ms;

	if (!op->launch->called)
		return;
	if (!p->terminal || p->has_master) {
		launch_succeeded(op);
		return;
	}
	if (op->launch->console_error < 0) {
		no_master(op);
		return;
	}
	/* it was sent before the runtime ended: it waits in the socket, or never comes */
	if (patience > CONSOLE_DEADLINE_MS)
		patience = CONSOLE_DEADLINE_MS;
	if (operation_set_timer(op, patience, console_timeout) < 0) {
		error_set(&op->error, CODE_RESOURCE_EXHAUSTED, "no memory to wait for a terminal");
		launch_failed(op);
	}
}

static void on_master(int master_take, int error, void *userdata)
{
	struct operation *op = userdata;
	struct process *p = op->process;
	int r;

	if (p->has_master) {
		if (master_take >= 0)
			close(master_take);
		return;
	}
	if (error < 0) {
		op->launch->console_error = error;
		if (op->launch->called && !op->error.code)
			no_master(op);
		return;
	}
	r = stdio_attach_console(p->stdio, master_take, &op->error);
	if (r != 0) {
		if (op->launch->called)
			launch_failed(op);
		return;
	}
	p->has_master = true;
	check_complete(op);
}

/* --- the run --- */

static void on_called(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;

	op->launch->called = true;
	op->was_killed = WIFSIGNALED(outcome->wait_status);
	if (op->error.code == CODE_OK && err->code != CODE_OK) {
		error_set(&op->error, err->code, "%s", error_message(err));
		op->words = words ? strdup(words) : NULL;
	}
	if (op->error.code != CODE_OK)
		end_what_began(op);
	else
		adopt(op, &op->error);
	if (op->error.code != CODE_OK)
		launch_failed(op);
	else
		check_complete(op);
}

/* The terminal's size goes with the spec, so that it is right from the first line of output. */
static int add_console_size(struct process *p)
{
	unsigned width, height;
	json_t *size;

	if (!p->terminal || !stdio_size(p->stdio, &width, &height))
		return 0;
	size = json_pack("{s:i,s:i}", "height", (int)height, "width", (int)width);
	return json_object_set_new(p->spec, "consoleSize", size) < 0 ? -ENOMEM : 0;
}

static int write_spec(struct operation *op)
{
	struct launch *l = op->launch;
	_cleanup_free_ char *text = NULL;
	int r = add_console_size(op->process);

	if (r < 0)
		return r;
	text = json_text(op->process->spec);
	if (!text)
		return -ENOMEM;
	return file_write_atomic(
		op->container->shim->dir.fd, l->spec_name, text, strlen(text), 0600);
}

static int name_files(struct operation *op)
{
	struct launch *l = op->launch;
	const char *folder = op->container->shim->dir.path;
	char suffix[17];
	int r = random_hex(suffix, 8);

	if (r < 0)
		return r;
	strcpy(l->pid_name, "init.pid");
	if (l->verb == RUNTIME_EXEC) {
		snprintf(l->pid_name, sizeof(l->pid_name), "exec-%s.pid", suffix);
		snprintf(l->spec_name, sizeof(l->spec_name), "exec-%s.json", suffix);
	}
	if (asprintf(&l->pid_path, "%s/%s", folder, l->pid_name) < 0 ||
		asprintf(&l->spec_path, "%s/%s", folder, l->spec_name) < 0)
		return -ENOMEM;
	if (l->verb == RUNTIME_EXEC && runtime_is_sandbox(&op->container->runtime)) {
		snprintf(l->inner_name, sizeof(l->inner_name), "exec-%s.inner", suffix);
		if (asprintf(&l->inner_path, "%s/%s", folder, l->inner_name) < 0)
			return -ENOMEM;
	}
	return l->spec_name[0] ? write_spec(op) : 0;
}

void launch_record_run(struct container *c, const struct pidref *run)
{
	c->making.pid = run->pid;
	c->making.start_time = run->start_time;
	container_save(c);
}

static int run(struct operation *op, struct error *err)
{
	struct container *c = op->container;
	struct process *p = op->process;
	const struct runtime_criu criu =
		c->restore ? criu_view(c->restore) : (struct runtime_criu){ 0 };
	struct runtime_request request = {
		.verb = op->launch->verb,
		.id = c->id,
		.bundle = c->bundle.path,
		.pid_file = op->launch->pid_path,
		.internal_pid_file = op->launch->inner_path,
		.process = op->launch->spec_path,
		.console_socket = p->console ? console_path(p->console) : NULL,
		.detach = true,
		.criu = &criu,
	};
	struct runtime_call *call;
	int child[3], r;

	if (runtime_is_sandbox(&c->runtime))
		stdio_reopen_pipes(p->stdio);
	stdio_child_fds(p->stdio, child);
	r = runtime_call_begin(c->shim, &c->runtime, &request, child, 0, on_called, op, &call, err);
	op->is_asked = r == 0;
	if (r == 0 && p->is_init)
		launch_record_run(c, runtime_call_process(call));
	/* the run is under way: from here on its end tells the failure */
	if (r == 0 && !p->terminal)
		stdio_begin(p->stdio, &op->error);
	return r;
}

static int prepare(struct operation *op, struct error *err)
{
	struct shim *shim = op->container->shim;
	struct process *p = op->process;
	int r = reserve(p, err);

	if (r != 0)
		return r;
	r = name_files(op);
	if (r < 0)
		return error_errno(err, r, "%s", runtime_verb_name(op->launch->verb));
	if (!p->terminal)
		return 0;
	return console_listen(shim->base, shim->dir.path, on_master, op, &p->console, err);
}

static void on_loggers(const struct error *err, void *userdata)
{
	struct operation *op = userdata;

	if (err->code != CODE_OK)
		error_set(&op->error, err->code, "%s", error_message(err));
	if (err->code != CODE_OK || run(op, &op->error) != 0)
		launch_failed(op);
}

void launch_begin(struct operation *op, enum runtime_verb verb, launch_done done)
{
	uint32_t patience = op->container->runtime.deadline_ms;
	struct launch *l = calloc(1, sizeof(*l));

	if (!l) {
		error_set(&op->error, CODE_RESOURCE_EXHAUSTED, "no memory");
		done(op, false);
		return;
	}
	l->verb = verb;
	l->done = done;
	l->before = op->process->status;
	l->number = op->container->n_launches++;
	l->began = leftovers_clock();
	op->launch = l;
	reaper_keep(op->container->shim->reaper);
	if (prepare(op, &op->error) != 0) {
		launch_failed(op);
		return;
	}
	if (patience > LOGGER_READY_MS)
		patience = LOGGER_READY_MS;
	stdio_start_loggers(op->process->stdio, patience, on_loggers, op);
}
