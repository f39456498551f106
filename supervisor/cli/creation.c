/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a bundle and options to a shim that waits for its Create. The user's bundle is never
 * written. Subtle: all that can be refused is refused before the shim is started, so that most
 * mistakes cost and leave nothing.
 */
#include "supervisor/cli/creation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/ids.h"
#include "common/runtime.h"
#include "common/shim_start.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/task.h"

#define RUNTIME_OPTIONS_TYPE "cleat.shim.v1.RuntimeOptions"
#define OVERRIDE_FOLDER	     "bundle"

/* -t, or its absence where stdin is no terminal, goes before config.json. */
static bool decide_terminal(const struct create_options *o, const struct bundle *b)
{
	if (o->terminal)
		return true;
	return bundle_terminal(b) && isatty(STDIN_FILENO);
}

/* --- the runtime --- */

/* A name that is neither a runtime's nor a path is looked for in runtimes.json. */
static int find_runtime(const char *name, struct runtime_set *ret, struct error *err)
{
	const char *path = runtimes_path();
	int r;

	if (!name || *name == '/' || runtime_is_kind(name))
		return 0;
	r = runtimes_find(path, name, ret, err);
	if (r != CODE_NOT_FOUND)
		return r;
	return error_set(err, CODE_INVALID_ARGUMENT,
		"--runtime \"%s\" is none of runc, crun, runsc, no absolute path, and no name in %s",
		name, path);
}

/* systemd-cgroup has a field of its own; the rest goes to the runtime as it is. */
static void set_runtime_options(const struct cli *cli, const struct runtime_set *set,
	Cleat__Shim__V1__RuntimeOptions *ret, char **others)
{
	ret->systemd_cgroup = set->systemd_cgroup;
	for (size_t i = 0; i < set->options.n; i++)
		others[ret->n_options++] = set->options.v[i];
	for (size_t i = 0; i < cli->g.runtime_options.n; i++) {
		char *option = cli->g.runtime_options.v[i];

		if (strcmp(option, "systemd-cgroup") == 0 ||
			strcmp(option, "systemd-cgroup=true") == 0)
			ret->systemd_cgroup = true;
		else
			others[ret->n_options++] = option;
	}
	ret->options = others;
}

static void set_runtime_program(
	const struct cli *cli, const struct runtime_set *set, Cleat__Shim__V1__RuntimeOptions *ret)
{
	const char *name = cli->g.runtime ? cli->g.runtime : "runc";

	if (*name == '/')
		ret->command = (char *)name;
	else if (runtime_is_kind(name))
		ret->kind = (char *)name;
	if (set->kind)
		ret->kind = set->kind;
	if (set->command)
		ret->command = set->command;
}

/* Of a set's root each namespace gets a folder, so that equal ids do not meet. 0 or -ENOMEM. */
static int set_runtime_root(const struct cli *cli, struct creation *c)
{
	const char *root = c->runtime.root ? c->runtime.root : cli->root;
	const char *middle = c->runtime.root ? "" : "/r";

	if (!c->runtime.root && cli->via != VIA_DIRECT)
		return 0;
	if (asprintf(&c->runtime_root, "%s%s/%s", root, middle, cli->ns) < 0)
		return -ENOMEM;
	return 0;
}

static int set_runtime(struct cli *cli, struct creation *c, struct error *err)
{
	Cleat__Shim__V1__RuntimeOptions m = CLEAT__SHIM__V1__RUNTIME_OPTIONS__INIT;
	Cleat__Shim__V1__CriuOptions restore;
	const struct runtime_set *set = &c->runtime;
	_cleanup_free_ char **others =
		calloc(cli->g.runtime_options.n + set->options.n + 1, sizeof(*others));

	if (!others)
		return error_errno(err, -ENOMEM, "runtime options");
	set_runtime_program(cli, set, &m);
	if (set_runtime_root(cli, c) < 0)
		return error_errno(err, -ENOMEM, "runtime options");
	if (c->runtime_root)
		m.root = c->runtime_root;
	m.deadline_ms = cli->deadline_ms ? cli->deadline_ms : set->deadline_ms;
	m.no_pivot = c->options->no_pivot;
	m.no_new_keyring = c->options->no_new_keyring;
	m.run = c->runs;
	if (c->spec_bundle)
		m.spec_bundle = c->spec_bundle;
	set_runtime_options(cli, set, &m, others);
	if (c->options->restore) {
		int r = criu_options_fill(c->options->restore, &restore, &c->paths, err);

		if (r != 0)
			return r;
		restore.exit = false; /* of a checkpoint */
		m.restore = &restore;
	}
	c->packed = malloc(cleat__shim__v1__runtime_options__get_packed_size(&m) + 1);
	if (!c->packed)
		return error_errno(err, -ENOMEM, "runtime options");
	google__protobuf__any__init(&c->any);
	c->any.type_url = (char *)RUNTIME_OPTIONS_TYPE;
	c->any.value.data = c->packed;
	c->any.value.len = cleat__shim__v1__runtime_options__pack(&m, c->packed);
	return 0;
}

/* --- the copy of config.json --- */

/* The shim's state folder; *ret_fd is the caller's. */
static int open_state_folder(
	struct cli *cli, struct creation *c, char **ret_path, int *ret_fd, struct error *err)
{
	struct target *t = &c->target, other = TARGET_INIT;
	Cleat__Shim__V1__InfoResponse *info;
	int r;

	if (cli->via == VIA_DIRECT) {
		r = state_dir_open(cli->root, cli->ns, t->id, &t->dir, err);
		if (r != 0)
			return r;
		*ret_path = strdup(t->dir.path);
		*ret_fd = fcntl(t->dir.fd, F_DUPFD_CLOEXEC, 3);
		return *ret_path && *ret_fd >= 0 ? 0 : error_errno(err, -errno, "state folder");
	}
	/* a connection of its own: the target's may belong to a loop */
	r = target_open(cli, t->id, NULL, &other, err);
	if (r != 0)
		return r;
	r = monitor_info(&other, ANSWER_MS, &info, err);
	target_close(&other);
	if (r != 0)
		return r;
	*ret_path = strdup(info->state_dir);
	*ret_fd = open(info->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = *ret_path && *ret_fd >= 0 ? 0 : error_errno(err, -errno, "%s", info->state_dir);
	cleat__shim__v1__info_response__free_unpacked(info, NULL);
	return r;
}

static int write_override(struct cli *cli, struct creation *c, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1, folder = -1;
	int r = open_state_folder(cli, c, &path, &fd, err);

	if (r != 0)
		return r;
	r = dir_ensure(fd, OVERRIDE_FOLDER, 0700);
	if (r == 0) {
		folder = openat(
			fd, OVERRIDE_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = folder < 0 ? -errno : 0;
	}
	if (r < 0)
		return error_errno(err, r, "%s/" OVERRIDE_FOLDER, path);
	r = bundle_write_override(&c->bundle, c->terminal, folder, err);
	if (r == 0 && asprintf(&c->spec_bundle, "%s/" OVERRIDE_FOLDER, path) < 0) {
		c->spec_bundle = NULL;
		r = error_errno(err, -ENOMEM, "%s/" OVERRIDE_FOLDER, path);
	}
	return r;
}

/* --- the whole --- */

static void set_request(struct creation *c)
{
	containerd__task__v2__create_task_request__init(&c->request);
	c->request.id = c->target.id;
	c->request.bundle = c->bundle.path;
	c->request.terminal = c->terminal;
	c->request.options = &c->any;
	if (c->paths.image)
		c->request.checkpoint = c->paths.image;
}

static int start_shim(struct cli *cli, const char *id, struct event_base *base, struct target *t,
	struct error *err)
{
	int r;

	if (cli->via == VIA_SHIM)
		return target_open(cli, id, base, t, err);
	t->id = strdup(id);
	if (!t->id)
		return error_errno(err, -ENOMEM, "container %s", id);
	r = shim_start(cli->root, cli->ns, id, cli->g.debug, &t->socket, err);
	if (r == 0)
		r = ttrpc_client_connect(t->socket, base, &t->client, err);
	return r;
}

/* The shim that we started has no container: it should end. */
static void stop_shim(struct cli *cli, struct creation *c)
{
	struct target blocking = TARGET_INIT;

	if (cli->via == VIA_SHIM || !c->target.socket)
		return;
	if (target_open(cli, c->target.id, NULL, &blocking, NULL) != 0)
		return;
	if (blocking.client)
		task_shutdown(&blocking);
	target_close(&blocking);
}

int creation_begin(struct cli *cli, const struct create_options *options, const char *id,
	struct event_base *base, struct creation *ret, struct error *err)
{
	struct creation *c = ret;
	int r;

	*c = (struct creation){ .options = options, .bundle = BUNDLE_INIT, .target = TARGET_INIT };
	r = id_check(id, "container id", err);
	if (r == 0)
		r = find_runtime(cli->g.runtime, &c->runtime, err);
	if (r == 0)
		r = bundle_load(options->bundle ? options->bundle : ".", &c->bundle, err);
	if (r != 0)
		return r;
	c->terminal = decide_terminal(options, &c->bundle);
	/* one call of the runtime less; a terminal's size has to be told between the two */
	c->runs = options->start && !c->terminal;
	r = start_shim(cli, id, base, &c->target, err);
	if (r == 0 && c->terminal != bundle_terminal(&c->bundle))
		r = write_override(cli, c, err);
	if (r == 0)
		r = set_runtime(cli, c, err);
	if (r != 0) {
		stop_shim(cli, c);
		return cli_wrap_container(err, id);
	}
	set_request(c);
	return 0;
}

void creation_end(struct creation *c)
{
	target_close(&c->target);
	bundle_deinit(&c->bundle);
	runtime_set_deinit(&c->runtime);
	free(c->spec_bundle);
	free(c->runtime_root);
	criu_paths_deinit(&c->paths);
	free(c->packed);
	*c = (struct creation){ .bundle = BUNDLE_INIT, .target = TARGET_INIT };
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
