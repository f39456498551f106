/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `start`: the folder and its lock, the socket, and the shim in a session of its own. For cleat the
 * folder is made below ROOT; for containerd it is the bundle, which is the working folder.
 *
 *   containerd's: what has the socket's name     then
 *   nothing, or a socket that nobody serves      a new shim, whose address is told
 *   a shim that listens, and has this bundle     its address is told
 *   a shim that listens, of another bundle       an error: nothing could be created in it
 *   what is no socket                            an error
 *
 * All under the lock of the sockets' folder, from the look to the new shim's first word. Subtle: the
 * socket listens before the shim runs, so that a client may connect as soon as it has the address;
 * the address is printed only once the shim has said that it serves.
 *
 * Races:
 * - Two starts of one id: the later waits for the lock, and finds the earlier one's shim, or nothing.
 * - A shim that is ending has removed its socket before it stops listening: it is never taken for one
 *   that died, and a later socket of that name is never its to remove.
 * - start is killed after the shim was spawned: the shim serves, and ends by itself, since nobody
 *   creates anything in it.
 */
#include "shim/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/argv.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/socket_file.h"
#include "common/fd.h"
#include "common/file.h"
#include "common/ids.h"
#include "common/log.h"
#include "common/shim_start.h"
#include "common/spawn.h"
#include "common/state_bundle.h"
#include "shim/bootstrap.h"
#include "shim/placement.h"
#include "shim/runtime_wish.h"
#include "shim/shim.h"
#include "shim/shim_socket.h"

#define ADDRESS	 "unix://"
#define READY_MS 8000 /* others wait for the lock meanwhile, 10 s at most */

/* The shim that is to be. */
struct plan {
	const struct verb_options *o;
	const char *root, *bundle; /* one of them; the other NULL */
	const char *socket;
	const char *ttrpc_address; /* empty: events go nowhere */
	const char *cgroup;	   /* for the shim itself; NULL or empty: where we are */
	bool debug;
};

static int make_env(struct argv *ret)
{
	for (char **variable = environ; *variable; variable++)
		if (argv_add(ret, *variable) < 0)
			return -ENOMEM;
	return getenv(SERVE_MALLOC_VARIABLE)
		       ? 0
		       : argv_add(ret, SERVE_MALLOC_VARIABLE "=" SERVE_MALLOC_SETTING);
}

static int spawn_shim(const struct plan *p, const struct spawn_fd *fds, size_t n_fds,
	struct pidref *ret, struct error *err)
{
	const bool in_bundle = p->bundle != NULL;
	char *argv[] = { (char *)p->o->program, (char *)"-namespace", (char *)p->o->ns,
		(char *)"-id", (char *)p->o->id, (char *)(in_bundle ? "-bundle" : "-root"),
		(char *)(in_bundle ? p->bundle : p->root), (char *)"-socket", (char *)p->socket,
		(char *)"-ttrpc-address", (char *)p->ttrpc_address,
		(char *)(p->debug ? "-debug=true" : "-debug=false"), (char *)"serve", NULL };
	_cleanup_argv_ struct argv env = ARGV_INIT;
	struct spawn_options options = {
		.path = "/proc/self/exe",
		.argv = argv,
		.cwd = "/",
		.fds = fds,
		.n_fds = n_fds,
		.new_session = true,
	};
	int r = make_env(&env);

	if (r < 0)
		return error_errno(err, r, "the shim's environment");
	options.env = env.v;
	r = spawn(&options, ret);
	return r < 0 ? error_errno(err, r, "the shim cannot be executed") : 0;
}

/* Waits for the shim's word: "ok", or what went wrong, or nothing if it died. */
static int await_ready(int ready, struct error *err)
{
	_cleanup_buf_ struct buf word = BUF_INIT;
	struct pollfd poll_fd = { .fd = ready, .events = POLLIN };
	int r;

	if (poll(&poll_fd, 1, READY_MS) != 1)
		return error_set(err, CODE_DEADLINE_EXCEEDED, "the shim did not answer in %d s",
			READY_MS / 1000);
	r = fd_read_all(ready, &word, 4096);

	if (r < 0)
		return error_errno(err, r, "the shim did not answer");
	if (word.len == 2 && memcmp(buf_head(&word), "ok", 2) == 0)
		return 0;
	if (word.len == 0)
		return error_set(err, CODE_INTERNAL, "the shim died as it began");
	return error_set(err, CODE_INTERNAL, "%.*s", (int)word.len, (const char *)buf_head(&word));
}

/* A shim that serves, or none. */
static int launch(
	const struct plan *p, const struct state_dir *dir, int listen_fd, struct error *err)
{
	_cleanup_(pidref_close) struct pidref shim = PIDREF_INIT;
	_cleanup_close_ int ready = -1, ready_shim = -1;
	struct spawn_fd fds[3];
	int r = fd_pipe(&ready, &ready_shim, 0);

	if (r < 0)
		return error_errno(err, r, "pipe");
	fds[0] = (struct spawn_fd){ listen_fd, SERVE_FD_LISTEN };
	fds[1] = (struct spawn_fd){ dir->lock_fd, SERVE_FD_LOCK };
	fds[2] = (struct spawn_fd){ ready_shim, SERVE_FD_READY };
	r = spawn_shim(p, fds, 3, &shim, err);
	fd_close(&ready_shim);
	if (r == 0 && p->cgroup && *p->cgroup)
		r = p->bundle ? placement_cgroup(shim.pid, p->cgroup, err)
			      : placement_own_cgroup(shim.pid, p->cgroup, err);
	if (r == 0)
		r = await_ready(ready, err);
	if (r != 0)
		pidref_signal(&shim, SIGKILL);
	return r;
}

/* --- for cleat --- */

static int start_in_root(struct plan *p, char **ret_socket, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_close_ int listen_fd = -1;
	_cleanup_free_ char *socket = NULL;
	int r = state_prepare(p->root, p->o->ns, err);

	if (r == 0)
		r = state_dir_create(p->root, p->o->ns, p->o->id, &dir, err);
	if (r != 0)
		return r;
	r = shim_socket_make(p->root, &socket, &listen_fd, err);
	p->socket = socket;
	if (r == 0)
		r = launch(p, &dir, listen_fd, err);
	if (r != 0) {
		if (socket)
			unlink(socket);
		state_dir_remove(&dir, NULL);
		return r;
	}
	*ret_socket = TAKE_PTR(socket);
	return 0;
}

/* What is not said on stdin is said by flags, or by the environment. */
static const char *first_of(const char *stated, const char *flag, const char *variable)
{
	const char *value = stated ? stated : flag;

	if (!value)
		value = getenv(variable);
	return value ? value : "";
}

static int check_names(const struct verb_options *o, struct error *err)
{
	int r = id_check(o->ns, "namespace", err);

	return r == 0 ? id_check(o->id, "container id", err) : r;
}

static int check_ttrpc_address(const char *address, struct error *err)
{
	return *address ? publisher_check_address(address, err) : 0;
}

static int start_for_cleat(const struct verb_options *o, struct error *err)
{
	_cleanup_free_ char *root = verb_root(o, err), *socket = NULL;
	struct plan p = {
		.o = o,
		.root = root,
		.ttrpc_address = first_of(NULL, o->ttrpc_address, "TTRPC_ADDRESS"),
		.cgroup = o->cgroup,
		.debug = o->debug,
	};
	int r = root ? check_names(o, err) : (int)err->code;

	if (r == 0)
		r = check_ttrpc_address(p.ttrpc_address, err);
	if (r == 0)
		r = start_in_root(&p, &socket, err);
	if (r == 0 && (printf(ADDRESS "%s\n", socket) < 0 || fflush(stdout) != 0))
		r = error_errno(err, -EIO, "the address cannot be told");
	return r;
}

/* --- for containerd --- */

/* `address`, which containerd to 1.6 reads when it has been restarted. */
static int write_address(const struct state_dir *dir, const char *socket, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	int r;

	if (asprintf(&text, ADDRESS "%s", socket) < 0)
		return error_errno(err, -ENOMEM, "address");
	r = file_write_atomic(dir->fd, "address", text, strlen(text), 0644);
	return r < 0 ? error_errno(err, r, "%s/address", dir->path) : 0;
}

static int start_new(const struct plan *p, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_close_ int listen_fd = -1;
	int r = state_bundle_create(p->bundle, p->o->ns, p->o->id, &dir, err);

	if (r != 0)
		return r;
	r = socket_file_replace(p->socket, &listen_fd, err);
	if (r == 0)
		r = write_address(&dir, p->socket, err);
	if (r == 0)
		r = launch(p, &dir, listen_fd, err);
	if (r != 0) {
		if (listen_fd >= 0)
			unlink(p->socket);
		state_dir_remove(&dir, NULL);
	}
	return r;
}

static int start_in_bundle(const struct plan *p, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_close_ int lock_fd = -1;
	int r = socket_file_lock(p->socket, &lock_fd, err);

	if (r != 0)
		return r;
	if (!socket_file_is_live(p->socket))
		return start_new(p, err);
	r = state_bundle_open(p->bundle, p->o->ns, p->o->id, &dir, err);
	if (r == 0 && !state_dir_is_locked(&dir))
		r = error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: the shim of another bundle still serves %s", p->o->id,
			p->socket);
	return r == 0 ? write_address(&dir, p->socket, err) : r;
}

/* containerd takes whatever is on stdout or stderr for the answer: what is to be said goes into its FIFO. */
static void open_log(bool debug)
{
	log_init(debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
		open("log", O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
}

static int get_socket(
	const struct verb_options *o, const struct bootstrap *boot, char **ret, struct error *err)
{
	if (o->socket && *o->socket) {
		*ret = strdup(o->socket);
		return *ret ? 0 : error_errno(err, -ENOMEM, "socket");
	}
	return shim_socket_name(boot->socket_dir,
		first_of(boot->grpc_address, o->address, "GRPC_ADDRESS"), o->ns, o->id, ret, err);
}

static int answer(const struct bootstrap *boot, const char *socket, struct error *err)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	int r = bootstrap_answer(boot->dialect, socket, &bytes);

	if (r == 0)
		r = fd_write_all(STDOUT_FILENO, buf_head(&bytes), bytes.len);
	return r < 0 ? error_errno(err, r, "the address cannot be told") : 0;
}

/* Everything that was asked for, and a place to put it. */
static int prepare(const struct verb_options *o, struct bootstrap *boot, struct runtime_wish *wish,
	char **ret_socket, struct error *err)
{
	int r = check_names(o, err);

	if (r == 0)
		r = bootstrap_read(STDIN_FILENO, o->id, o->ns, boot, err);
	if (r == 0)
		r = runtime_wish_parse(boot->options, "/", o->ns, wish, err);
	return r == 0 ? get_socket(o, boot, ret_socket, err) : r;
}

static int start_for_containerd(const struct verb_options *o, struct error *err)
{
	_cleanup_bootstrap_ struct bootstrap boot = BOOTSTRAP_INIT;
	_cleanup_runtime_wish_ struct runtime_wish wish = RUNTIME_WISH_INIT;
	_cleanup_free_ char *socket = NULL;
	char cwd[PATH_MAX];
	struct plan p = { .o = o, .bundle = cwd };
	int r = prepare(o, &boot, &wish, &socket, err);

	if (r != 0)
		return r;
	if (!getcwd(cwd, sizeof(cwd)))
		return error_errno(err, -errno, "the bundle, which is the working folder");
	p.socket = socket;
	p.ttrpc_address = first_of(boot.ttrpc_address, o->ttrpc_address, "TTRPC_ADDRESS");
	p.cgroup = wish.shim_cgroup;
	p.debug = o->debug || boot.debug;
	r = check_ttrpc_address(p.ttrpc_address, err);
	if (r != 0)
		return r;
	open_log(p.debug);
	placement_oom_score();
	if (*first_of(NULL, NULL, "SCHED_CORE"))
		placement_sched_core();
	r = start_in_bundle(&p, err);
	return r == 0 ? answer(&boot, socket, err) : r;
}

int verb_start(const struct verb_options *o)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	int r = o->for_containerd ? start_for_containerd(o, &err) : start_for_cleat(o, &err);

	if (r == 0)
		return 0;
	fprintf(stderr, "cleat-shim: %s\n", error_message(&err));
	return err.code == CODE_ALREADY_EXISTS ? SHIM_START_EXISTS : 1;
}
