/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of an overlay mount, taken apart and put together. Never looks at the file system.
 * Subtle: a backslash escapes ',' and ':' in paths, and of two equal keys the last one counts.
 */
#include "shim/overlay_data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/cleanup.h"

/* The length of what stands before the next separator that is not escaped. */
static size_t span(const char *s, char separator)
{
	size_t n = 0;

	while (s[n] && s[n] != separator)
		n += s[n] == '\\' && s[n + 1] ? 2 : 1;
	return n;
}

int overlay_split(const char *s, char separator, struct argv *ret)
{
	for (;;) {
		size_t n = span(s, separator);
		int r = argv_addf(ret, "%.*s", (int)n, s);

		if (r < 0 || !s[n])
			return r;
		s += n + 1;
	}
}

void overlay_unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		*to++ = *s;
	}
	*to = '\0';
}

static char *join(const struct argv *parts, char separator)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < parts->n; i++) {
		if (i > 0)
			r = buf_append(&b, &separator, 1);
		if (r == 0)
			r = buf_append(&b, parts->v[i], strlen(parts->v[i]));
	}
	if (r < 0 || buf_append(&b, "", 1) < 0)
		return NULL;
	return strdup((const char *)buf_head(&b));
}

/* The index of the last lowerdir among the options (the one that counts), or -1. */
static ssize_t find_lowerdir(const struct argv *options)
{
	for (size_t i = options->n; i-- > 0;)
		if (strncmp(options->v[i], OVERLAY_LOWERDIR, strlen(OVERLAY_LOWERDIR)) == 0)
			return (ssize_t)i;
	return -1;
}

/* Bytes of the longest folder (with its slash) that all have in common, something left of each. */
static size_t common_folder(const struct argv *paths)
{
	const char *first = NULL;
	size_t n = 0;

	for (size_t i = 0; i < paths->n; i++) {
		const char *path = paths->v[i];
		size_t same = 0;

		if (!*path) /* "::" sets off layers of data only */
			continue;
		if (!first) {
			first = path;
			n = strlen(path) - 1; /* something has to be left */
		}
		while (same < n && path[same] == first[same] && path[same + 1])
			same++;
		n = same;
	}
	while (n > 0 && first[n - 1] != '/')
		n--;
	return n;
}

/* Cuts the first n bytes off, and slashes after them: a path that began with one would be absolute. */
static void make_relative(struct argv *paths, size_t n)
{
	for (size_t i = 0; i < paths->n; i++) {
		char *path = paths->v[i];
		const char *rest = path + n;

		if (!*path)
			continue;
		rest += strspn(rest, "/");
		if (*rest)
			memmove(path, rest, strlen(rest) + 1);
		else
			strcpy(path, ".");
	}
}

int overlay_make_relative(const char *data, char **ret_data, char **ret_dir)
{
	_cleanup_argv_ struct argv options = ARGV_INIT, paths = ARGV_INIT;
	_cleanup_free_ char *dir = NULL, *lower = NULL, *option = NULL;
	ssize_t at;
	size_t n;
	int r = overlay_split(data, ',', &options);

	if (r < 0)
		return r;
	at = find_lowerdir(&options);
	if (at < 0)
		return -ENOENT;
	r = overlay_split(options.v[at] + strlen(OVERLAY_LOWERDIR), ':', &paths);
	if (r < 0)
		return r;
	n = common_folder(&paths);
	if (n < 2 || paths.v[0][0] != '/')
		return -ENOENT;
	dir = strndup(paths.v[0], n);
	make_relative(&paths, n);
	lower = join(&paths, ':');
	if (!dir || !lower || asprintf(&option, OVERLAY_LOWERDIR "%s", lower) < 0)
		return -ENOMEM;
	overlay_unescape(dir);
	free(options.v[at]);
	options.v[at] = TAKE_PTR(option);
	*ret_data = join(&options, ',');
	if (!*ret_data)
		return -ENOMEM;
	*ret_dir = TAKE_PTR(dir);
	return 0;
}

static int add_path(struct argv *ret, const char *path)
{
	int r = *path ? argv_add(ret, path) : 0;

	if (r == 0 && *path)
		overlay_unescape(ret->v[ret->n - 1]);
	return r;
}

static int add_layers(struct argv *ret, const char *value)
{
	_cleanup_argv_ struct argv paths = ARGV_INIT;
	int r = overlay_split(value, ':', &paths);

	for (size_t i = 0; r == 0 && i < paths.n; i++)
		r = add_path(ret, paths.v[i]);
	return r;
}

int overlay_layers(const char *data, struct argv *ret)
{
	static const char *const singles[] = { "lowerdir+=", "datadir+=" };
	_cleanup_argv_ struct argv options = ARGV_INIT;
	int r = overlay_split(data, ',', &options);
	ssize_t at = r == 0 ? find_lowerdir(&options) : -1;

	if (at >= 0)
		r = add_layers(ret, options.v[at] + strlen(OVERLAY_LOWERDIR));
	for (size_t i = 0; i < options.n; i++)
		for (size_t k = 0; r == 0 && k < sizeof(singles) / sizeof(*singles); k++)
			if (strncmp(options.v[i], singles[k], strlen(singles[k])) == 0)
				r = add_path(ret, options.v[i] + strlen(singles[k]));
	return r;
}

int overlay_value(const char *data, const char *key, char **ret)
{
	_cleanup_argv_ struct argv options = ARGV_INIT;
	int r = overlay_split(data, ',', &options);

	*ret = NULL;
	if (r < 0)
		return r;
	for (size_t i = options.n; i-- > 0;)
		if (strncmp(options.v[i], key, strlen(key)) == 0) {
			*ret = strdup(options.v[i] + strlen(key));
			if (!*ret)
				return -ENOMEM;
			overlay_unescape(*ret);
			return 0;
		}
	return 0;
}
