/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Knows no key but "v". Subtle: names of keys are the writer's own and go into
 * sentences, so each is made fit for one first.
 */
#include "common/json_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/text.h"

#define LIMIT_NAME  64 /* bytes of a key in a sentence */
#define LIMIT_PLACE 512

int json_source_read(const char *path, size_t limit, struct buf *ret, struct error *err)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	int r = real ? fd_read_file(AT_FDCWD, real, ret, limit) : -errno;

	if (r == -EFBIG)
		return error_set(
			err, CODE_RESOURCE_EXHAUSTED, "%s: larger than %zu bytes", path, limit);
	if (r == -EINVAL)
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: not a regular file", path);
	return r < 0 ? error_errno(err, r, "%s", path) : 0;
}

/* jansson's complaint with our way of naming a place. */
int json_source_parse(const struct json_source *s, json_t **ret)
{
	_cleanup_free_ char *text = NULL;
	json_error_t at;

	*ret = json_loadb(s->n ? s->data : "", s->n, JSON_REJECT_DUPLICATES, &at);
	if (*ret)
		return 0;
	text = text_clean(at.text, strlen(at.text), sizeof(at.text));
	return error_set(s->err, CODE_INVALID_ARGUMENT, "%s:%d: %s", s->file,
		at.line > 0 ? at.line : 1, text ? text : "not JSON");
}

/* "runtimes.fast.options: ", or nothing for the document itself. */
static void show_place(const char *const *path, char ret[static LIMIT_PLACE])
{
	size_t n = 0;

	ret[0] = '\0';
	for (; *path && n < LIMIT_PLACE - LIMIT_NAME - 8; path++) {
		_cleanup_free_ char *shown = text_clean(*path, strlen(*path), LIMIT_NAME);

		n += (size_t)snprintf(ret + n, LIMIT_PLACE - n, "%s%s", shown ? shown : "?",
			path[1] ? "." : ": ");
	}
}

int json_source_refuse(const struct json_source *s, const char *const *path, const char *what)
{
	char place[LIMIT_PLACE];

	show_place(path, place);
	return error_set(s->err, CODE_INVALID_ARGUMENT, "%s:%zu: %s%s", s->file,
		json_line_of(s->data, s->n, path), place, what);
}

int json_source_version(const struct json_source *s, const json_t *document, int version)
{
	static const char *const nowhere[] = { NULL }, *const v[] = { "v", NULL };
	const json_t *found = json_object_get(document, "v");
	char what[80];

	if (!json_is_object(document))
		return json_source_refuse(s, nowhere, "not an object");
	if (!json_is_integer(found))
		return json_source_refuse(s, v, "not a number");
	if (json_integer_value(found) == version)
		return 0;
	snprintf(what, sizeof(what), "not a version that this cleat knows: it knows %d", version);
	return json_source_refuse(s, v, what);
}
