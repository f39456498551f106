/* SPDX-License-Identifier: Apache-2.0 */
/* `gc`: what has no owner, shown, and removed if told so. */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/print.h"
#include "supervisor/cli/strays.h"

struct gc_options {
	bool yes, all;
};

static const struct option gc_option_table[] = {
	OPTION_FLAG('y', "yes", struct gc_options, yes, "remove it, instead of showing it alone"),
	OPTION_FLAG('a', "all", struct gc_options, all,
		"also containers that have ended without their shim, with the exits in them"),
	OPTION_END,
};

static const struct column gc_columns[] = {
	{ "KIND", "kind" },
	{ "WHAT", "what" },
	{ "WHY", "why" },
};

/* Whether this call is about removing it. */
static bool goes(const struct stray *s, const struct gc_options *o)
{
	return s->fate == STRAY_GOES || (s->fate == STRAY_KEPT && o->all);
}

static json_t *make_row(const struct stray *s, const struct gc_options *o, bool removed, bool json)
{
	_cleanup_free_ char *why = NULL;
	const char *word = s->fate == STRAY_KEPT ? "kept" : "left";

	/* what is kept has a key of its own in JSON */
	if (asprintf(&why, "%s%s%s", json || goes(s, o) ? "" : word, json || goes(s, o) ? "" : ": ",
		    s->why) < 0) {
		why = NULL;
		return NULL;
	}
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:b, s:b}", "kind", stray_kind_name(s->kind),
		"namespace", print_text(s->ns), "id", print_text(s->id), "what",
		print_text(s->what), "why", print_text(why), "kept", !goes(s, o), "removed",
		removed);
}

/* Those that could not be removed are told by name, and the rest is gone on with. */
static bool remove_one(struct cli *cli, const struct stray *s)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (stray_remove(cli->place.root, s, &err) == 0)
		return true;
	if (s->kind == STRAY_UNFINISHED || s->kind == STRAY_CONTAINER)
		cli_complain(s->id, &err);
	else
		cli_say(&err);
	cli->status = STATUS_OWN_FAILURE;
	return false;
}

/* In order: a container goes before the files in it. */
static int make_rows(struct cli *cli, const struct strays *found, const struct gc_options *o,
	json_t *rows, struct error *err)
{
	for (size_t i = 0; i < found->n; i++) {
		const struct stray *s = &found->v[i];
		bool removed;

		if (s->kind == STRAY_ORPHAN)
			continue; /* it runs, and is listed as what it is */
		removed = o->yes && goes(s, o) && remove_one(cli, s);
		if (json_array_append_new(rows, make_row(s, o, removed, cli->g.json)) < 0)
			return error_errno(err, -ENOMEM, "gc");
	}
	return 0;
}

static void say_what_next(const struct strays *found, const struct gc_options *o)
{
	size_t n = 0;

	for (size_t i = 0; i < found->n; i++)
		n += goes(&found->v[i], o);
	if (n > 0)
		fprintf(stderr, "nothing was removed; cleat gc %s--yes removes these\n",
			o->all ? "--all " : "");
}

static int run_gc(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct gc_options *o = options;
	_cleanup_strays_ struct strays found = STRAYS_INIT;
	_cleanup_json_ json_t *rows = json_array();
	int r = cli_use_folders(cli, err);

	(void)argc;
	(void)argv;
	if (r == 0)
		r = strays_find(cli->place.root, cli->g.ns, true, &found, err);
	if (r == 0)
		r = make_rows(cli, &found, o, rows, err);
	if (r != 0)
		return r;
	if (cli->g.json)
		r = print_json(rows, err);
	else
		r = print_table(rows, gc_columns, sizeof(gc_columns) / sizeof(*gc_columns), err);
	if (r == 0 && !o->yes)
		say_what_next(&found, o);
	return r;
}

const struct command command_gc = {
	.name = "gc",
	.group = GROUP_KEEP,
	.usage = "[OPTIONS]",
	.brief = "Show what has no owner any more, and remove it with --yes",
	.more = "Below the root, in all namespaces (with -n: in that one, without sockets): sockets that\n"
		"nobody serves, folders of starts that died, runtimes' states of containers that are\n"
		"gone, files that dead shims were writing. A container that has ended after its shim\n"
		"died is kept, for its exit, without --all. What lives is never touched. It looks at\n"
		"folders, with cleatd as without.",
	.options = gc_option_table,
	.options_size = sizeof(struct gc_options),
	.alone = true,
	.run = run_gc,
};
