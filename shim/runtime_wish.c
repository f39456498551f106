/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtime options by type URL. Reads nothing from disk but the one file that generic options name.
 * Subtle: the messages live in an arena, so whatever is kept of them is a copy.
 */
#include "shim/runtime_wish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/cleanup.h"
#include "common/pbtext.h"
#include "common/runtimes.h"
#include "common/text.h"
#include "linux_runc.pb-c.h"
#include "monitor.pb-c.h"
#include "runc_options.pb-c.h"
#include "runtimeoptions.pb-c.h"

#define ARENA_BYTES 1024u

void runtime_wish_deinit(struct runtime_wish *wish)
{
	free(wish->kind);
	free(wish->command);
	free(wish->root);
	free(wish->spec_bundle);
	argv_deinit(&wish->options);
	free(wish->shim_cgroup);
	free(wish->criu_path);
	criu_deinit(&wish->restore);
	*wish = RUNTIME_WISH_INIT;
}

static int set(char **to, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return error_trace(-ENOMEM);
	free(*to);
	*to = copy;
	return 0;
}

/* The root that somebody names is for all namespaces. Nothing is done for "". */
static int set_root(struct runtime_wish *w, const char *root, const char *ns)
{
	if (!*root)
		return 0;
	free(w->root);
	if (asprintf(&w->root, "%s/%s", root, ns) < 0)
		w->root = NULL;
	return w->root ? 0 : error_trace(-ENOMEM);
}

static int from_runc(
	const ProtobufCMessage *message, const char *ns, struct runtime_wish *w, struct error *err)
{
	const Containerd__Runc__V1__Options *o = (const void *)message;

	(void)err;
	w->no_pivot = o->no_pivot_root;
	w->no_new_keyring = o->no_new_keyring;
	w->systemd_cgroup = o->systemd_cgroup;
	w->io_uid = o->io_uid;
	w->io_gid = o->io_gid;
	if (criu_set(&w->criu_path, o->criu_path) < 0 ||
		criu_set(&w->restore.work_path, o->criu_work_path) < 0 ||
		criu_set(&w->shim_cgroup, o->shim_cgroup) < 0 || set_root(w, o->root, ns) < 0)
		return -ENOMEM;
	return set(&w->command, o->binary_name);
}

static int from_linux_create(
	const ProtobufCMessage *message, const char *ns, struct runtime_wish *w, struct error *err)
{
	const Containerd__Linux__Runc__CreateOptions *o = (const void *)message;

	(void)ns;
	(void)err;
	w->no_pivot = o->no_pivot_root;
	w->no_new_keyring = o->no_new_keyring;
	w->io_uid = o->io_uid;
	w->io_gid = o->io_gid;
	if (criu_set(&w->shim_cgroup, o->shim_cgroup) < 0)
		return -ENOMEM;
	return criu_of_create(o, &w->restore);
}

static int from_linux_runc(
	const ProtobufCMessage *message, const char *ns, struct runtime_wish *w, struct error *err)
{
	const Containerd__Linux__Runc__RuncOptions *o = (const void *)message;

	(void)err;
	w->systemd_cgroup = o->systemd_cgroup;
	if (criu_set(&w->criu_path, o->criu_path) < 0 || set_root(w, o->runtime_root, ns) < 0)
		return -ENOMEM;
	return set(&w->command, o->runtime);
}

static int read_set(
	const Runtimeoptions__V1__Options *o, struct runtime_set *ret, struct error *err)
{
	_cleanup_free_ char *shown = NULL;

	if (*o->config_path == '/')
		return runtime_set_read(o->config_path, ret, err);
	if (*o->config_path) {
		shown = text_clean(o->config_path, strlen(o->config_path), 200);
		return error_set(err, CODE_INVALID_ARGUMENT,
			"config_path \"%s\" is not an absolute path", shown ? shown : "?");
	}
	return o->config_body.len == 0 ? 0
				       : runtime_set_read_in("config_body", o->config_body.data,
						 o->config_body.len, ret, err);
}

static int from_generic(
	const ProtobufCMessage *message, const char *ns, struct runtime_wish *w, struct error *err)
{
	_cleanup_runtime_set_ struct runtime_set s = RUNTIME_SET_INIT;
	int r = read_set((const void *)message, &s, err);

	if (r != 0)
		return r;
	w->systemd_cgroup = s.systemd_cgroup;
	w->deadline_ms = s.deadline_ms;
	r = set_root(w, s.root ? s.root : "", ns);
	if (r == 0 && s.kind)
		r = set(&w->kind, s.kind);
	if (r == 0 && s.command)
		r = set(&w->command, s.command);
	return r == 0 ? argv_copy(&w->options, &s.options) : r;
}

static int from_cleat(
	const ProtobufCMessage *message, const char *ns, struct runtime_wish *w, struct error *err)
{
	const Cleat__Shim__V1__RuntimeOptions *o = (const void *)message;
	int r;

	(void)ns;
	if (*o->spec_bundle && *o->spec_bundle != '/')
		return error_set(err, CODE_INVALID_ARGUMENT,
			"spec_bundle \"%.200s\" is not an absolute path", o->spec_bundle);
	w->systemd_cgroup = o->systemd_cgroup;
	w->no_pivot = o->no_pivot;
	w->no_new_keyring = o->no_new_keyring;
	w->deadline_ms = o->deadline_ms;
	w->run = o->run;
	r = set(&w->kind, o->kind);
	if (r == 0)
		r = set(&w->command, o->command);
	if (r == 0)
		r = set(&w->spec_bundle, o->spec_bundle);
	if (r == 0 && *o->root)
		r = set(&w->root, o->root);
	for (size_t i = 0; i < o->n_options && r == 0; i++)
		r = argv_add(&w->options, o->options[i]);
	if (r == 0 && o->restore)
		r = criu_of_restore(o->restore, &w->restore, err);
	return r;
}

/* read: 0, a code with its sentence, or -ENOMEM. */
static const struct options_type {
	const char *name;
	const ProtobufCMessageDescriptor *descriptor;
	int (*read)(const ProtobufCMessage *message, const char *ns, struct runtime_wish *w,
		struct error *err);
} types[] = {
	{ "containerd.runc.v1.Options", &containerd__runc__v1__options__descriptor, from_runc },
	{ "containerd.linux.runc.CreateOptions",
		&containerd__linux__runc__create_options__descriptor, from_linux_create },
	{ "containerd.linux.runc.RuncOptions", &containerd__linux__runc__runc_options__descriptor,
		from_linux_runc },
	{ "runtimeoptions.v1.Options", &runtimeoptions__v1__options__descriptor, from_generic },
	/* what containerd up to 1.4 called the same */
	{ "cri.runtimeoptions.v1.Options", &runtimeoptions__v1__options__descriptor, from_generic },
	{ "cleat.shim.v1.RuntimeOptions", &cleat__shim__v1__runtime_options__descriptor,
		from_cleat },
};

/* What stands before the name says where a description of the type is to be had: nobody looks. */
static const char *type_name(const char *url)
{
	const char *slash = strrchr(url, '/');

	return slash ? slash + 1 : url;
}

static const struct options_type *find_type(const char *url)
{
	const char *name = type_name(url);

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

static int unknown_type(const char *url, struct error *err)
{
	_cleanup_free_ char *shown = text_clean(url, strlen(url), 200);

	return error_set(err, CODE_INVALID_ARGUMENT, "options of type \"%s\" are not known",
		shown ? shown : "?");
}

/* ret: lives in the arena. */
static int decode(const Google__Protobuf__Any *options, struct arena *arena,
	const struct options_type **ret_type, ProtobufCMessage **ret, struct error *err)
{
	const struct options_type *type = find_type(options->type_url);
	const ProtobufCBinaryData *value = &options->value;

	if (!type)
		return unknown_type(options->type_url, err);
	*ret = pbtext_is_valid(type->descriptor, value->data, value->len)
		       ? protobuf_c_message_unpack(
				 type->descriptor, &arena->allocator, value->len, value->data)
		       : NULL;
	*ret_type = type;
	if (*ret)
		return 0;
	return error_set(err, arena->exhausted ? CODE_RESOURCE_EXHAUSTED : CODE_INVALID_ARGUMENT,
		"options are %s %s", arena->exhausted ? "too large a" : "not a", type->name);
}

static int read_options(const Google__Protobuf__Any *options, const char *ns,
	struct runtime_wish *w, struct error *err)
{
	const struct options_type *type = NULL;
	unsigned char room[ARENA_BYTES];
	_cleanup_arena_ struct arena arena;
	ProtobufCMessage *message = NULL;
	int r;

	arena_init(&arena, room, sizeof(room), ARENA_LIMIT);
	r = decode(options, &arena, &type, &message, err);
	if (r == 0)
		r = type->read(message, ns, w, err);
	return r < 0 ? error_errno(err, r, "options") : r;
}

bool runtime_wish_knows(const char *type_url)
{
	return find_type(type_url) != NULL;
}

int runtime_wish_check(const Google__Protobuf__Any *options, struct error *err)
{
	const struct options_type *type = NULL;
	unsigned char room[ARENA_BYTES];
	_cleanup_arena_ struct arena arena;
	ProtobufCMessage *message = NULL;

	arena_init(&arena, room, sizeof(room), ARENA_LIMIT);
	return decode(options, &arena, &type, &message, err);
}

static int check_root(const struct runtime_wish *w, struct error *err)
{
	_cleanup_free_ char *shown = NULL;

	if (*w->root == '/')
		return 0;
	shown = text_clean(w->root, strlen(w->root), 200);
	return error_set(err, CODE_INVALID_ARGUMENT,
		"the runtime's root \"%s\" is not an absolute path", shown ? shown : "?");
}

static bool is_none(const Google__Protobuf__Any *options)
{
	return !options || (!*options->type_url && options->value.len == 0);
}

static int fill_default(struct runtime_wish *w, const char *command, const char *default_root)
{
	w->root = strdup(default_root);
	w->kind = strdup("");
	w->command = strdup(command);
	w->spec_bundle = strdup("");
	return w->root && w->kind && w->command && w->spec_bundle ? 0 : error_trace(-ENOMEM);
}

int runtime_wish_plain(
	const char *command, const char *default_root, struct runtime_wish *ret, struct error *err)
{
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	int r = fill_default(&w, command, default_root);

	if (r < 0)
		return error_errno(err, r, "options");
	*ret = w;
	w = RUNTIME_WISH_INIT;
	return 0;
}

int runtime_wish_parse(const Google__Protobuf__Any *options, const char *default_root,
	const char *ns, struct runtime_wish *ret, struct error *err)
{
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	int r = runtime_wish_plain("", default_root, &w, err);

	if (r == 0 && !is_none(options))
		r = read_options(options, ns, &w, err);
	if (r == 0)
		r = check_root(&w, err);
	if (r != 0)
		return r;
	*ret = w;
	w = RUNTIME_WISH_INIT;
	return 0;
}

/* runc alone can be told which program it is. */
static int add_criu_path(struct runtime *rt, const char *path, struct error *err)
{
	_cleanup_free_ char *option = NULL;

	if (!path)
		return 0;
	if (rt->kind != RUNTIME_RUNC)
		return error_set(
			err, CODE_UNIMPLEMENTED, "%s has no --criu", runtime_kind_name(rt->kind));
	if (asprintf(&option, "criu=%s", path) < 0) {
		option = NULL;
		return error_errno(err, -ENOMEM, "options");
	}
	return runtime_add_option(rt, option, err);
}

int runtime_wish_resolve(
	const struct runtime_wish *wish, const char *id, struct runtime *ret, struct error *err)
{
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	int r = runtime_init(&rt, wish->kind, wish->command, wish->root, wish->deadline_ms, err);

	for (size_t i = 0; i < wish->options.n && r == 0; i++)
		r = runtime_add_option(&rt, wish->options.v[i], err);
	if (r == 0)
		r = add_criu_path(&rt, wish->criu_path, err);
	if (r == 0 && runtime_own_root(&rt, id) < 0)
		r = error_errno(err, -ENOMEM, "options");
	if (r != 0)
		return r;
	rt.systemd_cgroup = wish->systemd_cgroup;
	rt.no_pivot = wish->no_pivot;
	rt.no_new_keyring = wish->no_new_keyring;
	*ret = rt;
	rt = RUNTIME_INIT;
	return 0;
}
