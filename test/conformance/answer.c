/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers as text: what a client sees of them, without what differs from run to run. Pids become the
 * name of the process that has them. Never calls but for a status.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "runc_options.pb-c.h"
#include "test/conformance/ask.h"

static const char *pid_name(const struct box *box, uint32_t pid)
{
	if (pid == 0)
		return "0";
	if (pid == box->pid[INIT])
		return "init";
	return pid == box->pid[EXEC] ? "exec" : "other";
}

/* Go's zero time, year 1, is how the reference says "none". */
static const char *time_name(const Google__Protobuf__Timestamp *t)
{
	return t && t->seconds > 0 ? "told" : "none";
}

static const char *status_name(Containerd__V1__Types__Status status)
{
	static const char *const names[] = { "unknown", "created", "running", "stopped", "paused",
		"pausing" };

	return (size_t)status < sizeof(names) / sizeof(*names) ? names[status] : "?";
}

static bool has_streams(const struct box *box, const Containerd__Task__V2__StateResponse *r)
{
	const struct streams *s = &box->streams[strcmp(r->id, box->id) == 0 ? INIT : EXEC];

	return strcmp(r->stdin, s->in) == 0 && strcmp(r->stdout, s->out) == 0 &&
	       strcmp(r->stderr, box->terminal ? "" : s->err) == 0 &&
	       !r->terminal == !box->terminal;
}

static void print_state(
	const struct box *box, const Containerd__Task__V2__StateResponse *r, FILE *f)
{
	const char *id = strcmp(r->id, box->id) == 0 ? "ID" : r->id;

	fprintf(f, "id=%s exec_id=%s status=%s pid=%s bundle=%s streams=%s exit=%u time=%s", id,
		*r->exec_id ? r->exec_id : "-", status_name(r->status), pid_name(box, r->pid),
		strcmp(r->bundle, box->dir) == 0 ? "given" : "other",
		has_streams(box, r) ? "given" : "other", r->exit_status, time_name(r->exited_at));
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *process_name(const struct box *box, const Containerd__V1__Types__ProcessInfo *info)
{
	Containerd__Runc__V1__ProcessDetails *d;
	char *name;

	if (!info->info)
		return format(" %s", pid_name(box, info->pid));
	d = containerd__runc__v1__process_details__unpack(
		NULL, info->info->value.len, info->info->value.data);
	name = format(
		" %s(%s:%s)", pid_name(box, info->pid), info->info->type_url, d ? d->exec_id : "?");
	if (d)
		containerd__runc__v1__process_details__free_unpacked(d, NULL);
	return name;
}

static void print_pids(const struct box *box, const Containerd__Task__V2__PidsResponse *r, FILE *f)
{
	char *names[16] = { NULL };
	size_t n = 0;

	fputs("processes:", f);
	for (; n < r->n_processes && n < 16; n++)
		names[n] = process_name(box, r->processes[n]);
	qsort(names, n, sizeof(*names), compare_words);
	for (size_t i = 0; i < n; i++) {
		fputs(names[i], f);
		free(names[i]);
	}
}

static void print_connect(
	const struct box *box, const Containerd__Task__V2__ConnectResponse *r, FILE *f)
{
	fprintf(f, "shim=%s task=%s", (pid_t)r->shim_pid == box->shim.pid ? "same" : "other",
		pid_name(box, r->task_pid));
}

/* Stats' message is that of the host's version of cgroups. */
static void print_stats(const Containerd__Task__V2__StatsResponse *r, FILE *f)
{
	bool is_v2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
	const char *wanted =
		is_v2 ? "io.containerd.cgroups.v2.Metrics" : "io.containerd.cgroups.v1.Metrics";
	const char *type = r->stats ? r->stats->type_url : "none";

	fprintf(f, "type=%s %s", strcmp(type, wanted) == 0 ? "the-host's" : type,
		r->stats && r->stats->value.len > 20 ? "filled" : "empty");
}

static void print_message(const struct box *box, const ProtobufCMessage *m, FILE *f)
{
	const ProtobufCMessageDescriptor *d = m->descriptor;
	const void *r = m;

	if (d == &containerd__task__v2__state_response__descriptor) {
		print_state(box, r, f);
	} else if (d == &containerd__task__v2__pids_response__descriptor) {
		print_pids(box, r, f);
	} else if (d == &containerd__task__v2__connect_response__descriptor) {
		print_connect(box, r, f);
	} else if (d == &containerd__task__v2__create_task_response__descriptor) {
		const Containerd__Task__V2__CreateTaskResponse *c = r;

		fprintf(f, "pid=%s", pid_name(box, c->pid));
	} else if (d == &containerd__task__v2__start_response__descriptor) {
		const Containerd__Task__V2__StartResponse *s = r;

		fprintf(f, "pid=%s", pid_name(box, s->pid));
	} else if (d == &containerd__task__v2__delete_response__descriptor) {
		const Containerd__Task__V2__DeleteResponse *x = r;

		fprintf(f, "pid=%s exit=%u time=%s", pid_name(box, x->pid), x->exit_status,
			time_name(x->exited_at));
	} else if (d == &containerd__task__v2__wait_response__descriptor) {
		const Containerd__Task__V2__WaitResponse *w = r;

		fprintf(f, "exit=%u time=%s", w->exit_status, time_name(w->exited_at));
	} else if (d == &containerd__task__v2__stats_response__descriptor) {
		print_stats(r, f);
	}
}

void answer_print(struct box *box, const struct answer *a, FILE *f)
{
	if (a->code != 0) {
		fprintf(f, "%s \"%s\"", code_name(a->code), a->words ? a->words : "");
		return;
	}
	fputs("OK", f);
	if (a->message && a->message->descriptor->n_fields > 0) {
		fputc(' ', f);
		print_message(box, a->message, f);
	}
}

const char *ask_status(struct box *box, enum who who)
{
	_cleanup_answer_ struct answer a = { 0 };

	if (ask(box, &(struct ask){ .call = CALL_STATE, .who = who }, &a) != 0)
		return code_name(a.code);
	return status_name(((Containerd__Task__V2__StateResponse *)a.message)->status);
}
