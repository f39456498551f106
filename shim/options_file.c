/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Runs nothing, and looks for no program. Subtle: the folder is containerd's, and what
 * is read may be another's: each value is looked at as if it came from a client.
 */
#include "shim/options_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/file.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/text.h"

#define OPTIONS	      "options.json"
#define RUNTIME	      "runtime"
#define LIMIT_RUNTIME 4096u /* bytes of a path, PATH_MAX */

/* --- writing: each returns 0 or -errno --- */

static int put(json_t *j, const char *key, json_t *value_take)
{
	return json_object_set_new(j, key, value_take) < 0 ? -ENOMEM : 0;
}

/* Not said: NULL and "". */
static int put_text(json_t *j, const char *key, const char *text)
{
	if (!text || !*text)
		return 0;
	return text_is_utf8(text) ? put(j, key, json_string(text)) : -EILSEQ;
}

static int put_bool(json_t *j, const char *key, bool on)
{
	return on ? put(j, key, json_true()) : 0;
}

static int put_number(json_t *j, const char *key, uint32_t n)
{
	return n ? put(j, key, json_integer(n)) : 0;
}

static int put_list(json_t *j, const char *key, const struct argv *words)
{
	json_t *list = words->n ? json_array() : NULL;

	if (words->n == 0)
		return 0;
	for (size_t i = 0; i < words->n; i++)
		if (!text_is_utf8(words->v[i]) ||
			json_array_append_new(list, json_string(words->v[i])) < 0) {
			json_decref(list);
			return text_is_utf8(words->v[i]) ? -ENOMEM : -EILSEQ;
		}
	return put(j, key, list);
}

/* As a client would name it: "" is runc, found by its name. */
static const char *binary_name(const struct runtime_wish *wish, const struct runtime *rt)
{
	return *wish->command || rt->kind == RUNTIME_RUNC ? wish->command : rt->command;
}

static int put_root(json_t *j, const char *root, const char *ns)
{
	const char *last = strrchr(root, '/');
	_cleanup_free_ char *before = NULL;

	if (!last || last == root || strcmp(last + 1, ns) != 0)
		return 0;
	before = strndup(root, (size_t)(last - root));
	return before ? put_text(j, "root", before) : -ENOMEM;
}

static int put_set(json_t *j, const struct runtime_wish *wish, const struct runtime *rt)
{
	json_t *set = json_object();
	int r = set ? put_text(set, "kind", runtime_kind_name(rt->kind)) : -ENOMEM;

	if (r == 0)
		r = put_text(set, "command", rt->command);
	if (r == 0)
		r = put_text(set, "root", wish->root);
	if (r == 0)
		r = put_list(set, "options", &wish->options);
	if (r == 0)
		r = put_bool(set, "systemd_cgroup", wish->systemd_cgroup);
	if (r == 0)
		r = put_number(set, "deadline_ms", wish->deadline_ms);
	if (r == 0)
		return put(j, "cleat", set);
	json_decref(set);
	return r;
}

/* In the order of the original's fields, which is how it writes them. */
static int fill(json_t *j, const struct runtime_wish *w, const struct runtime *rt, const char *ns)
{
	int r = put_bool(j, "no_pivot_root", w->no_pivot);

	if (r == 0)
		r = put_bool(j, "no_new_keyring", w->no_new_keyring);
	if (r == 0)
		r = put_text(j, "shim_cgroup", w->shim_cgroup);
	if (r == 0)
		r = put_number(j, "io_uid", w->io_uid);
	if (r == 0)
		r = put_number(j, "io_gid", w->io_gid);
	if (r == 0)
		r = put_text(j, "binary_name", binary_name(w, rt));
	if (r == 0)
		r = put_root(j, w->root, ns);
	if (r == 0)
		r = put_text(j, "criu_path", w->criu_path);
	if (r == 0)
		r = put_bool(j, "systemd_cgroup", w->systemd_cgroup);
	if (r == 0)
		r = put_text(j, "criu_work_path", w->restore.work_path);
	return r == 0 ? put_set(j, w, rt) : r;
}

static int write_files(int bundle, const char *text, const char *name, struct error *err)
{
	size_t n = strlen(text);
	int r;

	if (n > LIMIT_OPTIONS_JSON)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "%s: larger than %u bytes", OPTIONS,
			LIMIT_OPTIONS_JSON);
	r = file_write_atomic(bundle, OPTIONS, text, n, 0600);
	if (r < 0)
		return error_errno(err, r, "%s", OPTIONS);
	r = file_write_atomic(bundle, RUNTIME, name, strlen(name), 0600);
	return r < 0 ? error_errno(err, r, "%s", RUNTIME) : 0;
}

int options_file_write(int bundle, const struct runtime_wish *wish, const struct runtime *rt,
	const char *ns, struct error *err)
{
	_cleanup_json_ json_t *j = json_object();
	_cleanup_free_ char *text = NULL;
	int r = j ? fill(j, wish, rt, ns) : -ENOMEM;

	if (r == -EILSEQ)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"%s: a value is not valid UTF-8, and cannot be kept", OPTIONS);
	text = r == 0 ? json_text(j) : NULL;
	if (!text)
		return error_errno(err, -ENOMEM, "%s", OPTIONS);
	return write_files(bundle, text, binary_name(wish, rt), err);
}

/* --- reading --- */

static int wrong(const char *key, const char *what, struct error *err)
{
	return error_set(err, CODE_INVALID_ARGUMENT, "%s: %s: %s", OPTIONS, key, what);
}

/* A copy of a string of j; NULL where it is not said. */
static int take_text(const json_t *j, const char *key, char **ret, struct error *err)
{
	const json_t *value = json_object_get(j, key);

	if (!value)
		return 0;
	if (!json_is_text(value))
		return wrong(key, "not a string", err);
	if (!*json_string_value(value))
		return 0;
	*ret = strdup(json_string_value(value));
	return *ret ? 0 : error_errno(err, -ENOMEM, "%s", OPTIONS);
}

/* The set is checked where runtimes.json's are, and so is a command of runc's options. */
static int read_set(const json_t *set, struct runtime_set *ret, struct error *err)
{
	_cleanup_free_ char *text = json_text(set);

	if (!text)
		return error_errno(err, -ENOMEM, "%s", OPTIONS);
	return runtime_set_read_in(OPTIONS ": cleat", text, strlen(text), ret, err);
}

static int complete_root(const char *ns, struct runtime_set *s, struct error *err)
{
	_cleanup_free_ char *root = s->root;

	s->root = NULL;
	if (!root)
		return 0;
	if (*root != '/')
		return wrong("root", "not an absolute path", err);
	if (asprintf(&s->root, "%s/%s", root, ns) < 0) {
		s->root = NULL;
		return error_errno(err, -ENOMEM, "%s", OPTIONS);
	}
	return 0;
}

static bool is_command(const char *command)
{
	return *command == '/' || !strchr(command, '/');
}

static int read_runc(const json_t *j, const char *ns, struct runtime_set *ret, struct error *err)
{
	int r = take_text(j, "binary_name", &ret->command, err);

	if (r == 0)
		r = take_text(j, "root", &ret->root, err);
	if (r == 0 && ret->command && !is_command(ret->command))
		return wrong("binary_name", "neither a name nor an absolute path", err);
	if (r == 0)
		r = complete_root(ns, ret, err);
	ret->systemd_cgroup = json_get_bool(j, "systemd_cgroup", false);
	return r;
}

static int read_options(int bundle, const char *ns, struct runtime_set *ret, struct error *err)
{
	_cleanup_json_ json_t *j = NULL;
	int r = json_read_file(bundle, OPTIONS, LIMIT_OPTIONS_JSON, OPTIONS, &j, err);
	const json_t *set;

	if (r != 0)
		return r;
	if (!json_is_object(j))
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: not an object", OPTIONS);
	set = json_object_get(j, "cleat");
	return set ? read_set(set, ret, err) : read_runc(j, ns, ret, err);
}

/* An empty one says as much as none. */
static int read_runtime(int bundle, struct runtime_set *ret, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = fd_read_file(bundle, RUNTIME, &text, LIMIT_RUNTIME);
	_cleanup_free_ char *name = NULL;

	if (r < 0)
		return error_errno(err, r, "%s", RUNTIME);
	if (text.len == 0)
		return 0;
	name = strndup((const char *)buf_head(&text), text.len);
	if (!name)
		return error_errno(err, -ENOMEM, "%s", RUNTIME);
	if (!text_is_string(buf_head(&text), text.len) || !is_command(name))
		return error_set(err, CODE_INVALID_ARGUMENT,
			"%s: neither a name nor an absolute path", RUNTIME);
	ret->command = TAKE_PTR(name);
	return 0;
}

int options_file_read(int bundle, const char *ns, struct runtime_set *ret, struct error *err)
{
	_cleanup_runtime_set_ struct runtime_set s = RUNTIME_SET_INIT;
	int r = read_options(bundle, ns, &s, err);
	bool found = r == 0;

	if (r != 0 && r != CODE_NOT_FOUND)
		return r;
	if (!s.command) {
		r = read_runtime(bundle, &s, err);
		if (r != 0 && !(found && r == CODE_NOT_FOUND))
			return r;
	}
	error_clear(err);
	*ret = s;
	s = RUNTIME_SET_INIT;
	return 0;
}
