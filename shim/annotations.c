/* SPDX-License-Identifier: Apache-2.0 */
/* A container's annotations, merged. Never looks at what they say. */
#include "shim/annotations.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/limits.h"

static int add(json_t *all, const struct annotation *a, struct error *err)
{
	json_t *text = json_string(a->text);

	if (!*a->name)
		error_set(err, CODE_INVALID_ARGUMENT, "annotations: a name is empty");
	else if (!text || json_object_set(all, a->name, text) < 0)
		error_set(err, CODE_INVALID_ARGUMENT, "annotations: not UTF-8");
	json_decref(text);
	return (int)err->code;
}

static size_t size_of(json_t *all)
{
	const char *name;
	json_t *text;
	size_t n = 0;

	json_object_foreach (all, name, text)
		n += strlen(name) + json_string_length(text);
	return n;
}

int annotations_read(const struct annotation *list, size_t n, json_t **ret, struct error *err)
{
	_cleanup_json_ json_t *all = json_object();
	int r = all ? 0 : error_errno(err, -ENOMEM, "annotations");

	for (size_t i = 0; i < n && r == 0; i++)
		r = add(all, &list[i], err);
	if (r == 0)
		*ret = TAKE_PTR(all);
	return r;
}

/* The texts are shared: nobody changes them. */
int annotations_merge(const json_t *kept, const json_t *more, json_t **ret, struct error *err)
{
	_cleanup_json_ json_t *all = kept ? json_copy((json_t *)kept) : json_object();

	if (!all || json_object_update(all, (json_t *)more) < 0)
		return error_errno(err, -ENOMEM, "annotations");
	if (size_of(all) > LIMIT_ANNOTATIONS)
		return error_set(err, CODE_RESOURCE_EXHAUSTED,
			"annotations: larger than %u bytes together", LIMIT_ANNOTATIONS);
	*ret = TAKE_PTR(all);
	return 0;
}
