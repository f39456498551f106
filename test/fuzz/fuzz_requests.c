/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of every service from outside: the first byte picks a call, the rest is its message.
 * The services are the real ones, over a real shim in this process that has no container and gets
 * none (no bundle can be named that has a config.json); the answer is read, too. Above the calls
 * the first byte picks a type of runtime options or of a checkpoint's options, whose decoder is called
 * on the rest: a Checkpoint without a container does not come as far as them.
 *
 * Left out: Exit and Shutdown, which would end the shim; their messages have nothing to decode that
 * others have not.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/bundle.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "shim/criu.h"
#include "shim/runtime_wish.h"
#include "shim/shim.h"
#include "test/fuzz/fuzz_frames.h"

static const struct fuzz_call calls[] = {
#define TASK(method)                                                                               \
	{                                                                                          \
		"containerd.task.v2.Task", method                                                  \
	}
#define SHIM(method)                                                                               \
	{                                                                                          \
		"containerd.v1.services.shim.Shim", method                                         \
	}
#define MONITOR(method)                                                                            \
	{                                                                                          \
		"cleat.shim.v1.Monitor", method                                                    \
	}
	TASK("State"),
	TASK("Create"),
	TASK("Start"),
	TASK("Delete"),
	TASK("Pids"),
	TASK("Pause"),
	TASK("Resume"),
	TASK("Checkpoint"),
	TASK("Kill"),
	TASK("Exec"),
	TASK("ResizePty"),
	TASK("CloseIO"),
	TASK("Update"),
	TASK("Wait"),
	TASK("Stats"),
	TASK("Connect"),
	SHIM("Create"),
	SHIM("Start"),
	SHIM("Delete"),
	SHIM("State"),
	SHIM("Processes"),
	SHIM("Pause"),
	SHIM("Resume"),
	SHIM("Checkpoint"),
	SHIM("Events"),
	SHIM("Kill"),
	SHIM("Exec"),
	SHIM("Pty"),
	SHIM("CloseStdin"),
	MONITOR("Info"),
	MONITOR("Subscribe"),
	MONITOR("ExitRecords"),
};

static const char *const option_types[] = { "containerd.runc.v1.Options",
	"containerd.linux.runc.CreateOptions", "containerd.linux.runc.RuncOptions",
	"cleat.shim.v1.RuntimeOptions", "some.other.Type" };

static const char *const checkpoint_types[] = { "containerd.runc.v1.CheckpointOptions",
	"containerd.linux.runc.CheckpointOptions", "cleat.shim.v1.CriuOptions", "some.other.Type" };

#define N_CALLS	      (sizeof(calls) / sizeof(*calls))
#define N_OPTIONS     (sizeof(option_types) / sizeof(*option_types))
#define N_CHECKPOINTS (sizeof(checkpoint_types) / sizeof(*checkpoint_types))

static char root[] = "/tmp/cleat-fuzz-XXXXXX";
static struct shim *shim;

static void die(const char *what)
{
	fprintf(stderr, "fuzz_requests: %s\n", what);
	abort();
}

static void remove_root(void)
{
	shim_free(shim);
	remove_tree(AT_FDCWD, root);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct shim_options o = { .ns = "default", .id = "web", .lock_fd = -1 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct state_dir dir = STATE_DIR_INIT;
	sigset_t none;

	(void)argc;
	(void)argv;
	if (!mkdtemp(root) || state_prepare(root, o.ns, NULL) != 0 ||
		state_dir_create(root, o.ns, o.id, &dir, NULL) != 0)
		die("no folder");
	o.root = root;
	o.lock_fd = TAKE_FD(dir.lock_fd);
	state_dir_close(&dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", root);
	o.socket_path = address.sun_path;
	o.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(o.listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(o.listen_fd, 1) < 0 || shim_new(&o, &shim, NULL) != 0)
		die("no shim");
	log_init(LOG_LEVEL_ERROR, -1);
	/* the fuzzer itself wants to be stopped */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_DFL);
	atexit(remove_root);
	return 0;
}

/* One call on a connection of its own; its answer, unless it is a stream, is there at once. */
static void call_service(size_t call, const uint8_t *payload, size_t n)
{
	_cleanup_free_ uint8_t *frame = malloc(n + FUZZ_FRAME_ROOM);
	_cleanup_close_ int mine = -1;
	uint8_t answer[10];
	size_t length;
	int fds[2];

	if (!frame || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
		ttrpc_server_adopt(shim->server, fds[0]) < 0)
		die("no connection");
	mine = fds[1];
	length = fuzz_make_frame(&calls[call], NULL, payload, n, frame);
	if (write(mine, frame, length) != (ssize_t)length)
		die("the request was not taken");
	event_base_loop(shim->base, EVLOOP_NONBLOCK);
	event_base_loop(shim->base, EVLOOP_NONBLOCK);
	if (!fuzz_is_stream(&calls[call]) && (recv(mine, answer, 10, 0) != 10 || answer[8] != 2))
		die("no answer");
	if (shim->container || shim->ending)
		die("a request without a bundle made a container, or ended the shim");
	fd_close(&mine);
	event_base_loop(shim->base, EVLOOP_NONBLOCK);
	event_base_loop(shim->base, EVLOOP_NONBLOCK);
	if (ttrpc_server_n_connections(shim->server) != 0)
		die("a connection is left");
}

static void parse_options(size_t type, const uint8_t *data, size_t n)
{
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	int r;

	any.type_url = (char *)option_types[type];
	any.value.data = (uint8_t *)data;
	any.value.len = n;
	r = runtime_wish_parse(&any, "/run/cleat/r/default", "default", &w, &err);
	if (r != 0 && (r != (int)err.code || !err.message))
		die("an error without code and sentence");
	if (r == 0 && *w.root != '/')
		die("a relative root");
	if (r == 0 && runtime_wish_resolve(&w, "web", &rt, &err) == 0 && *rt.command != '/')
		die("a relative command");
}

static void parse_checkpoint(size_t type, const uint8_t *data, size_t n)
{
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	_cleanup_criu_ struct criu c = CRIU_INIT, copy = CRIU_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	int r;

	any.type_url = (char *)checkpoint_types[type];
	any.value.data = (uint8_t *)data;
	any.value.len = n;
	r = criu_of_checkpoint(&any, &c, &err);
	if (r != 0 && (r != (int)err.code || !err.message))
		die("an error without code and sentence");
	if (r == 0 && criu_copy(&copy, &c) != 0)
		die("no copy");
}

static void parse_spec(const uint8_t *data, size_t n)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_json_ json_t *spec = NULL;

	if (process_spec_parse(data, n, &spec, &err) != 0 && !err.message)
		die("an error without a sentence");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t pick;

	if (n == 0 || n > 65536)
		return 0;
	pick = data[0];
	if (pick < N_CALLS)
		call_service(pick, data + 1, n - 1);
	else if (pick < N_CALLS + N_OPTIONS)
		parse_options(pick - N_CALLS, data + 1, n - 1);
	else if (pick < N_CALLS + N_OPTIONS + N_CHECKPOINTS)
		parse_checkpoint(pick - N_CALLS - N_OPTIONS, data + 1, n - 1);
	else
		parse_spec(data + 1, n - 1);
	return 0;
}
