/* SPDX-License-Identifier: Apache-2.0 */
/* Kills of orphans. Never signals a number: a process is held since its shim died, or it is gone. */
#include "supervisor/orphan_kill.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/orphan.h"
#include "common/runtime.h"
#include "common/runtime_look.h"
#include "common/signals.h"
#include "common/state_dir.h"
#include "supervisor/errand.h"
#include "supervisor/forward.h"
#include "supervisor/supervisor.h"

static void begin_child(
	struct member *m, struct ttrpc_call *call, uint32_t signal, const char *whom)
{
	char number[16];
	char *argv[] = { (char *)"cleatd", (char *)"kill-orphan", (char *)m->supervisor->root,
		m->ns, m->id, number, (char *)whom, NULL };

	snprintf(number, sizeof(number), "%u", signal);
	errand_begin(m, call, "kill", argv, NULL);
}

static int kill_process(
	struct member *m, const struct member_process *p, int signal, struct error *err)
{
	int r;

	if (p->ref.fd < 0 || p->exited)
		return error_set(
			err, CODE_NOT_FOUND, "container %s: process already finished", m->id);
	r = pidref_signal(&p->ref, signal);
	if (r == -ESRCH)
		return error_set(
			err, CODE_NOT_FOUND, "container %s: process already finished", m->id);
	return r < 0 ? error_errno(err, r, "container %s: kill", m->id) : 0;
}

void orphan_kill(struct member *m, struct ttrpc_call *call,
	const Containerd__Services__Tasks__V1__KillRequest *request)
{
	const struct member_process *p = member_find(m, request->exec_id);
	_cleanup_error_ struct error err = ERROR_INIT;
	int r = 0;

	if (request->signal == 0 || request->signal > SIGNAL_MAX)
		r = error_set(&err, CODE_INVALID_ARGUMENT, "container %s: signal %u: not 1 to %d",
			m->id, request->signal, SIGNAL_MAX);
	else if (!p)
		r = error_set(
			&err, CODE_NOT_FOUND, "container %s: no exec %s", m->id, request->exec_id);
	else if (request->all && !*request->exec_id) {
		begin_child(m, call, request->signal, "all");
		return;
	} else if (m->is_sandbox && (int)request->signal != SIGKILL && !*request->exec_id) {
		begin_child(m, call, request->signal, "init");
		return;
	} else if (m->is_sandbox && *request->exec_id) {
		r = error_set(&err, CODE_FAILED_PRECONDITION,
			"container %s: exec %s cannot be signalled: its shim alone knew its pid in "
			"the sandbox",
			m->id, request->exec_id);
	} else {
		r = kill_process(m, p, (int)request->signal, &err);
	}
	if (r == 0)
		ttrpc_call_reply(call, NULL);
	else
		forward_refuse(call, &err);
}

static int run_kill(const struct container_record *record, int signal, bool all, struct error *err)
{
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	_cleanup_(runtime_outcome_deinit) struct runtime_outcome outcome = RUNTIME_OUTCOME_INIT;
	const struct runtime_request request = {
		.verb = RUNTIME_KILL, .id = record->id, .signal = signal, .all = all
	};
	int r = orphan_runtime(record, &rt, err);

	if (r == 0)
		r = runtime_run(&rt, &request, &outcome, err);
	if (r == 0)
		r = runtime_judge(&rt, RUNTIME_KILL, &outcome, NULL, err);
	return r == 0 ? 0 : error_wrap(err, "container %s", record->id);
}

int orphan_kill_child(int argc, char **argv)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	_cleanup_error_ struct error err = ERROR_INIT;
	int r;

	if (argc != 5) {
		fputs("kill-orphan: for cleatd itself: ROOT NAMESPACE ID SIGNAL all|init\n",
			stderr);
		return 2;
	}
	r = state_dir_open(argv[0], argv[1], argv[2], &dir, &err);
	if (r == 0)
		r = container_record_read(&dir, &record, &err);
	if (r == 0)
		r = run_kill(&record, signal_parse(argv[3]), strcmp(argv[4], "all") == 0, &err);
	return errand_tell(r, &err);
}
