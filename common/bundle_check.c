/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. Subtle: a key of annotations is the user's text and goes into the sentence. */
#include "common/bundle_check.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/text.h"

const struct check process_checks[] = {
	{ "args", CHECK_STRINGS },
	{ "cwd", CHECK_STRING },
	{ "env", CHECK_STRINGS },
	{ "terminal", CHECK_BOOL },
	{ "user", CHECK_OBJECT },
	{ "consoleSize", CHECK_OBJECT },
	{ "capabilities", CHECK_OBJECT },
	{ "capabilities.bounding", CHECK_STRINGS },
	{ "capabilities.effective", CHECK_STRINGS },
	{ "capabilities.permitted", CHECK_STRINGS },
	{ "capabilities.ambient", CHECK_STRINGS },
	{ NULL, 0 },
};

/* Where we are: the names that go into a sentence. */
struct place {
	const char *what, *prefix, *path;
	struct error *err;
};

static int complain(const struct place *at, const char *must)
{
	return error_set(at->err, CODE_INVALID_ARGUMENT, "%s: %s%s must be %s", at->what,
		at->prefix, at->path, must);
}

static int check_array(const struct place *at, const json_t *j, json_type type)
{
	const char *must = type == JSON_STRING ? "a string" : "an object";
	const json_t *item;
	size_t i;

	if (!json_is_array(j))
		return complain(at, "an array");
	json_array_foreach (j, i, item)
		if (json_typeof(item) != type || (type == JSON_STRING && !json_is_text(item)))
			return error_set(at->err, CODE_INVALID_ARGUMENT, "%s: %s%s[%zu] must be %s",
				at->what, at->prefix, at->path, i, must);
	return 0;
}

static int check_map(const struct place *at, const json_t *j)
{
	const char *key;
	json_t *value;

	if (!json_is_object(j))
		return complain(at, "an object");
	json_object_foreach ((json_t *)j, key, value) {
		_cleanup_free_ char *shown = NULL;

		if (json_is_text(value))
			continue;
		shown = text_clean(key, strlen(key), 80);
		return error_set(at->err, CODE_INVALID_ARGUMENT,
			"%s: %s%s[\"%s\"] must be a string", at->what, at->prefix, at->path,
			shown ? shown : "");
	}
	return 0;
}

static int check_value(const struct place *at, const json_t *j, enum check_type type)
{
	switch (type) {
	case CHECK_OBJECT:
		return json_is_object(j) ? 0 : complain(at, "an object");
	case CHECK_STRING:
		return json_is_text(j) ? 0 : complain(at, "a string");
	case CHECK_BOOL:
		return json_is_boolean(j) ? 0 : complain(at, "true or false");
	case CHECK_STRINGS:
		return check_array(at, j, JSON_STRING);
	case CHECK_OBJECTS:
		return check_array(at, j, JSON_OBJECT);
	case CHECK_STRING_MAP:
		return check_map(at, j);
	}
	return 0;
}

static const json_t *walk(const json_t *j, const char *path)
{
	while (j && *path) {
		size_t n = strcspn(path, ".");

		j = json_object_getn(j, path, n);
		path += n + (path[n] == '.');
	}
	return j;
}

int check_fields(const json_t *obj, const struct check *checks, const char *what,
	const char *prefix, struct error *err)
{
	for (; checks->path; checks++) {
		const struct place at = { what, prefix, checks->path, err };
		const json_t *j = walk(obj, checks->path);
		int r = j && !json_is_null(j) ? check_value(&at, j, checks->type) : 0;

		if (r != 0)
			return r;
	}
	return 0;
}

int check_each(const json_t *array, const struct check *checks, const char *what, const char *path,
	struct error *err)
{
	const json_t *item;
	size_t i;

	json_array_foreach (array, i, item) {
		char prefix[80];
		int r;

		snprintf(prefix, sizeof(prefix), "%s[%zu].", path, i);
		r = check_fields(item, checks, what, prefix, err);
		if (r != 0)
			return r;
	}
	return 0;
}
