/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A shim and a cleatd that are played, in a process of its own, since the library waits for them: what
 * they answer is told by the name of the exec that is asked about, and in which order they were asked
 * is kept where the test sees it. A header, since each test is one program of one file.
 *
 *   event...    its exit 7 is told between the wait and the status, which still says that it runs
 *   status...   its wait is never answered; the status says that it has stopped with 8
 *   later...    it runs, and exits with 9 once that was told
 *   gone...     it exits with 5 and is deleted between the two
 *   unknown...  it has stopped with 255, which is not known; real...: which is its exit code
 *   fail...     its start fails; anything else starts with the pid 4711
 *   running, paused, pausing, created, stopped: that is its status
 */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/pbtime.h"
#include "common/ttrpc_server.h"
#include "google/protobuf/empty.pb-c.h"
#include "monitor.pb-c.h"
#include "supervisor.pb-c.h"
#include "task.pb-c.h"
#include "tasks.pb-c.h"

#define SCRIPT_LOG 4096

/* What the test sees: a word for each call. */
struct script_log {
	char words[SCRIPT_LOG];
	unsigned n_waits; /* in all */
};

struct scripted {
	char folder[64], path[100];
	struct script_log *log;
	pid_t pid;
	struct ttrpc_call *waiting; /* in the child */
};

static inline void script_note(struct scripted *s, const char *word)
{
	size_t n = strlen(s->log->words);

	snprintf(s->log->words + n, SCRIPT_LOG - n, "%s ", word);
}

static inline bool script_is(const char *exec_id, const char *kind)
{
	return strncmp(exec_id, kind, strlen(kind)) == 0;
}

static inline void script_exit(struct ttrpc_call *call, uint32_t status)
{
	Containerd__Task__V2__WaitResponse m = CONTAINERD__TASK__V2__WAIT_RESPONSE__INIT;
	Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	m.exit_status = status;
	m.exited_at = pbtime_set(&t, 1000);
	ttrpc_call_reply(call, &m.base);
}

static inline void script_forget(void *userdata)
{
	((struct scripted *)userdata)->waiting = NULL;
}

static inline void script_wait(struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	struct scripted *s = userdata;

	(void)m;
	script_note(s, "Wait");
	s->log->n_waits++;
	s->waiting = call;
	ttrpc_call_keep(call, script_forget, NULL, s);
}

/* Before the status is told. False: it is not there any more. */
static inline bool script_before(struct scripted *s, const char *exec_id, uint32_t *ret_status,
	Containerd__V1__Types__Status *ret)
{
	*ret = CONTAINERD__V1__TYPES__STATUS__RUNNING;
	if (script_is(exec_id, "event") || script_is(exec_id, "gone")) {
		script_exit(s->waiting, script_is(exec_id, "event") ? 7 : 5);
		s->waiting = NULL;
		return script_is(exec_id, "event");
	}
	if (script_is(exec_id, "status") || script_is(exec_id, "unknown") ||
		script_is(exec_id, "real") || script_is(exec_id, "stopped"))
		*ret = CONTAINERD__V1__TYPES__STATUS__STOPPED;
	*ret_status = script_is(exec_id, "status") ? 8 : script_is(exec_id, "stopped") ? 0 : 255;
	if (script_is(exec_id, "paused"))
		*ret = CONTAINERD__V1__TYPES__STATUS__PAUSED;
	if (script_is(exec_id, "pausing"))
		*ret = CONTAINERD__V1__TYPES__STATUS__PAUSING;
	if (script_is(exec_id, "created") || script_is(exec_id, "fail"))
		*ret = CONTAINERD__V1__TYPES__STATUS__CREATED;
	return true;
}

static inline void script_after(struct scripted *s, const char *exec_id)
{
	if (!script_is(exec_id, "later") || !s->waiting)
		return;
	script_exit(s->waiting, 9);
	s->waiting = NULL;
}

static inline void script_state(struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	const Containerd__Task__V2__StateRequest *r = (const void *)m;
	Containerd__Task__V2__StateResponse a = CONTAINERD__TASK__V2__STATE_RESPONSE__INIT;
	struct scripted *s = userdata;
	char exec_id[80];

	snprintf(exec_id, sizeof(exec_id), "%s", r->exec_id);
	script_note(s, "State");
	if (!script_before(s, exec_id, &a.exit_status, &a.status)) {
		ttrpc_call_fail(call, CODE_NOT_FOUND, "is gone");
		return;
	}
	a.pid = 4711;
	ttrpc_call_reply(call, &a.base);
	script_after(s, exec_id);
}

static inline void script_get(struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	const Containerd__Services__Tasks__V1__GetRequest *r = (const void *)m;
	Containerd__Services__Tasks__V1__GetResponse a =
		CONTAINERD__SERVICES__TASKS__V1__GET_RESPONSE__INIT;
	Containerd__V1__Types__Process p = CONTAINERD__V1__TYPES__PROCESS__INIT;
	const char *ns = ttrpc_call_metadata(call, "containerd-namespace-ttrpc");
	struct scripted *s = userdata;
	char exec_id[80];

	snprintf(exec_id, sizeof(exec_id), "%s", r->exec_id);
	script_note(s, ns && strcmp(ns, "scripted") == 0 ? "Get" : "Get-in-another-namespace");
	if (!script_before(s, exec_id, &p.exit_status, &p.status)) {
		ttrpc_call_fail(call, CODE_NOT_FOUND, "is gone");
		return;
	}
	p.pid = 4711;
	a.process = &p;
	ttrpc_call_reply(call, &a.base);
	script_after(s, exec_id);
}

static inline void script_start(struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	const Containerd__Task__V2__StartRequest *r = (const void *)m;
	Containerd__Task__V2__StartResponse a = CONTAINERD__TASK__V2__START_RESPONSE__INIT;

	script_note(userdata, "Start");
	a.pid = 4711;
	if (script_is(r->exec_id, "fail"))
		ttrpc_call_fail(call, CODE_UNKNOWN, "no such program");
	else
		ttrpc_call_reply(call, &a.base);
}

static inline void script_exec(struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	const Containerd__Task__V2__ExecProcessRequest *r = (const void *)m;
	char word[512];

	snprintf(word, sizeof(word), "Exec(%s,%s,%s)", r->stdin, r->stdout, r->stderr);
	script_note(userdata, word);
	ttrpc_call_reply(call, NULL);
}

static inline void script_hub_exec(
	struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	const Containerd__Services__Tasks__V1__ExecProcessRequest *r = (const void *)m;
	char word[512];

	snprintf(word, sizeof(word), "Exec(%s,%s,%s)", r->stdin, r->stdout, r->stderr);
	script_note(userdata, word);
	ttrpc_call_reply(call, NULL);
}

static inline void script_kill(struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	const Containerd__Task__V2__KillRequest *r = (const void *)m;
	char word[128];

	snprintf(word, sizeof(word), "Kill(%s,%s,%u,%d)", r->id, r->exec_id, r->signal, r->all);
	script_note(userdata, word);
	ttrpc_call_reply(call, NULL);
}

static inline void script_resize(struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	const Containerd__Task__V2__ResizePtyRequest *r = (const void *)m;
	char word[128];

	snprintf(word, sizeof(word), "Resize(%s,%s,%u,%u)", r->id, r->exec_id, r->width, r->height);
	script_note(userdata, word);
	ttrpc_call_reply(call, NULL);
}

static inline void script_close_io(
	struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	const Containerd__Task__V2__CloseIORequest *r = (const void *)m;
	char word[128];

	snprintf(word, sizeof(word), "CloseIO(%s,%s,%d)", r->id, r->exec_id, r->stdin);
	script_note(userdata, word);
	ttrpc_call_reply(call, NULL);
}

static inline void script_delete(struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	Containerd__Task__V2__DeleteResponse a = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;

	(void)m;
	script_note(userdata, "Delete");
	a.exit_status = 3;
	ttrpc_call_reply(call, &a.base);
}

static inline void script_delete_process(
	struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	Containerd__Services__Tasks__V1__DeleteResponse a =
		CONTAINERD__SERVICES__TASKS__V1__DELETE_RESPONSE__INIT;

	(void)m;
	script_note(userdata, "DeleteProcess");
	a.exit_status = 3;
	ttrpc_call_reply(call, &a.base);
}

static inline void script_records(
	struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	const Cleat__Shim__V1__ExitRecordsRequest *shim = (const void *)m;
	const Cleat__V1__ExitRecordsRequest *hub = (const void *)m;
	const char *exec_id = m->descriptor == &cleat__v1__exit_records_request__descriptor
				      ? hub->exec_id
				      : shim->exec_id;
	Cleat__Shim__V1__ExitRecordsResponse a = CLEAT__SHIM__V1__EXIT_RECORDS_RESPONSE__INIT;
	Cleat__Shim__V1__ExitRecord one = CLEAT__SHIM__V1__EXIT_RECORD__INIT, *all[] = { &one };

	(void)userdata;
	one.exit_known = script_is(exec_id, "real");
	a.n_records = 1;
	a.records = all;
	ttrpc_call_reply(call, &a.base);
}

static inline void script_hub_info(
	struct ttrpc_call *call, const ProtobufCMessage *m, void *userdata)
{
	Cleat__V1__InfoResponse a = CLEAT__V1__INFO_RESPONSE__INIT;

	(void)m;
	(void)userdata;
	ttrpc_call_reply(call, &a.base);
}

#define SCRIPT_ROW(name, request, response, handle)                                                \
	{                                                                                          \
		name, &request##__descriptor, &response##__descriptor, false, handle               \
	}

/* What is the same on the wire in both services is read as the shim's. */
static const struct ttrpc_method script_task[] = {
	SCRIPT_ROW("Wait", containerd__task__v2__wait_request, containerd__task__v2__wait_response,
		script_wait),
	SCRIPT_ROW("State", containerd__task__v2__state_request,
		containerd__task__v2__state_response, script_state),
	SCRIPT_ROW("Start", containerd__task__v2__start_request,
		containerd__task__v2__start_response, script_start),
	SCRIPT_ROW("Exec", containerd__task__v2__exec_process_request, google__protobuf__empty,
		script_exec),
	SCRIPT_ROW(
		"Kill", containerd__task__v2__kill_request, google__protobuf__empty, script_kill),
	SCRIPT_ROW("ResizePty", containerd__task__v2__resize_pty_request, google__protobuf__empty,
		script_resize),
	SCRIPT_ROW("CloseIO", containerd__task__v2__close_iorequest, google__protobuf__empty,
		script_close_io),
	SCRIPT_ROW("Delete", containerd__task__v2__delete_request,
		containerd__task__v2__delete_response, script_delete),
};

static const struct ttrpc_method script_tasks[] = {
	SCRIPT_ROW("Wait", containerd__services__tasks__v1__wait_request,
		containerd__services__tasks__v1__wait_response, script_wait),
	SCRIPT_ROW("Get", containerd__services__tasks__v1__get_request,
		containerd__services__tasks__v1__get_response, script_get),
	SCRIPT_ROW("Start", containerd__task__v2__start_request,
		containerd__task__v2__start_response, script_start),
	SCRIPT_ROW(
		"Kill", containerd__task__v2__kill_request, google__protobuf__empty, script_kill),
	SCRIPT_ROW("ResizePty", containerd__task__v2__resize_pty_request, google__protobuf__empty,
		script_resize),
	SCRIPT_ROW("CloseIO", containerd__task__v2__close_iorequest, google__protobuf__empty,
		script_close_io),
	SCRIPT_ROW("Exec", containerd__services__tasks__v1__exec_process_request,
		google__protobuf__empty, script_hub_exec),
	SCRIPT_ROW("DeleteProcess", containerd__services__tasks__v1__delete_process_request,
		containerd__services__tasks__v1__delete_response, script_delete_process),
};

static const struct ttrpc_method script_monitor[] = {
	SCRIPT_ROW("ExitRecords", cleat__shim__v1__exit_records_request,
		cleat__shim__v1__exit_records_response, script_records),
};

static const struct ttrpc_method script_supervisor[] = {
	SCRIPT_ROW("Info", cleat__v1__info_request, cleat__v1__info_response, script_hub_info),
	SCRIPT_ROW("ExitRecords", cleat__v1__exit_records_request,
		cleat__shim__v1__exit_records_response, script_records),
};

#define SCRIPT_ADD(server, name, table, s)                                                         \
	ttrpc_server_add_service(server, name, table, sizeof(table) / sizeof(*(table)), s)

static inline void script_serve(struct scripted *s, int listen_fd)
{
	struct event_base *base = event_base_new();
	struct ttrpc_server *server;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ttrpc_server_new(base, listen_fd, &server) < 0)
		_exit(1);
	SCRIPT_ADD(server, "containerd.task.v2.Task", script_task, s);
	SCRIPT_ADD(server, "containerd.services.tasks.v1.Tasks", script_tasks, s);
	SCRIPT_ADD(server, "cleat.shim.v1.Monitor", script_monitor, s);
	SCRIPT_ADD(server, "cleat.v1.Supervisor", script_supervisor, s);
	event_base_dispatch(base);
	_exit(1);
}

/* At path, or with NULL in a folder of its own. */
static inline void scripted_start(struct scripted *s, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*s = (struct scripted){ .folder = "/tmp/cleat-script-XXXXXX" };
	assert_non_null(mkdtemp(s->folder));
	snprintf(s->path, sizeof(s->path), "%s/s", s->folder);
	if (path)
		snprintf(s->path, sizeof(s->path), "%s", path);
	s->log = mmap(
		NULL, sizeof(*s->log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(s->log != MAP_FAILED);
	strcpy(address.sun_path, s->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	s->pid = fork();
	if (s->pid == 0)
		script_serve(s, fd);
	close(fd);
	assert_true(s->pid > 0);
}

static inline void scripted_kill(struct scripted *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	s->pid = 0;
}

static inline void scripted_stop(struct scripted *s)
{
	scripted_kill(s);
	unlink(s->path);
	rmdir(s->folder);
	munmap(s->log, sizeof(*s->log));
}
