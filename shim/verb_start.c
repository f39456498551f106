/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `start` and `serve`: the folder and its lock, the socket, and the shim in a session of its own.
 * Subtle: the socket listens before the shim runs, so that a client may connect as soon as it
 * has the address; the address is printed only once the shim has said that it serves.
 */
#include "shim/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/argv.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/ids.h"
#include "common/shim_start.h"
#include "common/spawn.h"
#include "common/state_dir.h"
#include "shim/shim.h"

/* Binds through the folder's descriptor, so that no path is too long for sun_path. */
static int bind_in(const char *folder, const char *name, int *ret)
{
	_cleanup_close_ int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t before;
	int r;

	if (dir < 0 || fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir, name);
	before = umask(0177); /* 0600 from its first moment */
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(before);
	if (r < 0)
		return r;
	if (listen(fd, SOMAXCONN) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

static int make_socket(const char *root, char **ret_path, int *ret, struct error *err)
{
	_cleanup_free_ char *folder = NULL, *path = NULL;
	char name[17];
	int r = random_hex(name, 8);

	if (r < 0 || asprintf(&folder, "%s/s", root) < 0 ||
		asprintf(&path, "%s/%s", folder, name) < 0)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "no memory");
	r = bind_in(folder, name, ret);
	if (r < 0)
		return error_errno(err, r, "socket %s", path);
	*ret_path = TAKE_PTR(path);
	return 0;
}

/* Where events are to be forwarded to; empty: nowhere. */
static const char *get_ttrpc_address(const struct verb_options *o)
{
	const char *address = o->ttrpc_address ? o->ttrpc_address : getenv("TTRPC_ADDRESS");

	return address ? address : "";
}

static int check_ttrpc_address(const struct verb_options *o, struct error *err)
{
	const char *address = get_ttrpc_address(o);

	return *address ? publisher_check_address(address, err) : 0;
}

/*
 * glibc keeps up to seven freed pieces of each size below 1 KiB for their next use (malloc's tcache):
 * what is quick for threads holds pages of a shim that idles, 60 kB and more after a busy hour.
 * It can be told so by the environment alone. Somebody else's own settings are left as they are.
 */
#define MALLOC_VARIABLE "GLIBC_TUNABLES"
#define MALLOC_SETTING	"glibc.malloc.tcache_count=0"

static int make_env(struct argv *ret)
{
	for (char **variable = environ; *variable; variable++)
		if (argv_add(ret, *variable) < 0)
			return -ENOMEM;
	return getenv(MALLOC_VARIABLE) ? 0 : argv_add(ret, MALLOC_VARIABLE "=" MALLOC_SETTING);
}

/* It was for us alone: what we run has the environment that `start` was given. */
static void drop_malloc_setting(void)
{
	const char *value = getenv(MALLOC_VARIABLE);

	if (value && strcmp(value, MALLOC_SETTING) == 0)
		unsetenv(MALLOC_VARIABLE);
}

static int spawn_shim(const struct verb_options *o, const char *root, const char *socket,
	const struct spawn_fd *fds, size_t n_fds, struct error *err)
{
	char *argv[] = { (char *)"cleat-shim", (char *)"-namespace", (char *)o->ns, (char *)"-id",
		(char *)o->id, (char *)"-root", (char *)root, (char *)"-socket", (char *)socket,
		(char *)"-ttrpc-address", (char *)get_ttrpc_address(o),
		(char *)(o->debug ? "-debug=true" : "-debug=false"), (char *)"serve", NULL };
	_cleanup_argv_ struct argv env = ARGV_INIT;
	struct spawn_options options = {
		.path = "/proc/self/exe",
		.argv = argv,
		.cwd = "/",
		.fds = fds,
		.n_fds = n_fds,
		.new_session = true,
	};
	_cleanup_(pidref_close) struct pidref shim = PIDREF_INIT;
	int r = make_env(&env);

	if (r < 0)
		return error_errno(err, r, "the shim's environment");
	options.env = env.v;
	r = spawn(&options, &shim);
	return r < 0 ? error_errno(err, r, "the shim cannot be executed") : 0;
}

/* Waits for the shim's word: "ok", or what went wrong, or nothing if it died. */
static int await_ready(int ready, struct error *err)
{
	_cleanup_buf_ struct buf word = BUF_INIT;
	int r = fd_read_all(ready, &word, 4096);

	if (r < 0)
		return error_errno(err, r, "the shim did not answer");
	if (word.len == 2 && memcmp(buf_head(&word), "ok", 2) == 0)
		return 0;
	if (word.len == 0)
		return error_set(err, CODE_INTERNAL, "the shim died as it began");
	return error_set(err, CODE_INTERNAL, "%.*s", (int)word.len, (const char *)buf_head(&word));
}

static int start(
	const struct verb_options *o, const char *root, char **ret_socket, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_close_ int listen_fd = -1, ready = -1, ready_shim = -1;
	_cleanup_free_ char *socket = NULL;
	struct spawn_fd fds[3];
	int r = state_prepare(root, o->ns, err);

	if (r == 0)
		r = state_dir_create(root, o->ns, o->id, &dir, err);
	if (r != 0)
		return r;
	r = make_socket(root, &socket, &listen_fd, err);
	if (r == 0) {
		r = fd_pipe(&ready, &ready_shim, 0);
		if (r < 0)
			r = error_errno(err, r, "pipe");
	}
	if (r == 0) {
		fds[0] = (struct spawn_fd){ listen_fd, SERVE_FD_LISTEN };
		fds[1] = (struct spawn_fd){ dir.lock_fd, SERVE_FD_LOCK };
		fds[2] = (struct spawn_fd){ ready_shim, SERVE_FD_READY };
		r = spawn_shim(o, root, socket, fds, 3, err);
	}
	fd_close(&ready_shim);
	if (r == 0)
		r = await_ready(ready, err);
	if (r != 0) {
		if (socket)
			unlink(socket);
		state_dir_remove(&dir, NULL);
		return r;
	}
	*ret_socket = TAKE_PTR(socket);
	return 0;
}

static int complain(const struct error *err)
{
	fprintf(stderr, "cleat-shim: %s\n", error_message(err));
	return err->code == CODE_ALREADY_EXISTS ? SHIM_START_EXISTS : 1;
}

static char *get_root(const struct verb_options *o, struct error *err)
{
	char *root = o->root ? strdup(o->root) : state_default_root();

	if (!root)
		error_set(err, CODE_FAILED_PRECONDITION,
			"-root is not given, and XDG_RUNTIME_DIR is not set");
	else if (root[0] != '/')
		error_set(err, CODE_INVALID_ARGUMENT, "-root %s is not an absolute path", root);
	return root;
}

int verb_start(const struct verb_options *o)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *root = get_root(o, &err), *socket = NULL;

	if (err.code != CODE_OK || id_check(o->ns, "namespace", &err) != 0 ||
		id_check(o->id, "container id", &err) != 0 || check_ttrpc_address(o, &err) != 0 ||
		start(o, root, &socket, &err) != 0)
		return complain(&err);
	printf("unix://%s\n", socket);
	return fflush(stdout) == 0 ? 0 : 1;
}

/* The first thing that the waiting `start` hears; a reader that has gone is no matter. */
static void say_ready(const char *word)
{
	if (write(SERVE_FD_READY, word, strlen(word)) < 0)
		errno = 0;
	close(SERVE_FD_READY);
}

/* What we inherited by number is close-on-exec from here on. */
static int check_inherited(void)
{
	for (int fd = SERVE_FD_LISTEN; fd <= SERVE_FD_READY; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return -errno;
	return 0;
}

int verb_serve(const struct verb_options *o)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	const struct shim_options options = {
		.root = o->root,
		.ns = o->ns,
		.id = o->id,
		.socket_path = o->socket,
		.ttrpc_address = o->ttrpc_address,
		.listen_fd = SERVE_FD_LISTEN,
		.lock_fd = SERVE_FD_LOCK,
		.debug = o->debug,
	};
	struct shim *shim = NULL;
	int status;

	if (!o->root || !o->ns || !o->id || !o->socket || check_inherited() < 0) {
		fprintf(stderr, "cleat-shim: serve is started by start\n");
		return 2;
	}
	/* freed memory goes back: a shim idles for months */
	mallopt(M_TRIM_THRESHOLD, 64 << 10);
	mallopt(M_TOP_PAD, 16 << 10);
	mallopt(M_MXFAST, 0);
	drop_malloc_setting();
	if (shim_new(&options, &shim, &err) != 0) {
		say_ready(error_message(&err));
		return 1;
	}
	say_ready("ok");
	status = shim_run(shim);
	shim_free(shim);
	return status;
}
