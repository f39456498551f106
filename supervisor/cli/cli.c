/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From argv to a command and back to an exit status. The only place that prints errors. Subtle: the
 * standard streams are opened where they are missing, or a socket could come to stand in their place.
 */
#include "supervisor/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/ids.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/state_dir.h"
#include "common/text.h"
#include "supervisor/cli/help.h"

#define ERROR_TEXT_MAX 4096u

const struct option global_options[] = {
	OPTION_VALUE(0, "shim", "SOCKET", struct globals, shim, "talk to this one shim"),
	OPTION_VALUE(
		0, "socket", "SOCKET", struct globals, socket, "talk to cleatd on this socket"),
	OPTION_FLAG(0, "direct", struct globals, direct,
		"pass cleatd by, even where it serves: shims are started and asked from here"),
	OPTION_VALUE(0, "root", "DIR", struct globals, root, "cleat's own folder [/run/cleat]"),
	OPTION_VALUE('n', "namespace", "NS", struct globals, ns, "namespace of ids [default]"),
	OPTION_VALUE(0, "runtime", "RUNTIME", struct globals, runtime,
		"runc, crun, runsc, an absolute path, or a name from runtimes.json [runc]"),
	OPTION_MANY(0, "runtime-opt", "NAME=VALUE", struct globals, runtime_options,
		"a global option of the runtime; may be repeated"),
	OPTION_VALUE(0, "deadline", "SECONDS", struct globals, deadline,
		"for each call of the runtime [60]"),
	OPTION_CHOICE(0, "format", "FORMAT", "table json", struct globals, format,
		"table or json [table]"),
	OPTION_FLAG(0, "json", struct globals, json, "short for --format json"),
	OPTION_FLAG(0, "debug", struct globals, debug, "log what is done, here and in new shims"),
	OPTION_FLAG('h', "help", struct globals, help, "show help"),
	OPTION_FLAG('v', "version", struct globals, version, "show the version"),
	OPTION_END,
};

static void print_error(const struct error *err)
{
	const char *message = error_message(err);
	_cleanup_free_ char *clean = text_clean(message, strlen(message), ERROR_TEXT_MAX);

	fprintf(stderr, "cleat: %s\n", clean ? clean : code_name(err->code));
}

void cli_say(const struct error *err)
{
	print_error(err);
}

void cli_complain(const char *id, const struct error *err)
{
	_cleanup_error_ struct error copy = ERROR_INIT;

	error_set(&copy, err->code, "%s", error_message(err));
	client_wrap(&copy, id);
	print_error(&copy);
}

int cli_catch_stop(int *ret, struct error *err)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	*ret = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	return *ret < 0 ? error_errno(err, -errno, "signals") : 0;
}

int cli_flush(struct error *err)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return error_errno(err, errno ? -errno : -EIO, "standard output");
}

/* Descriptors that we open must not become somebody's standard streams. */
static void open_standard_streams(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* the lowest free number: as long as that is one of the three, one was missing */
	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = dup(fd);
	if (fd > STDERR_FILENO)
		close(fd);
}

static int set_root(struct cli *cli, struct error *err)
{
	if (cli->g.root && cli->g.root[0] == '/') {
		cli->place.root = cli->g.root;
		return 0;
	}
	if (cli->g.root) {
		char cwd[PATH_MAX];

		if (!getcwd(cwd, sizeof(cwd)))
			return error_errno(err, -errno, "working directory");
		if (!*cli->g.root)
			return error_set(err, CODE_INVALID_ARGUMENT, "--root must not be empty");
		if (asprintf(&cli->root_owned, "%s/%s", cwd, cli->g.root) < 0)
			return error_errno(err, -ENOMEM, "--root");
	} else {
		cli->root_owned = state_default_root();
		if (!cli->root_owned && !cli->g.shim) /* whose shim is named needs none */
			return error_set(err, CODE_FAILED_PRECONDITION,
				"no folder to work in: XDG_RUNTIME_DIR is not set, and neither is --root");
	}
	cli->place.root = cli->root_owned;
	return 0;
}

int cli_use_folders(struct cli *cli, struct error *err)
{
	if (cli->g.shim)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"%s looks at folders, and not at one shim: --shim does not go with it",
			cli->command->name);
	cli->place.via = CLIENT_VIA_DIRECT;
	return set_root(cli, err);
}

static int set_deadline(struct cli *cli, struct error *err)
{
	const char *text = cli->g.deadline;
	char *end;
	double seconds;

	if (!text)
		return 0;
	errno = 0;
	seconds = strtod(text, &end);
	if (end == text || *end || errno || !(seconds >= 0.001) || seconds > 86400)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"--deadline \"%s\" must be a number of seconds, up to 86400", text);
	cli->place.deadline_ms = (uint32_t)(seconds * 1000);
	return 0;
}

static int check_globals(struct cli *cli, struct error *err)
{
	const char *format = cli->g.format;

	if (format && strcmp(format, "json") != 0 && strcmp(format, "table") != 0)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"--format \"%s\" is neither table nor json", format);
	if (format && strcmp(format, "json") == 0)
		cli->g.json = true;
	cli->place.ns = cli->g.ns ? cli->g.ns : "default";
	if (cli->g.debug)
		log_init(LOG_LEVEL_DEBUG, STDERR_FILENO);
	if (id_check(cli->place.ns, "namespace", err) != 0)
		return err->code;
	return set_deadline(cli, err);
}

/* Settles how shims are reached. */
static int set_via(struct cli *cli, struct error *err)
{
	struct client_place *place = &cli->place;
	int r;

	if ((cli->g.socket != NULL) + (cli->g.shim != NULL) + cli->g.direct > 1)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"--socket, --shim and --direct exclude each other");
	r = set_root(cli, err);
	if (r != 0)
		return r;
	if (client_lines_new(&place->lines) < 0)
		return error_errno(err, -ENOMEM, "connections");
	place->debug = cli->g.debug;
	if (cli->g.direct) {
		place->via = CLIENT_VIA_DIRECT;
		return 0;
	}
	place->via = cli->g.shim ? CLIENT_VIA_SHIM : CLIENT_VIA_CLEATD;
	place->socket = cli->g.shim ? cli->g.shim : cli->g.socket;
	if (!place->socket) {
		if (asprintf(&cli->socket_owned, "%s/cleatd.sock", place->root) < 0) {
			cli->socket_owned = NULL;
			return error_errno(err, -ENOMEM, "%s", place->root);
		}
		place->socket = cli->socket_owned;
		place->falls_back = true;
	}
	r = client_place_choose(place, err);
	/* who names a socket means cleatd */
	if (r == CODE_NOT_FOUND || r == CODE_UNAVAILABLE)
		return error_set(err, CODE_UNAVAILABLE, "no cleatd answers on %s", place->socket);
	return r;
}

int command_misused(const struct command *command, struct error *err)
{
	_cleanup_free_ char *said = strdup(error_message(err));

	return error_set(err, CODE_INVALID_ARGUMENT, "%s%s%s; see `cleat%s%s --help`",
		command ? command->name : "", command ? ": " : "", said ? said : "",
		command ? " " : "", command ? command->name : "");
}

static int check_arguments(
	const struct command *command, int argc, char *const *argv, struct error *err)
{
	int max = command->n_max;

	if (argc >= command->n_min && (max < 0 || argc <= max))
		return 0;
	if (argc > max && max > 0 && argv[max][0] == '-')
		error_set(err, CODE_INVALID_ARGUMENT, "option %s must stand before %s", argv[max],
			argv[0]);
	else
		error_set(err, CODE_INVALID_ARGUMENT, "too %s arguments; usage: cleat %s%s%s",
			argc < command->n_min ? "few" : "many", command->name,
			*command->usage ? " " : "", command->usage);
	return command_misused(command, err);
}

static int run_sub(struct cli *cli, int argc, char **argv, struct error *err);

static int run_command(struct cli *cli, int argc, char **argv, struct error *err)
{
	const struct command *command = cli->command;
	_cleanup_free_ void *options = calloc(1, command->options_size + 1);
	struct option_set sets[] = { { command->options, options }, { global_options, &cli->g } };
	int n, r;

	if (!options)
		return error_errno(err, -ENOMEM, "%s", command->name);
	r = options_parse(sets, 2, argc, argv, &n, err);
	if (r != 0) {
		r = command_misused(command, err);
	} else if (cli->g.help) {
		help_command(command);
		r = cli_flush(err);
	} else {
		r = check_arguments(command, argc - n, argv + n, err);
		if (r == 0 && command->subs)
			return run_sub(cli, argc - n, argv + n, err);
		if (r == 0)
			r = check_globals(cli, err);
		if (r == 0 && !command->alone)
			r = set_via(cli, err);
		if (r == 0)
			r = command->run(cli, options, argc - n, argv + n, err);
	}
	options_free(command->options, options);
	return r;
}

static int run_sub(struct cli *cli, int argc, char **argv, struct error *err)
{
	for (const struct command *const *c = cli->command->subs; *c; c++) {
		if (strcmp(command_word(*c), argv[0]) != 0)
			continue;
		cli->command = *c;
		return run_command(cli, argc - 1, argv + 1, err);
	}
	command_unknown(cli->command->subs, argv[0], err);
	return command_misused(cli->command, err);
}

static int run_cli(struct cli *cli, int argc, char **argv, struct error *err)
{
	struct option_set sets[] = { { global_options, &cli->g } };
	int n;

	if (options_parse(sets, 1, argc, argv, &n, err) != 0)
		return command_misused(NULL, err);
	if (cli->g.version) {
		printf("cleat " CLEAT_VERSION "\n");
		return cli_flush(err);
	}
	if (n == argc) {
		if (!cli->g.help)
			return error_set(
				err, CODE_INVALID_ARGUMENT, "no command; see `cleat --help`");
		help_all();
		return cli_flush(err);
	}
	cli->command = command_find(argv[n]);
	if (!cli->command) {
		command_unknown(commands, argv[n], err);
		return command_misused(NULL, err);
	}
	return run_command(cli, argc - n - 1, argv + n + 1, err);
}

int cli_main(int argc, char **argv)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct cli cli = { .failure = STATUS_OWN_FAILURE };
	int r;

	open_standard_streams();
	log_init(LOG_LEVEL_WARNING, STDERR_FILENO);
	r = run_cli(&cli, argc - 1, argv + 1, &err);
	if (r < 0)
		error_errno(&err, r, "%s", cli.command ? cli.command->name : "unexpected");
	if (r != 0)
		print_error(&err);
	options_free(global_options, &cli.g);
	client_lines_free(cli.place.lines);
	free(cli.root_owned);
	free(cli.socket_owned);
	return r != 0 ? cli.failure : cli.status;
}
