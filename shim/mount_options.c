/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option parser. Never looks at the file system. Subtle: what is not in the table is data and
 * passed on, so an option that must not reach the kernel has to be refused by name.
 */
#include "shim/mount_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "shim/id_map.h"
#include "shim/mount_spec.h"

/* clang-format off */
static const struct {
	const char *name;
	unsigned long set, clear;
} words[] = {
	{ "async", 0, MS_SYNCHRONOUS },
	{ "atime", 0, MS_NOATIME },
	{ "bind", MS_BIND, 0 },
	{ "defaults", 0, 0 },
	{ "dev", 0, MS_NODEV },
	{ "diratime", 0, MS_NODIRATIME },
	{ "dirsync", MS_DIRSYNC, 0 },
	{ "exec", 0, MS_NOEXEC },
	{ "mand", MS_MANDLOCK, 0 },
	{ "noatime", MS_NOATIME, 0 },
	{ "nodev", MS_NODEV, 0 },
	{ "nodiratime", MS_NODIRATIME, 0 },
	{ "noexec", MS_NOEXEC, 0 },
	{ "nomand", 0, MS_MANDLOCK },
	{ "norelatime", 0, MS_RELATIME },
	{ "nostrictatime", 0, MS_STRICTATIME },
	{ "nosuid", MS_NOSUID, 0 },
	{ "rbind", MS_BIND | MS_REC, 0 },
	{ "relatime", MS_RELATIME, 0 },
	{ "remount", MS_REMOUNT, 0 },
	{ "ro", MS_RDONLY, 0 },
	{ "rw", 0, MS_RDONLY },
	{ "strictatime", MS_STRICTATIME, 0 },
	{ "suid", 0, MS_NOSUID },
	{ "sync", MS_SYNCHRONOUS, 0 },
};

static const struct {
	const char *name;
	unsigned long flags;
} propagations[] = {
	{ "private", MS_PRIVATE },
	{ "rprivate", MS_PRIVATE | MS_REC },
	{ "rshared", MS_SHARED | MS_REC },
	{ "rslave", MS_SLAVE | MS_REC },
	{ "runbindable", MS_UNBINDABLE | MS_REC },
	{ "shared", MS_SHARED },
	{ "slave", MS_SLAVE },
	{ "unbindable", MS_UNBINDABLE },
};
/* clang-format on */

/* Beginnings of what is refused: these need a loop device, or containerd. */
static const char *const refused_options[] = { "X-containerd.", "loop=" };
static const char *const refused_types[] = { "fuse.", "fuse3." };

void mount_options_deinit(struct mount_options *o)
{
	argv_deinit(&o->data);
	free(o->uid_map);
	free(o->gid_map);
	*o = MOUNT_OPTIONS_INIT;
}

static bool begins_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool is_refused(const char *option)
{
	for (size_t i = 0; i < sizeof(refused_options) / sizeof(*refused_options); i++)
		if (begins_with(option, refused_options[i]))
			return true;
	return strcmp(option, "loop") == 0;
}

/* why: what follows the name in the sentence */
static int refuse(struct error *err, const char *what, const char *which, const char *why)
{
	_cleanup_free_ char *text = text_clean(which, strlen(which), 200);

	return error_set(err, CODE_INVALID_ARGUMENT, "%s \"%s\" %s", what, text ? text : "", why);
}

static bool parse_flag(struct mount_options *o, const char *option)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(option, words[i].name) == 0) {
			o->flags = (o->flags | words[i].set) & ~words[i].clear;
			o->cleared = (o->cleared | words[i].clear) & ~words[i].set;
			return true;
		}
	return false;
}

static unsigned long parse_propagation(const char *option)
{
	for (size_t i = 0; i < sizeof(propagations) / sizeof(*propagations); i++)
		if (strcmp(option, propagations[i].name) == 0)
			return propagations[i].flags;
	return 0;
}

/* 0 as well where it is no mapping at all; *ret_is tells. Of several the last one counts. */
static int parse_map(struct mount_options *o, const char *option, bool *ret_is, struct error *err)
{
	char **map = begins_with(option, "uidmap=")   ? &o->uid_map
		     : begins_with(option, "gidmap=") ? &o->gid_map
						      : NULL;
	char *lines;
	int r;

	*ret_is = map != NULL;
	if (!map)
		return 0;
	r = id_map_parse(option + strlen("uidmap="), &lines);
	if (r == -EINVAL)
		return refuse(err, "option", option, "is no mapping of ids: C:H:S[,C:H:S]...");
	if (r < 0)
		return error_errno(err, r, "options");
	free(*map);
	*map = lines;
	return 0;
}

static int parse_one(struct mount_options *o, const char *option, struct error *err)
{
	unsigned long propagation = parse_propagation(option);
	bool is_map;
	int r;

	if (is_refused(option))
		return refuse(err, "option", option, "is not supported");
	if (!*option || parse_flag(o, option))
		return 0;
	if (propagation) {
		if (o->n_propagation == MOUNT_PROPAGATIONS_MAX)
			return error_set(
				err, CODE_INVALID_ARGUMENT, "too many options of propagation");
		o->propagation[o->n_propagation++] = propagation;
		return 0;
	}
	r = parse_map(o, option, &is_map, err);
	if (r != 0 || is_map)
		return r;
	r = argv_add(&o->data, option);
	return r < 0 ? error_errno(err, r, "options") : 0;
}

static int check_maps(const struct mount_options *o, struct error *err)
{
	if (!o->uid_map && !o->gid_map)
		return 0;
	if (!o->uid_map || !o->gid_map)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"option \"%s\" does not go without \"%s\"",
			o->uid_map ? "uidmap" : "gidmap", o->uid_map ? "gidmap" : "uidmap");
	if (o->flags & MS_REMOUNT)
		return error_set(
			err, CODE_INVALID_ARGUMENT, "a remount does not change how ids are mapped");
	return 0;
}

static int check_type(const struct mount_spec *m, struct mount_options *o, struct error *err)
{
	const char *type = m->type ? m->type : "";

	for (size_t i = 0; i < sizeof(refused_types) / sizeof(*refused_types); i++)
		if (begins_with(type, refused_types[i]))
			return refuse(err, "type", type, "is not supported");
	if (strcmp(type, "bind") == 0 && !(o->flags & MS_REMOUNT))
		o->flags |= MS_BIND;
	if ((o->flags & MS_BIND) && !(o->flags & MS_REMOUNT) && (!m->source || *m->source != '/'))
		return error_set(err, CODE_INVALID_ARGUMENT,
			"the source of a bind must be an absolute path");
	return 0;
}

int mount_options_parse(struct mount_options *ret, const struct mount_spec *m, struct error *err)
{
	_cleanup_mount_options_ struct mount_options o = MOUNT_OPTIONS_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->options.n; i++)
		r = parse_one(&o, m->options.v[i], err);
	if (r == 0)
		r = check_type(m, &o, err);
	if (r == 0)
		r = check_maps(&o, err);
	if (r != 0)
		return r;
	*ret = o;
	o = MOUNT_OPTIONS_INIT;
	return 0;
}

char *mount_options_data(const struct mount_options *o)
{
	size_t size = 1;
	char *data, *p;

	for (size_t i = 0; i < o->data.n; i++)
		size += strlen(o->data.v[i]) + 1;
	p = data = malloc(size);
	if (!data)
		return NULL;
	for (size_t i = 0; i < o->data.n; i++) {
		if (i > 0)
			*p++ = ',';
		p = stpcpy(p, o->data.v[i]);
	}
	*p = '\0';
	return data;
}
