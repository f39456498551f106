/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process object of an exec: made from config.json's as `runc exec` does without --process,
 * or checked as a client sent it. What runc 1.1.5 does: args replaced; env appended; a capability
 * added to bounding, effective, permitted and ambient; --user changes the group only if it names
 * one; terminal as asked for, not as configured.
 */
#include "common/bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bundle_check.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/text.h"

/* The first failure sticks. */
static void set(json_t *obj, const char *key, json_t *value_take, int *r)
{
	if (*r != 0)
		json_decref(value_take);
	else if (json_object_set_new(obj, key, value_take) < 0)
		*r = -ENOMEM;
}

static json_t *make_string(const char *s, int *r)
{
	json_t *j = json_string(s);

	if (!j && *r == 0)
		*r = text_is_utf8(s) ? -ENOMEM : -EILSEQ;
	return j;
}

/* An empty string is no wish. */
static void set_string(json_t *obj, const char *key, const char *s, int *r)
{
	if (s && *s)
		set(obj, key, make_string(s, r), r);
}

/* Appends strings to the array at key, which is made if it is not there. */
static void append(json_t *obj, const char *key, const char *const *strings, int *r)
{
	json_t *array = json_object_get(obj, key);

	if (!strings || !*strings)
		return;
	if (!json_is_array(array)) {
		set(obj, key, json_array(), r);
		array = json_object_get(obj, key);
	}
	for (; *strings && *r == 0; strings++)
		if (json_array_append_new(array, make_string(*strings, r)) < 0 && *r == 0)
			*r = -ENOMEM;
}

static json_t *need_object(json_t *obj, const char *key, int *r)
{
	if (!json_is_object(json_object_get(obj, key)))
		set(obj, key, json_object(), r);
	return json_object_get(obj, key);
}

static void add_caps(json_t *process, const char *const *caps, int *r)
{
	static const char *const sets[] = { "bounding", "effective", "permitted", "ambient" };
	json_t *capabilities;

	if (!caps || !*caps)
		return;
	capabilities = need_object(process, "capabilities", r);
	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++)
		append(capabilities, sets[i], caps, r);
}

/* Digits up to end; false for anything else and for more than 32 bits. */
static bool parse_id(const char *text, const char *end, json_int_t *ret)
{
	json_int_t n = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (*text - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*ret = n;
	return true;
}

/* 0, -EINVAL, or -ENOMEM. */
static int set_user(json_t *process, const char *user)
{
	const char *colon = strchrnul(user, ':');
	json_int_t uid, gid = 0;
	json_t *obj;
	int r = 0;

	if (!parse_id(user, colon, &uid))
		return -EINVAL;
	if (*colon && !parse_id(colon + 1, colon + strlen(colon), &gid))
		return -EINVAL;
	obj = need_object(process, "user", &r);
	set(obj, "uid", json_integer(uid), &r);
	if (*colon)
		set(obj, "gid", json_integer(gid), &r);
	return r;
}

static int apply(json_t *process, const struct exec_wish *wish)
{
	int r = 0;

	if (json_object_get(process, "args"))
		json_object_del(process, "args");
	append(process, "args", wish->args, &r);
	append(process, "env", wish->env, &r);
	add_caps(process, wish->caps, &r);
	set(process, "terminal", json_boolean(wish->terminal), &r);
	set_string(process, "cwd", wish->cwd, &r);
	if (wish->no_new_privs)
		set(process, "noNewPrivileges", json_true(), &r);
	set_string(process, "apparmorProfile", wish->apparmor, &r);
	set_string(process, "selinuxLabel", wish->process_label, &r);
	if (wish->width > 0 && wish->height > 0)
		set(process, "consoleSize",
			json_pack("{s:i, s:i}", "width", (int)wish->width, "height",
				(int)wish->height),
			&r);
	if (r == 0 && wish->user && *wish->user)
		r = set_user(process, wish->user);
	return r;
}

/* What the runtimes ask of any process, said before they are asked. */
static int check_process(const json_t *process, const char *what, struct error *err)
{
	const char *cwd = json_get_string(process, "cwd", "");
	int r = check_fields(process, process_checks, what, "", err);

	if (r != 0)
		return r;
	if (json_array_size(json_object_get(process, "args")) == 0)
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: args must not be empty", what);
	if (*cwd != '/')
		return error_set(
			err, CODE_INVALID_ARGUMENT, "%s: cwd must be an absolute path", what);
	return 0;
}

int bundle_exec_process(
	const struct bundle *b, const struct exec_wish *wish, json_t **ret, struct error *err)
{
	_cleanup_json_ json_t *process = NULL;
	int r;

	if (!json_is_object(json_object_get(b->config, "process")))
		return error_set(
			err, CODE_INVALID_ARGUMENT, "%s/config.json: process is missing", b->path);
	process = json_deep_copy(json_object_get(b->config, "process"));
	r = process ? apply(process, wish) : -ENOMEM;
	if (r == -EINVAL)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"user \"%.80s\" must be UID or UID:GID, in numbers", wish->user);
	if (r == -EILSEQ)
		return error_set(
			err, CODE_INVALID_ARGUMENT, "what is to be executed must be valid UTF-8");
	if (r < 0)
		return error_errno(err, r, "process spec");
	r = check_process(process, "exec", err);
	if (r != 0)
		return r;
	*ret = TAKE_PTR(process);
	return 0;
}

int process_spec_parse(const void *data, size_t n, json_t **ret, struct error *err)
{
	_cleanup_json_ json_t *process = NULL;
	int r = json_parse(data, n, "process spec", &process, err);

	if (r != 0)
		return r;
	if (!json_is_object(process))
		return error_set(err, CODE_INVALID_ARGUMENT, "process spec: must be an object");
	r = check_process(process, "process spec", err);
	if (r != 0)
		return r;
	*ret = TAKE_PTR(process);
	return 0;
}
