/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orphans. Writes nothing. Subtle: a recorded pid may belong to somebody else by now, so every
 * process is found by pid and start time.
 */
#include "common/client_dead.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/ledger.h"
#include "common/orphan.h"
#include "common/pidref.h"
#include "common/runtime.h"

bool client_dead_exit(
	const struct state_dir *dir, const char *exec_id, pid_t pid, struct client_exit *ret)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct exit_entry *entries = NULL;
	bool found = false;
	size_t n = 0;

	if (ledger_read(dir->fd, &entries, &n, &ignored) != 0)
		return false;
	for (size_t i = n; i-- > 0 && !found;) {
		const struct exit_entry *e = &entries[i];

		if (strcmp(e->exec_id, exec_id) != 0 || (pid && e->pid != pid))
			continue;
		*ret = (struct client_exit){ e->known, e->status, e->exited_at };
		found = true;
	}
	exit_entries_free(entries, n);
	return found;
}

static int read_record(struct client_target *t, struct container_record *ret, struct error *err)
{
	int r = container_record_read(&t->dir, ret, err);

	if (r == CODE_NOT_FOUND)
		return error_set(err, r, "container %s: does not exist", t->id);
	return r == 0 ? 0 : client_wrap(err, t->id);
}

/* A process as the record has it: its pid is 0 where it never ran. */
static int find_process(struct client_target *t, const struct container_record *record,
	const char *exec_id, pid_t *ret_pid, uint64_t *ret_start_time, struct error *err)
{
	if (!*exec_id) {
		*ret_pid = record->pid;
		*ret_start_time = record->start_time;
		return 0;
	}
	for (size_t i = 0; i < record->n_execs; i++) {
		if (strcmp(record->execs[i].exec_id, exec_id) != 0)
			continue;
		*ret_pid = record->execs[i].pid;
		*ret_start_time = record->execs[i].start_time;
		return 0;
	}
	return error_set(err, CODE_NOT_FOUND, "container %s: no exec %s", t->id, exec_id);
}

int client_dead_open(
	struct client_target *t, const char *exec_id, struct pidref *ret, struct error *err)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	uint64_t start_time = 0;
	struct proc_stat st;
	pid_t pid = 0;
	int r = read_record(t, &record, err);

	if (r == 0)
		r = find_process(t, &record, exec_id, &pid, &start_time, err);
	if (r != 0)
		return r;
	r = pid > 0 ? pidref_open_same(pid, start_time, ret) : -ESRCH;
	/* what nobody has reaped yet has finished all the same */
	if (r == 0 && proc_stat_read(pid, &st) == 0 && st.state == 'Z')
		pidref_close(ret);
	return r < 0 && r != -ESRCH ? error_errno(err, r, "container %s: process %d", t->id, pid)
				    : 0;
}

int client_dead_status(
	struct client_target *t, const char *exec_id, struct client_status *ret, struct error *err)
{
	_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
	struct client_status s = { .status = CONTAINERD__V1__TYPES__STATUS__STOPPED };
	int r = client_dead_open(t, exec_id, &p, err);

	if (r != 0)
		return r;
	if (p.fd >= 0) {
		s.status = CONTAINERD__V1__TYPES__STATUS__RUNNING;
		s.pid = (uint32_t)p.pid;
	} else {
		client_dead_exit(&t->dir, exec_id, 0, &s.exit);
	}
	*ret = s;
	return 0;
}

/* --- through the runtime --- */

static int run_runtime(struct client_target *t, struct runtime_request *request,
	struct runtime_outcome *outcome, struct runtime *rt, struct error *err)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	int r = read_record(t, &record, err);

	if (r != 0)
		return r;
	request->id = t->id;
	r = orphan_runtime(&record, rt, err);
	if (r == 0)
		r = runtime_run(rt, request, outcome, err);
	if (r == 0)
		r = runtime_judge(rt, request->verb, outcome, NULL, err);
	return r == 0 ? 0 : client_wrap(err, t->id);
}

static int kill_by_runtime(struct client_target *t, int sig, bool all, struct error *err)
{
	_cleanup_(runtime_outcome_deinit) struct runtime_outcome outcome = RUNTIME_OUTCOME_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	struct runtime_request request = { .verb = RUNTIME_KILL, .signal = sig, .all = all };

	return run_runtime(t, &request, &outcome, &rt, err);
}

static int is_in_sandbox(struct client_target *t, bool *ret, struct error *err)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	int r = read_record(t, &record, err);

	if (r == 0)
		r = orphan_runtime(&record, &rt, err);
	if (r == 0)
		*ret = runtime_is_sandbox(&rt);
	return r;
}

/* What is known outside is the sandbox, or a process that waits: a signal is not meant for these. */
static int kill_in_sandbox(struct client_target *t, const char *exec_id, int sig, struct error *err)
{
	if (*exec_id)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: exec %s cannot be signalled: its shim alone knew its pid in "
			"the sandbox",
			t->id, exec_id);
	return kill_by_runtime(t, sig, false, err);
}

static bool is_alive(pid_t pid, uint64_t start_time)
{
	struct proc_stat st;

	return pid > 0 && proc_stat_read(pid, &st) == 0 && st.start_time == start_time &&
	       st.state != 'Z';
}

/* What stands outside for those in a sandbox, whose own pids mean something else here. */
static int recorded_pids(
	const struct container_record *record, pid_t **ret, size_t *ret_n, struct error *err)
{
	pid_t *pids = calloc(record->n_execs + 1, sizeof(*pids));

	if (!pids)
		return error_errno(err, -ENOMEM, "container %s: ps", record->id);
	*ret_n = 0;
	if (is_alive(record->pid, record->start_time))
		pids[(*ret_n)++] = record->pid;
	for (size_t i = 0; i < record->n_execs; i++)
		if (is_alive(record->execs[i].pid, record->execs[i].start_time))
			pids[(*ret_n)++] = record->execs[i].pid;
	*ret = pids;
	return 0;
}

int client_dead_pids(struct client_target *t, pid_t **ret, size_t *ret_n, struct error *err)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	_cleanup_(runtime_outcome_deinit) struct runtime_outcome outcome = RUNTIME_OUTCOME_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	struct runtime_request request = { .verb = RUNTIME_PS };
	int r = read_record(t, &record, err);

	if (r == 0)
		r = orphan_runtime(&record, &rt, err);
	if (r == 0 && runtime_is_sandbox(&rt))
		return recorded_pids(&record, ret, ret_n, err);
	runtime_deinit(&rt);
	if (r == 0)
		r = run_runtime(t, &request, &outcome, &rt, err);
	if (r == 0)
		r = runtime_read_pids(&rt, &outcome.out, ret, ret_n, err);
	return r;
}

/* --- the whole --- */

int client_dead_kill(
	struct client_target *t, const char *exec_id, int sig, bool all, struct error *err)
{
	_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
	bool sandbox = false;
	int r;

	if (all)
		return kill_by_runtime(t, sig, true, err);
	r = client_dead_open(t, exec_id, &p, err);
	if (r == 0)
		r = is_in_sandbox(t, &sandbox, err);
	if (r != 0)
		return r;
	if (p.fd >= 0 && sandbox && (*exec_id || sig != SIGKILL))
		return kill_in_sandbox(t, exec_id, sig, err);
	r = p.fd < 0 ? -ESRCH : pidref_signal(&p, sig);
	if (r == -ESRCH)
		return error_set(
			err, CODE_NOT_FOUND, "container %s: process already finished", t->id);
	return r < 0 ? error_errno(err, r, "container %s: kill", t->id) : 0;
}
