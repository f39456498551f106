/* SPDX-License-Identifier: Apache-2.0 */
/* The configured runtime, into a request's options. Runs nothing. */
#include "supervisor/default_runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/runtime.h"
#include "common/runtimes.h"

static int set(char **to, const char *value)
{
	char *copy;

	if (!value || **to)
		return 0;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	if (*to != (const char *)protobuf_c_empty_string)
		free(*to);
	*to = copy;
	return 0;
}

static int add_options(Cleat__Shim__V1__RuntimeOptions *o, const struct argv *more)
{
	char **options = reallocarray(o->options, o->n_options + more->n + 1, sizeof(*options));

	if (!options)
		return -ENOMEM;
	o->options = options;
	for (size_t i = 0; i < more->n; i++) {
		options[o->n_options] = strdup(more->v[i]);
		if (!options[o->n_options])
			return -ENOMEM;
		o->n_options++;
	}
	return 0;
}

/* Of a set's root each namespace gets a folder, so that equal ids do not meet. */
static int set_root(Cleat__Shim__V1__RuntimeOptions *o, const char *root, const char *ns)
{
	_cleanup_free_ char *path = NULL;

	if (!root)
		return 0;
	if (asprintf(&path, "%s/%s", root, ns) < 0)
		return -ENOMEM;
	return set(&o->root, path);
}

static int fill_from_set(
	const char *name, const char *ns, Cleat__Shim__V1__RuntimeOptions *o, struct error *err)
{
	_cleanup_runtime_set_ struct runtime_set found = RUNTIME_SET_INIT;
	int r = runtimes_find(runtimes_path(), name, &found, err);

	if (r == CODE_NOT_FOUND)
		return error_set(
			err, r, "runtime \"%s\": no such name in %s", name, runtimes_path());
	if (r != 0)
		return r;
	r = set(&o->kind, found.kind);
	if (r == 0)
		r = set(&o->command, found.command);
	if (r == 0)
		r = set_root(o, found.root, ns);
	if (r == 0)
		r = add_options(o, &found.options);
	o->systemd_cgroup |= found.systemd_cgroup;
	if (!o->deadline_ms)
		o->deadline_ms = found.deadline_ms;
	return r < 0 ? error_errno(err, r, "runtime \"%s\"", name) : r;
}

int default_runtime_fill(const struct supervisor *s, const char *ns,
	Cleat__Shim__V1__RuntimeOptions *o, struct error *err)
{
	const char *name = s->config.runtime;
	int r = 0;

	if (!*o->kind && !*o->command && name) {
		if (*name == '/')
			r = set(&o->command, name);
		else if (runtime_is_kind(name))
			r = set(&o->kind, name);
		else
			r = fill_from_set(name, ns, o, err);
	}
	if (!o->deadline_ms)
		o->deadline_ms = s->config.deadline_ms;
	return r < 0 ? error_errno(err, r, "runtime \"%s\"", name) : r;
}
