/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of mounts: checked, named, and as bytes. Never mounts. Subtle: the bytes are strings that
 * end in NUL, and a NULL is sent as an empty one, which means the same everywhere here.
 */
#include "shim/mount_spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "shim/mount_options.h"

#define MAX_NAME 200 /* bytes of a type or path of a client's in a sentence */

static void spec_deinit(struct mount_spec *m)
{
	free(m->type);
	free(m->source);
	free(m->target);
	argv_deinit(&m->options);
}

void mount_specs_free(struct mount_spec *mounts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		spec_deinit(&mounts[i]);
	free(mounts);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* The target without the slashes that it begins with. */
static const char *relative(const char *target)
{
	target = or_empty(target);
	return target + strspn(target, "/");
}

char *mount_spec_text(const struct mount_spec *m, const char *rootfs)
{
	const char *source = or_empty(m->source), *target = relative(m->target);
	_cleanup_free_ char *type_text = NULL, *source_text = NULL, *target_text = NULL;
	char *text;

	type_text = text_clean(or_empty(m->type), strlen(or_empty(m->type)), MAX_NAME);
	source_text = text_clean(source, strlen(source), MAX_NAME);
	target_text = text_clean(target, strlen(target), MAX_NAME);
	if (!type_text || !source_text || !target_text)
		return NULL;
	/* what is no path (overlay's "overlay") says nothing */
	if (asprintf(&text, "mount%s%s%s%s on %s%s%s", *type_text ? " " : "", type_text,
		    *source == '/' ? " of " : "", *source == '/' ? source_text : "", rootfs,
		    *target_text ? "/" : "", target_text) < 0)
		return NULL;
	return text;
}

int mount_specs_check(
	const struct mount_spec *mounts, size_t n, const char *rootfs, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_mount_options_ struct mount_options options = MOUNT_OPTIONS_INIT;
		_cleanup_free_ char *text = NULL;
		int r = mount_options_parse(&options, &mounts[i], err);

		if (r == 0)
			continue;
		text = mount_spec_text(&mounts[i], rootfs);
		return error_wrap(err, "%s", text ? text : "mount");
	}
	return 0;
}

static int put(struct buf *b, const char *s)
{
	return buf_append(b, or_empty(s), strlen(or_empty(s)) + 1);
}

static int encode_one(const struct mount_spec *m, struct buf *b)
{
	char count[24];
	int r;

	snprintf(count, sizeof(count), "%zu", m->options.n);
	r = put(b, count);
	if (r == 0)
		r = put(b, m->type);
	if (r == 0)
		r = put(b, m->source);
	if (r == 0)
		r = put(b, m->target);
	for (size_t i = 0; r == 0 && i < m->options.n; i++)
		r = put(b, m->options.v[i]);
	return r;
}

int mount_specs_encode(const struct mount_spec *mounts, size_t n, struct buf *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = encode_one(&mounts[i], ret);
	return r;
}

/* The next string of [*p, end), or NULL if no whole one is left. */
static const char *take(const char **p, const char *end)
{
	const char *s = *p, *nul = memchr(s, '\0', (size_t)(end - s));

	if (!nul)
		return NULL;
	*p = nul + 1;
	return s;
}

static int take_copy(const char **p, const char *end, char **ret)
{
	const char *s = take(p, end);

	if (!s)
		return -EINVAL;
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

static int decode_one(const char **p, const char *end, struct mount_spec *m)
{
	const char *count = take(p, end);
	size_t n = count ? strtoul(count, NULL, 10) : 0;
	int r = count ? 0 : -EINVAL;

	if (r == 0)
		r = take_copy(p, end, &m->type);
	if (r == 0)
		r = take_copy(p, end, &m->source);
	if (r == 0)
		r = take_copy(p, end, &m->target);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *option = take(p, end);

		r = option ? argv_add(&m->options, option) : -EINVAL;
	}
	return r;
}

int mount_specs_decode(const struct buf *in, struct mount_spec **ret, size_t *ret_n)
{
	const char *p = (const char *)buf_head(in), *end = p ? p + in->len : p;
	struct mount_spec *mounts = NULL;
	size_t n = 0;

	while (p < end) {
		struct mount_spec *grown = realloc(mounts, (n + 1) * sizeof(*mounts));
		int r = grown ? 0 : -ENOMEM;

		if (r == 0) {
			mounts = grown;
			mounts[n] = (struct mount_spec){ .options = ARGV_INIT };
			r = decode_one(&p, end, &mounts[n++]);
		}
		if (r < 0) {
			mount_specs_free(mounts, n);
			return r;
		}
	}
	*ret = mounts;
	*ret_n = n;
	return 0;
}
