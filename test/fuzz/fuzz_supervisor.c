/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of every service of cleatd: the first byte picks a call, the rest is its message. The services
 * are the real ones, over a real supervisor in this process that has no container and gets none, since the
 * shim that it is to start is not there; each answer is read, too. Above the calls the first byte picks one
 * of them without a namespace, which is refused.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/file.h"
#include "common/log.h"
#include "common/state_dir.h"
#include "common/ttrpc_server.h"
#include "supervisor/registry.h"
#include "supervisor/supervisor.h"
#include "test/fuzz/fuzz_frames.h"

#define TASKS	   "containerd.services.tasks.v1.Tasks"
#define EVENTS	   "containerd.services.events.v1.Events"
#define SUPERVISOR "cleat.v1.Supervisor"

static const struct fuzz_call calls[] = {
	{ TASKS, "Create" },
	{ TASKS, "Start" },
	{ TASKS, "Delete" },
	{ TASKS, "DeleteProcess" },
	{ TASKS, "Get" },
	{ TASKS, "List" },
	{ TASKS, "Kill" },
	{ TASKS, "Exec" },
	{ TASKS, "ResizePty" },
	{ TASKS, "CloseIO" },
	{ TASKS, "Pause" },
	{ TASKS, "Resume" },
	{ TASKS, "ListPids" },
	{ TASKS, "Checkpoint" },
	{ TASKS, "Update" },
	{ TASKS, "Metrics" },
	{ TASKS, "Wait" },
	{ EVENTS, "Publish" },
	{ EVENTS, "Forward" },
	{ EVENTS, "Subscribe" },
	{ SUPERVISOR, "Info" },
	{ SUPERVISOR, "List" },
	{ SUPERVISOR, "Get" },
	{ SUPERVISOR, "Create" },
	{ SUPERVISOR, "Delete" },
	{ SUPERVISOR, "Adopt" },
	{ SUPERVISOR, "ExitRecords" },
	{ SUPERVISOR, "Subscribe" },
};

#define N_CALLS	     (sizeof(calls) / sizeof(*calls))
#define ANSWER_TURNS 2000 /* of the loop, each of a millisecond at most */

static char root[] = "/tmp/cleat-fuzz-XXXXXX";
static struct supervisor supervisor;
static const struct supervisor_handlers handlers;

static void die(const char *what)
{
	fprintf(stderr, "fuzz_supervisor: %s\n", what);
	abort();
}

static void turn(void)
{
	const struct timeval tv = { 0, 1000 };

	event_base_loopexit(supervisor.base, &tv);
	event_base_loop(supervisor.base, EVLOOP_ONCE);
}

static void remove_root(void)
{
	supervisor_deinit(&supervisor);
	remove_tree(AT_FDCWD, root);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct config config = CONFIG_INIT;
	int listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	sigset_t none;

	(void)argc;
	(void)argv;
	log_init(LOG_LEVEL_ERROR, -1);
	config.shim = strdup("/none/cleat-shim");
	if (!mkdtemp(root) || state_prepare(root, "default", NULL) != 0)
		die("no folder");
	/* bound to an address of the kernel's choice: nobody comes */
	if (bind(listen_fd, &(struct sockaddr){ AF_UNIX, "" }, sizeof(sa_family_t)) < 0 ||
		listen(listen_fd, 1) < 0)
		die("no socket");
	if (supervisor_init(&supervisor, &config, root, NULL, listen_fd, &handlers, NULL) != 0 ||
		registry_new(&supervisor, &supervisor.registry, NULL) != 0)
		die("no supervisor");
	for (int i = 0; i < ANSWER_TURNS && !supervisor.server; i++)
		turn();
	if (!supervisor.server)
		die("it does not serve");
	/* the fuzzer itself wants to be stopped */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	atexit(remove_root);
	return 0;
}

static bool is_answered(int fd)
{
	uint8_t answer[10];
	ssize_t n = recv(fd, answer, sizeof(answer), 0);

	if (n == (ssize_t)sizeof(answer) && answer[8] != 2 && answer[8] != 3)
		die("an answer that is none");
	return n == (ssize_t)sizeof(answer);
}

/* One call on a connection of its own. Most are answered within a turn; what a child does, later. */
static void call_service(
	const struct fuzz_call *call, const char *ns, const uint8_t *payload, size_t n)
{
	_cleanup_free_ uint8_t *frame = malloc(n + FUZZ_FRAME_ROOM);
	_cleanup_close_ int mine = -1;
	bool answered = false;
	size_t length;
	int fds[2];

	if (!frame || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
		ttrpc_server_adopt(supervisor.server, fds[0]) < 0)
		die("no connection");
	mine = fds[1];
	length = fuzz_make_frame(call, ns, payload, n, frame);
	if (write(mine, frame, length) != (ssize_t)length)
		die("the request was not taken");
	event_base_loop(supervisor.base, EVLOOP_NONBLOCK);
	event_base_loop(supervisor.base, EVLOOP_NONBLOCK);
	answered = is_answered(mine);
	for (int i = 0; i < ANSWER_TURNS && !answered && !fuzz_is_stream(call); i++) {
		turn();
		answered = is_answered(mine);
	}
	if (!answered && !fuzz_is_stream(call))
		die("no answer");
	if (supervisor.registry->n != 0)
		die("a container without a shim");
	fd_close(&mine);
	for (int i = 0; i < ANSWER_TURNS && ttrpc_server_n_connections(supervisor.server) != 0; i++)
		event_base_loop(supervisor.base, EVLOOP_NONBLOCK);
	if (ttrpc_server_n_connections(supervisor.server) != 0)
		die("a connection is left");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t pick;

	if (n == 0 || n > 65536)
		return 0;
	pick = data[0] % (2 * N_CALLS);
	call_service(&calls[pick % N_CALLS], pick < N_CALLS ? "default" : NULL, data + 1, n - 1);
	return 0;
}
