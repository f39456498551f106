/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks: made, opened, and what is done to a container as a whole. Its processes are in
 * client_process.c. Subtle: who is asked is found anew for each call, so that a shim or a cleatd that
 * has gone, or has come, is noticed by the next one; the connection is kept in between.
 */
#include "common/cleat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/client_creation.h"
#include "common/client_dead.h"
#include "common/client_private.h"
#include "common/ids.h"
#include "common/json.h"

#define PROCESS_TYPE "types.containerd.io/opencontainers/runtime-spec/1/Process"

/* --- who is asked --- */

static void keep_line(struct cleat_task *task, struct client_line *line)
{
	struct client_line *old = line;

	if (!line)
		return;
	pthread_mutex_lock(&task->lock);
	if (task->line != line) {
		old = task->line;
		task->line = client_line_hold(line);
	}
	pthread_mutex_unlock(&task->lock);
	if (old != line)
		client_line_drop(old);
}

int client_task_target(struct cleat_task *task, struct client_target *ret, struct error *err)
{
	int r = client_target_open(&task->client->place, task->id, NULL, ret, err);

	if (r == 0)
		keep_line(task, ret->line);
	return r;
}

int client_task_living(struct cleat_task *task, struct client_target *ret, struct error *err)
{
	int r = client_target_open_living(&task->client->place, task->id, NULL, ret, err);

	if (r == 0)
		keep_line(task, ret->line);
	return r;
}

/* --- making and opening --- */

static int task_new(
	struct cleat_client *client, const char *id, struct cleat_task **ret, struct error *err)
{
	struct cleat_task *task = calloc(1, sizeof(*task));

	if (!task)
		return error_errno(err, -ENOMEM, "container %s", id);
	pthread_mutex_init(&task->lock, NULL);
	task->client = client;
	task->id = strdup(id);
	task->init.task = task;
	task->init.exec_id = strdup("");
	if (!task->id || !task->init.exec_id) {
		cleat_task_free(task);
		return error_errno(err, -ENOMEM, "container %s", id);
	}
	*ret = task;
	return 0;
}

PUBLIC void cleat_task_free(struct cleat_task *task)
{
	if (!task)
		return;
	cleat_io_free(task->init.io);
	client_line_drop(task->line);
	pthread_mutex_destroy(&task->lock);
	free(task->init.exec_id);
	free(task->id);
	free(task);
}

static size_t count(const char *const *words)
{
	size_t n = 0;

	while (words && words[n])
		n++;
	return n;
}

static void set_wish(struct client_creation_options *wish, const struct cleat_create_options *o,
	const struct client_streams *s)
{
	static const enum client_terminal terminals[] = {
		[CLEAT_TERMINAL_AS_CONFIGURED] = CLIENT_TERMINAL_AS_CONFIGURED,
		[CLEAT_TERMINAL_NONE] = CLIENT_TERMINAL_NONE,
		[CLEAT_TERMINAL_WANTED] = CLIENT_TERMINAL_WANTED,
	};

	*wish = (struct client_creation_options){
		.bundle = o->bundle,
		.runtime = o->runtime,
		.runtime_options = (char *const *)o->runtime_options,
		.n_runtime_options = count(o->runtime_options),
		.terminal = o->terminal <= CLEAT_TERMINAL_WANTED ? terminals[o->terminal]
								 : CLIENT_TERMINAL_AS_CONFIGURED,
		.no_pivot = o->no_pivot,
		.no_new_keyring = o->no_new_keyring,
		.image = o->image,
	};
	if (s->terminal)
		wish->terminal = CLIENT_TERMINAL_WANTED;
}

/* Nobody could name it: it goes again. */
static void undo_create(struct client_target *t)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;

	if (client_call_kill(t, "", 9, false, &ignored) == 0)
		client_call_wait(t, "", CLIENT_ANSWER_MS, &(struct client_exit){ 0 }, &ignored);
	if (client_call_delete(t, "", NULL, &ignored) == 0)
		client_call_shutdown(t);
}

static int create(struct cleat_task *task, const struct cleat_create_options *o,
	struct cleat_io *io, struct error *err)
{
	struct client_creation_options wish;
	struct client_creation c;
	struct client_streams s;
	uint32_t pid;
	int r;

	client_io_streams(io, &s);
	set_wish(&wish, o, &s);
	r = client_creation_begin(&task->client->place, &wish, task->id, NULL, &c, err);
	if (r == 0) {
		c.request.stdin = (char *)s.in;
		c.request.stdout = (char *)s.out;
		c.request.stderr = (char *)(c.terminal ? "" : s.err);
		r = client_creation_send(&c, &s.fds, &pid, err);
	}
	if (r == 0) {
		r = client_io_begun(io, err);
		if (r != 0)
			undo_create(&c.target);
		else
			keep_line(task, c.target.line);
	}
	client_creation_end(&c);
	return r;
}

PUBLIC int cleat_task_create(struct cleat_client *client, const char *id,
	const struct cleat_create_options *options, struct cleat_io *io, struct cleat_task **ret,
	struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct cleat_create_options o;
	struct cleat_task *task;
	int r;

	client_copy_options(&o, sizeof(o), options);
	r = task_new(client, id, &task, &e.error);
	if (r != 0)
		return r;
	r = create(task, &o, io, &e.error);
	if (r != 0) {
		cleat_task_free(task);
		return r;
	}
	task->init.io = io;
	*ret = task;
	return 0;
}

/* What it is doing, also where nobody is there to be asked. */
static int look(
	struct cleat_task *task, const char *exec_id, struct client_status *ret, struct error *err)
{
	struct client_target t;
	int r = client_task_target(task, &t, err);

	if (r != 0)
		return r;
	r = client_target_is_orphan(&t) ? client_dead_status(&t, exec_id, ret, err)
					: client_call_state(&t, exec_id, ret, err);
	client_target_close(&t);
	return r;
}

/* It was started before, by whomever. */
static uint32_t pid_of(const struct client_status *s)
{
	return s->status == CONTAINERD__V1__TYPES__STATUS__CREATED ? 0 : s->pid;
}

PUBLIC int cleat_task_open(struct cleat_client *client, const char *id, struct cleat_task **ret,
	struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct client_status s = { 0 };
	struct cleat_task *task;
	int r = task_new(client, id, &task, &e.error);

	if (r != 0)
		return r;
	r = look(task, "", &s, &e.error);
	if (r != 0) {
		cleat_task_free(task);
		return r;
	}
	atomic_store(&task->init.pid, pid_of(&s));
	*ret = task;
	return 0;
}

PUBLIC const char *cleat_task_id(const struct cleat_task *task)
{
	return task->id;
}

PUBLIC struct cleat_process *cleat_task_init(struct cleat_task *task)
{
	return &task->init;
}

/* --- execs --- */

static int process_new(
	struct cleat_task *task, const char *exec_id, struct cleat_process **ret, struct error *err)
{
	struct cleat_process *p;
	int r = id_check(exec_id, "exec id", err);

	if (r != 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return error_errno(err, -ENOMEM, "exec %s", exec_id);
	p->task = task;
	p->exec_id = strdup(exec_id);
	if (!p->exec_id) {
		free(p);
		return error_errno(err, -ENOMEM, "exec %s", exec_id);
	}
	*ret = p;
	return 0;
}

PUBLIC void cleat_process_free(struct cleat_process *process)
{
	if (!process || process == &process->task->init)
		return;
	cleat_io_free(process->io);
	free(process->exec_id);
	free(process);
}

/* The process as JSON, from the config.json that the shim has in use. */
static int make_process(struct client_target *t, const struct cleat_exec_options *o, bool terminal,
	json_t **ret, struct error *err)
{
	_cleanup_(bundle_deinit) struct bundle b = BUNDLE_INIT;
	const struct exec_wish wish = {
		.args = o->args, .cwd = o->cwd, .env = o->env, .user = o->user, .terminal = terminal
	};
	Cleat__Shim__V1__InfoResponse *info;
	int r;

	if (!o->args || !o->args[0])
		return error_set(err, CODE_INVALID_ARGUMENT, "exec: no command");
	r = client_call_info_with_spec(t, &info, err);
	if (r != 0)
		return r;
	if (!*info->status)
		r = error_set(err, CODE_NOT_FOUND, "container %s: does not exist", t->id);
	if (r == 0)
		r = json_parse(info->spec.data, info->spec.len, "config.json", &b.config, err);
	if (r == 0) {
		b.path = strdup(info->bundle);
		r = b.path ? bundle_exec_process(&b, &wish, ret, err)
			   : error_errno(err, -ENOMEM, "config.json");
	}
	cleat__shim__v1__info_response__free_unpacked(info, NULL);
	return r;
}

/* The text of the process, and whether it has a terminal. */
static int make_spec(struct client_target *t, const struct cleat_exec_options *o,
	bool *inout_terminal, char **ret, struct error *err)
{
	_cleanup_json_ json_t *process = NULL;
	int r;

	if (o->process) {
		r = process_spec_parse(o->process, strlen(o->process), &process, err);
		if (r == 0) {
			*inout_terminal |= json_get_bool(process, "terminal", false);
			json_object_set_new(process, "terminal", json_boolean(*inout_terminal));
		}
	} else {
		r = make_process(t, o, *inout_terminal, &process, err);
	}
	if (r != 0)
		return r;
	*ret = json_text(process);
	return *ret ? 0 : error_errno(err, -ENOMEM, "exec");
}

static int add_exec(struct client_target *t, const char *exec_id,
	const struct cleat_exec_options *o, const struct cleat_io *io, struct error *err)
{
	Containerd__Task__V2__ExecProcessRequest m =
		CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	_cleanup_free_ char *spec = NULL;
	struct client_streams s;
	bool terminal;
	int r;

	client_io_streams(io, &s);
	terminal = o->terminal || s.terminal;
	r = make_spec(t, o, &terminal, &spec, err);
	if (r != 0)
		return client_wrap(err, t->id);
	any.type_url = (char *)PROCESS_TYPE;
	any.value.data = (uint8_t *)spec;
	any.value.len = strlen(spec);
	m.id = t->id;
	m.exec_id = (char *)exec_id;
	m.terminal = terminal;
	m.stdin = (char *)s.in;
	m.stdout = (char *)s.out;
	m.stderr = (char *)(terminal ? "" : s.err);
	m.spec = &any;
	return client_call_exec(t, &m, &s.fds, err);
}

static int exec_and_open(struct cleat_process *p, const struct cleat_exec_options *o,
	struct cleat_io *io, struct error *err)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct client_target t;
	int r = client_task_living(p->task, &t, err);

	if (r != 0)
		return r;
	r = add_exec(&t, p->exec_id, o, io, err);
	if (r == 0) {
		r = client_io_begun(io, err);
		if (r != 0)
			client_call_delete(&t, p->exec_id, NULL, &ignored);
	}
	client_target_close(&t);
	return r;
}

PUBLIC int cleat_task_exec(struct cleat_task *task, const char *exec_id,
	const struct cleat_exec_options *options, struct cleat_io *io, struct cleat_process **ret,
	struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct cleat_exec_options o;
	struct cleat_process *p;
	int r;

	client_copy_options(&o, sizeof(o), options);
	r = process_new(task, exec_id, &p, &e.error);
	if (r != 0)
		return r;
	r = exec_and_open(p, &o, io, &e.error);
	if (r != 0) {
		cleat_process_free(p);
		return r;
	}
	p->io = io;
	*ret = p;
	return 0;
}

PUBLIC int cleat_task_process(struct cleat_task *task, const char *exec_id,
	struct cleat_process **ret, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct client_status s = { 0 };
	struct cleat_process *p;
	int r = process_new(task, exec_id, &p, &e.error);

	if (r != 0)
		return r;
	r = look(task, exec_id, &s, &e.error);
	if (r != 0) {
		cleat_process_free(p);
		return r;
	}
	atomic_store(&p->pid, pid_of(&s));
	*ret = p;
	return 0;
}

/* --- the container as a whole --- */

static int with_living(struct cleat_task *task,
	int (*call)(struct client_target *t, struct error *err), struct error *err)
{
	struct client_target t;
	int r = client_task_living(task, &t, err);

	if (r != 0)
		return r;
	r = call(&t, err);
	client_target_close(&t);
	return r;
}

PUBLIC int cleat_task_pause(struct cleat_task *task, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	return with_living(task, client_call_pause, &e.error);
}

PUBLIC int cleat_task_resume(struct cleat_task *task, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	return with_living(task, client_call_resume, &e.error);
}

PUBLIC int cleat_task_kill_all(struct cleat_task *task, int signal, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct client_target t;
	int r = client_task_target(task, &t, &e.error);

	if (r != 0)
		return r;
	r = client_target_is_orphan(&t) ? client_dead_kill(&t, "", signal, true, &e.error)
					: client_call_kill(&t, "", signal, true, &e.error);
	client_target_close(&t);
	return r;
}

PUBLIC int cleat_task_update(
	struct cleat_task *task, const char *resources, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct client_target t;
	int r = client_task_living(task, &t, &e.error);

	if (r != 0)
		return r;
	r = client_call_update(&t, resources, &e.error);
	client_target_close(&t);
	return r;
}

static int pids_of(struct client_target *t, uint32_t **ret, size_t *ret_n, struct error *err)
{
	Containerd__Task__V2__PidsResponse *answer;
	int r = client_call_pids(t, &answer, err);
	uint32_t *pids;

	if (r != 0)
		return r;
	pids = calloc(answer->n_processes + 1, sizeof(*pids));
	for (size_t i = 0; pids && i < answer->n_processes; i++)
		pids[i] = answer->processes[i]->pid;
	*ret_n = answer->n_processes;
	*ret = pids;
	containerd__task__v2__pids_response__free_unpacked(answer, NULL);
	return pids ? 0 : error_errno(err, -ENOMEM, "container %s: pids", t->id);
}

static int dead_pids_of(struct client_target *t, uint32_t **ret, size_t *ret_n, struct error *err)
{
	_cleanup_free_ pid_t *found = NULL;
	size_t n = 0;
	int r = client_dead_pids(t, &found, &n, err);
	uint32_t *pids = r == 0 ? calloc(n + 1, sizeof(*pids)) : NULL;

	if (r != 0)
		return r;
	if (!pids)
		return error_errno(err, -ENOMEM, "container %s: pids", t->id);
	for (size_t i = 0; i < n; i++)
		pids[i] = (uint32_t)found[i];
	*ret = pids;
	*ret_n = n;
	return 0;
}

PUBLIC int cleat_task_pids(
	struct cleat_task *task, uint32_t **ret, size_t *ret_n, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct client_target t;
	int r = client_task_target(task, &t, &e.error);

	if (r != 0)
		return r;
	r = client_target_is_orphan(&t) ? dead_pids_of(&t, ret, ret_n, &e.error)
					: pids_of(&t, ret, ret_n, &e.error);
	client_target_close(&t);
	return r;
}

PUBLIC int cleat_task_checkpoint(
	struct cleat_task *task, const char *path, bool exits, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	Cleat__Shim__V1__CriuOptions m = CLEAT__SHIM__V1__CRIU_OPTIONS__INIT;
	struct client_target t;
	int r;

	if (*path != '/')
		return error_set(&e.error, CODE_INVALID_ARGUMENT,
			"the image's folder \"%s\" is not absolute", path);
	r = client_task_living(task, &t, &e.error);
	if (r != 0)
		return r;
	m.exit = exits;
	r = client_call_checkpoint(&t, path, &m, &e.error);
	client_target_close(&t);
	return r;
}
