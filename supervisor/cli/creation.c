/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands that make containers have in common: their options for the library, what a
 * runtime's words mean for the exit status, and pid files.
 */
#include "supervisor/cli/creation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/sdnotify.h"
#include "supervisor/cli/split_group.h"

/* -t, or its absence where stdin is no terminal, goes before config.json. */
static enum client_terminal decide_terminal(const struct create_options *o)
{
	if (o->terminal)
		return CLIENT_TERMINAL_WANTED;
	return isatty(STDIN_FILENO) ? CLIENT_TERMINAL_AS_CONFIGURED : CLIENT_TERMINAL_NONE;
}

/* The socket on which it says that it is ready, beside the copy of its config.json; its cgroup. */
static int override(
	struct bundle_override *o, int folder, const char *path, void *userdata, struct error *err)
{
	const struct creation *c = userdata;
	struct sdnotify *notify = c->options->notify;
	int r;

	o->cgroups_path = c->cgroups_path;
	if (!notify || !sdnotify_has_socket(notify))
		return 0;
	r = sdnotify_serve(notify, folder, path, err);
	o->folder = notify->folder;
	o->folder_inside = SDNOTIFY_INSIDE;
	o->env = (const char *const *)notify->env;
	return r;
}

/* Before the shim is started, which is to be where we are. */
static int move_to_group(struct creation *c, struct error *err)
{
	const char *cgroups = c->options->cgroups;

	if (!cgroups || strcmp(cgroups, "enabled") == 0)
		return 0;
	if (strcmp(cgroups, "split") == 0)
		return split_group(&c->cgroups_path, err);
	return error_set(err, CODE_INVALID_ARGUMENT,
		"--cgroups \"%s\" is neither enabled nor split", cgroups);
}

/* What only a shim that is started here can have. */
static int set_override(struct cli *cli, struct creation *c, struct error *err)
{
	bool notifies = c->options->notify && sdnotify_has_socket(c->options->notify);
	const char *option = notifies ? "--sdnotify=container" : "--cgroups=split";

	if (!notifies && !c->cgroups_path)
		return 0;
	if (cli->place.via != CLIENT_VIA_DIRECT)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"%s does not go through %s: it takes --direct", option,
			cli->place.via == CLIENT_VIA_CLEATD ? "cleatd" : "--shim");
	c->wish.override = override;
	c->wish.userdata = c;
	return 0;
}

int creation_begin(struct cli *cli, const struct create_options *options, const char *id,
	struct event_base *base, struct creation *ret, struct error *err)
{
	int r;

	*ret = (struct creation){ .options = options };
	ret->wish = (struct client_creation_options){
		.bundle = options->bundle,
		.runtime = cli->g.runtime,
		.runtime_options = cli->g.runtime_options.v,
		.n_runtime_options = cli->g.runtime_options.n,
		.terminal = decide_terminal(options),
		.start = options->start,
		.no_pivot = options->no_pivot,
		.no_new_keyring = options->no_new_keyring,
	};
	ret->made.target = CLIENT_TARGET_INIT;
	r = move_to_group(ret, err);
	if (r == 0)
		r = set_override(cli, ret, err);
	if (r == 0 && options->restore) {
		r = criu_options_fill(options->restore, &ret->restore, &ret->paths, err);
		ret->wish.restore = &ret->restore;
		ret->wish.image = ret->paths.image;
	}
	if (r == 0)
		r = client_creation_begin(&cli->place, &ret->wish, id, base, &ret->made, err);
	/* a name is an option's here */
	if (r == CODE_INVALID_ARGUMENT && err && strncmp(error_message(err), "runtime \"", 9) == 0)
		error_set(err, err->code, "--%s", error_message(err));
	return r;
}

void creation_end(struct creation *c)
{
	client_creation_end(&c->made);
	criu_paths_deinit(&c->paths);
	free(c->cgroups_path);
	c->cgroups_path = NULL;
}

/* --- what the runtime said --- */

/* One of the words at the beginning of a part of the sentence: names and paths are within parts. */
static bool begins_with(const struct error *err, const char *const *words)
{
	for (const char *part = error_message(err); part; part = strstr(part, ": ")) {
		part += strspn(part, ": ");
		for (const char *const *w = words; *w; w++)
			if (strncasecmp(part, *w, strlen(*w)) == 0)
				return true;
	}
	return false;
}

static bool says(const struct error *err, const char *const *words)
{
	for (; *words; words++)
		if (strcasestr(error_message(err), *words))
			return true;
	return false;
}

int failure_status(const struct error *err)
{
	/* that it is the program, not a mount or the working directory */
	static const char *const program[] = { "exec: ", "exec /", "exec \"", "executable file ",
		"error finding executable ", "open executable", "failed to load ",
		"exec user process", "exec format error", NULL };
	static const char *const missing[] = { "executable file not found",
		"no such file or directory", NULL };
	static const char *const refused[] = { "permission denied", "operation not permitted",
		"is a directory", "exec format error", NULL };

	if (!begins_with(err, program))
		return STATUS_OWN_FAILURE;
	if (says(err, refused))
		return STATUS_CANNOT_EXECUTE;
	if (says(err, missing))
		return STATUS_NOT_FOUND;
	return STATUS_OWN_FAILURE;
}

int pid_file_write(const char *path, uint32_t pid, struct error *err)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	_cleanup_free_ char *folder = NULL;
	_cleanup_close_ int dir = -1;
	char text[16];
	int n, r;

	if (!path)
		return 0;
	folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (!folder)
		return error_errno(err, -ENOMEM, "pid file %s", path);
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n = snprintf(text, sizeof(text), "%u", pid);
	r = dir < 0 ? -errno
		    : file_write_atomic(dir, slash ? slash + 1 : path, text, (size_t)n, 0644);
	return r < 0 ? error_errno(err, r, "pid file %s", path) : 0;
}
