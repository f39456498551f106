/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of checkpoints and restores. Never touches the disk. Subtle: of two messages of the same
 * name, told apart by their packages, each has the image's number where the other has the work
 * folder's.
 */
#include "shim/criu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/cleanup.h"
#include "common/text.h"
#include "runc_options.pb-c.h"

#define ARENA_BYTES 1024u

void criu_deinit(struct criu *c)
{
	free(c->image_path);
	free(c->work_path);
	free(c->parent_path);
	free(c->cgroups_mode);
	free(c->page_server);
	free(c->lsm_profile);
	free(c->lsm_mount_context);
	argv_deinit(&c->empty_namespaces);
	*c = CRIU_INIT;
}

int criu_set(char **to, const char *value)
{
	char *copy = value && *value ? strdup(value) : NULL;

	if (value && *value && !copy)
		return error_trace(-ENOMEM);
	free(*to);
	*to = copy;
	return 0;
}

int criu_copy(struct criu *to, const struct criu *from)
{
	_cleanup_criu_ struct criu c = *from;

	c.image_path = c.work_path = c.parent_path = c.cgroups_mode = c.page_server = NULL;
	c.lsm_profile = c.lsm_mount_context = NULL;
	c.empty_namespaces = ARGV_INIT;
	if (criu_set(&c.image_path, from->image_path) < 0 ||
		criu_set(&c.work_path, from->work_path) < 0 ||
		criu_set(&c.parent_path, from->parent_path) < 0 ||
		criu_set(&c.cgroups_mode, from->cgroups_mode) < 0 ||
		criu_set(&c.page_server, from->page_server) < 0 ||
		criu_set(&c.lsm_profile, from->lsm_profile) < 0 ||
		criu_set(&c.lsm_mount_context, from->lsm_mount_context) < 0 ||
		argv_copy(&c.empty_namespaces, &from->empty_namespaces) < 0)
		return -ENOMEM;
	criu_deinit(to);
	*to = c;
	c = CRIU_INIT;
	return 0;
}

static int set_namespaces(struct criu *c, char *const *names, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = argv_add(&c->empty_namespaces, names[i]);
	return r;
}

/* What all these messages have, under the same names. */
#define SET_COMMON(c, o)                                                                           \
	do {                                                                                       \
		(c)->open_tcp = (o)->open_tcp;                                                     \
		(c)->external_unix_sockets = (o)->external_unix_sockets;                           \
		(c)->terminal = (o)->terminal;                                                     \
		(c)->file_locks = (o)->file_locks;                                                 \
	} while (0)

static int from_runc(const ProtobufCMessage *message, struct criu *c, struct error *err)
{
	const Containerd__Runc__V1__CheckpointOptions *o = (const void *)message;

	(void)err;
	SET_COMMON(c, o);
	c->exit = o->exit;
	if (criu_set(&c->image_path, o->image_path) < 0 ||
		criu_set(&c->work_path, o->work_path) < 0 ||
		criu_set(&c->parent_path, o->parent_path) < 0 ||
		criu_set(&c->cgroups_mode, o->cgroups_mode) < 0)
		return -ENOMEM;
	return set_namespaces(c, o->empty_namespaces, o->n_empty_namespaces);
}

static int from_linux_runc(const ProtobufCMessage *message, struct criu *c, struct error *err)
{
	const Containerd__Linux__Runc__CheckpointOptions *o = (const void *)message;

	(void)err;
	SET_COMMON(c, o);
	c->exit = o->exit;
	if (criu_set(&c->image_path, o->image_path) < 0 ||
		criu_set(&c->work_path, o->work_path) < 0 ||
		criu_set(&c->cgroups_mode, o->cgroups_mode) < 0)
		return -ENOMEM;
	return set_namespaces(c, o->empty_namespaces, o->n_empty_namespaces);
}

static int copy_own(const Cleat__Shim__V1__CriuOptions *o, struct criu *c)
{
	SET_COMMON(c, o);
	c->exit = o->exit;
	c->pre_dump = o->pre_dump;
	c->lazy_pages = o->lazy_pages;
	c->auto_dedup = o->auto_dedup;
	if (criu_set(&c->work_path, o->work_path) < 0 ||
		criu_set(&c->parent_path, o->parent_path) < 0 ||
		criu_set(&c->cgroups_mode, o->cgroups_mode) < 0 ||
		criu_set(&c->page_server, o->page_server) < 0 ||
		criu_set(&c->lsm_profile, o->lsm_profile) < 0 ||
		criu_set(&c->lsm_mount_context, o->lsm_mount_context) < 0)
		return -ENOMEM;
	return set_namespaces(c, o->empty_namespaces, o->n_empty_namespaces);
}

static int not_of(struct error *err, const char *verb, const char *name)
{
	return error_set(err, CODE_INVALID_ARGUMENT, "a %s has no %s", verb, name);
}

static int from_cleat(const ProtobufCMessage *message, struct criu *c, struct error *err)
{
	const Cleat__Shim__V1__CriuOptions *o = (const void *)message;

	if (*o->lsm_profile)
		return not_of(err, "checkpoint", "lsm_profile");
	if (*o->lsm_mount_context)
		return not_of(err, "checkpoint", "lsm_mount_context");
	if (o->exit && o->pre_dump)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"exit does not go with pre_dump: the container goes on");
	return criu_set(&c->image_path, o->image_path) < 0 ? -ENOMEM : copy_own(o, c);
}

int criu_of_restore(const Cleat__Shim__V1__CriuOptions *o, struct criu *ret, struct error *err)
{
	int r;

	if (o->exit)
		return not_of(err, "restore", "exit");
	if (o->pre_dump)
		return not_of(err, "restore", "pre_dump");
	if (*o->parent_path)
		return not_of(err, "restore", "parent_path");
	if (*o->page_server)
		return not_of(err, "restore", "page_server");
	if (*o->image_path)
		return not_of(err, "restore's options", "image_path");
	r = copy_own(o, ret);
	return r < 0 ? error_errno(err, r, "options") : 0;
}

int criu_of_create(const Containerd__Linux__Runc__CreateOptions *o, struct criu *ret)
{
	SET_COMMON(ret, o);
	if (criu_set(&ret->work_path, o->criu_work_path) < 0 ||
		criu_set(&ret->cgroups_mode, o->cgroups_mode) < 0)
		return -ENOMEM;
	return set_namespaces(ret, o->empty_namespaces, o->n_empty_namespaces);
}

/* --- by type --- */

static const struct options_type {
	const char *name;
	const ProtobufCMessageDescriptor *descriptor;
	int (*read)(const ProtobufCMessage *message, struct criu *c, struct error *err);
} types[] = {
	{ "containerd.runc.v1.CheckpointOptions",
		&containerd__runc__v1__checkpoint_options__descriptor, from_runc },
	{ "containerd.linux.runc.CheckpointOptions",
		&containerd__linux__runc__checkpoint_options__descriptor, from_linux_runc },
	{ "cleat.shim.v1.CriuOptions", &cleat__shim__v1__criu_options__descriptor, from_cleat },
};

static const struct options_type *find_type(const char *url)
{
	const char *slash = strrchr(url, '/');
	const char *name = slash ? slash + 1 : url;

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

static int read_options(const Google__Protobuf__Any *options, struct criu *c, struct error *err)
{
	const struct options_type *type = find_type(options->type_url);
	_cleanup_free_ char *shown = NULL;
	unsigned char room[ARENA_BYTES];
	_cleanup_arena_ struct arena arena;
	ProtobufCMessage *message;
	int r;

	arena_init(&arena, room, sizeof(room), ARENA_LIMIT);
	if (!type) {
		shown = text_clean(options->type_url, strlen(options->type_url), 200);
		return error_set(err, CODE_INVALID_ARGUMENT, "options of type \"%s\" are not known",
			shown ? shown : "?");
	}
	message = protobuf_c_message_unpack(
		type->descriptor, &arena.allocator, options->value.len, options->value.data);
	if (!message)
		return error_set(err,
			arena.exhausted ? CODE_RESOURCE_EXHAUSTED : CODE_INVALID_ARGUMENT,
			"options are %s %s", arena.exhausted ? "too large a" : "not a", type->name);
	r = type->read(message, c, err);
	return r < 0 ? error_errno(err, r, "options") : r;
}

int criu_of_checkpoint(const Google__Protobuf__Any *options, struct criu *ret, struct error *err)
{
	if (!options || (!*options->type_url && options->value.len == 0))
		return 0;
	return read_options(options, ret, err);
}

struct runtime_criu criu_view(const struct criu *c)
{
	return (struct runtime_criu){
		.image_path = c->image_path,
		.work_path = c->work_path,
		.parent_path = c->parent_path,
		.pre_dump = c->pre_dump,
		.open_tcp = c->open_tcp,
		.external_unix_sockets = c->external_unix_sockets,
		.terminal = c->terminal,
		.file_locks = c->file_locks,
		.lazy_pages = c->lazy_pages,
		.auto_dedup = c->auto_dedup,
		.cgroups_mode = c->cgroups_mode,
		.empty_namespaces = (const char *const *)c->empty_namespaces.v,
		.page_server = c->page_server,
		.lsm_profile = c->lsm_profile,
		.lsm_mount_context = c->lsm_mount_context,
	};
}
