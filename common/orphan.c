/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes what a dead shim left. Never touches a container whose lock is held. Subtle: processes
 * are found again by pid and start time, so a number that was given away is not killed; and on
 * cgroups v1 a frozen one dies of SIGKILL only once it is thawed.
 */
#include "common/orphan.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/pidref.h"
#include "common/run.h"
#include "common/runtime_leftover.h"
#include "common/shim_start.h"
#include "common/text.h"
#include "common/unfinished.h"

/* One that is being removed. */
struct removal {
	const struct orphan_options *o;
	const struct container_record *r;
	const struct state_dir *dir;
};

#define WORDS_MAX     1024 /* bytes kept of what an unmount that failed says */
#define THAW_AFTER_MS 1000 /* what has not died of SIGKILL by then may be frozen */

int orphan_exit(
	const struct state_dir *dir, bool *ret_found, struct exit_entry *ret, struct error *err)
{
	struct exit_entry *entries = NULL;
	size_t n = 0;
	int r = ledger_read(dir->fd, &entries, &n, err);

	if (r != 0)
		return r;
	*ret_found = false;
	/* the last: a restore that failed after its init had ended has left one as well */
	for (size_t i = n; i-- > 0 && !*ret_found;) {
		if (*entries[i].exec_id)
			continue;
		*ret = entries[i];
		entries[i] = (struct exit_entry){ 0 };
		*ret_found = true;
	}
	exit_entries_free(entries, n);
	return 0;
}

int orphan_runtime(const struct container_record *record, struct runtime *ret, struct error *err)
{
	int code = runtime_init(
		ret, record->runtime_kind, record->runtime, record->runtime_root, 0, err);

	if (code != 0)
		return code;
	ret->systemd_cgroup = record->systemd_cgroup;
	for (char **o = record->runtime_options; o && *o && code == 0; o++)
		code = runtime_add_option(ret, *o, err);
	return code;
}

/* The same, to be run as the options say. */
static int open_runtime(const struct removal *m, struct runtime *ret, struct error *err)
{
	int code = orphan_runtime(m->r, ret, err);

	if (code == 0 && m->o->is_leashed) {
		ret->same_group = true;
		ret->death_signal = SIGKILL;
	}
	return code;
}

/* --- its processes --- */

/* Opened while it still is the one, and killed; left closed where it is gone already. */
static int kill_process(pid_t pid, uint64_t start_time, const char *id, struct ending *ending,
	struct pidref *ret, struct error *err)
{
	int r = pidref_open_same(pid, start_time, ret);

	if (r == 0)
		r = ending ? ending_kill(ret, ending) : pidref_signal(ret, SIGKILL);
	return r < 0 && r != -ESRCH
		       ? error_errno(err, r, "container %s: process %d cannot be killed", id, pid)
		       : 0;
}

/* Whether it has ended, or does within ms. */
static bool has_ended(const struct pidref *p, int ms)
{
	struct pollfd poll_fd = { .fd = p->fd, .events = POLLIN };

	return p->fd < 0 || poll(&poll_fd, 1, ms) != 0;
}

static bool have_ended(const struct pidref *killed, size_t n, int ms)
{
	for (size_t i = 0; i < n; i++)
		if (!has_ended(&killed[i], ms))
			return false;
	return true;
}

/* Lets what is frozen run. Whether that helped is seen by whether the killed die. */
static void thaw(const struct removal *m)
{
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	_cleanup_(runtime_outcome_deinit) struct runtime_outcome outcome = RUNTIME_OUTCOME_INIT;
	const struct runtime_request request = { .verb = RUNTIME_RESUME, .id = m->r->id };

	if (open_runtime(m, &rt, NULL) == 0)
		runtime_run(&rt, &request, &outcome, NULL);
}

/* All are signalled before any is waited for: the frozen are thawed to nothing but their end. */
static int end_killed(
	const struct removal *m, const struct pidref *killed, size_t n, struct error *err)
{
	const struct container_record *r = m->r;
	bool is_frozen = strcmp(r->status, "paused") == 0 || strcmp(r->status, "pausing") == 0;

	/* somebody may have paused it without its shim, or the shim died before it could write it */
	if (have_ended(killed, n, is_frozen ? 0 : THAW_AFTER_MS))
		return 0;
	thaw(m);
	for (size_t i = 0; i < n; i++)
		if (!has_ended(&killed[i], STOP_GRACE_MS))
			return error_set(err, CODE_DEADLINE_EXCEEDED,
				"container %s: process %d does not die", r->id, killed[i].pid);
	return 0;
}

static void record_ending(const struct removal *m)
{
	const struct ending *ending = m->o->init;
	const struct exit_entry e = {
		.id = m->r->id,
		.exec_id = (char *)"",
		.pid = m->r->pid,
		.known = true,
		.status = ending_status(ending),
		.signal = WIFSIGNALED(ending->wait_status) ? (uint32_t)WTERMSIG(ending->wait_status)
							   : 0,
		.started_at = m->r->created,
		.exited_at = clock_now(),
	};
	struct ledger *ledger = NULL;

	if (ledger_open(m->dir->fd, &ledger, NULL) == 0)
		ledger_append(ledger, &e);
	ledger_free(ledger);
}

/*
 * What the kernel tells goes before what was concluded. It is recorded at once: whoever runs us may be
 * killed before we are through, and may be run again.
 */
static void note_ending(const struct removal *m, const struct pidref *init)
{
	struct ending told;

	ending_learn(init, &told);
	if (told.is_known)
		*m->o->init = told;
	if (m->o->init->is_known)
		record_ending(m);
}

static int end_processes(const struct removal *m, struct error *err)
{
	const struct container_record *r = m->r;
	struct pidref *killed = calloc(r->n_execs + 1, sizeof(*killed));
	size_t n = 0;
	int code = 0;

	if (!killed)
		return error_errno(err, -ENOMEM, "container %s", r->id);
	for (; n <= r->n_execs && code == 0; n++) {
		bool is_init = n == r->n_execs;

		killed[n] = PIDREF_INIT;
		code = kill_process(is_init ? r->pid : r->execs[n].pid,
			is_init ? r->start_time : r->execs[n].start_time, r->id,
			is_init ? m->o->init : NULL, &killed[n], err);
	}
	if (code == 0)
		code = end_killed(m, killed, n, err);
	if (code == 0 && m->o->init && killed[n - 1].fd >= 0)
		note_ending(m, &killed[n - 1]);
	while (n-- > 0)
		pidref_close(&killed[n]);
	free(killed);
	return code;
}

static bool init_lives(const struct container_record *r)
{
	_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
	struct proc_stat stat;

	return pidref_open_same(r->pid, r->start_time, &p) == 0 &&
	       proc_stat_read(r->pid, &stat) == 0 && stat.state != 'Z';
}

static int runtime_delete(const struct removal *m, struct error *err)
{
	const struct container_record *r = m->r;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	_cleanup_(runtime_outcome_deinit) struct runtime_outcome outcome = RUNTIME_OUTCOME_INIT;
	_cleanup_error_ struct error failure = ERROR_INIT;
	const struct runtime_request request = {
		.verb = RUNTIME_DELETE, .id = r->id, .force = true
	};
	int code = open_runtime(m, &rt, err), left;

	if (code == 0)
		code = runtime_run(&rt, &request, &outcome, err);
	if (code != 0)
		return code;
	code = runtime_judge(&rt, RUNTIME_DELETE, &outcome, NULL, &failure);
	left = runtime_leftover_remove(&rt, r->id);
	if (left < 0)
		return error_errno(err, left, "container %s: %s/%s", r->id, rt.root, r->id);
	if (left > 0 || code == 0 || code == CODE_NOT_FOUND)
		return 0;
	error_move(err, &failure);
	return error_wrap(err, "container %s", r->id);
}

/*
 * Whether what the runtime has under the id of a create that was cut short is of that create: a
 * process that is older than the runtime's run is not, nor is a container made before. What
 * is no container yet is taken for its. 0, or a code where the runtime does not say.
 */
static int is_of_create(const struct removal *m, bool *ret, struct error *err)
{
	const struct container_record *r = m->r;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	_cleanup_(runtime_outcome_deinit) struct runtime_outcome outcome = RUNTIME_OUTCOME_INIT;
	_cleanup_(runtime_state_deinit) struct runtime_state state = { 0 };
	const struct runtime_request request = { .verb = RUNTIME_STATE, .id = r->id };
	struct proc_stat stat;
	int code = open_runtime(m, &rt, err);

	if (code == 0)
		code = runtime_run(&rt, &request, &outcome, err);
	if (code != 0)
		return code;
	code = runtime_judge(&rt, RUNTIME_STATE, &outcome, NULL, err);
	*ret = true;
	if (code == CODE_NOT_FOUND) {
		error_clear(err);
		return 0;
	}
	if (code == 0)
		code = runtime_read_state(&rt, &outcome.out, &state, err);
	if (code != 0)
		return error_wrap(err, "container %s", r->id);
	if (state.pid > 0 && proc_stat_read(state.pid, &stat) == 0)
		*ret = stat.start_time >= r->making.start_time;
	if (state.created && state.created < r->created)
		*ret = false;
	return 0;
}

static int judge_unmount(
	const struct container_record *r, const struct run_result *run, struct error *err)
{
	_cleanup_free_ char *line = NULL;

	if (run->timed_out)
		return error_set(err, CODE_DEADLINE_EXCEEDED,
			"container %s: unmount %s: no answer in %u s", r->id, r->rootfs,
			MOUNT_DEADLINE_MS / 1000);
	if (WIFEXITED(run->wait_status) && WEXITSTATUS(run->wait_status) == 0)
		return 0;
	line = text_first_line(
		run->err.len ? (const void *)buf_head(&run->err) : "", run->err.len, WORDS_MAX);
	return error_set(err, CODE_INTERNAL, "container %s: %s", r->id,
		line && *line ? line : "its rootfs could not be unmounted");
}

/* What its Create had mounted, by a verb of the shim's program: an unmount may hang. */
static int unmount(const struct removal *m, struct error *err)
{
	const struct container_record *r = m->r;
	_cleanup_(run_result_deinit) struct run_result run = RUN_RESULT_INIT;
	_cleanup_free_ char *program = NULL;
	char *argv[] = { NULL, (char *)"unmount", r->rootfs,
		r->rootfs_made ? (char *)SHIM_UNMOUNT_MADE : NULL, NULL };
	const struct run_options options = {
		.argv = argv,
		.err_limit = WORDS_MAX,
		.deadline_ms = MOUNT_DEADLINE_MS,
		.same_group = m->o->is_leashed,
		.death_signal = m->o->is_leashed ? SIGKILL : 0,
	};
	int code = 0;

	if (!*r->rootfs)
		return 0;
	if (!m->o->program)
		code = shim_find(&program, err);
	if (code != 0)
		return error_wrap(err, "container %s: unmount %s", r->id, r->rootfs);
	argv[0] = program ? program : (char *)m->o->program;
	code = run_program(&options, &run);
	if (code < 0)
		return error_errno(err, code, "container %s: unmount %s", r->id, r->rootfs);
	return judge_unmount(r, &run, err);
}

static int end_container(const struct removal *m, pid_t shim_pid, struct error *err)
{
	const struct container_record *r = m->r;
	bool is_ours = true;
	int code;

	if (!m->o->force && init_lives(r))
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s is still running, though its shim is dead: --force ends it",
			r->id);
	if (!m->o->force && r->making.is_so)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s was being created when its shim died: --force removes it",
			r->id);
	code = end_processes(m, err);
	if (code == 0 && r->making.is_so)
		code = unfinished_end_run(r, shim_pid, err);
	if (code == 0 && r->making.is_so)
		code = unfinished_end_cgroups(r, err);
	if (code == 0 && r->making.is_so)
		code = is_of_create(m, &is_ours, err);
	if (code == 0 && is_ours)
		code = runtime_delete(m, err);
	unfinished_remove_cgroups(r);
	return code != 0 ? code : unmount(m, err);
}

int orphan_remove(struct state_dir *dir, const struct orphan_options *options, struct error *err)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	const struct removal m = { options, &record, dir };
	_cleanup_(shim_record_deinit) struct shim_record shim = { 0 };
	int code = state_dir_lock(dir, err);

	if (code != 0)
		return code;
	/* one that died before it had written it has made nothing either */
	shim_record_read(dir, &shim, NULL);
	code = container_record_read(dir, &record, err);
	if (code == 0)
		code = end_container(&m, shim.pid, err);
	else if (code == CODE_NOT_FOUND)
		code = 0; /* its shim died before a container was made */
	if (code != 0)
		return code;
	error_clear(err);
	if (shim.socket)
		unlink(shim.socket);
	return state_dir_remove(dir, err);
}

int orphan_delete(struct state_dir *dir, bool force, struct error *err)
{
	return orphan_remove(dir, &(struct orphan_options){ .force = force }, err);
}
