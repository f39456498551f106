/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which runtime, where, and with which options and environment. Runs nothing. Subtle: the command
 * is made absolute once, so that a later change of folder or PATH cannot swap it.
 */
#include "common/runtime.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/spawn.h"

static const char *const kind_names[] = {
	[RUNTIME_RUNC] = "runc",
	[RUNTIME_CRUN] = "crun",
	[RUNTIME_RUNSC] = "runsc",
};
_Static_assert(sizeof(kind_names) / sizeof(*kind_names) == _RUNTIME_KIND_MAX, "a name for each");

static const char *const verb_names[] = {
	[RUNTIME_CREATE] = "create",
	[RUNTIME_START] = "start",
	[RUNTIME_RUN] = "run",
	[RUNTIME_EXEC] = "exec",
	[RUNTIME_KILL] = "kill",
	[RUNTIME_DELETE] = "delete",
	[RUNTIME_STATE] = "state",
	[RUNTIME_LIST] = "list",
	[RUNTIME_PS] = "ps",
	[RUNTIME_PAUSE] = "pause",
	[RUNTIME_RESUME] = "resume",
	[RUNTIME_STATS] = "stats",
	[RUNTIME_EVENTS] = "events",
	[RUNTIME_TOP] = "top",
	[RUNTIME_WAIT] = "wait",
	[RUNTIME_CHECKPOINT] = "checkpoint",
	[RUNTIME_RESTORE] = "restore",
	[RUNTIME_UPDATE] = "update",
	[RUNTIME_FEATURES] = "features",
	[RUNTIME_VERSION] = "version",
};
_Static_assert(sizeof(verb_names) / sizeof(*verb_names) == _RUNTIME_VERB_MAX, "a name for each");

const char *runtime_kind_name(enum runtime_kind kind)
{
	return kind_names[kind];
}

bool runtime_is_kind(const char *name)
{
	for (int i = 0; i < _RUNTIME_KIND_MAX; i++)
		if (strcmp(name, kind_names[i]) == 0)
			return true;
	return false;
}

const char *runtime_verb_name(enum runtime_verb verb)
{
	return verb_names[verb];
}

static int parse_kind(const char *name, enum runtime_kind *ret, struct error *err)
{
	for (int i = 0; i < _RUNTIME_KIND_MAX; i++)
		if (strcmp(name, kind_names[i]) == 0) {
			*ret = (enum runtime_kind)i;
			return 0;
		}
	return error_set(err, CODE_INVALID_ARGUMENT,
		"runtime kind \"%.80s\" is none of runc, crun, runsc", name);
}

/* "crun", "crun-1.14" and "/opt/crun.debug" are crun; "crunch" says nothing. */
static enum runtime_kind guess_kind(const char *command)
{
	const char *slash = strrchr(command, '/');
	const char *base = slash ? slash + 1 : command;

	for (int i = 0; i < _RUNTIME_KIND_MAX; i++) {
		size_t n = strlen(kind_names[i]);

		if (strncmp(base, kind_names[i], n) == 0 && !isalpha((unsigned char)base[n]))
			return (enum runtime_kind)i;
	}
	return RUNTIME_RUNC;
}

static int make_absolute(char **path)
{
	_cleanup_free_ char *cwd = NULL;
	char *joined;

	if (**path == '/')
		return 0;
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return -errno;
	if (asprintf(&joined, "%s/%s", cwd, *path) < 0)
		return -ENOMEM;
	free(*path);
	*path = joined;
	return 0;
}

static int find_command(const char *command, char **ret, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	int r = spawn_find_program(command, &path);

	if (r == -ENOENT && !strchr(command, '/'))
		return error_set(err, CODE_NOT_FOUND,
			"runtime \"%s\": no program of this name in PATH", command);
	if (r == 0)
		r = make_absolute(&path);
	if (r < 0)
		return error_errno(err, r, "runtime \"%s\"", command);
	*ret = TAKE_PTR(path);
	return 0;
}

int runtime_init(struct runtime *ret, const char *kind, const char *command, const char *root,
	uint32_t deadline_ms, struct error *err)
{
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	int r;

	if (!command || !*command)
		command = kind && *kind ? kind : kind_names[RUNTIME_RUNC];
	rt.kind = guess_kind(command);
	r = kind && *kind ? parse_kind(kind, &rt.kind, err) : 0;
	if (r == 0)
		r = find_command(command, &rt.command, err);
	if (r != 0)
		return r;
	rt.root = strdup(root);
	if (!rt.root)
		return error_errno(err, -ENOMEM, "runtime \"%s\"", command);
	rt.deadline_ms = deadline_ms ? deadline_ms : RUNTIME_DEADLINE_MS;
	*ret = rt;
	rt = RUNTIME_INIT;
	return 0;
}

int runtime_own_root(struct runtime *rt, const char *id)
{
	char *root;

	if (!runtime_abbreviates_ids(rt))
		return 0;
	if (asprintf(&root, "%s/%s", rt->root, id) < 0)
		return -ENOMEM;
	free(rt->root);
	rt->root = root;
	return 0;
}

void runtime_deinit(struct runtime *rt)
{
	free(rt->command);
	free(rt->root);
	argv_deinit(&rt->options);
	*rt = RUNTIME_INIT;
}

int runtime_copy(struct runtime *to, const struct runtime *from)
{
	_cleanup_(runtime_deinit) struct runtime rt = *from;

	rt.options = ARGV_INIT;
	rt.command = strdup(from->command);
	rt.root = strdup(from->root);
	if (!rt.command || !rt.root || argv_copy(&rt.options, &from->options) < 0)
		return -ENOMEM;
	runtime_deinit(to);
	*to = rt;
	rt = RUNTIME_INIT;
	return 0;
}

int runtime_add_option(struct runtime *rt, const char *option, struct error *err)
{
	size_t n = 0;

	while (isalnum((unsigned char)option[n]) || (n > 0 && option[n] == '-'))
		n++;
	if (n == 0 || (option[n] != '\0' && option[n] != '='))
		return error_set(err, CODE_INVALID_ARGUMENT,
			"runtime option \"%.80s\" must be NAME or NAME=VALUE, the name of letters, "
			"digits and '-'",
			option);
	if (argv_add(&rt->options, option) < 0)
		return error_errno(err, -ENOMEM, "runtime option");
	return 0;
}

static bool is_supervisors(const char *variable)
{
	static const char *const names[] = {
		"NOTIFY_SOCKET=",
		"LISTEN_",
		"WATCHDOG_",
		"JOURNAL_STREAM=",
		"INVOCATION_ID=",
		"MAINPID=",
		"TTRPC_ADDRESS=",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

int runtime_env(struct argv *ret)
{
	_cleanup_argv_ struct argv env = ARGV_INIT;

	for (char **variable = environ; variable && *variable; variable++)
		if (!is_supervisors(*variable) && argv_add(&env, *variable) < 0)
			return -ENOMEM;
	argv_deinit(ret);
	*ret = env;
	env = ARGV_INIT;
	return 0;
}
