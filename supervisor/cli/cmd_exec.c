/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `exec`: one more process in a container. Its spec is made from the config.json that the shim
 * has in use, as `runc exec` does. Subtle: that text comes from the shim, not from the bundle,
 * which may have changed or gone since.
 */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bundle.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/ids.h"
#include "common/json.h"
#include "common/limits.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/creation.h"
#include "common/client_rpc.h"
#include "supervisor/cli/session.h"
#include "common/client_call.h"

#define PROCESS_TYPE	"types.containerd.io/opencontainers/runtime-spec/1/Process"
#define RANDOM_ID_BYTES 8

struct exec_options {
	const char *cwd, *user, *exec_id, *process, *apparmor, *process_label, *pid_file, *log;
	struct argv env, caps;
	bool terminal, detach, no_new_privs;
};

static const struct option exec_option_table[] = {
	OPTION_FLAG('t', "tty", struct exec_options, terminal, "with a terminal"),
	OPTION_FLAG('d', "detach", struct exec_options, detach,
		"return once it has started, and print its exec id"),
	OPTION_VALUE(0, "exec-id", "ID", struct exec_options, exec_id, "its name [random]"),
	OPTION_VALUE(0, "cwd", "PATH", struct exec_options, cwd, "its working directory"),
	OPTION_MANY('e', "env", "NAME=VALUE", struct exec_options, env, "added; may be repeated"),
	OPTION_VALUE('u', "user", "UID[:GID]", struct exec_options, user, "who it runs as"),
	OPTION_MANY('c', "cap", "NAME", struct exec_options, caps, "a capability added"),
	OPTION_FLAG(0, "no-new-privs", struct exec_options, no_new_privs,
		"it can gain no privileges by executing"),
	OPTION_VALUE(0, "apparmor", "PROFILE", struct exec_options, apparmor, "its profile"),
	OPTION_VALUE(0, "process-label", "LABEL", struct exec_options, process_label,
		"its SELinux label"),
	OPTION_VALUE('p', "process", "FILE", struct exec_options, process,
		"the whole process as JSON, instead of a command"),
	OPTION_VALUE(0, "pid-file", "FILE", struct exec_options, pid_file, "write its pid there"),
	OPTION_VALUE(0, "log", "URI", struct exec_options, log, "where its output goes"),
	OPTION_END,
};

/* One exec on its way. */
struct exec {
	struct cli *cli;
	const struct exec_options *o;
	const char *id;
	char **args;
	char exec_id[LIMIT_ID + 1];
	bool terminal;
	char *spec; /* JSON */
	Google__Protobuf__Any any;
	Containerd__Task__V2__ExecProcessRequest request;
};

/* --- the spec --- */

static int read_process_file(struct exec *e, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_json_ json_t *process = NULL;
	const char *path = e->o->process;
	_cleanup_free_ char *real = realpath(path, NULL);
	int r = real ? fd_read_file(AT_FDCWD, real, &text, LIMIT_CONFIG_JSON) : -errno;

	if (r < 0)
		return error_errno(err, r, "%s", path);
	r = process_spec_parse(buf_head(&text), text.len, &process, err);
	if (r != 0)
		return error_wrap(err, "%s", path);
	e->terminal = e->o->terminal || json_get_bool(process, "terminal", false);
	json_object_set_new(process, "terminal", json_boolean(e->terminal));
	e->spec = json_text(process);
	return e->spec ? 0 : error_errno(err, -ENOMEM, "%s", path);
}

/* A bundle of the config.json that the shim has in use. */
static int get_bundle(const struct exec *e, const Cleat__Shim__V1__InfoResponse *info,
	struct bundle *ret, struct error *err)
{
	int r;

	if (!*info->status)
		return error_set(err, CODE_NOT_FOUND, "container %s: does not exist", e->id);
	r = json_parse(info->spec.data, info->spec.len, "config.json", &ret->config, err);
	if (r != 0)
		return r;
	ret->path = strdup(info->bundle);
	return ret->path ? 0 : error_errno(err, -ENOMEM, "config.json");
}

static int make_process(struct exec *e, const struct bundle *b, struct error *err)
{
	_cleanup_json_ json_t *process = NULL;
	const struct exec_options *o = e->o;
	const struct exec_wish wish = {
		.args = (const char *const *)e->args,
		.cwd = o->cwd,
		.env = (const char *const *)o->env.v,
		.user = o->user,
		.caps = (const char *const *)o->caps.v,
		.terminal = o->terminal,
		.no_new_privs = o->no_new_privs,
		.apparmor = o->apparmor,
		.process_label = o->process_label,
	};
	int r = bundle_exec_process(b, &wish, &process, err);

	if (r != 0)
		return r;
	e->terminal = o->terminal;
	e->spec = json_text(process);
	return e->spec ? 0 : error_errno(err, -ENOMEM, "process spec");
}

static int use_info(struct exec *e, const Cleat__Shim__V1__InfoResponse *info, struct error *err)
{
	_cleanup_(bundle_deinit) struct bundle b = BUNDLE_INIT;
	int r = get_bundle(e, info, &b, err);

	return r != 0 ? r : make_process(e, &b, err);
}

static int make_spec(struct exec *e, struct client_target *t, struct error *err)
{
	Cleat__Shim__V1__InfoResponse *info;
	int r;

	if (e->o->process)
		return read_process_file(e, err);
	r = client_call_info_with_spec(t, &info, err);
	if (r != 0)
		return r;
	r = use_info(e, info, err);
	cleat__shim__v1__info_response__free_unpacked(info, NULL);
	return r;
}

/* --- the spec over a loop, on the connection that everything else goes over --- */

struct spec_wait {
	struct exec *exec;
	struct event_base *base;
	struct error *err;
	int result;
};

static void on_info(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct spec_wait *w = userdata;

	if (code != 0)
		w->result = error_set(w->err, err->code, "%s", error_message(err));
	else
		w->result = use_info(w->exec, (const void *)message, w->err);
	event_base_loopbreak(w->base);
}

static int make_spec_looping(
	struct exec *e, struct client_target *t, struct event_base *base, struct error *err)
{
	Cleat__Shim__V1__InfoRequest m = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	struct spec_wait wait = { e, base, err, CODE_UNAVAILABLE };
	const struct ttrpc_request request =
		client_rpc_request(&rpc_info, &m.base, CLIENT_ANSWER_MS);
	struct ttrpc_pending *pending;
	int r;

	if (e->o->process)
		return read_process_file(e, err);
	r = ttrpc_client_begin(t->client, &request, 0, on_info, &wait, &pending, err);
	if (r != 0)
		return r;
	event_base_dispatch(base);
	return wait.result;
}

/* --- the request --- */

static int set_exec_id(struct exec *e, struct error *err)
{
	int r;

	if (e->o->exec_id) {
		if (id_check(e->o->exec_id, "exec id", err) != 0)
			return err->code;
		strcpy(e->exec_id, e->o->exec_id);
		return 0;
	}
	r = random_hex(e->exec_id, RANDOM_ID_BYTES);
	return r < 0 ? error_errno(err, r, "exec id") : 0;
}

static void set_request(struct exec *e, const struct streams *s)
{
	google__protobuf__any__init(&e->any);
	e->any.type_url = (char *)PROCESS_TYPE;
	e->any.value.data = (uint8_t *)e->spec;
	e->any.value.len = strlen(e->spec);
	containerd__task__v2__exec_process_request__init(&e->request);
	e->request.id = (char *)e->id;
	e->request.exec_id = e->exec_id;
	e->request.terminal = e->terminal;
	e->request.stdin = (char *)s->stdin_uri;
	e->request.stdout = (char *)s->stdout_uri;
	e->request.stderr = (char *)s->stderr_uri;
	e->request.spec = &e->any;
}

/* --- detached --- */

/* Ends what nobody could name, since its id was not told yet; errors have been told already. */
static void undo(struct exec *e, struct client_target *t, bool started)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct client_exit exit;

	if (started && client_call_kill(t, e->exec_id, SIGKILL, false, &ignored) == 0)
		client_call_wait(t, e->exec_id, CLIENT_ANSWER_MS, &exit, &ignored);
	client_call_delete(t, e->exec_id, NULL, &ignored);
}

static int start_detached(struct exec *e, struct client_target *t, struct error *err)
{
	uint32_t pid;
	int r = client_call_exec(t, &e->request, NULL, err);

	if (r != 0)
		return r;
	r = client_call_start(t, e->exec_id, &pid, err);
	if (r != 0) {
		e->cli->failure = failure_status(err);
		undo(e, t, false);
		return r;
	}
	r = pid_file_write(e->o->pid_file, pid, err);
	if (r != 0) {
		undo(e, t, true);
		return r;
	}
	printf("%s\n", e->exec_id);
	return cli_flush(err);
}

static int exec_detached(struct exec *e, struct error *err)
{
	struct client_target t = CLIENT_TARGET_INIT;
	struct streams streams;
	int r = client_target_open_living(&e->cli->place, e->id, NULL, &t, err);

	if (r == 0)
		r = make_spec(e, &t, err);
	if (r == 0) {
		streams_detached(e->terminal, e->o->log, &streams);
		set_request(e, &streams);
		r = start_detached(e, &t, err);
	}
	client_target_close(&t);
	return r;
}

/* --- in the foreground --- */

static int exec_session(
	struct exec *e, struct session *s, struct client_target *t, struct error *err)
{
	int r = make_spec_looping(e, t, s->base, err);

	if (r == 0)
		r = streams_foreground(e->terminal, e->o->log, &s->streams, err);
	if (r != 0)
		return r;
	s->target = t;
	s->exec_id = e->exec_id;
	s->terminal = e->terminal;
	s->remove = true;
	s->pid_file = e->o->pid_file;
	set_request(e, &s->streams);
	return session_run(s, &rpc_exec, &e->request.base, err);
}

static int exec_foreground(struct exec *e, struct error *err)
{
	struct client_target t = CLIENT_TARGET_INIT;
	struct session s;
	int r = session_init(&s, e->cli, err);

	if (r != 0)
		return r;
	r = client_target_open_living(&e->cli->place, e->id, s.base, &t, err);
	if (r == 0)
		r = exec_session(e, &s, &t, err);
	client_target_close(&t);
	session_deinit(&s);
	return r;
}

static int run_exec(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	struct exec e = { .cli = cli, .o = options, .id = argv[0], .args = argv + 1 };
	int r;

	if (e.o->process && argc > 1)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"exec: a command and --process exclude each other");
	if (!e.o->process && argc < 2)
		return error_set(
			err, CODE_INVALID_ARGUMENT, "exec: no command; see `cleat exec --help`");
	r = set_exec_id(&e, err);
	if (r == 0)
		r = e.o->detach ? exec_detached(&e, err) : exec_foreground(&e, err);
	free(e.spec);
	return r == 0 ? 0 : client_wrap(err, e.id);
}

const struct command command_exec = {
	.name = "exec",
	.group = GROUP_INSIDE,
	.usage = "[OPTIONS] ID COMMAND [ARGUMENTS]",
	.brief = "Run one more process in a running container",
	.more = "What is not said by an option is as config.json has it for the container's own\n"
		"process. Options end at ID: what follows COMMAND is the command's.\n"
		"In the foreground the exit status is that of the process.",
	.options = exec_option_table,
	.options_size = sizeof(struct exec_options),
	.n_min = 1,
	.n_max = -1,
	.run = run_exec,
};
