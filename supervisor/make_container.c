/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creations under way. Waits for nothing: the start is a child, the Create a call. Subtle: the name is
 * taken by the folder that `start` makes, so of two creations of one id one is told that it exists,
 * whoever made the other one.
 */
#include "supervisor/make_container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/file.h"
#include "common/ids.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/runtimes.h"
#include "common/shim_start.h"
#include "common/state_dir.h"
#include "common/text.h"
#include "supervisor/caller.h"
#include "supervisor/child.h"
#include "supervisor/default_runtime.h"
#include "supervisor/forward.h"
#include "supervisor/member_link.h"
#include "supervisor/registry.h"
#include "supervisor/shim_groups.h"
#include "task.pb-c.h"

#define RUNTIME_OPTIONS_TYPE "cleat.shim.v1.RuntimeOptions"
#define OVERRIDE_FOLDER	     "bundle" /* in the container's folder, as the command line has it */
#define SAID_MAX	     1024     /* bytes of a line that are logged */

struct making {
	struct supervisor *supervisor;
	struct ttrpc_call *call; /* NULL: its caller has left */
	bool is_tasks;		 /* what it is answered with */
	char *ns;
	Cleat__V1__CreateRequest *request; /* owned */
	int fds[LIMIT_FRAME_FDS];
	size_t n_fds;
};

static void making_free(struct making *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_fds; i++)
		fd_close(&c->fds[i]);
	cleat__v1__create_request__free_unpacked(c->request, NULL);
	free(c->ns);
	free(c);
}

static void making_fail(struct making *c, const struct error *err)
{
	if (c->call)
		forward_refuse(c->call, err);
	making_free(c);
}

static void on_left(void *userdata)
{
	struct making *c = userdata;

	c->call = NULL;
}

/* --- the Create --- */

static void reply(struct ttrpc_call *call, bool is_tasks, const struct member *m, uint32_t pid)
{
	Containerd__Services__Tasks__V1__CreateTaskResponse tasks =
		CONTAINERD__SERVICES__TASKS__V1__CREATE_TASK_RESPONSE__INIT;
	Cleat__V1__CreateResponse own = CLEAT__V1__CREATE_RESPONSE__INIT;

	tasks.container_id = m->id;
	tasks.pid = own.pid = pid;
	own.socket = m->socket ? m->socket : (char *)"";
	ttrpc_call_reply(call, is_tasks ? &tasks.base : &own.base);
}

static void on_created(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	const Containerd__Task__V2__CreateTaskResponse *answer = (const void *)message;
	struct making *c = userdata;
	struct member *m = registry_find(c->supervisor->registry, c->ns, c->request->id);

	if (code != 0) {
		if (m)
			member_shut_down(m);
		making_fail(c, err);
		return;
	}
	if (m) {
		member_created(m, c->request, answer->pid);
		if (c->call)
			reply(c->call, c->is_tasks, m, answer->pid);
	} else if (c->call) {
		ttrpc_call_fail(c->call, CODE_ABORTED, "it was deleted as it was created");
	}
	making_free(c);
}

static int send_create(struct making *c, struct member *m, struct error *err)
{
	Containerd__Task__V2__CreateTaskRequest to =
		CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	const Cleat__V1__CreateRequest *r = c->request;
	Google__Protobuf__Any options = GOOGLE__PROTOBUF__ANY__INIT;
	const Cleat__Shim__V1__RuntimeOptions *runtime = r->options->runtime;
	_cleanup_free_ uint8_t *packed =
		malloc(cleat__shim__v1__runtime_options__get_packed_size(runtime) + 1);
	const struct ttrpc_request call = {
		.service = TASK_SERVICE,
		.method = "Create",
		.message = &to.base,
		.response = &containerd__task__v2__create_task_response__descriptor,
		.fds = c->fds,
		.n_fds = c->n_fds,
	};
	int code;

	if (!packed)
		return error_errno(err, -ENOMEM, "container %s", r->id);
	options.type_url = (char *)RUNTIME_OPTIONS_TYPE;
	options.value.data = packed;
	options.value.len = cleat__shim__v1__runtime_options__pack(runtime, packed);
	to.id = r->id;
	to.bundle = r->options->bundle;
	to.n_rootfs = r->n_rootfs;
	to.rootfs = r->rootfs;
	to.terminal = r->terminal;
	to.stdin = r->stdin;
	to.stdout = r->stdout;
	to.stderr = r->stderr;
	to.checkpoint = r->options->image_path;
	to.options = &options;
	code = ttrpc_client_begin(m->client, &call, 0, on_created, c, NULL, err);
	while (c->n_fds > 0)
		fd_close(&c->fds[--c->n_fds]);
	return code;
}

/* --- the folder's part --- */

static int write_spec(const Cleat__V1__CreateRequest *r, const struct state_dir *dir)
{
	_cleanup_close_ int folder = -1;
	int code = dir_ensure(dir->fd, OVERRIDE_FOLDER, 0700);

	if (code < 0)
		return code;
	folder = openat(dir->fd, OVERRIDE_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	return file_write_atomic(
		folder, "config.json", r->options->spec.data, r->options->spec.len, 0600);
}

static int replace(char **to, const char *fmt, const char *a, const char *b)
{
	char *text;

	if (asprintf(&text, fmt, a, b) < 0)
		return -ENOMEM;
	if (*to != (const char *)protobuf_c_empty_string)
		free(*to);
	*to = text;
	return 0;
}

/* The document that goes before the bundle's, where its runtime finds it. */
static int keep_spec(struct making *c, const struct member *m, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	Cleat__V1__CreateOptions *o = c->request->options;
	int r;

	if (o->spec.len == 0)
		return 0;
	r = state_dir_open(m->supervisor->root, m->ns, m->id, &dir, err);
	if (r != 0)
		return r;
	r = write_spec(c->request, &dir);
	if (r == 0)
		r = replace(&o->runtime->spec_bundle, "%s/%s", dir.path, OVERRIDE_FOLDER);
	return r < 0 ? error_errno(err, r, "container %s: its config.json", m->id) : 0;
}

/* --- the start --- */

/* A start that went well and was not silent. */
static void tell_words(const struct making *c, const struct run_result *run)
{
	_cleanup_free_ char *line = NULL;

	if (run->err.len == 0)
		return;
	line = text_first_line(buf_head(&run->err), run->err.len, SAID_MAX);
	log_warn("a shim was started with a word", F_STR("namespace", c->ns),
		F_STR("id", c->request->id), F_STR("said", line));
}

static void on_started(const struct run_result *run, void *userdata)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *socket = NULL;
	struct making *c = userdata;
	struct member *m = NULL;
	int r = shim_start_judge(run, &socket, &err);

	if (r != 0) {
		if (!registry_find(c->supervisor->registry, c->ns, c->request->id))
			shim_groups_leave(c->supervisor->shim_groups, c->ns, c->request->id);
		making_fail(c, &err);
		return;
	}
	tell_words(c, run);
	m = registry_take(c->supervisor->registry, c->ns, c->request->id);
	if (!m || !member_is_linked(m))
		r = error_set(&err, CODE_UNAVAILABLE, "container %s: its shim takes no call",
			c->request->id);
	if (r == 0)
		r = keep_spec(c, m, &err);
	if (r == 0)
		r = send_create(c, m, &err);
	if (r == 0)
		return;
	if (m)
		member_shut_down(m);
	making_fail(c, &err);
}

static int begin_start(struct making *c, struct error *err)
{
	struct supervisor *s = c->supervisor;
	_cleanup_argv_ struct argv argv = ARGV_INIT;
	struct child_options options = {
		.base = s->base,
		.reaper = s->reaper,
		.output_limit = SHIM_START_OUTPUT,
		.deadline_ms = SHIM_START_DEADLINE_MS,
		.nofile = &s->nofile,
		.on_end = on_started,
		.userdata = c,
	};
	_cleanup_free_ char *cgroup = NULL;
	int r = shim_groups_take(s->shim_groups, c->ns, c->request->id, &cgroup);

	if (r == 0)
		r = shim_start_line(s->shim, s->root, c->ns, c->request->id, cgroup,
			log_enabled(LOG_LEVEL_DEBUG), &argv);
	options.argv = argv.v;
	if (r == 0)
		r = child_begin(&options, NULL);
	return r < 0 ? error_errno(err, r, "%s", s->shim) : 0;
}

/* --- the request --- */

static int check(const Cleat__V1__CreateRequest *r, struct error *err)
{
	int code = id_check(r->id, "container id", err);

	if (code != 0)
		return code;
	if (!r->options || !*r->options->bundle)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"container %s: options: no bundle is named", r->id);
	if (*r->options->bundle != '/')
		return error_set(err, CODE_INVALID_ARGUMENT,
			"container %s: bundle %s: not an absolute path", r->id, r->options->bundle);
	if (*r->options->image_path && *r->options->image_path != '/')
		return error_set(err, CODE_INVALID_ARGUMENT,
			"container %s: image_path %s: not an absolute path", r->id,
			r->options->image_path);
	return 0;
}

/* A copy that outlives the request; it has a RuntimeOptions, in which what was not said is filled in. */
static int copy_request(
	struct making *c, const Cleat__V1__CreateRequest *request, struct error *err)
{
	size_t n = cleat__v1__create_request__get_packed_size(request);
	_cleanup_free_ uint8_t *packed = malloc(n + 1);
	Cleat__V1__CreateOptions *o;
	int r;

	if (packed)
		c->request = cleat__v1__create_request__unpack(
			NULL, cleat__v1__create_request__pack(request, packed), packed);
	if (!c->request)
		return error_errno(err, -ENOMEM, "container %s", request->id);
	o = c->request->options;
	if (!o->runtime) {
		o->runtime = malloc(sizeof(*o->runtime));
		if (!o->runtime)
			return error_errno(err, -ENOMEM, "container %s", request->id);
		cleat__shim__v1__runtime_options__init(o->runtime);
	}
	r = default_runtime_fill(c->supervisor, c->ns, o->runtime, err);
	if (r == 0 && !*o->runtime->root &&
		replace(&o->runtime->root, "%s/r/%s", c->supervisor->root, c->ns) < 0)
		r = error_errno(err, -ENOMEM, "container %s", request->id);
	return r;
}

static void begin(struct supervisor *s, struct ttrpc_call *call, bool is_tasks,
	const Cleat__V1__CreateRequest *request)
{
	const char *ns = caller_namespace(call);
	_cleanup_error_ struct error err = ERROR_INIT;
	struct making *c;
	int r;

	if (!ns)
		return;
	r = check(request, &err);
	c = calloc(1, sizeof(*c));
	if (r != 0 || !c) {
		if (r == 0)
			error_errno(&err, -ENOMEM, "container %s", request->id);
		forward_refuse(call, &err);
		free(c);
		return;
	}
	c->supervisor = s;
	c->is_tasks = is_tasks;
	c->call = call;
	c->ns = strdup(ns);
	c->n_fds = ttrpc_call_take_fds(call, c->fds, LIMIT_FRAME_FDS);
	r = c->ns ? copy_request(c, request, &err)
		  : error_errno(&err, -ENOMEM, "container %s", request->id);
	if (r == 0)
		r = begin_start(c, &err);
	if (r == 0)
		ttrpc_call_keep(call, on_left, NULL, c);
	else
		making_fail(c, &err);
}

void make_container(
	struct supervisor *s, struct ttrpc_call *call, const Cleat__V1__CreateRequest *request)
{
	begin(s, call, false, request);
}

/* --- Tasks.Create --- */

/* The type's name, after a host that may stand before it. */
static bool is_type(const char *url, const char *name)
{
	const char *slash = strrchr(url, '/');

	return strcmp(slash ? slash + 1 : url, name) == 0;
}

static int unpack_options(
	const Google__Protobuf__Any *any, Cleat__V1__CreateOptions **ret, struct error *err)
{
	if (!any || !is_type(any->type_url, CREATE_OPTIONS_TYPE))
		return error_set(err, CODE_INVALID_ARGUMENT,
			"options: a " CREATE_OPTIONS_TYPE " is needed, which names the bundle%s%s",
			any ? ", not a " : "", any ? any->type_url : "");
	*ret = cleat__v1__create_options__unpack(NULL, any->value.len, any->value.data);
	return *ret ? 0
		    : error_set(
			      err, CODE_INVALID_ARGUMENT, "options: no valid " CREATE_OPTIONS_TYPE);
}

static void set_runtime_path(
	Cleat__V1__CreateRequest *to, char *path, Cleat__Shim__V1__RuntimeOptions *own)
{
	Cleat__V1__CreateOptions *o = to->options;

	if (!*path)
		return;
	if (!o->runtime) {
		cleat__shim__v1__runtime_options__init(own);
		own->command = path;
		o->runtime = own;
	}
}

void make_container_tasks(struct supervisor *s, struct ttrpc_call *call,
	const Containerd__Services__Tasks__V1__CreateTaskRequest *r)
{
	Cleat__V1__CreateRequest to = CLEAT__V1__CREATE_REQUEST__INIT;
	Cleat__Shim__V1__RuntimeOptions own;
	_cleanup_error_ struct error err = ERROR_INIT;
	int code = 0;

	if (r->checkpoint)
		code = error_set(&err, CODE_INVALID_ARGUMENT,
			"checkpoint: there is no content store: options.image_path names a folder");
	if (code == 0)
		code = unpack_options(r->options, &to.options, &err);
	if (code != 0) {
		forward_refuse(call, &err);
		return;
	}
	to.id = r->container_id;
	to.terminal = r->terminal;
	to.stdin = r->stdin;
	to.stdout = r->stdout;
	to.stderr = r->stderr;
	to.n_rootfs = r->n_rootfs;
	to.rootfs = r->rootfs;
	set_runtime_path(&to, r->runtime_path, &own);
	begin(s, call, true, &to);
	if (to.options->runtime == &own)
		to.options->runtime = NULL;
	cleat__v1__create_options__free_unpacked(to.options, NULL);
}
