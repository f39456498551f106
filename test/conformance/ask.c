/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests are filled by the names of their fields: every one of them has an id, most an exec_id.
 * Never judges an answer. Subtle: words lose the class that containerd's clients strip from them
 * too (errdefs' rebaseMessage), so that only what a client sees is compared.
 */
#include "test/conformance/ask.h"

#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "google/protobuf/empty.pb-c.h"
#include "runc_options.pb-c.h"
#include "test/conformance/launch.h"

#define EMPTY	   (&google__protobuf__empty__descriptor)
#define MESSAGE(n) (&containerd__task__v2__##n##__descriptor)

static const struct method {
	const char *name;
	const ProtobufCMessageDescriptor *request, *response;
} methods[_CALL_MAX] = {
	[CALL_STATE] = { "State", MESSAGE(state_request), MESSAGE(state_response) },
	[CALL_CREATE] = { "Create", MESSAGE(create_task_request), MESSAGE(create_task_response) },
	[CALL_START] = { "Start", MESSAGE(start_request), MESSAGE(start_response) },
	[CALL_DELETE] = { "Delete", MESSAGE(delete_request), MESSAGE(delete_response) },
	[CALL_PIDS] = { "Pids", MESSAGE(pids_request), MESSAGE(pids_response) },
	[CALL_PAUSE] = { "Pause", MESSAGE(pause_request), EMPTY },
	[CALL_RESUME] = { "Resume", MESSAGE(resume_request), EMPTY },
	[CALL_CHECKPOINT] = { "Checkpoint", MESSAGE(checkpoint_task_request), EMPTY },
	[CALL_KILL] = { "Kill", MESSAGE(kill_request), EMPTY },
	[CALL_EXEC] = { "Exec", MESSAGE(exec_process_request), EMPTY },
	[CALL_RESIZE_PTY] = { "ResizePty", MESSAGE(resize_pty_request), EMPTY },
	[CALL_CLOSE_IO] = { "CloseIO", MESSAGE(close_iorequest), EMPTY },
	[CALL_UPDATE] = { "Update", MESSAGE(update_task_request), EMPTY },
	[CALL_WAIT] = { "Wait", MESSAGE(wait_request), MESSAGE(wait_response) },
	[CALL_STATS] = { "Stats", MESSAGE(stats_request), MESSAGE(stats_response) },
	[CALL_CONNECT] = { "Connect", MESSAGE(connect_request), MESSAGE(connect_response) },
	[CALL_SHUTDOWN] = { "Shutdown", MESSAGE(shutdown_request), EMPTY },
};

const char *call_name(enum task_call call)
{
	return methods[call].name;
}

/* --- answers --- */

void answer_deinit(struct answer *a)
{
	if (a->pending)
		ttrpc_client_cancel(a->pending);
	if (a->message)
		protobuf_c_message_free_unpacked(a->message, NULL);
	free(a->words);
	*a = (struct answer){ 0 };
}

/* Every occurrence of what in *s becomes by. */
static void replace(char **s, const char *what, const char *by)
{
	char *at;

	while (*what && (at = strstr(*s, what))) {
		char *new = format("%.*s%s%s", (int)(at - *s), *s, by, at + strlen(what));

		free(*s);
		*s = new;
	}
}

static void strip_class(char *s)
{
	static const char *const classes[] = { ": not found", ": already exists",
		": failed precondition", ": invalid argument", ": not implemented",
		": unavailable" };
	size_t n = strlen(s);

	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
		size_t m = strlen(classes[i]);

		if (n > m && strcmp(s + n - m, classes[i]) == 0)
			s[n - m] = '\0';
	}
}

static char *plain_words(const struct box *box, const char *words)
{
	char *s = format("%s", words);

	replace(&s, box->dir, "DIR");
	replace(&s, box->id, "ID");
	replace(&s, box->conform->dir, "TOP");
	replace(&s, "\n", " ");
	replace(&s, "|", "/");
	replace(&s, "\"", "'");
	strip_class(s);
	return s;
}

static void on_reply(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct answer *a = userdata;
	_cleanup_free_ uint8_t *bytes = NULL;

	a->pending = NULL;
	a->done = true;
	a->code = code;
	if (code != 0) {
		a->words = plain_words(a->box, error_message(err));
		return;
	}
	bytes = malloc(protobuf_c_message_get_packed_size(message) + 1);
	if (!bytes)
		die("no memory");
	a->message = protobuf_c_message_unpack(
		message->descriptor, NULL, protobuf_c_message_pack(message, bytes), bytes);
}

/* --- requests --- */

static void *member(ProtobufCMessage *m, const char *name)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);

	return field ? (char *)m + field->offset : NULL;
}

static void set_text(ProtobufCMessage *m, const char *name, const char *value)
{
	char **at = member(m, name);

	if (at && value)
		*at = (char *)value;
}

static void set_bool(ProtobufCMessage *m, const char *name, bool value)
{
	protobuf_c_boolean *at = member(m, name);

	if (at)
		*at = value;
}

static void set_number(ProtobufCMessage *m, const char *name, uint32_t value)
{
	uint32_t *at = member(m, name);

	if (at)
		*at = value;
}

/* An Any that the request points to, with room for what it holds. */
struct any {
	Google__Protobuf__Any any;
	uint8_t bytes[4096];
};

static Google__Protobuf__Any *any_json(struct any *a, const char *type, const char *json)
{
	google__protobuf__any__init(&a->any);
	a->any.type_url = (char *)type;
	a->any.value.data = (uint8_t *)json;
	a->any.value.len = strlen(json);
	return &a->any;
}

static Google__Protobuf__Any *any_options(struct any *a, const struct box *box)
{
	_cleanup_free_ char *root = launch_runtime_root(box->conform);
	Containerd__Runc__V1__Options o = CONTAINERD__RUNC__V1__OPTIONS__INIT;

	google__protobuf__any__init(&a->any);
	o.root = root;
	o.binary_name = (char *)"runc";
	a->any.type_url = (char *)"containerd.runc.v1.Options";
	a->any.value.len = containerd__runc__v1__options__pack(&o, a->bytes);
	a->any.value.data = a->bytes;
	return &a->any;
}

static void fill_streams(
	const struct box *box, enum who who, const struct ask *ask, ProtobufCMessage *m)
{
	const struct streams *s = &box->streams[who];

	set_bool(m, "terminal", box->terminal);
	if (ask->no_streams)
		return;
	set_text(m, "stdin", s->in);
	set_text(m, "stdout", ask->log ? ask->log : s->out);
	if (!box->terminal)
		set_text(m, "stderr", ask->log ? ask->log : s->err);
}

/* What a call has besides its ids. *text is freed by the caller once the request was sent. */
static void fill(const struct box *box, const struct ask *ask, ProtobufCMessage *m, struct any *any,
	char **text)
{
	Google__Protobuf__Any **options = member(m, "options"), **spec = member(m, "spec"),
			      **resources = member(m, "resources");

	if (ask->call == CALL_CREATE) {
		fill_streams(box, INIT, ask, m);
		set_text(m, "bundle", ask->bundle ? ask->bundle : box->dir);
		*options = any_options(any, box);
	} else if (ask->call == CALL_EXEC) {
		fill_streams(box, EXEC, ask, m);
		*text = ask->json ? format("%s", ask->json) : box_process(box, box_command(box));
		*spec = any_json(
			any, "types.containerd.io/opencontainers/runtime-spec/1/Process", *text);
	} else if (ask->call == CALL_UPDATE) {
		*text = format("%s", ask->json ? ask->json : "{\"pids\":{\"limit\":77}}");
		*resources = any_json(any,
			"types.containerd.io/opencontainers/runtime-spec/1/LinuxResources", *text);
	} else if (ask->call == CALL_CHECKPOINT) {
		*text = format("%s/image", box->dir);
		set_text(m, "path", *text);
	}
	set_number(
		m, "signal", ask->signal == UINT32_MAX ? 0 : (ask->signal ? ask->signal : SIGKILL));
	set_bool(m, "all", ask->all);
	set_number(m, "width", 100);
	set_number(m, "height", 40);
	if (ask->call == CALL_CLOSE_IO) /* also the name of a path elsewhere */
		set_bool(m, "stdin", true);
}

void ask_begin(struct box *box, const struct ask *ask, struct answer *a)
{
	static const struct ttrpc_metadata ns = { "containerd-namespace-ttrpc", CONFORM_NS };
	const struct method *method = &methods[ask->call];
	alignas(max_align_t) char room[512];
	ProtobufCMessage *m = (ProtobufCMessage *)room;
	struct ttrpc_request request = {
		.service = box->conform->service,
		.method = method->name,
		.message = m,
		.response = method->response,
		.timeout_ms = BOX_ASK_MS,
		.metadata = &ns,
		.n_metadata = 1,
	};
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *text = NULL;
	struct any any;

	if (method->request->sizeof_message > sizeof(room))
		die("no room for a request");
	*a = (struct answer){ .box = box };
	protobuf_c_message_init(method->request, room);
	set_text(m, "id", ask->id ? ask->id : box->id);
	set_text(m, "exec_id",
		ask->exec_id				     ? ask->exec_id
		: ask->who == EXEC || ask->call == CALL_EXEC ? EXEC_ID
							     : "");
	fill(box, ask, m, &any, &text);
	if (ttrpc_client_begin(box->client, &request, 0, on_reply, a, &a->pending, &err) != 0)
		on_reply(err.code, NULL, &err, a);
}

static bool is_done(void *userdata)
{
	return ((struct answer *)userdata)->done;
}

bool ask_await(struct box *box, struct answer *a, int64_t timeout_ms)
{
	return box_wait(box, is_done, a, timeout_ms);
}

static void keep_pid(struct box *box, const struct ask *ask, const struct answer *a)
{
	if (a->code != 0)
		return;
	if (ask->call == CALL_CREATE)
		box->pid[INIT] = ((Containerd__Task__V2__CreateTaskResponse *)a->message)->pid;
	if (ask->call == CALL_START && ask->who == EXEC)
		box->pid[EXEC] = ((Containerd__Task__V2__StartResponse *)a->message)->pid;
}

int ask(struct box *box, const struct ask *what, struct answer *a)
{
	ask_begin(box, what, a);
	if (!ask_await(box, a, BOX_ASK_MS + 1000)) {
		a->code = CODE_DEADLINE_EXCEEDED;
		a->words = format("no answer");
	}
	keep_pid(box, what, a);
	return a->code;
}

int ask_for(struct box *box, enum task_call call, enum who who)
{
	_cleanup_answer_ struct answer a = { 0 };

	return ask(box, &(struct ask){ .call = call, .who = who }, &a);
}
