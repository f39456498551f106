/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json: what we read out of it. Never writes into the bundle, and never judges what only the
 * runtime uses. Subtle: null counts as not there, as it does for the runtimes.
 */
#include "common/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/bundle_check.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/signals.h"

static const struct check config_checks[] = {
	{ "process", CHECK_OBJECT },
	{ "root", CHECK_OBJECT },
	{ "root.path", CHECK_STRING },
	{ "linux", CHECK_OBJECT },
	{ "linux.cgroupsPath", CHECK_STRING },
	{ "linux.namespaces", CHECK_OBJECTS },
	{ "annotations", CHECK_STRING_MAP },
	{ "mounts", CHECK_OBJECTS },
	{ NULL, 0 },
};

static const struct check namespace_checks[] = {
	{ "type", CHECK_STRING },
	{ "path", CHECK_STRING },
	{ NULL, 0 },
};

static const struct check mount_checks[] = {
	{ "type", CHECK_STRING },
	{ "source", CHECK_STRING },
	{ "options", CHECK_STRINGS },
	{ NULL, 0 },
};

static const json_t *get_namespaces(const json_t *config)
{
	return json_object_get(json_object_get(config, "linux"), "namespaces");
}

static int check_config(const json_t *config, const char *what, struct error *err)
{
	int r;

	if (!json_is_object(config))
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: must be an object", what);
	r = check_fields(config, config_checks, what, "", err);
	if (r == 0)
		r = check_fields(
			json_object_get(config, "process"), process_checks, what, "process.", err);
	if (r == 0)
		r = check_each(
			get_namespaces(config), namespace_checks, what, "linux.namespaces", err);
	if (r == 0)
		r = check_each(
			json_object_get(config, "mounts"), mount_checks, what, "mounts", err);
	return r;
}

/* A link to a file is followed: the bundle is the user's, and so do the runtimes. */
static int read_config(const char *path, json_t **ret, struct error *err)
{
	_cleanup_free_ char *file = NULL, *real = NULL;
	_cleanup_json_ json_t *config = NULL;
	int r;

	if (asprintf(&file, "%s/config.json", path) < 0) {
		file = NULL;
		return error_errno(err, -ENOMEM, "bundle %s", path);
	}
	real = realpath(file, NULL);
	if (!real)
		return error_errno(err, -errno, "%s", file);
	r = json_read_file(AT_FDCWD, real, LIMIT_CONFIG_JSON, file, &config, err);
	if (r == 0)
		r = check_config(config, file, err);
	if (r != 0)
		return r;
	*ret = TAKE_PTR(config);
	return 0;
}

int bundle_load(const char *path, struct bundle *ret, struct error *err)
{
	_cleanup_free_ char *real = NULL;
	json_t *config = NULL;
	int r;

	real = realpath(path, NULL);
	if (!real)
		return error_errno(err, -errno, "bundle %s", path);
	r = read_config(real, &config, err);
	if (r != 0)
		return r;
	*ret = (struct bundle){ TAKE_PTR(real), config };
	return 0;
}

void bundle_forget_config(struct bundle *b)
{
	json_decref(b->config);
	b->config = NULL;
}

void bundle_deinit(struct bundle *b)
{
	free(b->path);
	json_decref(b->config);
	*b = BUNDLE_INIT;
}

bool bundle_terminal(const struct bundle *b)
{
	return json_get_bool(json_object_get(b->config, "process"), "terminal", false);
}

bool bundle_private_pids(const struct bundle *b)
{
	const json_t *namespaces = get_namespaces(b->config), *ns;
	size_t i;

	json_array_foreach (namespaces, i, ns)
		if (strcmp(json_get_string(ns, "type", ""), "pid") == 0)
			return !*json_get_string(ns, "path", "");
	return false;
}

const char *bundle_cgroups_path(const struct bundle *b)
{
	const char *path =
		json_get_string(json_object_get(b->config, "linux"), "cgroupsPath", NULL);

	return path && *path ? path : NULL;
}

const char *bundle_annotation(const struct bundle *b, const char *key)
{
	return json_get_string(json_object_get(b->config, "annotations"), key, NULL);
}

int bundle_stop_signal(const struct bundle *b)
{
	const char *text = bundle_annotation(b, "org.opencontainers.image.stopSignal");
	int sig = text ? signal_parse(text) : 0;

	return sig > 0 ? sig : SIGTERM;
}
