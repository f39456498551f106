/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The fork of the scripted runtime. The child tells its parent by a pipe: 'r' once it waits at the
 * gate, 'e' and a sentence where something failed, nothing but the end of the pipe once its program
 * runs. Subtle rule: from then on the child has nothing of the runtime open but its stdio, so that
 * the runtime's caller sees the end of the runtime's own pipes.
 */

#include "test/fault/fake_process.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LATE_MAX_MS 30000

/* What the child needs beside the launch itself. */
struct birth {
	const struct launch *launch;
	int ready;	/* the pipe to the parent */
	int console;	/* connected to the console socket, or -1 */
	bool no_master; /* the message on it has no descriptor */
	unsigned preserve_fds;
};

static void give_up(const struct birth *b, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

static void give_up(const struct birth *b, const char *format, ...)
{
	char text[4096] = "e";
	va_list args;

	va_start(args, format);
	vsnprintf(text + 1, sizeof(text) - 1, format, args);
	va_end(args);
	(void)write_all(b->ready, text, strlen(text));
	_exit(1);
}

/* Whatever the caller of the runtime ignores or blocks, a container starts afresh. */
static void reset_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig <= 64; sig++)
		(void)sigaction(sig, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void meet(struct verdict verdict)
{
	if (verdict.kind == VERDICT_EXIT)
		_exit(verdict.value);
	if (verdict.kind == VERDICT_SIGNAL) {
		prctl(PR_SET_DUMPABLE, 0);
		kill(getpid(), verdict.value);
		_exit(128 + verdict.value);
	}
}

/* Sends the name of the master as runc does, with the master unless it is -1. */
static int send_master(int console, int master)
{
	static char name[] = "/dev/ptmx";
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec io = { name, strlen(name) };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };

	if (master >= 0) {
		struct cmsghdr *c;

		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &master, sizeof(int));
	}
	return sendmsg(console, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A terminal on our stdio, its master on its way. A master that nobody gets stays open here, else
 * the terminal would be hung up at once. -1, or that master. */
static int set_up_console(const struct birth *b)
{
	const struct program *program = b->launch->program;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1, unlock = 0;
	struct winsize size = { .ws_row = (unsigned short)program->rows,
		.ws_col = (unsigned short)program->cols };
	bool keep = b->console < 0 || b->no_master;

	if (master >= 0 && ioctl(master, TIOCSPTLCK, &unlock) == 0)
		slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		give_up(b, "unable to make a terminal: %s", strerror(errno));
	if (size.ws_row != 0 || size.ws_col != 0)
		ioctl(master, TIOCSWINSZ, &size);
	if (b->console >= 0 && send_master(b->console, b->no_master ? -1 : master) < 0)
		give_up(b, "unable to send the terminal: %s", strerror(errno));
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		give_up(b, "unable to set the controlling terminal: %s", strerror(errno));
	for (int fd = 0; fd < 3; fd++)
		if (dup2(slave, fd) < 0)
			give_up(b, "dup2: %s", strerror(errno));
	if (!keep)
		return -1;
	fcntl(master, F_SETFD, 0);
	return master;
}

/* Closes every descriptor from first on but three (-1: fewer). */
static void close_but(int first, int a, int b, int c)
{
	for (int next;; first = next + 1) {
		next = -1;
		for (int i = 0; i < 3; i++) {
			int kept = i == 0 ? a : i == 1 ? b : c;

			if (kept >= first && (next < 0 || kept < next))
				next = kept;
		}
		if (next < 0)
			break;
		if (next > first)
			(void)close_range((unsigned)first, (unsigned)next - 1, 0);
	}
	(void)close_range((unsigned)first, ~0U, 0);
}

/* Waits until `start` comes, then ends as it may have been told to. */
static void pass_gate(const struct birth *b)
{
	int dir = b->launch->container->dir, fd;
	struct verdict verdict = { VERDICT_NONE, 0 };
	char text[64] = "";
	int kind;

	(void)write_all(b->ready, "r", 1);
	close(b->ready);
	meet(b->launch->verdict);
	fd = openat(dir, "exec.fifo", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		_exit(1);
	(void)write_all(fd, "0", 1);
	close(fd);
	fd = openat(dir, "verdict", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return;
	if (sscanf(text, "%d %d", &kind, &verdict.value) == 2)
		verdict.kind = kind;
	meet(verdict);
}

static void live(const struct birth *b) __attribute__((noreturn));

static void live(const struct birth *b)
{
	const struct program *program = b->launch->program;
	int master = -1;

	reset_signals();
	(void)setsid();
	if (program->terminal)
		master = set_up_console(b);
	close_but(3 + (int)b->preserve_fds, b->ready, b->launch->container->dir, master);
	if (b->launch->gated)
		pass_gate(b);
	else
		meet(b->launch->verdict);
	if (chdir(program->cwd) < 0)
		give_up(b, "unable to start container process: chdir to cwd (\"%s\"): %s",
			program->cwd, strerror(errno));
	execve(program->path, program->args, program->env);
	give_up(b, "unable to start container process: exec %s: %s", program->path,
		strerror(errno));
}

/* The process between the runtime and the container's: tells its pid, and lives on. */
static void be_between(const struct birth *b, int told)
{
	pid_t pid = fork();

	if (pid == 0)
		live(b);
	close(b->ready);
	if (write(told, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	_exit(wait_for_file(b->launch->late_orphan, LATE_MAX_MS) < 0);
}

/* The same, told by who asked for it. */
static int fork_late(const struct birth *b, pid_t *ret_pid)
{
	_cleanup_close_ int told = -1;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	told = ends[0];
	pid = fork();
	if (pid == 0)
		be_between(b, ends[1]);
	close(ends[1]);
	if (pid < 0 || read_some(told, (char *)ret_pid, sizeof(*ret_pid)) != sizeof(*ret_pid))
		return -EAGAIN;
	return *ret_pid > 0 ? 0 : -EAGAIN;
}

/* Forks the child, or a child that forks it and ends. ret_pid is the process of the container. */
static int fork_child(const struct birth *b, pid_t *ret_pid)
{
	pid_t *shared, pid;

	if (b->launch->late_orphan)
		return fork_late(b, ret_pid);
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0 && b->launch->early_orphan) {
		pid = fork();
		if (pid != 0) {
			*shared = pid;
			_exit(0);
		}
	}
	if (pid == 0)
		live(b);
	*ret_pid = pid;
	if (!b->launch->early_orphan)
		return 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	*ret_pid = *shared;
	return *ret_pid > 0 ? 0 : -EAGAIN;
}

/* Connected to --console-socket. -1 where there is none, -2 after telling why it failed. */
static int connect_console(struct fake *fake)
{
	const char *path = fake->options.console_socket;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char reason[256];
	int r;

	if (!path)
		return -1;
	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
		sizeof(address.sun_path)) {
		fake_fail(fake, "dial unix %s: connect: invalid argument", path);
		return -2;
	}
	r = connect(fd, (struct sockaddr *)&address, sizeof(address));
	if (r == 0)
		return TAKE_FD(fd);
	snprintf(reason, sizeof(reason), "%s", strerror(errno));
	reason[0] = (char)tolower(reason[0]);
	fake_fail(fake, "dial unix %s: connect: %s", path, reason);
	return -2;
}

/* Reads what the child says until 'r' or the end. 0, or an exit status after an 'e'. */
static int hear(struct fake *fake, int pipe_read)
{
	char text[4096];
	size_t used = 0;
	ssize_t n;

	while (used < sizeof(text) - 1 &&
		(n = read_some(pipe_read, text + used, sizeof(text) - 1 - used)) > 0) {
		used += (size_t)n;
		if (text[0] == 'r')
			return 0;
	}
	text[used] = '\0';
	return used == 0 ? 0 : fake_fail(fake, "%s", text + 1);
}

int launch_process(struct fake *fake, const struct launch *launch, pid_t *ret_pid)
{
	_cleanup_close_ int pipe_read = -1, pipe_write = -1;
	bool silent = script_trait(fake, TRAIT_NO_CONSOLE, NULL);
	_cleanup_close_ int console = silent ? -1 : connect_console(fake);
	struct birth birth = { .launch = launch,
		.console = console,
		.no_master = script_trait(fake, TRAIT_BAD_CONSOLE, NULL),
		.preserve_fds = (unsigned)fake->options.preserve_fds };
	int ends[2], r;

	if (console == -2)
		return fake->command->failure;
	if (launch->gated && mkfifoat(launch->container->dir, "exec.fifo", 0622) < 0)
		return fake_fail(fake, "exec.fifo: %s", strerror(errno));
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fake_fail(fake, "pipe: %s", strerror(errno));
	pipe_read = ends[0];
	birth.ready = pipe_write = ends[1];
	r = fork_child(&birth, ret_pid);
	close(TAKE_FD(pipe_write));
	if (r < 0)
		return fake_fail(fake, "fork: %s", strerror(-r));
	r = hear(fake, pipe_read);
	if (r != 0)
		(void)waitpid(*ret_pid, NULL, 0);
	return r;
}
