/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to a bed's shim, and what they must answer: whatever else they do fails the test. Never
 * waits longer than CALL_MS for anything.
 */
#include "test/integration/bed.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"

/* --- calls --- */

static int call(struct bed *bed, const char *service, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response, ProtobufCMessage **ret, struct error *err)
{
	const struct ttrpc_request request = {
		.service = service,
		.method = method,
		.message = message,
		.response = response,
		.timeout_ms = CALL_MS,
	};

	return ttrpc_client_call(bed->client, &request, ret, err);
}

void *bed_ok(struct bed *bed, const char *service, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;

	if (call(bed, service, method, message, response, &m, &err) != 0) {
		bed_print_log(bed);
		fail_msg("%s: %s: %s", method, code_name(err.code), error_message(&err));
	}
	return m;
}

void bed_free(void *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}

void bed_done(struct bed *bed, const char *service, const char *method, const void *message)
{
	bed_free(bed_ok(bed, service, method, message, EMPTY));
}

/* Puts the id where "ID" stands as a word of its own. */
static char *with_id(const struct bed *bed, const char *sentence)
{
	const char *at = strstr(sentence, "ID");

	if (!at)
		return bed_format("%s", sentence);
	return bed_format("%.*s%s%s", (int)(at - sentence), sentence, bed->id, at + 2);
}

static void check_refused(struct bed *bed, const char *service, const char *method,
	const void *message, const ProtobufCMessageDescriptor *response, int code,
	const char *sentence, bool whole)
{
	_cleanup_free_ char *want = with_id(bed, sentence);
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;
	int r = call(bed, service, method, message, response, &m, &err);
	size_t n = whole ? strlen(error_message(&err)) + 1 : strlen(want);

	if (r == 0)
		bed_free(m);
	if (r != code || strncmp(error_message(&err), want, n) != 0)
		fail_msg("%s %s: %s \"%s\"\n  instead of %s \"%s\"", service, method, code_name(r),
			error_message(&err), code_name(code), want);
}

void bed_refused(struct bed *bed, const char *service, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response, int code, const char *sentence)
{
	check_refused(bed, service, method, message, response, code, sentence, true);
}

void bed_refused_like(struct bed *bed, const char *service, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response, int code, const char *beginning)
{
	check_refused(bed, service, method, message, response, code, beginning, false);
}

void bed_assert_alive(struct bed *bed)
{
	Containerd__Task__V2__ConnectRequest r = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
	Containerd__Task__V2__ConnectResponse *ok;

	r.id = bed->id;
	ok = bed_ok(bed, TASK3, "Connect", &r, &containerd__task__v2__connect_response__descriptor);
	assert_int_equal(ok->shim_pid, bed->shim.pid);
	bed_free(ok);
}

/* --- the usual ones --- */

Google__Protobuf__Any *bed_options(
	struct bed *bed, uint8_t room[static 1024], Google__Protobuf__Any *any)
{
	Cleat__Shim__V1__RuntimeOptions o = CLEAT__SHIM__V1__RUNTIME_OPTIONS__INIT;
	static char *runsc_options[] = { (char *)"platform=ptrace", (char *)"network=none",
		(char *)"ignore-cgroups" };

	o.kind = (char *)bed_runtime();
	if (bed->fake)
		o.kind = bed->fake_kind ? bed->fake_kind : (char *)"runc";
	if (bed->runsc)
		o.kind = (char *)"runsc";
	if (strcmp(o.kind, "runsc") == 0) {
		o.options = runsc_options;
		o.n_options = sizeof(runsc_options) / sizeof(*runsc_options);
	}
	o.root = bed->runtime_root;
	o.deadline_ms = bed->deadline_ms;
	o.run = bed->run;
	if (bed->fake)
		o.command = bed->fake_path;
	else if (bed->command)
		o.command = bed->command;
	assert_true(protobuf_c_message_get_packed_size(&o.base) <= 1024);
	google__protobuf__any__init(any);
	any->type_url = (char *)"cleat.shim.v1.RuntimeOptions";
	any->value.len = protobuf_c_message_pack(&o.base, room);
	any->value.data = room;
	return any;
}

uint32_t bed_create(struct bed *bed, bool terminal)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Containerd__Task__V2__CreateTaskResponse *ok;
	Google__Protobuf__Any any;
	uint8_t room[1024];
	uint32_t pid;

	r.id = bed->id;
	r.bundle = bed->bundle;
	r.terminal = terminal;
	r.stdout = terminal ? (char *)"" : bed->out;
	r.options = bed_options(bed, room, &any);
	if (bed->checkpoint)
		r.checkpoint = bed->checkpoint;
	ok = bed_ok(
		bed, TASK, "Create", &r, &containerd__task__v2__create_task_response__descriptor);
	pid = ok->pid;
	bed_free(ok);
	assert_true((pid > 0) == (!bed->checkpoint || bed->run));
	return pid;
}

uint32_t bed_start(struct bed *bed, const char *exec_id)
{
	Containerd__Task__V2__StartRequest r = CONTAINERD__TASK__V2__START_REQUEST__INIT;
	Containerd__Task__V2__StartResponse *ok;
	uint32_t pid;

	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	ok = bed_ok(bed, TASK, "Start", &r, &containerd__task__v2__start_response__descriptor);
	pid = ok->pid;
	bed_free(ok);
	return pid;
}

void bed_await_text(struct bed *bed, const char *text)
{
	const char *path = bed->out + strlen("file://");
	int64_t end = clock_monotonic_ms() + CALL_MS;

	for (;;) {
		_cleanup_buf_ struct buf seen = BUF_INIT;

		if (fd_read_file(AT_FDCWD, path, &seen, 1u << 20) == 0 &&
			memmem(buf_head(&seen), seen.len, text, strlen(text)))
			return;
		if (clock_monotonic_ms() > end)
			fail_msg("the init never said \"%s\"", text);
		poll(NULL, 0, 5);
	}
}

void bed_await_ready(struct bed *bed)
{
	bed_await_text(bed, "ready");
}

uint32_t bed_wait_pid(struct bed *bed, uint32_t pid)
{
	return bed_wait(bed, bed_sentence("pid-%u", pid));
}

const char *bed_sentence(const char *fmt, uint32_t n)
{
	static char text[256];

	snprintf(text, sizeof(text), fmt, n);
	return text;
}

void bed_exec(struct bed *bed, const char *exec_id, const char *args, bool terminal)
{
	Containerd__Task__V2__ExecProcessRequest r =
		CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	const char *spec = bed_spec(args, terminal);

	any.type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/Process";
	any.value.data = (uint8_t *)spec;
	any.value.len = strlen(spec);
	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	r.terminal = terminal;
	r.spec = &any;
	bed_done(bed, TASK, "Exec", &r);
}

void bed_kill(struct bed *bed, const char *exec_id, uint32_t signal)
{
	Containerd__Task__V2__KillRequest r = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	r.signal = signal;
	bed_done(bed, TASK, "Kill", &r);
}

uint32_t bed_wait(struct bed *bed, const char *exec_id)
{
	Containerd__Task__V2__WaitRequest r = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
	Containerd__Task__V2__WaitResponse *ok;
	uint32_t status;

	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	ok = bed_ok(bed, TASK, "Wait", &r, &containerd__task__v2__wait_response__descriptor);
	status = ok->exit_status;
	bed_free(ok);
	return status;
}

uint32_t bed_delete(struct bed *bed, const char *exec_id)
{
	Containerd__Task__V2__DeleteRequest r = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
	Containerd__Task__V2__DeleteResponse *ok;
	uint32_t status;

	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	ok = bed_ok(bed, TASK, "Delete", &r, &containerd__task__v2__delete_response__descriptor);
	status = ok->exit_status;
	bed_free(ok);
	return status;
}

Containerd__V1__Types__Status bed_status(struct bed *bed, const char *exec_id)
{
	Containerd__Task__V2__StateRequest r = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	Containerd__Task__V2__StateResponse *ok;
	Containerd__V1__Types__Status status;

	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	ok = bed_ok(bed, TASK, "State", &r, &containerd__task__v2__state_response__descriptor);
	status = ok->status;
	bed_free(ok);
	return status;
}

/* It was to be restored, and was not: there is nothing to kill. */
static bool never_ran(struct bed *bed)
{
	Containerd__Task__V2__StateRequest r = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	Containerd__Task__V2__StateResponse *ok;
	bool it_is;

	r.id = bed->id;
	ok = bed_ok(bed, TASK, "State", &r, &containerd__task__v2__state_response__descriptor);
	it_is = ok->pid == 0;
	bed_free(ok);
	return it_is;
}

void bed_finish(struct bed *bed)
{
	Containerd__Task__V2__KillRequest r = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	if (bed_status(bed, "") != CONTAINERD__V1__TYPES__STATUS__STOPPED && !never_ran(bed)) {
		r.id = bed->id;
		r.signal = SIGKILL;
		r.all = 1;
		bed_done(bed, TASK, "Kill", &r);
		bed_wait(bed, "");
	}
	bed_delete(bed, "");
}

/* --- events --- */

static uint64_t epoch_of(struct bed *bed)
{
	Cleat__Shim__V1__InfoRequest r = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	Cleat__Shim__V1__InfoResponse *ok =
		bed_ok(bed, MONITOR, "Info", &r, &cleat__shim__v1__info_response__descriptor);
	uint64_t epoch = ok->epoch;

	bed_free(ok);
	return epoch;
}

uint32_t bed_subscribe(struct bed *bed, uint64_t since)
{
	Cleat__Shim__V1__SubscribeRequest r = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = MONITOR,
		.method = "Subscribe",
		.message = &r.base,
		.response = &cleat__shim__v1__event__descriptor,
	};
	_cleanup_error_ struct error err = ERROR_INIT;
	uint32_t stream = 0;

	r.since = since;
	r.epoch = since ? epoch_of(bed) : 0;
	if (ttrpc_client_stream(bed->client, &request, &stream, &err) != 0)
		fail_msg("%s", error_message(&err));
	return stream;
}

void bed_expect_event(struct bed *bed, uint32_t stream, const char *topic, void *ret,
	const ProtobufCMessageDescriptor *descriptor)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;
	Cleat__Shim__V1__Event *e;

	if (ttrpc_client_next(bed->client, stream, CALL_MS, &m, &err) != 0)
		fail_msg("waiting for %s: %s", topic, error_message(&err));
	if (!m)
		fail_msg("the stream ended before %s", topic);
	e = (void *)m;
	assert_string_equal(e->topic, topic);
	assert_int_equal(e->missed, 0);
	if (ret) {
		*(ProtobufCMessage **)ret = protobuf_c_message_unpack(
			descriptor, NULL, e->event->value.len, e->event->value.data);
		assert_string_equal(e->event->type_url, descriptor->name);
	}
	bed_free(m);
}

/* A call behind them on the same connection comes after all events that were made before it. */
void bed_expect_quiet(struct bed *bed, uint32_t stream)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;

	bed_assert_alive(bed);
	if (ttrpc_client_next(bed->client, stream, 1, &m, &err) == 0)
		fail_msg("an event too many: %s", m ? ((Cleat__Shim__V1__Event *)m)->topic : "end");
	assert_int_equal(err.code, CODE_DEADLINE_EXCEEDED);
}
