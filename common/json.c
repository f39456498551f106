/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON in and out. Never trusts a type. Subtle: jansson checks UTF-8 and bounds nesting, but
 * recurses: its 2048 levels fit a default stack many times over.
 */
#include "common/json.h"

#include <errno.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/fd.h"

/* What the parser was not happy with may hold bytes that are not fit for a sentence. */
static void make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
			*s = '?';
}

int json_parse(const void *data, size_t n, const char *what, json_t **ret, struct error *err)
{
	json_error_t at;
	json_t *j = json_loadb(n ? data : "", n, 0, &at);

	if (j) {
		*ret = j;
		return 0;
	}
	if (json_error_code(&at) == json_error_out_of_memory)
		return error_errno(err, -ENOMEM, "%s", what);
	make_printable(at.text);
	return error_set(err, CODE_INVALID_ARGUMENT, "%s: line %d, column %d: %s", what, at.line,
		at.column, at.text);
}

int json_read_file(
	int dir, const char *path, size_t limit, const char *what, json_t **ret, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = fd_read_file(dir, path, &text, limit);

	if (r == -EFBIG)
		return error_set(
			err, CODE_RESOURCE_EXHAUSTED, "%s: larger than %zu bytes", what, limit);
	if (r == -EINVAL)
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: not a regular file", what);
	if (r < 0)
		return error_errno(err, r, "%s", what);
	return json_parse(buf_head(&text), text.len, what, ret, err);
}

char *json_text(const json_t *j)
{
	return json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
}

int json_need_string(
	const json_t *obj, const char *key, const char *what, const char **ret, struct error *err)
{
	const json_t *j = json_object_get(obj, key);

	if (!j)
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: %s is missing", what, key);
	if (!json_is_string(j))
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: %s must be a string", what, key);
	*ret = json_string_value(j);
	return 0;
}

int json_need_int(
	const json_t *obj, const char *key, const char *what, int64_t *ret, struct error *err)
{
	const json_t *j = json_object_get(obj, key);

	if (!j)
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: %s is missing", what, key);
	if (!json_is_integer(j))
		return error_set(
			err, CODE_INVALID_ARGUMENT, "%s: %s must be an integer", what, key);
	*ret = json_integer_value(j);
	return 0;
}

const char *json_get_string(const json_t *obj, const char *key, const char *otherwise)
{
	const json_t *j = json_object_get(obj, key);

	return json_is_string(j) ? json_string_value(j) : otherwise;
}

int64_t json_get_int(const json_t *obj, const char *key, int64_t otherwise)
{
	const json_t *j = json_object_get(obj, key);

	return json_is_integer(j) ? json_integer_value(j) : otherwise;
}

bool json_get_bool(const json_t *obj, const char *key, bool otherwise)
{
	const json_t *j = json_object_get(obj, key);

	return json_is_boolean(j) ? json_is_true(j) : otherwise;
}
