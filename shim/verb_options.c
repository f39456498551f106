/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of cleat-shim, as Go's flag package takes them, since containerd writes them so. */
#include "shim/verbs.h"

#include <stdio.h>
#include <string.h>

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
		{ "debug", NULL, &ret->debug },
		{ "v", NULL, &ret->version },
		{ "h", NULL, &ret->help },
		{ "help", NULL, &ret->help },
		{ NULL, NULL, NULL },
	};
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++)
		if (parse_flag(flags, argc, argv, &i) != 0)
			return 2;
	if (ret->version || ret->help)
		return 0;
	if (i >= argc) {
		fprintf(stderr, "cleat-shim: a command is missing: start, delete\n");
		return 2;
	}
	ret->verb = argv[i];
	ret->first = i;
	return 0;
}
