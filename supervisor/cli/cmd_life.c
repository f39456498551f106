/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `run`, `create`, `start`, `restore`. The work is in creation.c and session.c. Subtle: a container that was
 * made and cannot be started is removed again by `run`, which nobody could start it after, and
 * stays with `start`, whose caller may.
 */
#include "supervisor/cli/commands.h"

#include <signal.h>
#include <stddef.h>

#include "supervisor/cli/cli.h"
#include "supervisor/cli/creation.h"
#include "common/client_rpc.h"
#include "supervisor/cli/sdnotify.h"
#include "supervisor/cli/session.h"
#include "common/client_call.h"

#define CREATE_OPTIONS                                                                             \
	OPTION_VALUE('b', "bundle", "DIR", struct create_options, bundle,                          \
		"folder with config.json [.]"),                                                    \
		OPTION_FLAG('t', "tty", struct create_options, terminal,                           \
			"with a terminal, whatever config.json says"),                             \
		OPTION_VALUE(0, "pid-file", "FILE", struct create_options, pid_file,               \
			"write the pid of its init there"),                                        \
		OPTION_VALUE(0, "log", "URI", struct create_options, log,                          \
			"where its output goes, such as file:///var/log/web"),                     \
		OPTION_FLAG(0, "no-pivot", struct create_options, no_pivot,                        \
			"do not pivot into the root filesystem")

#define RUN_OPTIONS                                                                                \
	OPTION_FLAG('d', "detach", struct create_options, detach, "return once it has started"),   \
		OPTION_FLAG(0, "rm", struct create_options, remove, "delete it once it has ended")

#define KEYRING_OPTION                                                                             \
	OPTION_FLAG(0, "no-new-keyring", struct create_options, no_new_keyring,                    \
		"do not make a session keyring")

static const struct option create_option_table[] = { CREATE_OPTIONS, KEYRING_OPTION, OPTION_END };

static const struct option run_option_table[] = {
	CREATE_OPTIONS,
	KEYRING_OPTION,
	RUN_OPTIONS,
	OPTION_CHOICE(0, "sdnotify", "MODE", "cleat container ignore", struct create_options,
		sdnotify, "who says that it is ready: cleat, container, or nobody (ignore)"),
	OPTION_CHOICE(0, "cgroups", "MODE", "enabled split", struct create_options, cgroups,
		"enabled, or split: it and cleat below the cgroup of now"),
	OPTION_END,
};

struct restore_options {
	struct create_options create; /* first, so that its options have the same places */
	struct criu_options criu;
};
_Static_assert(offsetof(struct restore_options, create) == 0, "see there");

static const struct option restore_option_table[] = {
	CREATE_OPTIONS,
	RUN_OPTIONS,
	CRIU_OPTIONS(struct restore_options, criu),
	OPTION_VALUE(0, "lsm-profile", "TYPE:NAME", struct restore_options, criu.lsm_profile,
		"another profile of the security module"),
	OPTION_VALUE(0, "lsm-mount-context", "CONTEXT", struct restore_options,
		criu.lsm_mount_context, "another context for its mounts"),
	OPTION_END,
};

/* --- detached --- */

static void set_streams(struct creation *c, const struct streams *s)
{
	c->made.request.stdin = (char *)s->stdin_uri;
	c->made.request.stdout = (char *)s->stdout_uri;
	c->made.request.stderr = (char *)s->stderr_uri;
}

/* Removes what was created and does not run; errors have been told already. */
static void undo(struct client_target *t)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct client_exit exit;

	if (client_call_kill(t, "", SIGKILL, false, &ignored) == 0)
		client_call_wait(t, "", CLIENT_ANSWER_MS, &exit, &ignored);
	if (client_call_delete(t, "", NULL, &ignored) == 0)
		client_call_shutdown(t);
}

static int create(struct cli *cli, struct creation *c, struct error *err)
{
	struct client_target *t = &c->made.target;
	struct streams streams;
	uint32_t pid;
	int r;

	streams_detached(c->made.terminal, c->options->log, &streams);
	set_streams(c, &streams);
	r = client_creation_send(&c->made, NULL, &pid, err);
	if (r != 0) {
		cli->failure = failure_status(err);
		return r;
	}
	/* what is restored when it is started has no pid yet */
	r = pid ? pid_file_write(c->options->pid_file, pid, err) : 0;
	if (r != 0)
		undo(t);
	return r;
}

/* pid_file: NULL: none, or it is written already. */
static int start(struct cli *cli, struct client_target *t, const char *pid_file, struct error *err)
{
	uint32_t pid;
	int r = client_call_start(t, "", &pid, err);

	if (r != 0)
		cli->failure = failure_status(err);
	else
		r = pid_file_write(pid_file, pid, err);
	return r;
}

static int run_detached(
	struct cli *cli, const struct create_options *o, const char *id, struct error *err)
{
	struct creation c;
	int r;

	if (o->start && (o->remove || o->sdnotify))
		return error_set(err, CODE_INVALID_ARGUMENT,
			"%s needs somebody who waits: it does not go with --detach",
			o->remove ? "--rm" : "--sdnotify");
	r = creation_begin(cli, o, id, NULL, &c, err);
	if (r == 0)
		r = create(cli, &c, err);
	if (r == 0 && o->start && !c.made.runs) {
		r = start(cli, &c.made.target, o->restore ? o->pid_file : NULL, err);
		if (r != 0)
			undo(&c.made.target);
	}
	creation_end(&c);
	return r;
}

/* --- in the foreground --- */

static int run_session(struct session *s, struct creation *c, struct error *err)
{
	int r = streams_foreground(c->made.terminal, c->options->log, &s->streams, err);

	if (r != 0)
		return r;
	s->target = &c->made.target;
	s->is_init = true;
	s->runs = c->made.runs;
	s->terminal = c->made.terminal;
	s->remove = c->options->remove;
	s->pid_file = c->options->pid_file;
	s->spec = c->made.spec;
	s->notify = c->options->notify;
	if (s->notify->listens)
		s->stop_signal = bundle_stop_signal(&c->made.bundle);
	set_streams(c, &s->streams);
	return session_run(s, &rpc_create, &c->made.request.base, err);
}

static int run_foreground(
	struct cli *cli, const struct create_options *options, const char *id, struct error *err)
{
	struct create_options o = *options;
	struct sdnotify notify = SDNOTIFY_INIT;
	struct session s;
	struct creation c;
	int r = session_init(&s, cli, err);

	if (r != 0)
		return r;
	o.notify = &notify;
	r = sdnotify_init(&notify, o.sdnotify, id, s.base, err);
	if (r == 0) {
		r = creation_begin(cli, &o, id, s.base, &c, err);
		if (r == 0)
			r = run_session(&s, &c, err);
		creation_end(&c);
	}
	sdnotify_deinit(&notify);
	session_deinit(&s);
	return r;
}

/* --- commands --- */

static int run_run(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	struct create_options o = *(const struct create_options *)options;

	(void)argc;
	o.start = true;
	if (o.detach)
		return run_detached(cli, &o, argv[0], err);
	return run_foreground(cli, &o, argv[0], err);
}

static int run_create(
	struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	(void)argc;
	return run_detached(cli, options, argv[0], err);
}

static int run_start(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	struct client_target t;
	int r = client_target_open_living(&cli->place, argv[0], NULL, &t, err);

	(void)options;
	(void)argc;
	if (r != 0)
		return r;
	r = start(cli, &t, NULL, err);
	client_target_close(&t);
	return r;
}

static int run_restore(
	struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct restore_options *given = options;
	struct restore_options o = *given;

	o.create.restore = &given->criu;
	return run_run(cli, &o.create, argc, argv, err);
}

const struct command command_run = {
	.name = "run",
	.group = GROUP_LIFE,
	.usage = "[OPTIONS] ID",
	.brief = "Create a container, start it, and be it until it ends",
	.more = "In the foreground its streams are the caller's own, signals are passed on, and the\n"
		"exit status is its own. It has a terminal if config.json says so and stdin is one,\n"
		"or with --tty. Without --rm it stays, stopped, until it is deleted.\n"
		"Detached without --log its output is discarded.\n"
		"As a service of systemd (NOTIFY_SOCKET is set) it is ready once it runs; with\n"
		"--sdnotify=container once it says so itself, on a socket in " SDNOTIFY_INSIDE
		". SIGTERM\n"
		"is then its stop signal: org.opencontainers.image.stopSignal in config.json.",
	.options = run_option_table,
	.options_size = sizeof(struct create_options),
	.n_min = 1,
	.n_max = 1,
	.run = run_run,
};

const struct command command_create = {
	.name = "create",
	.group = GROUP_LIFE,
	.usage = "[OPTIONS] ID",
	.brief = "Create a container and leave its start to `cleat start`",
	.more = "Without --log its output will be discarded.",
	.options = create_option_table,
	.options_size = sizeof(struct create_options),
	.n_min = 1,
	.n_max = 1,
	.run = run_create,
};

const struct command command_start = {
	.name = "start",
	.group = GROUP_LIFE,
	.usage = "ID",
	.brief = "Start a container that was created",
	.n_min = 1,
	.n_max = 1,
	.run = run_start,
};

const struct command command_restore = {
	.name = "restore",
	.group = GROUP_LIFE,
	.usage = "[OPTIONS] ID",
	.brief = "Make a container from an image of `cleat checkpoint`, and be it",
	.more = "It goes on where it was. Its bundle is that of the container that the image is of;\n"
		"in everything else it is as with `cleat run`.",
	.options = restore_option_table,
	.options_size = sizeof(struct restore_options),
	.n_min = 1,
	.n_max = 1,
	.run = run_restore,
};
