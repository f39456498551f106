/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known without the shim: its last state file, its ledger, and the init itself. Writes one
 * thing: an exit that the dead shim could not, into the ledger, under the lock that the shim's death
 * has freed. Subtle: the ledger goes first, since what stands there was seen by the shim; then what
 * we have reaped; then what the kernel tells; and what nobody tells is unknown.
 */
#include "supervisor/member_files.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "common/ending.h"
#include "common/error.h"
#include "common/ledger.h"
#include "common/log.h"
#include "common/orphan.h"
#include "common/pbtime.h"
#include "common/state_dir.h"
#include "supervisor/member_link.h"
#include "supervisor/shims_events.h"
#include "supervisor/supervisor.h"

static char *copy(const char *s)
{
	return s && *s ? strdup(s) : NULL;
}

static void replace(char **to, char *value_take)
{
	free(*to);
	*to = value_take;
}

/* --- state.json --- */

/* A record as the shim's own answer would be. */
static int take_record(struct member *m, const struct container_record *r)
{
	Cleat__Shim__V1__InfoResponse info = CLEAT__SHIM__V1__INFO_RESPONSE__INIT;
	Cleat__Shim__V1__ProcessRecord *processes = calloc(r->n_execs + 1, sizeof(*processes)),
				       **list = calloc(r->n_execs + 1, sizeof(*list));
	Google__Protobuf__Timestamp created_at;
	int code = -ENOMEM;

	if (processes && list) {
		for (size_t i = 0; i <= r->n_execs; i++) {
			list[i] = &processes[i];
			cleat__shim__v1__process_record__init(list[i]);
			list[i]->exec_id = i == 0 ? (char *)"" : r->execs[i - 1].exec_id;
			list[i]->pid = (uint32_t)(i == 0 ? r->pid : r->execs[i - 1].pid);
			list[i]->status = i == 0 ? r->status : r->execs[i - 1].status;
			list[i]->stdout_uri = i == 0 ? r->stdout_uri : r->execs[i - 1].stdout_uri;
			list[i]->stderr_uri = i == 0 ? r->stderr_uri : r->execs[i - 1].stderr_uri;
			/* the ledger tells of exits, before anything is taken for one */
			if (strcmp(list[i]->status, "stopped") == 0)
				list[i]->status = (char *)"running";
		}
		list[0]->terminal = r->terminal;
		list[0]->stdin_uri = r->stdin_uri;
		info.processes = list;
		info.n_processes = r->n_execs + 1;
		info.status = r->status;
		info.bundle = r->bundle;
		info.runtime = r->runtime;
		info.socket = m->socket ? m->socket : (char *)"";
		info.version = m->version ? m->version : (char *)"";
		info.state_dir = m->folder ? m->folder : (char *)"";
		info.shim_pid = m->shim_pid;
		info.created_at = pbtime_set(&created_at, r->created);
		code = member_take_info(m, &info);
	}
	free(processes);
	free(list);
	return code;
}

static void take_ledger(struct member *m, const struct state_dir *dir)
{
	struct exit_entry *entries = NULL;
	size_t n = 0;

	if (ledger_read(dir->fd, &entries, &n, NULL) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct exit_entry *e = &entries[i];
		struct member_process *p = member_find(m, e->exec_id);

		/* an exec's name may have been used before */
		if (p && p->pid == (uint32_t)e->pid)
			member_exited(m, p, e->known, e->status, e->exited_at);
	}
	exit_entries_free(entries, n);
}

void member_take_files(struct member *m, const char *problem)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	_cleanup_error_ struct error err = ERROR_INIT;
	int r = member_open_folder(m, &dir, &err);

	if (r == 0)
		r = container_record_read(&dir, &record, &err);
	if (r == CODE_NOT_FOUND) {
		m->is_made = m->is_unknown = false;
		replace(&m->problem, copy(problem));
		return;
	}
	if (r == 0 && take_record(m, &record) == 0) {
		take_ledger(m, &dir);
		replace(&m->problem, copy(problem));
		return;
	}
	m->is_unknown = true;
	replace(&m->problem, copy(r == 0 ? "no memory" : error_message(&err)));
}

/* --- ends --- */

static void tell_exit(struct member_process *p, bool known, int wait_status);

/* As waitpid() has it. */
static int wait_status_of(const struct reaped *r)
{
	return r->signaled ? r->code : r->code << 8;
}

/* It was ours to reap: its shim is dead, or dies right now. */
static void on_reaped(const struct reaped *reaped, void *userdata)
{
	struct member_process *p = userdata;

	p->is_owned = false;
	if (reaped->start_time != p->ref.start_time)
		return;
	p->reaped_status = wait_status_of(reaped);
	p->is_reaped = true;
	if (p->member->state == LINK_LOST)
		tell_exit(p, true, p->reaped_status);
}

/* Opens its pidfd. The start time is the shim's word: by the number alone it could be somebody else. */
static void hold(struct member_process *p, uint64_t start_time)
{
	if (p->ref.fd >= 0 || pidref_open_same((pid_t)p->pid, start_time, &p->ref) < 0)
		return;
	reaper_watch(p->member->supervisor->reaper, &p->child, p->ref.pid, on_reaped, p);
	p->is_owned = true;
}

void member_release(struct member_process *p)
{
	if (p->is_owned)
		reaper_unwatch(&p->child);
	p->is_owned = false;
	if (p->ended)
		event_free(p->ended);
	p->ended = NULL;
	pidref_close(&p->ref);
}

static int read_record(const struct member *m, struct container_record *ret)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	int r = member_open_folder(m, &dir, NULL);

	return r == 0 ? container_record_read(&dir, ret, NULL) : r;
}

void member_hold_init(struct member *m)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	struct member_process *init = member_init_process(m);

	if (!init || init->exited || init->pid == 0 || init->ref.fd >= 0)
		return;
	if (read_record(m, &record) == 0 && record.pid == (pid_t)init->pid)
		hold(init, record.start_time);
}

/* Where nobody has it yet, and nobody holds the lock: who has it is removing all of this. */
static void record_exit(const struct member_process *p, bool known, int wait_status, moment at)
{
	const struct member *m = p->member;
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	const struct ending ending = { known, wait_status };
	const struct exit_entry e = {
		.id = m->id,
		.exec_id = (char *)p->exec_id,
		.pid = (pid_t)p->pid,
		.known = known,
		.status = known ? ending_status(&ending) : 0,
		.signal = known && WIFSIGNALED(wait_status) ? (uint32_t)WTERMSIG(wait_status) : 0,
		.started_at = *p->exec_id ? 0 : m->created_at,
		.exited_at = at,
	};
	struct ledger *ledger = NULL;

	if (member_open_folder(m, &dir, NULL) != 0 || state_dir_lock(&dir, NULL) != 0)
		return;
	if (ledger_open(dir.fd, &ledger, NULL) == 0)
		ledger_append(ledger, &e);
	ledger_free(ledger);
}

static bool has_ended(const struct pidref *p)
{
	struct pollfd fd = { .fd = p->fd, .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

/* The kernel says of several in any order that they have ended; an init's exit is told last. */
static void tell_ended_execs(struct member *m)
{
	struct list *pos, *next;

	list_for_each_safe (pos, next, &m->processes) {
		struct member_process *p = list_entry(pos, struct member_process, processes_link);
		struct ending ending = { 0 };

		if (p->exited || !*p->exec_id || p->ref.fd < 0 || !has_ended(&p->ref))
			continue;
		if (p->is_reaped)
			ending = (struct ending){ true, p->reaped_status };
		else
			ending_learn(&p->ref, &ending);
		tell_exit(p, ending.is_known, ending.wait_status);
	}
}

static void tell_exit(struct member_process *p, bool known, int wait_status)
{
	const struct ending ending = { known, wait_status };
	struct member *m = p->member;
	moment now;

	if (p->exited)
		return;
	if (!*p->exec_id)
		tell_ended_execs(m);
	now = clock_now();
	record_exit(p, known, wait_status, now);
	log_info("an orphan's process has ended", F_STR("namespace", m->ns), F_STR("id", m->id),
		F_STR("exec", p->exec_id),
		F_INT("status", known ? (long long)ending_status(&ending) : -1));
	member_exited(m, p, known, known ? ending_status(&ending) : 0, now);
	shims_events_publish_exit(m->supervisor, p);
	member_release(p);
}

static void on_ended(evutil_socket_t fd, short what, void *userdata)
{
	struct ending ending = { 0 };
	struct member_process *p = userdata;

	(void)fd;
	(void)what;
	reaper_dispatch(p->member->supervisor->reaper); /* ours: that tells */
	if (p->exited)
		return;
	ending_learn(&p->ref, &ending);
	tell_exit(p, ending.is_known, ending.wait_status);
}

/* It was reaped before anybody knew that it would be ours. */
static bool tell_kept(struct member_process *p, uint64_t start_time)
{
	const struct reaped *kept = reaper_find_kept(p->member->supervisor->reaper, (pid_t)p->pid);

	if (!kept || kept->start_time != start_time)
		return false;
	tell_exit(p, true, wait_status_of(kept));
	return true;
}

/* One process of a dead shim. start_time 0: its record has none. */
static void mourn(struct member_process *p, uint64_t start_time)
{
	if (p->exited)
		return;
	if (p->pid == 0) {
		/* it never came to run: nobody is to wait for that, and no ledger has it */
		member_exited(p->member, p, false, 0, 0);
		return;
	}
	if (p->is_reaped) {
		tell_exit(p, true, p->reaped_status);
		return;
	}
	if (tell_kept(p, start_time))
		return;
	if (start_time)
		hold(p, start_time);
	if (p->ref.fd >= 0)
		p->ended = event_new(p->member->supervisor->base, p->ref.fd, EV_READ, on_ended, p);
	if (!p->ended || event_add(p->ended, NULL) < 0)
		tell_exit(p, false, 0);
}

static uint64_t recorded_start(const struct container_record *r, const struct member_process *p)
{
	if (!*p->exec_id)
		return r->pid == (pid_t)p->pid ? r->start_time : 0;
	for (size_t i = 0; i < r->n_execs; i++)
		if (strcmp(r->execs[i].exec_id, p->exec_id) == 0 &&
			r->execs[i].pid == (pid_t)p->pid)
			return r->execs[i].start_time;
	return 0;
}

static bool is_sandbox(const struct container_record *record)
{
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;

	return orphan_runtime(record, &rt, NULL) == 0 && runtime_is_sandbox(&rt);
}

void member_mourn(struct member *m)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	struct member_process *init;
	struct list *pos, *next;

	member_take_files(m, "its shim is dead");
	init = member_init_process(m);
	read_record(m, &record);
	m->is_sandbox = record.runtime_kind && is_sandbox(&record);
	list_for_each_safe (pos, next, &m->processes) {
		struct member_process *p = list_entry(pos, struct member_process, processes_link);

		if (*p->exec_id)
			mourn(p, recorded_start(&record, p));
	}
	if (init)
		mourn(init, recorded_start(&record, init)); /* it is told last */
}
