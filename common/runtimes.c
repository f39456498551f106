/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Runs nothing and looks for no program: a set may name one that is not there yet.
 * Subtle: all of the file is checked whichever name is asked for, or a mistake in one set would be
 * found by whoever needs it at night.
 */
#include "common/runtimes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json_source.h"
#include "common/limits.h"
#include "common/runtime.h"

#define VERSION		1
#define LIMIT_NAME	64
#define DEADLINE_MS_MAX 86400000

void runtime_set_deinit(struct runtime_set *s)
{
	free(s->kind);
	free(s->command);
	free(s->root);
	argv_deinit(&s->options);
	*s = RUNTIME_SET_INIT;
}

const char *runtimes_path(void)
{
	const char *path = getenv(RUNTIMES_VARIABLE);

	return path && *path ? path : RUNTIMES_PATH;
}

/* "FILE:LINE: runtimes.fast.options: WHAT". What is not there from the right on is NULL. */
static int refuse(const struct json_source *s, const char *top, const char *name, const char *key,
	const char *what)
{
	const char *const path[] = { top, name, key, NULL };

	return json_source_refuse(s, path, what);
}

/* --- the keys of a set: each takes its value, or says what is wrong with it --- */

static int copy(char **to, const json_t *value)
{
	*to = strdup(json_string_value(value));
	return *to ? 0 : -ENOMEM;
}

static const char *check_kind(const json_t *value)
{
	if (!json_is_text(value))
		return "not a string";
	for (int kind = 0; kind < _RUNTIME_KIND_MAX; kind++)
		if (strcmp(json_string_value(value), runtime_kind_name((enum runtime_kind)kind)) ==
			0)
			return NULL;
	return "none of runc, crun, runsc";
}

static int take_kind(const json_t *value, struct runtime_set *ret)
{
	return copy(&ret->kind, value);
}

static const char *check_command(const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text)
		return "not a string";
	return *text == '/' || (*text && !strchr(text, '/'))
		       ? NULL
		       : "neither a name nor an absolute path";
}

static int take_command(const json_t *value, struct runtime_set *ret)
{
	return copy(&ret->command, value);
}

static const char *check_root(const json_t *value)
{
	if (!json_is_text(value))
		return "not a string";
	return *json_string_value(value) == '/' ? NULL : "not an absolute path";
}

static int take_root(const json_t *value, struct runtime_set *ret)
{
	return copy(&ret->root, value);
}

static const char *check_options(const json_t *value)
{
	if (!json_is_array(value))
		return "not a list of strings";
	for (size_t i = 0; i < json_array_size(value); i++) {
		_cleanup_(runtime_deinit) struct runtime any = RUNTIME_INIT;
		const json_t *option = json_array_get(value, i);

		if (!json_is_text(option))
			return "not a list of strings";
		if (runtime_add_option(&any, json_string_value(option), NULL) != 0)
			return "an option must be NAME or NAME=VALUE, without dashes";
	}
	return NULL;
}

static int take_options(const json_t *value, struct runtime_set *ret)
{
	int r = 0;

	for (size_t i = 0; i < json_array_size(value) && r == 0; i++)
		r = argv_add(&ret->options, json_string_value(json_array_get(value, i)));
	return r;
}

static const char *check_bool(const json_t *value)
{
	return json_is_boolean(value) ? NULL : "neither true nor false";
}

static int take_systemd_cgroup(const json_t *value, struct runtime_set *ret)
{
	ret->systemd_cgroup = json_is_true(value);
	return 0;
}

static const char *check_deadline(const json_t *value)
{
	json_int_t ms = json_is_integer(value) ? json_integer_value(value) : 0;

	return ms >= 1 && ms <= DEADLINE_MS_MAX ? NULL
						: "not a number of milliseconds up to 86400000";
}

static int take_deadline(const json_t *value, struct runtime_set *ret)
{
	ret->deadline_ms = (uint32_t)json_integer_value(value);
	return 0;
}

static const struct key {
	const char *name;
	const char *(*check)(const json_t *value); /* what is wrong, or NULL */
	int (*take)(const json_t *value, struct runtime_set *ret);
} keys[] = {
	{ "kind", check_kind, take_kind },
	{ "command", check_command, take_command },
	{ "root", check_root, take_root },
	{ "options", check_options, take_options },
	{ "systemd_cgroup", check_bool, take_systemd_cgroup },
	{ "deadline_ms", check_deadline, take_deadline },
};

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

/* --- the document --- */

/* A word, and none that `--runtime` takes for something else. */
static const char *check_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	if (!*name || strlen(name) > LIMIT_NAME || name[strspn(name, letters)] || *name == '-')
		return "a name is of letters, digits, '.', '_' and '-', and 64 bytes at most";
	for (int kind = 0; kind < _RUNTIME_KIND_MAX; kind++)
		if (strcmp(name, runtime_kind_name((enum runtime_kind)kind)) == 0)
			return "a name that a runtime has itself";
	return NULL;
}

/* The first key of a set that is wrong, and why; NULL where none is. */
static const char *check_keys(json_t *set, const char **ret_key)
{
	const char *key, *wrong;
	json_t *value;

	json_object_foreach (set, key, value) {
		const struct key *k = find_key(key);

		wrong = k ? k->check(value) : "not a key that is known";
		if (wrong) {
			*ret_key = key;
			return wrong;
		}
	}
	return NULL;
}

static int check_set(const struct json_source *s, const char *name, json_t *set)
{
	const char *wrong = check_name(name), *key = NULL;

	if (wrong || !json_is_object(set))
		return refuse(s, "runtimes", name, NULL, wrong ? wrong : "not an object");
	wrong = check_keys(set, &key);
	return wrong ? refuse(s, "runtimes", name, key, wrong) : 0;
}

static int check_document(const struct json_source *s, json_t *j)
{
	json_t *runtimes = json_object_get(j, "runtimes"), *value;
	const char *key;
	int r = json_source_version(s, j, VERSION);

	if (r != 0)
		return r;
	json_object_foreach (j, key, value)
		if (strcmp(key, "v") != 0 && strcmp(key, "runtimes") != 0)
			return refuse(s, key, NULL, NULL, "not a key that is known");
	if (!json_is_object(runtimes))
		return refuse(s, "runtimes", NULL, NULL, "not an object");
	json_object_foreach (runtimes, key, value) {
		r = check_set(s, key, value);
		if (r != 0)
			break;
	}
	return r;
}

static int take_set(const struct json_source *s, json_t *set, struct runtime_set *ret)
{
	_cleanup_runtime_set_ struct runtime_set taken = RUNTIME_SET_INIT;
	const char *key;
	json_t *value;

	json_object_foreach (set, key, value)
		if (find_key(key)->take(value, &taken) < 0)
			return error_errno(s->err, -ENOMEM, "%s", s->file);
	*ret = taken;
	taken = RUNTIME_SET_INIT;
	return 0;
}

int runtimes_find_in(const char *file, const void *data, size_t n, const char *name,
	struct runtime_set *ret, struct error *err)
{
	const struct json_source s = { file, data, n, err };
	_cleanup_json_ json_t *j = NULL;
	json_t *set;
	int r = json_source_parse(&s, &j);

	if (r == 0)
		r = check_document(&s, j);
	if (r != 0)
		return r;
	set = json_object_get(json_object_get(j, "runtimes"), name);
	if (!set)
		return error_set(err, CODE_NOT_FOUND, "%s: no runtimes.%.80s", file, name);
	return take_set(&s, set, ret);
}

int runtimes_find(const char *path, const char *name, struct runtime_set *ret, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = json_source_read(path, LIMIT_RUNTIMES_JSON, &text, err);

	return r == 0 ? runtimes_find_in(path, buf_head(&text), text.len, name, ret, err) : r;
}

int runtimes_names(const char *path, struct argv *ret, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	int r = json_source_read(path, LIMIT_RUNTIMES_JSON, &text, err);
	const struct json_source s = { path, buf_head(&text), text.len, err };
	const char *name;
	json_t *set;

	if (r == 0)
		r = json_source_parse(&s, &j);
	if (r == 0)
		r = check_document(&s, j);
	if (r != 0)
		return r;
	json_object_foreach (json_object_get(j, "runtimes"), name, set)
		if (argv_add(ret, name) < 0)
			return error_errno(err, -ENOMEM, "%s", path);
	return 0;
}

int runtime_set_read_in(
	const char *file, const void *data, size_t n, struct runtime_set *ret, struct error *err)
{
	const struct json_source s = { file, data, n, err };
	const char *wrong, *key = NULL;
	_cleanup_json_ json_t *j = NULL;
	int r = json_source_parse(&s, &j);

	if (r != 0)
		return r;
	wrong = json_is_object(j) ? check_keys(j, &key) : "not an object";
	return wrong ? refuse(&s, key, NULL, NULL, wrong) : take_set(&s, j, ret);
}

int runtime_set_read(const char *path, struct runtime_set *ret, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = json_source_read(path, LIMIT_RUNTIMES_JSON, &text, err);

	return r == 0 ? runtime_set_read_in(path, buf_head(&text), text.len, ret, err) : r;
}
