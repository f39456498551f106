/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of cleat-shim, as Go's flag package takes them, since containerd writes them so. */
#include "shim/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/state_dir.h"

#define CONTAINERD_PREFIX "containerd-shim-"

struct flag {
	const char *name;
	const char **text; /* NULL: a switch */
	bool *on;
};

static int bad(const char *what, const char *name)
{
	fprintf(stderr, "cleat-shim: %s -%s\n", what, name);
	return 2;
}

/* One flag at argv[*i]; *i moves to its last word. */
static int parse_flag(const struct flag *flags, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 1 + (argv[*i][1] == '-');
	size_t n = strcspn(name, "=");
	const char *value = name[n] ? name + n + 1 : NULL;

	for (; flags->name; flags++) {
		if (strlen(flags->name) != n || strncmp(flags->name, name, n) != 0)
			continue;
		if (!flags->text) {
			*flags->on =
				!value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
			return 0;
		}
		if (!value && *i + 1 >= argc)
			return bad("a value is missing for", flags->name);
		*flags->text = value ? value : argv[++*i];
		return 0;
	}
	return bad("unknown flag", name);
}

static bool is_for_containerd(const struct verb_options *o)
{
	const char *slash = strrchr(o->program, '/');
	const char *name = slash ? slash + 1 : o->program;

	if (o->root)
		return false;
	return o->address || o->bundle ||
	       strncmp(name, CONTAINERD_PREFIX, strlen(CONTAINERD_PREFIX)) == 0;
}

char *verb_root(const struct verb_options *o, struct error *err)
{
	char *root = o->root ? strdup(o->root) : state_default_root();

	if (!root)
		error_set(err, CODE_FAILED_PRECONDITION,
			"-root is not given, and XDG_RUNTIME_DIR is not set");
	else if (root[0] != '/') {
		error_set(err, CODE_INVALID_ARGUMENT, "-root %s is not an absolute path", root);
		free(root);
		root = NULL;
	}
	return root;
}

int verb_parse(int argc, char **argv, struct verb_options *ret)
{
	const struct flag flags[] = {
		{ "namespace", &ret->ns, NULL },
		{ "id", &ret->id, NULL },
		{ "root", &ret->root, NULL },
		{ "socket", &ret->socket, NULL },
		{ "bundle", &ret->bundle, NULL },
		{ "address", &ret->address, NULL },
		{ "publish-binary", &ret->publish_binary, NULL },
		{ "ttrpc-address", &ret->ttrpc_address, NULL },
		{ "cgroup", &ret->cgroup, NULL },
		{ "debug", NULL, &ret->debug },
		{ "v", NULL, &ret->version },
		{ "info", NULL, &ret->info },
		{ "h", NULL, &ret->help },
		{ "help", NULL, &ret->help },
		{ NULL, NULL, NULL },
	};
	int i;

	ret->program = argc > 0 && *argv[0] ? argv[0] : "cleat-shim";
	for (i = 1; i < argc && argv[i][0] == '-'; i++)
		if (parse_flag(flags, argc, argv, &i) != 0)
			return 2;
	ret->for_containerd = is_for_containerd(ret);
	if (!ret->ns && ret->for_containerd)
		ret->ns = getenv("NAMESPACE");
	if (ret->version || ret->info || ret->help)
		return 0;
	if (i >= argc) {
		fprintf(stderr, "cleat-shim: a command is missing: start, delete\n");
		return 2;
	}
	ret->verb = argv[i];
	ret->first = i;
	return 0;
}
