/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletions. Never waits. Subtle: between the steps of a forced one the member may have gone, deleted by
 * somebody else; it is looked for anew at each, and not being there is what was wanted.
 */
#include "supervisor/deletion.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/ending.h"
#include "common/error.h"
#include "common/orphan.h"
#include "common/pbtime.h"
#include "common/state_dir.h"
#include "google/protobuf/empty.pb-c.h"
#include "supervisor/errand.h"
#include "supervisor/forward.h"
#include "supervisor/member_link.h"
#include "supervisor/registry.h"
#include "supervisor/supervisor.h"
#include "task.pb-c.h"
#include "tasks.pb-c.h"

#define STATUS_UNKNOWN 255u

/* --- the answers --- */

static void reply_tasks(struct ttrpc_call *call, const char *exec_id, uint32_t pid, uint32_t status,
	Google__Protobuf__Timestamp *exited_at)
{
	Containerd__Services__Tasks__V1__DeleteResponse to =
		CONTAINERD__SERVICES__TASKS__V1__DELETE_RESPONSE__INIT;

	to.id = (char *)exec_id;
	to.pid = pid;
	to.exit_status = status;
	to.exited_at = exited_at;
	ttrpc_call_reply(call, &to.base);
}

/* From what is known: a 255 of the wire may be a real one, or not. */
static void reply_own(struct ttrpc_call *call, const struct member_process *p)
{
	Cleat__V1__DeleteResponse to = CLEAT__V1__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp exited_at;

	if (p) {
		to.pid = p->pid;
		to.exit_known = p->exited && p->exit_known;
		to.exit_status = to.exit_known ? p->exit_status : 0;
		to.exited_at = pbtime_set(&exited_at, p->exited_at);
	}
	ttrpc_call_reply(call, &to.base);
}

/* The init is gone: so is the container, and its shim is to follow. */
static void note_deleted(struct member *m, const char *exec_id)
{
	member_deleted(m, exec_id);
	if (!*exec_id)
		member_shut_down(m);
}

static void answer_tasks(struct ttrpc_call *call, struct member *m, const char *exec_id,
	const ProtobufCMessage *message)
{
	const Containerd__Task__V2__DeleteResponse *from = (const void *)message;

	note_deleted(m, exec_id);
	reply_tasks(call, exec_id, from->pid, from->exit_status, from->exited_at);
}

static void answer_own(struct ttrpc_call *call, struct member *m, const char *text,
	const ProtobufCMessage *message)
{
	const Containerd__Task__V2__DeleteResponse *from = (const void *)message;
	struct member_process *init = member_init_process(m);

	(void)text;
	if (init && from->exit_status != STATUS_UNKNOWN)
		member_exited(m, init, true, from->exit_status, pbtime_get(from->exited_at));
	reply_own(call, init);
	note_deleted(m, "");
}

static void send_delete(struct member *m, struct ttrpc_call *call, const char *exec_id,
	void (*answer)(struct ttrpc_call *call, struct member *m, const char *text,
		const ProtobufCMessage *message))
{
	Containerd__Task__V2__DeleteRequest to = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;

	to.id = m->id;
	to.exec_id = (char *)exec_id;
	forward_begin(m, call,
		&(struct forward_request){
			.service = TASK_SERVICE,
			.method = "Delete",
			.message = &to.base,
			.response = &containerd__task__v2__delete_response__descriptor,
			.answer = answer,
			.text = exec_id,
		});
}

/* --- orphans --- */

/*
 * The member has mostly been told of its folder's end by now, so the child prints how the init ended:
 * its pid, whether that is known, its status, and when.
 */
#define ENDED_FORMAT "%d %d %u %lld"

static struct member_process read_ended(const char *out)
{
	struct member_process p = { 0 };
	long long at = 0;
	int pid = 0, known = 0;

	if (sscanf(out, ENDED_FORMAT, &pid, &known, &p.exit_status, &at) != 4)
		return p;
	p.exited = true;
	p.exit_known = known != 0;
	p.pid = (uint32_t)pid;
	p.exited_at = at;
	return p;
}

static void answer_removed_tasks(struct ttrpc_call *call, struct member *m, const char *out)
{
	const struct member_process init = read_ended(out);
	Google__Protobuf__Timestamp exited_at;

	(void)m;
	reply_tasks(call, "", init.pid, init.exit_known ? init.exit_status : STATUS_UNKNOWN,
		pbtime_set(&exited_at, init.exited_at));
}

static void answer_removed(struct ttrpc_call *call, struct member *m, const char *out)
{
	const struct member_process init = read_ended(out);

	(void)m;
	reply_own(call, &init);
}

static void remove_orphan(struct member *m, struct ttrpc_call *call, bool force,
	void (*answer)(struct ttrpc_call *call, struct member *m, const char *out))
{
	char *argv[] = { (char *)"cleatd", (char *)"remove-orphan", (char *)m->supervisor->root,
		m->ns, m->id, (char *)(force ? "force" : "gently"), m->supervisor->shim, NULL };

	errand_begin(m, call, "delete", argv, answer);
}

static void print_ended(pid_t pid, bool known, uint32_t status, moment at)
{
	printf(ENDED_FORMAT "\n", (int)pid, known, status, (long long)at);
}

/* Removes it, and prints how its init ended, by the ledger or as it was learned on the way. */
static int remove_and_tell(
	struct state_dir *dir, bool force, const char *program, struct error *err)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	struct exit_entry entry = { 0 };
	struct ending ending = { 0 };
	const struct orphan_options options = {
		.force = force, .program = program, .init = &ending
	};
	bool found = false;
	int r = orphan_exit(dir, &found, &entry, err);

	if (r != 0)
		return r;
	container_record_read(dir, &record, NULL);
	r = orphan_remove(dir, &options, err);
	if (r == 0 && found)
		print_ended(entry.pid, entry.known, entry.status, entry.exited_at);
	else if (r == 0)
		print_ended(record.pid, ending.is_known,
			ending.is_known ? ending_status(&ending) : 0, clock_now());
	if (found)
		exit_entry_deinit(&entry);
	return r;
}

int deletion_child(int argc, char **argv)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	int r;

	if (argc != 5) {
		fputs("remove-orphan: for cleatd itself: ROOT NAMESPACE ID force|gently SHIM\n",
			stderr);
		return 2;
	}
	r = state_dir_open(argv[0], argv[1], argv[2], &dir, &err);
	if (r == 0)
		r = remove_and_tell(&dir, strcmp(argv[3], "force") == 0, argv[4], &err);
	return errand_tell(r, &err);
}

/* --- by force --- */

/* It has ended, or there is none: what was to be ended is to be deleted. */
static void on_end(struct member *m, struct ttrpc_call *call, const char *exec_id,
	const struct member_process *p)
{
	(void)exec_id;
	if (p)
		send_delete(m, call, "", answer_own);
	else
		reply_own(call, NULL);
}

static void await_end(struct ttrpc_call *call, struct member *m, const char *text,
	const ProtobufCMessage *message)
{
	(void)text;
	(void)message;
	member_wait(m, call, "", on_end);
}

/* It has ended already, or does not run: the Delete tells if that is not so. */
static void refuse_resume(
	struct ttrpc_call *call, struct member *m, const char *text, const struct error *err)
{
	(void)text;
	if (err->code == CODE_UNAVAILABLE)
		forward_refuse(call, err);
	else
		member_wait(m, call, "", on_end);
}

/* What is frozen dies when it is thawed. */
static void answer_kill(struct ttrpc_call *call, struct member *m, const char *text,
	const ProtobufCMessage *message)
{
	Containerd__Task__V2__ResumeRequest to = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;
	const struct member_process *init = member_init_process(m);

	if (!init || (init->status != CONTAINERD__V1__TYPES__STATUS__PAUSED &&
			     init->status != CONTAINERD__V1__TYPES__STATUS__PAUSING)) {
		await_end(call, m, text, message);
		return;
	}
	to.id = m->id;
	forward_begin(m, call,
		&(struct forward_request){ .service = TASK_SERVICE,
			.method = "Resume",
			.message = &to.base,
			.response = &google__protobuf__empty__descriptor,
			.answer = await_end,
			.refuse = refuse_resume });
}

static void answer_empty(struct ttrpc_call *call, struct member *m, const char *text,
	const ProtobufCMessage *message)
{
	(void)m;
	(void)text;
	(void)message;
	reply_own(call, NULL);
}

/* It may break off as it ends. */
static void refuse_empty(
	struct ttrpc_call *call, struct member *m, const char *text, const struct error *err)
{
	if (err->code == CODE_UNAVAILABLE)
		answer_empty(call, m, text, NULL);
	else
		forward_refuse(call, err);
}

/* A shim that has no container is to end; one that gets one meanwhile takes no notice. */
static void end_empty(struct member *m, struct ttrpc_call *call)
{
	Containerd__Task__V2__ShutdownRequest to = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;

	to.id = m->id;
	forward_begin(m, call,
		&(struct forward_request){ .service = TASK_SERVICE,
			.method = "Shutdown",
			.message = &to.base,
			.response = &google__protobuf__empty__descriptor,
			.answer = answer_empty,
			.refuse = refuse_empty });
}

static void refuse_kill(
	struct ttrpc_call *call, struct member *m, const char *text, const struct error *err)
{
	(void)text;
	if (err->code == CODE_NOT_FOUND && !m->is_made)
		end_empty(m, call);
	else if (err->code == CODE_NOT_FOUND || err->code == CODE_FAILED_PRECONDITION)
		send_delete(m, call, "", answer_own);
	else
		forward_refuse(call, err);
}

static void kill_init(struct member *m, struct ttrpc_call *call)
{
	Containerd__Task__V2__KillRequest to = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	to.id = m->id;
	to.signal = SIGKILL;
	forward_begin(m, call,
		&(struct forward_request){ .service = TASK_SERVICE,
			.method = "Kill",
			.message = &to.base,
			.response = &google__protobuf__empty__descriptor,
			.answer = answer_kill,
			.refuse = refuse_kill });
}

/* --- the whole --- */

void deletion_begin_tasks(struct member *m, struct ttrpc_call *call, const char *exec_id)
{
	if (m->state == LINK_LOST && !*exec_id)
		remove_orphan(m, call, false, answer_removed_tasks);
	else
		send_delete(m, call, exec_id, answer_tasks);
}

/*
 * A shim that has just died may have been taken for one that starts or ends, since its lock was held for
 * a moment longer: it is looked for now. The member may go with that; NULL: it has.
 */
static struct member *look_again(struct member *m)
{
	struct registry *registry = m->supervisor->registry;
	_cleanup_free_ char *ns = strdup(m->ns), *id = strdup(m->id);

	if (member_is_linked(m) || m->state == LINK_LOST || !ns || !id)
		return m;
	member_find_shim(m);
	return registry_find(registry, ns, id);
}

void deletion_begin(struct member *m, struct ttrpc_call *call, bool force)
{
	m = look_again(m);
	if (!m) {
		ttrpc_call_fail(call, CODE_NOT_FOUND, "it is gone");
		return;
	}
	if (m->state == LINK_LOST)
		remove_orphan(m, call, force, answer_removed);
	else if (force)
		kill_init(m, call);
	else
		send_delete(m, call, "", answer_own);
}
