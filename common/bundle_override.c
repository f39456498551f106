/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy of config.json that a runtime gets where the caller wants something else than the user's
 * own says. Never writes into the bundle. Subtle: the copy lies in another folder, so what is relative
 * to the bundle is made absolute.
 */
#include "common/bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"

static bool is_bind(const json_t *mount)
{
	const json_t *options = json_object_get(mount, "options"), *option;
	size_t i;

	json_array_foreach (options, i, option)
		if (strcmp(json_string_value(option), "bind") == 0 ||
			strcmp(json_string_value(option), "rbind") == 0)
			return true;
	return strcmp(json_get_string(mount, "type", ""), "bind") == 0;
}

/* Makes obj's path absolute, from the bundle. 0 or -ENOMEM. */
static int make_absolute(const struct bundle *b, json_t *obj, const char *key)
{
	const char *path = json_get_string(obj, key, "");
	json_t *absolute;

	if (!*path || *path == '/')
		return 0;
	absolute = json_sprintf("%s/%s", b->path, path);
	return absolute && json_object_set_new(obj, key, absolute) == 0 ? 0 : -ENOMEM;
}

/* obj's member of that name, of the type that like is; a new one where there is none. NULL without memory. */
static json_t *member(json_t *obj, const char *key, json_t *like)
{
	json_t *found = json_object_get(obj, key);

	if (found && json_typeof(found) == json_typeof(like)) {
		json_decref(like);
		return found;
	}
	return json_object_set_new(obj, key, like) == 0 ? like : NULL;
}

/* NAME=VALUE goes in the place of every variable of that name: of two, runtimes disagree which counts. */
static int set_variable(json_t *env, const char *variable)
{
	const size_t n = strcspn(variable, "=") + 1;

	for (size_t i = json_array_size(env); i-- > 0;)
		if (strncmp(json_string_value(json_array_get(env, i)), variable, n) == 0)
			json_array_remove(env, i);
	return json_array_append_new(env, json_string(variable)) == 0 ? 0 : -ENOMEM;
}

static int set_process(json_t *process, const struct bundle_override *o)
{
	json_t *env;
	int r = 0;

	/* without one the container cannot be started, which is the runtime's to say */
	if (!json_is_object(process))
		return 0;
	if (json_object_set_new(process, "terminal", json_boolean(o->terminal)) < 0)
		return -ENOMEM;
	if (!o->env)
		return 0;
	env = member(process, "env", json_array());
	for (const char *const *variable = o->env; *variable && r == 0; variable++)
		r = env ? set_variable(env, *variable) : -ENOMEM;
	return r;
}

/* As runc mounts the folder of its own notify socket. */
static int add_folder(json_t *config, const char *from, const char *to)
{
	json_t *mounts = member(config, "mounts", json_array());
	json_t *mount = json_pack("{ss ss ss s[sssss]}", "destination", to, "type", "bind",
		"source", from, "options", "bind", "nosuid", "noexec", "nodev", "ro");

	return mounts && mount && json_array_append_new(mounts, mount) == 0 ? 0 : -ENOMEM;
}

static int set_cgroup(json_t *config, const char *path)
{
	json_t *system = member(config, "linux", json_object());

	return system && json_object_set_new(system, "cgroupsPath", json_string(path)) == 0
		       ? 0
		       : -ENOMEM;
}

static int override(const struct bundle *b, json_t *config, const struct bundle_override *o)
{
	json_t *mounts = json_object_get(config, "mounts"), *mount;
	size_t i;
	int r = set_process(json_object_get(config, "process"), o);

	if (r == 0)
		r = make_absolute(b, json_object_get(config, "root"), "path");
	json_array_foreach (mounts, i, mount)
		if (r == 0 && is_bind(mount))
			r = make_absolute(b, mount, "source");
	if (r == 0 && o->folder)
		r = add_folder(config, o->folder, o->folder_inside);
	if (r == 0 && o->cgroups_path)
		r = set_cgroup(config, o->cgroups_path);
	return r;
}

int bundle_override_text(
	const struct bundle *b, const struct bundle_override *o, char **ret, struct error *err)
{
	_cleanup_json_ json_t *config = json_deep_copy(b->config);
	int r = config ? override(b, config, o) : -ENOMEM;

	if (r == 0) {
		*ret = json_text(config);
		r = *ret ? 0 : -ENOMEM;
	}
	return r < 0 ? error_errno(err, r, "a copy of %s/config.json", b->path) : 0;
}

int bundle_write_override(
	const struct bundle *b, const struct bundle_override *o, int dir, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	int r = bundle_override_text(b, o, &text, err);

	if (r != 0)
		return r;
	r = file_write_atomic(dir, "config.json", text, strlen(text), 0600);
	return r < 0 ? error_errno(err, r, "a copy of %s/config.json", b->path) : 0;
}
