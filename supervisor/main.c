/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleatd: its command line, its socket, and what it tells systemd. Subtle: with a socket of systemd's
 * nothing is bound here, and the path is systemd's business.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/argv.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/log.h"
#include "common/socket_file.h"
#include "common/state_dir.h"
#include "supervisor/config.h"
#include "supervisor/deletion.h"
#include "supervisor/notify.h"
#include "supervisor/orphan_kill.h"
#include "supervisor/registry.h"
#include "supervisor/supervisor.h"

static const char help[] =
	"usage: cleatd [--root DIR] [--socket PATH] [--config FILE] [--shims-cgroup PATH]\n"
	"              [--debug]\n"
	"\n"
	"Looks after containers' shims, and answers for all of them on one socket. It may be stopped and\n"
	"started at any time: no container notices.\n"
	"\n"
	"  --root DIR      cleat's own folder; /run/cleat, or $XDG_RUNTIME_DIR/cleat\n"
	"  --socket PATH   the socket; DIR/cleatd.sock\n"
	"  --config FILE   instead of " CONFIG_PATH ", and must be there\n"
	"  --shims-cgroup PATH\n"
	"                  below this group of cgroups v2 each shim gets one of its own; a PATH without a\n"
	"                  \"/\" at its beginning is from cleatd's own group\n"
	"  --debug         log more\n"
	"  --version\n"
	"\n"
	"SIGHUP reads the configuration anew; SIGTERM ends it, and no container.\n";

struct options {
	const char *root, *socket, *config, *shims_cgroup;
	bool debug;
};

struct cleatd {
	struct options options;
	struct config as_read; /* what a reload is compared with */
	struct notify notify;
	struct supervisor supervisor;
};

/* --- the configuration --- */

static int read_config(const struct options *o, struct config *ret, struct error *err)
{
	const char *path = o->config ? o->config : CONFIG_PATH;

	if (o->config && access(o->config, F_OK) < 0)
		return error_errno(err, -errno, "%s", o->config);
	return config_read(path, ret, err);
}

static enum log_level level_of(const struct options *o, const struct config *c)
{
	return o->debug ? LOG_LEVEL_DEBUG : c->log_level;
}

static void reload(struct cleatd *d, struct config *wanted)
{
	_cleanup_argv_ struct argv kept = ARGV_INIT, ignored = ARGV_INIT;
	struct config *in_force = &d->supervisor.config;

	if (config_reload(&d->as_read, wanted, &kept) < 0 ||
		config_reload(in_force, wanted, &ignored) < 0) {
		log_error("the configuration was not read anew: no memory");
		return;
	}
	log_init(level_of(&d->options, in_force), STDERR_FILENO);
	for (size_t i = 0; i < kept.n; i++)
		log_warn("a change takes a restart", F_STR("key", kept.v[i]));
	log_info("the configuration was read anew");
}

static void on_reload(struct supervisor *s, void *userdata)
{
	_cleanup_config_ struct config wanted = CONFIG_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct cleatd *d = userdata;

	(void)s;
	notify_reloading(&d->notify);
	if (read_config(&d->options, &wanted, &err) == 0)
		reload(d, &wanted);
	else
		log_error("the configuration stays as it was", F_STR("error", error_message(&err)));
	notify_ready(&d->notify, NULL);
}

/* --- systemd --- */

static void on_serving(struct supervisor *s, void *userdata)
{
	struct cleatd *d = userdata;
	char status[64];

	snprintf(status, sizeof(status), "looks after %zu containers", s->registry->n);
	log_info("serving", F_STR("root", s->root), F_INT("containers", (long long)s->registry->n));
	if (notify_ready(&d->notify, status) < 0)
		log_warn("systemd could not be told that we are ready");
}

static void on_stopping(struct supervisor *s, void *userdata)
{
	struct cleatd *d = userdata;

	(void)s;
	notify_stopping(&d->notify, NULL);
}

/* --- the socket --- */

static int make_path(const struct cleatd *d, char **ret, struct error *err)
{
	const char *named = d->options.socket ? d->options.socket : d->as_read.socket;
	const char *root = d->options.root ? d->options.root : d->as_read.root;
	_cleanup_free_ char *other = NULL;

	if (named) {
		*ret = strdup(named);
		return *ret ? 0 : error_errno(err, -ENOMEM, "%s", named);
	}
	if (!root)
		root = other = state_default_root();
	if (!root)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"XDG_RUNTIME_DIR is not set: --root is needed");
	return asprintf(ret, "%s/cleatd.sock", root) < 0 ? error_errno(err, -ENOMEM, "%s", root)
							 : 0;
}

static int make_socket(const char *path, int *ret, struct error *err)
{
	_cleanup_close_ int lock = -1;
	int r = socket_file_lock(path, &lock, err);

	if (r != 0)
		return r;
	if (socket_file_is_live(path))
		return error_set(err, CODE_ALREADY_EXISTS,
			"%s: another cleatd is serving there already", path);
	return socket_file_replace(path, ret, err);
}

/* *ret_path: what is to be removed at the end; NULL where the socket is systemd's. */
static int open_socket(const struct cleatd *d, char **ret_path, int *ret, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	int r = notify_take_socket(ret, err);

	if (r != 0 || *ret >= 0)
		return r;
	r = make_path(d, &path, err);
	if (r == 0)
		r = make_socket(path, ret, err);
	if (r == 0)
		*ret_path = TAKE_PTR(path);
	return r;
}

/* --- the whole --- */

static int run(struct cleatd *d, struct error *err)
{
	const struct supervisor_handlers handlers = { on_serving, on_reload, on_stopping, d };
	_cleanup_config_ struct config config = CONFIG_INIT;
	_cleanup_free_ char *socket = NULL;
	int fd = -1, r;

	r = read_config(&d->options, &d->as_read, err);
	if (r == 0)
		r = read_config(&d->options, &config, err);
	if (r != 0)
		return r;
	log_init(level_of(&d->options, &config), STDERR_FILENO);
	r = open_socket(d, &socket, &fd, err);
	if (r != 0)
		return r;
	r = supervisor_init(&d->supervisor, &config, d->options.root, d->options.shims_cgroup, fd,
		&handlers, err);
	if (r == 0 && notify_watch(&d->notify, d->supervisor.base) < 0)
		r = error_errno(err, -ENOMEM, "the watchdog's timer");
	if (r == 0)
		r = supervisor_run(&d->supervisor, err);
	notify_deinit(&d->notify);
	if (socket)
		unlink(socket);
	supervisor_deinit(&d->supervisor);
	return r;
}

/* -1: to be run; else what main() returns. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "socket", required_argument, NULL, 's' },
		{ "config", required_argument, NULL, 'c' },
		{ "shims-cgroup", required_argument, NULL, 'g' },
		{ "debug", no_argument, NULL, 'd' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (c) {
		case 'r':
			o->root = optarg;
			break;
		case 's':
			o->socket = optarg;
			break;
		case 'c':
			o->config = optarg;
			break;
		case 'g':
			o->shims_cgroup = optarg;
			break;
		case 'd':
			o->debug = true;
			break;
		case 'v':
			puts("cleatd " CLEAT_VERSION);
			return 0;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "cleatd: \"%s\": takes no arguments\n", argv[optind]);
	return 2;
}

int main(int argc, char **argv)
{
	struct cleatd d = { .as_read = CONFIG_INIT, .notify = NOTIFY_INIT };
	_cleanup_error_ struct error err = ERROR_INIT;
	int r;

	if (argc > 1 && strcmp(argv[1], "remove-orphan") == 0)
		return deletion_child(argc - 2, argv + 2);
	if (argc > 1 && strcmp(argv[1], "kill-orphan") == 0)
		return orphan_kill_child(argc - 2, argv + 2);
	r = parse(argc, argv, &d.options);
	if (r >= 0)
		return r;
	r = notify_init(&d.notify);
	if (r < 0)
		error_errno(&err, r, "the environment");
	else
		r = run(&d, &err);
	config_deinit(&d.as_read);
	if (r == 0)
		return 0;
	fprintf(stderr, "cleatd: %s\n", error_message(&err));
	return 1;
}
