/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture of a container. Asks nobody. Subtle: an exit is final: no later word of an event that
 * was on its way, or of an Info that was asked before, brings a process back to life.
 */
#include "supervisor/member.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/pbtime.h"
#include "events.pb-c.h"
#include "supervisor/forward.h"
#include "supervisor/member_files.h"
#include "supervisor/member_link.h"
#include "tasks.pb-c.h"

#define STATUS_UNKNOWN 255u /* on containerd's wire */

struct waiter {
	struct list waiters_link;
	struct ttrpc_call *call;
	member_end_fn done;
	bool is_early; /* an Info was under way already, which may be older than what it waits for */
	char exec_id[];
};

/* --- processes --- */

static void process_free(struct member_process *p)
{
	member_release(p);
	list_unlink(&p->processes_link);
	free(p->stdin_uri);
	free(p->stdout_uri);
	free(p->stderr_uri);
	free(p);
}

struct member_process *member_find(const struct member *m, const char *exec_id)
{
	struct list *pos;

	list_for_each (pos, &m->processes) {
		struct member_process *p = list_entry(pos, struct member_process, processes_link);

		if (strcmp(p->exec_id, exec_id) == 0)
			return p;
	}
	return NULL;
}

struct member_process *member_init_process(const struct member *m)
{
	return member_find(m, "");
}

/* Finds or makes it; NULL without memory. */
static struct member_process *process_get(struct member *m, const char *exec_id)
{
	struct member_process *p = member_find(m, exec_id);
	size_t n = strlen(exec_id) + 1;

	if (p)
		return p;
	p = calloc(1, sizeof(*p) + n);
	if (!p)
		return NULL;
	memcpy(p->exec_id, exec_id, n);
	p->member = m;
	p->ref = PIDREF_INIT;
	p->status = CONTAINERD__V1__TYPES__STATUS__CREATED;
	list_init(&p->processes_link);
	list_append(&m->processes, &p->processes_link);
	return p;
}

/* --- waiters --- */

static void waiter_free(struct waiter *w)
{
	list_unlink(&w->waiters_link);
	free(w);
}

static void on_waiter_left(void *userdata)
{
	waiter_free(userdata);
}

void member_answer_wait(struct member *m, struct ttrpc_call *call, const char *exec_id,
	const struct member_process *p)
{
	Containerd__Services__Tasks__V1__WaitResponse answer =
		CONTAINERD__SERVICES__TASKS__V1__WAIT_RESPONSE__INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	Google__Protobuf__Timestamp exited_at;

	if (p) {
		answer.exit_status = p->exit_known ? p->exit_status : STATUS_UNKNOWN;
		answer.exited_at = pbtime_set(&exited_at, p->exited_at);
		ttrpc_call_reply(call, &answer.base);
		return;
	}
	if (*exec_id)
		error_set(&err, CODE_NOT_FOUND, "container %s: no exec %s", m->id, exec_id);
	else
		error_set(&err, CODE_NOT_FOUND, "container %s: does not exist", m->id);
	forward_refuse(call, &err);
}

void member_wait(struct member *m, struct ttrpc_call *call, const char *exec_id, member_end_fn done)
{
	const struct member_process *p = member_find(m, exec_id);
	size_t n = strlen(exec_id) + 1;
	struct waiter *w;

	if ((p && p->exited) || (!p && m->state == LINK_LOST)) {
		done(m, call, exec_id, p);
		return;
	}
	w = calloc(1, sizeof(*w) + n);
	if (!w) {
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for a Wait");
		return;
	}
	memcpy(w->exec_id, exec_id, n);
	w->call = call;
	w->done = done;
	w->is_early = m->asked != NULL;
	list_init(&w->waiters_link);
	list_append(&m->waiters, &w->waiters_link);
	ttrpc_call_keep(call, on_waiter_left, NULL, w);
	if (!p)
		member_ask(m);
}

/* Taken off the list first: what it does may add another. */
static void waiter_end(struct member *m, struct waiter *w, const struct member_process *p)
{
	list_unlink(&w->waiters_link);
	w->done(m, w->call, w->exec_id, p);
	free(w);
}

static void end_waiters(struct member *m, const struct member_process *p)
{
	struct list *pos, *next;

	list_for_each_safe (pos, next, &m->waiters) {
		struct waiter *w = list_entry(pos, struct waiter, waiters_link);

		if (strcmp(w->exec_id, p->exec_id) == 0)
			waiter_end(m, w, p);
	}
}

void member_judge_waiters(struct member *m)
{
	bool is_again = false;
	struct list *pos, *next;

	list_for_each_safe (pos, next, &m->waiters) {
		struct waiter *w = list_entry(pos, struct waiter, waiters_link);

		if (member_find(m, w->exec_id))
			continue;
		if (!w->is_early || !m->client) {
			waiter_end(m, w, NULL);
			continue;
		}
		w->is_early = false;
		is_again = true;
	}
	if (is_again)
		member_ask(m);
}

static void free_waiters(struct member *m)
{
	struct waiter *w;

	while ((w = list_first(&m->waiters, struct waiter, waiters_link)))
		waiter_end(m, w, NULL);
}

/* --- exits --- */

void member_exited(
	struct member *m, struct member_process *p, bool known, uint32_t status, moment at)
{
	if (p->exited)
		return;
	p->exited = true;
	p->exit_known = known;
	p->exit_status = known ? status : 0;
	p->exited_at = at;
	p->status = CONTAINERD__V1__TYPES__STATUS__STOPPED;
	end_waiters(m, p);
}

/* --- Info --- */

static const struct {
	const char *word;
	Containerd__V1__Types__Status status;
} status_words[] = {
	{ "created", CONTAINERD__V1__TYPES__STATUS__CREATED },
	{ "running", CONTAINERD__V1__TYPES__STATUS__RUNNING },
	{ "stopped", CONTAINERD__V1__TYPES__STATUS__STOPPED },
	{ "paused", CONTAINERD__V1__TYPES__STATUS__PAUSED },
	{ "pausing", CONTAINERD__V1__TYPES__STATUS__PAUSING },
};

static Containerd__V1__Types__Status status_of_word(const char *word)
{
	for (size_t i = 0; i < sizeof(status_words) / sizeof(*status_words); i++)
		if (strcmp(status_words[i].word, word) == 0)
			return status_words[i].status;
	return CONTAINERD__V1__TYPES__STATUS__UNKNOWN;
}

/* A text that has changed, or was not known; NULL is "". */
static int set_text(char **to, const char *text)
{
	char *copy;

	if (!text || !*text)
		text = NULL;
	if (*to && text && strcmp(*to, text) == 0)
		return 0;
	copy = text ? strdup(text) : NULL;
	if (text && !copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

static int take_process(struct member *m, const Cleat__Shim__V1__ProcessRecord *record)
{
	struct member_process *p = process_get(m, record->exec_id);
	int r;

	if (!p)
		return -ENOMEM;
	p->terminal = record->terminal;
	p->pid = record->pid;
	r = set_text(&p->stdin_uri, record->stdin_uri);
	if (r == 0)
		r = set_text(&p->stdout_uri, record->stdout_uri);
	if (r == 0)
		r = set_text(&p->stderr_uri, record->stderr_uri);
	if (r < 0 || p->exited)
		return r;
	p->status = status_of_word(record->status);
	if (p->status == CONTAINERD__V1__TYPES__STATUS__STOPPED)
		member_exited(m, p, record->exit_known, record->exit_status,
			pbtime_get(record->exited_at));
	return 0;
}

/* Those that the shim no longer has were deleted. */
static void drop_others(struct member *m, const Cleat__Shim__V1__InfoResponse *info)
{
	struct list *pos, *next;

	list_for_each_safe (pos, next, &m->processes) {
		struct member_process *p = list_entry(pos, struct member_process, processes_link);
		bool there = false;

		for (size_t i = 0; i < info->n_processes && !there; i++)
			there = strcmp(info->processes[i]->exec_id, p->exec_id) == 0;
		if (!there)
			process_free(p);
	}
}

int member_take_info(struct member *m, const Cleat__Shim__V1__InfoResponse *info)
{
	int r = set_text(&m->socket, info->socket);

	if (r == 0)
		r = set_text(&m->version, info->version);
	if (r == 0)
		r = set_text(&m->folder, info->state_dir);
	if (r == 0)
		r = set_text(&m->bundle, info->bundle);
	if (r == 0)
		r = set_text(&m->runtime, info->runtime);
	if (r < 0)
		return r;
	m->shim_pid = info->shim_pid;
	m->created_at = pbtime_get(info->created_at);
	m->is_made = *info->status && strcmp(info->status, "deleted") != 0;
	m->is_unknown = false;
	set_text(&m->problem, NULL);
	drop_others(m, info);
	for (size_t i = 0; i < info->n_processes && r == 0; i++)
		r = take_process(m, info->processes[i]);
	return r;
}

/* --- events --- */

/* The payload of an event; NULL if it is none of that type. */
static void *unpack(const Cleat__Shim__V1__Event *e, const ProtobufCMessageDescriptor *type)
{
	return e->event ? protobuf_c_message_unpack(
				  type, NULL, e->event->value.len, e->event->value.data)
			: NULL;
}

static void set_running(struct member_process *p, uint32_t pid)
{
	if (!p || p->exited)
		return;
	p->pid = pid;
	p->status = CONTAINERD__V1__TYPES__STATUS__RUNNING;
}

static void on_start(struct member *m, void *payload, bool *ret_ask)
{
	const Containerd__Events__TaskStart *e = payload;

	(void)ret_ask;
	set_running(member_init_process(m), e->pid);
}

static void on_exec_added(struct member *m, void *payload, bool *ret_ask)
{
	const Containerd__Events__TaskExecAdded *e = payload;

	if (!process_get(m, e->exec_id))
		*ret_ask = true;
}

static void on_exec_started(struct member *m, void *payload, bool *ret_ask)
{
	const Containerd__Events__TaskExecStarted *e = payload;
	struct member_process *p = process_get(m, e->exec_id);

	if (!p)
		*ret_ask = true;
	set_running(p, e->pid);
}

static void on_exited(struct member *m, void *payload, bool *ret_ask)
{
	const Containerd__Events__TaskExit *e = payload;
	struct member_process *p = member_find(m, strcmp(e->id, m->id) == 0 ? "" : e->id);

	/* 255 may be containerd's word for what is not known: the shim can tell */
	if (!p || e->exit_status == STATUS_UNKNOWN)
		*ret_ask = true;
	else
		member_exited(m, p, true, e->exit_status, pbtime_get(e->exited_at));
}

static void on_delete(struct member *m, void *payload, bool *ret_ask)
{
	const Containerd__Events__TaskDelete *e = payload;
	struct member_process *p = member_find(m, e->id);

	(void)ret_ask;
	if (!p)
		return;
	if (e->exit_status != STATUS_UNKNOWN)
		member_exited(m, p, true, e->exit_status, pbtime_get(e->exited_at));
	if (*e->id)
		process_free(p);
	else
		m->is_made = false;
}

static void set_init_status(struct member *m, Containerd__V1__Types__Status status)
{
	struct member_process *init = member_init_process(m);

	if (init && !init->exited)
		init->status = status;
}

static void on_paused(struct member *m, void *payload, bool *ret_ask)
{
	(void)payload;
	(void)ret_ask;
	set_init_status(m, CONTAINERD__V1__TYPES__STATUS__PAUSED);
}

static void on_resumed(struct member *m, void *payload, bool *ret_ask)
{
	(void)payload;
	(void)ret_ask;
	set_init_status(m, CONTAINERD__V1__TYPES__STATUS__RUNNING);
}

static void on_create(struct member *m, void *payload, bool *ret_ask)
{
	(void)m;
	(void)payload;
	*ret_ask = true; /* it does not tell the runtime, nor the time */
}

void member_take_event(struct member *m, const Cleat__Shim__V1__Event *event, bool *ret_ask)
{
	static const struct {
		const char *topic;
		const ProtobufCMessageDescriptor *type;
		void (*take)(struct member *m, void *payload, bool *ret_ask);
	} kinds[] = {
		{ "/tasks/create", &containerd__events__task_create__descriptor, on_create },
		{ "/tasks/start", &containerd__events__task_start__descriptor, on_start },
		{ "/tasks/exit", &containerd__events__task_exit__descriptor, on_exited },
		{ "/tasks/delete", &containerd__events__task_delete__descriptor, on_delete },
		{ "/tasks/exec-added", &containerd__events__task_exec_added__descriptor,
			on_exec_added },
		{ "/tasks/exec-started", &containerd__events__task_exec_started__descriptor,
			on_exec_started },
		{ "/tasks/paused", &containerd__events__task_paused__descriptor, on_paused },
		{ "/tasks/resumed", &containerd__events__task_resumed__descriptor, on_resumed },
	};

	*ret_ask = event->missed > 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		ProtobufCMessage *payload;

		if (strcmp(kinds[i].topic, event->topic) != 0)
			continue;
		payload = unpack(event, kinds[i].type);
		if (!payload) {
			*ret_ask = true;
			return;
		}
		kinds[i].take(m, payload, ret_ask);
		protobuf_c_message_free_unpacked(payload, NULL);
	}
}

/* --- what our own calls change --- */

void member_created(struct member *m, const Cleat__V1__CreateRequest *request, uint32_t pid)
{
	struct member_process *init = process_get(m, "");

	if (!init)
		return; /* Info tells, which is asked for at the event */
	m->is_made = true;
	if (!m->created_at)
		m->created_at = clock_now();
	set_text(&m->bundle, request->options->bundle);
	set_text(&init->stdin_uri, request->stdin);
	set_text(&init->stdout_uri, request->stdout);
	set_text(&init->stderr_uri, request->stderr);
	init->terminal = request->terminal;
	if (!init->exited)
		init->pid = pid;
	if (request->options->runtime->run)
		set_running(init, pid);
	member_ask(m);
}

void member_started(struct member *m, const char *exec_id, uint32_t pid)
{
	struct member_process *p = process_get(m, exec_id);

	if (p && p->status == CONTAINERD__V1__TYPES__STATUS__CREATED)
		set_running(p, pid);
}

void member_paused(struct member *m, bool paused)
{
	set_init_status(m, paused ? CONTAINERD__V1__TYPES__STATUS__PAUSED
				  : CONTAINERD__V1__TYPES__STATUS__RUNNING);
}

void member_deleted(struct member *m, const char *exec_id)
{
	struct member_process *p = member_find(m, exec_id);

	if (!*exec_id)
		m->is_made = false;
	else if (p)
		process_free(p);
}

/* --- looks --- */

const char *member_status_word(Containerd__V1__Types__Status status)
{
	for (size_t i = 0; i < sizeof(status_words) / sizeof(*status_words); i++)
		if (status_words[i].status == status)
			return status_words[i].word;
	return "unknown";
}

const char *member_word(const struct member *m)
{
	const struct member_process *init = member_init_process(m);

	if (m->is_unknown || !init)
		return "unknown";
	return m->state == LINK_LOST ? "orphaned" : member_status_word(init->status);
}

bool member_is_shown(const struct member *m)
{
	return !m->has_left && (m->is_made || m->is_unknown);
}

/* --- the whole --- */

struct member *member_new(struct supervisor *supervisor, const char *ns, const char *id)
{
	struct member *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->supervisor = supervisor;
	list_init(&m->leaving_link);
	list_init(&m->forwards);
	list_init(&m->processes);
	list_init(&m->waiters);
	m->ns = strdup(ns);
	m->id = strdup(id);
	if (!m->ns || !m->id) {
		member_free(m);
		return NULL;
	}
	return m;
}

void member_free(struct member *m)
{
	struct member_process *p;

	if (!m)
		return;
	member_unlink(m);
	forward_fail_all(m, "its shim has ended");
	free_waiters(m);
	while ((p = list_first(&m->processes, struct member_process, processes_link)))
		process_free(p);
	list_unlink(&m->leaving_link);
	free(m->ns);
	free(m->id);
	free(m->socket);
	free(m->version);
	free(m->folder);
	free(m->bundle);
	free(m->runtime);
	free(m->problem);
	free(m);
}
