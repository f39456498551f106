/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a bundle and options to a shim that waits for its Create. The user's bundle is never
 * written. Subtle: all that can be refused is refused before the shim is started, so that most
 * mistakes cost and leave nothing.
 */
#include "common/client_creation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/ids.h"
#include "common/runtime.h"
#include "common/shim_start.h"

#define RUNTIME_OPTIONS_TYPE "cleat.shim.v1.RuntimeOptions"
#define OVERRIDE_FOLDER	     "bundle"

static bool decide_terminal(const struct client_creation_options *o, const struct bundle *b)
{
	if (o->terminal == CLIENT_TERMINAL_AS_CONFIGURED)
		return bundle_terminal(b);
	return o->terminal == CLIENT_TERMINAL_WANTED;
}

/* --- the runtime --- */

/* A name that is neither a runtime's nor a path is looked for in runtimes.json. */
static int find_runtime(const char *name, struct runtime_set *ret, struct error *err)
{
	const char *path = runtimes_path();
	int r;

	if (!name || *name == '/' || runtime_is_kind(name))
		return 0;
	r = runtimes_find(path, name, ret, err);
	if (r != CODE_NOT_FOUND)
		return r;
	return error_set(err, CODE_INVALID_ARGUMENT,
		"runtime \"%s\" is none of runc, crun, runsc, no absolute path, and no name in %s",
		name, path);
}

/* systemd-cgroup has a field of its own; the rest goes to the runtime as it is. */
static void set_runtime_options(const struct client_creation_options *o,
	const struct runtime_set *set, Cleat__Shim__V1__RuntimeOptions *ret, char **others)
{
	ret->systemd_cgroup = set->systemd_cgroup;
	for (size_t i = 0; i < set->options.n; i++)
		others[ret->n_options++] = set->options.v[i];
	for (size_t i = 0; i < o->n_runtime_options; i++) {
		char *option = o->runtime_options[i];

		if (strcmp(option, "systemd-cgroup") == 0 ||
			strcmp(option, "systemd-cgroup=true") == 0)
			ret->systemd_cgroup = true;
		else
			others[ret->n_options++] = option;
	}
	ret->options = others;
}

static void set_runtime_program(const struct client_creation_options *o,
	const struct runtime_set *set, Cleat__Shim__V1__RuntimeOptions *ret)
{
	const char *name = o->runtime ? o->runtime : "runc";

	if (*name == '/')
		ret->command = (char *)name;
	else if (runtime_is_kind(name))
		ret->kind = (char *)name;
	if (set->kind)
		ret->kind = set->kind;
	if (set->command)
		ret->command = set->command;
}

/* Of a set's root each namespace gets a folder, so that equal ids do not meet. 0 or -ENOMEM. */
static int set_runtime_root(const struct client_place *place, struct client_creation *c)
{
	const char *root = c->runtime.root ? c->runtime.root : place->root;
	const char *middle = c->runtime.root ? "" : "/r";

	if (!c->runtime.root && place->via != CLIENT_VIA_DIRECT)
		return 0;
	if (asprintf(&c->runtime_root, "%s%s/%s", root, middle, place->ns) < 0)
		return -ENOMEM;
	return 0;
}

static int set_runtime(
	const struct client_place *place, struct client_creation *c, struct error *err)
{
	const struct client_creation_options *o = c->options;
	Cleat__Shim__V1__RuntimeOptions m = CLEAT__SHIM__V1__RUNTIME_OPTIONS__INIT;
	Cleat__Shim__V1__CriuOptions restore;
	const struct runtime_set *set = &c->runtime;
	_cleanup_free_ char **others =
		calloc(o->n_runtime_options + set->options.n + 1, sizeof(*others));

	if (!others)
		return error_errno(err, -ENOMEM, "runtime options");
	set_runtime_program(o, set, &m);
	if (set_runtime_root(place, c) < 0)
		return error_errno(err, -ENOMEM, "runtime options");
	if (c->runtime_root)
		m.root = c->runtime_root;
	m.deadline_ms = place->deadline_ms ? place->deadline_ms : set->deadline_ms;
	m.no_pivot = o->no_pivot;
	m.no_new_keyring = o->no_new_keyring;
	m.run = c->runs;
	if (c->spec_bundle)
		m.spec_bundle = c->spec_bundle;
	set_runtime_options(o, set, &m, others);
	if (o->restore) {
		restore = *o->restore;
		restore.exit = false; /* of a checkpoint */
		m.restore = &restore;
	}
	c->packed = malloc(cleat__shim__v1__runtime_options__get_packed_size(&m) + 1);
	if (!c->packed)
		return error_errno(err, -ENOMEM, "runtime options");
	google__protobuf__any__init(&c->any);
	c->any.type_url = (char *)RUNTIME_OPTIONS_TYPE;
	c->any.value.data = c->packed;
	c->any.value.len = cleat__shim__v1__runtime_options__pack(&m, c->packed);
	return 0;
}

/* --- the copy of config.json --- */

/* The shim's state folder; *ret_fd is the caller's. */
static int open_state_folder(const struct client_place *place, struct client_creation *c,
	char **ret_path, int *ret_fd, struct error *err)
{
	struct client_target *t = &c->target, other = CLIENT_TARGET_INIT;
	Cleat__Shim__V1__InfoResponse *info;
	int r;

	if (place->via == CLIENT_VIA_DIRECT) {
		r = state_dir_open(place->root, place->ns, t->id, &t->dir, err);
		if (r != 0)
			return r;
		*ret_path = strdup(t->dir.path);
		*ret_fd = fcntl(t->dir.fd, F_DUPFD_CLOEXEC, 3);
		return *ret_path && *ret_fd >= 0 ? 0 : error_errno(err, -errno, "state folder");
	}
	/* for blocking use: the target's connection may belong to a loop */
	r = client_target_open(place, t->id, NULL, &other, err);
	if (r != 0)
		return r;
	r = client_call_info(&other, CLIENT_ANSWER_MS, &info, err);
	client_target_close(&other);
	if (r != 0)
		return r;
	*ret_path = strdup(info->state_dir);
	*ret_fd = open(info->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = *ret_path && *ret_fd >= 0 ? 0 : error_errno(err, -errno, "%s", info->state_dir);
	cleat__shim__v1__info_response__free_unpacked(info, NULL);
	return r;
}

static int write_override(
	const struct client_place *place, struct client_creation *c, struct error *err)
{
	struct bundle_override o = { 0 };
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1, folder = -1;
	int r = open_state_folder(place, c, &path, &fd, err);

	if (r != 0)
		return r;
	r = dir_ensure(fd, OVERRIDE_FOLDER, 0700);
	if (r == 0) {
		folder = openat(
			fd, OVERRIDE_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = folder < 0 ? -errno : 0;
	}
	if (r < 0)
		return error_errno(err, r, "%s/" OVERRIDE_FOLDER, path);
	if (asprintf(&c->spec_bundle, "%s/" OVERRIDE_FOLDER, path) < 0) {
		c->spec_bundle = NULL;
		return error_errno(err, -ENOMEM, "%s/" OVERRIDE_FOLDER, path);
	}
	o.terminal = c->terminal;
	if (c->options->override)
		r = c->options->override(&o, folder, c->spec_bundle, c->options->userdata, err);
	return r == 0 ? bundle_write_override(&c->bundle, &o, folder, err) : r;
}

/* Where cleatd makes the folder, it is given the text. */
static int make_override(
	const struct client_place *place, struct client_creation *c, struct error *err)
{
	const struct bundle_override o = { .terminal = c->terminal };

	if (!c->target.is_hub)
		return write_override(place, c, err);
	if (c->options->override)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"a config.json of its own does not go with cleatd");
	return bundle_override_text(&c->bundle, &o, &c->spec, err);
}

/* --- the whole --- */

static void set_request(struct client_creation *c)
{
	containerd__task__v2__create_task_request__init(&c->request);
	c->request.id = c->target.id;
	c->request.bundle = c->bundle.path;
	c->request.terminal = c->terminal;
	c->request.options = &c->any;
	if (c->options->image)
		c->request.checkpoint = (char *)c->options->image;
}

static int start_shim(const struct client_place *place, const char *id, struct event_base *base,
	struct client_target *t, struct error *err)
{
	int r;

	if (place->via == CLIENT_VIA_SHIM)
		return client_target_open(place, id, base, t, err);
	if (place->via == CLIENT_VIA_CLEATD)
		return client_target_open(place, id, NULL, t, err);
	t->place = place;
	t->id = strdup(id);
	if (!t->id)
		return error_errno(err, -ENOMEM, "container %s", id);
	r = shim_start(place->root, place->ns, id, place->debug, &t->socket, err);
	if (r != 0)
		return r;
	return base ? ttrpc_client_connect(t->socket, base, &t->client, err)
		    : client_lines_get(place->lines, t->socket, &t->line, err);
}

/* The shim that we started has no container: it should end. One that somebody else started may be asked again. */
static void stop_shim(const struct client_place *place, struct client_creation *c)
{
	struct client_target blocking = CLIENT_TARGET_INIT;

	if (place->via != CLIENT_VIA_DIRECT || !c->target.socket)
		return;
	if (client_target_open(place, c->target.id, NULL, &blocking, NULL) != 0)
		return;
	if (blocking.line)
		client_call_shutdown(&blocking);
	client_target_close(&blocking);
}

static bool wants_override(const struct client_creation *c)
{
	return c->options->override || c->terminal != bundle_terminal(&c->bundle);
}

int client_creation_begin(const struct client_place *place,
	const struct client_creation_options *options, const char *id, struct event_base *base,
	struct client_creation *ret, struct error *err)
{
	struct client_creation *c = ret;
	int r;

	*c = (struct client_creation){
		.options = options, .bundle = BUNDLE_INIT, .target = CLIENT_TARGET_INIT
	};
	r = id_check(id, "container id", err);
	if (r == 0)
		r = find_runtime(options->runtime, &c->runtime, err);
	if (r == 0)
		r = bundle_load(options->bundle ? options->bundle : ".", &c->bundle, err);
	if (r != 0)
		return r;
	c->terminal = decide_terminal(options, &c->bundle);
	/* one call of the runtime less; a terminal's size has to be told between the two */
	c->runs = options->start && !c->terminal;
	r = start_shim(place, id, base, &c->target, err);
	if (r == 0 && wants_override(c))
		r = make_override(place, c, err);
	if (r == 0)
		r = set_runtime(place, c, err);
	if (r != 0) {
		stop_shim(place, c);
		return client_wrap(err, id);
	}
	set_request(c);
	return 0;
}

static int send_to_hub(struct client_creation *c, const struct client_fds *fds, uint32_t *ret_pid,
	struct error *err)
{
	struct client_target shim = CLIENT_TARGET_INIT, *t = &c->target;
	int r = client_call_create_hub(t, &c->request, c->spec, fds, ret_pid, &shim.socket, err);

	if (r != 0)
		return r;
	shim.place = t->place;
	r = client_lines_get(t->place->lines, shim.socket, &shim.line, err);
	shim.id = r == 0 ? strdup(t->id) : NULL;
	if (r == 0 && !shim.id)
		r = error_errno(err, -ENOMEM, "container %s", t->id);
	if (r != 0) {
		client_target_close(&shim);
		return client_wrap(err, t->id);
	}
	client_target_close(t);
	*t = shim;
	c->request.id = t->id;
	return 0;
}

int client_creation_send(struct client_creation *c, const struct client_fds *fds, uint32_t *ret_pid,
	struct error *err)
{
	int r;

	if (c->target.is_hub)
		return send_to_hub(c, fds, ret_pid, err);
	r = client_call_create(&c->target, &c->request, fds, ret_pid, err);
	if (r != 0 && c->target.place->via == CLIENT_VIA_DIRECT)
		client_call_shutdown(&c->target);
	return r;
}

void client_creation_end(struct client_creation *c)
{
	client_target_close(&c->target);
	bundle_deinit(&c->bundle);
	runtime_set_deinit(&c->runtime);
	free(c->spec_bundle);
	free(c->spec);
	free(c->runtime_root);
	free(c->packed);
	*c = (struct client_creation){ .bundle = BUNDLE_INIT, .target = CLIENT_TARGET_INIT };
}
