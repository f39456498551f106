/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The multi-tool's terminals: the side of the program (`winsize`, `raw-cat`) and the side of the
 * runtime's caller (`console`, which owns the master that a runtime sends it).
 *
 * Subtle rule: `console` never blocks on the master. A program that has filled the output of the
 * terminal reads no input before somebody takes the output away.
 */

#include "test/fault/tool.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

static int print_size(struct winsize *ret_size)
{
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, ret_size) < 0)
		return tool_fail("winsize: %s", strerror(errno));
	return emitf(STDOUT_FILENO, "%u %u\n", ret_size->ws_row, ret_size->ws_col) < 0;
}

int tool_winsize(int n_args, char **args)
{
	struct winsize size;

	(void)n_args, (void)args;
	return print_size(&size);
}

/* Handles one signal of winsize-follow. 1 once it is TERM. */
static int follow_signal(int signals)
{
	struct signalfd_siginfo info;
	struct winsize size;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo == SIGTERM)
		return 1;
	return print_size(&size);
}

int tool_winsize_follow(int n_args, char **args)
{
	_cleanup_close_ int signals = -1;
	struct winsize size;
	sigset_t set;

	(void)n_args, (void)args;
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		return tool_fail("signalfd: %s", strerror(errno));
	if (print_size(&size) != 0)
		return 1;
	for (;;) {
		struct pollfd p[2] = { { signals, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
		char ignored[4096];

		(void)poll(p, 2, -1);
		if (p[0].revents && follow_signal(signals) != 0)
			return 0;
		if (p[1].revents && read_some(STDIN_FILENO, ignored, sizeof(ignored)) <= 0)
			return 0;
	}
}

int tool_raw_cat(int n_args, char **args)
{
	uint64_t left = UINT64_MAX;
	struct termios termios;
	uint8_t data[4096];

	if (n_args > 0 && !parse_size(args[0], &left))
		return tool_fail("raw-cat: not a number");
	if (tcgetattr(STDIN_FILENO, &termios) < 0)
		return tool_fail("raw-cat: %s", strerror(errno));
	cfmakeraw(&termios);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &termios) < 0)
		return tool_fail("raw-cat: %s", strerror(errno));
	if (emitf(STDOUT_FILENO, "ready\n") < 0)
		return 1;
	while (left > 0) {
		ssize_t n = read_some(STDIN_FILENO, data, left < 4096 ? (size_t)left : 4096);

		if (n < 0 || (n == 0 && n_args > 0))
			return tool_fail("raw-cat: ended early");
		if (n == 0)
			return 0;
		if (write_all(STDOUT_FILENO, data, (size_t)n) < 0)
			return tool_fail("raw-cat: writing failed");
		left -= (uint64_t)n;
	}
	return 0;
}

/* Listens under a temporary name and renames: where the path exists, it can be connected to. */
static int listen_at(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s~", path);

	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, 1) < 0 || rename(address.sun_path, path) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* Takes one message off the connection: its text, and its descriptor or -1. */
static int receive_master(int connection, char *ret_name, size_t n_name, int *ret_master)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec io = { ret_name, n_name - 1 };
	struct msghdr message = { .msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c;

	if (n < 0)
		return -errno;
	ret_name[n] = '\0';
	*ret_master = -1;
	c = CMSG_FIRSTHDR(&message);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_master, CMSG_DATA(c), sizeof(int));
	return 0;
}

/* What is on its way from stdin to the master. */
struct pending {
	uint8_t data[4096];
	size_t from;
	size_t to;
	bool open; /* stdin may give more */
};

static void feed_master(struct pending *pending, int master)
{
	ssize_t n = write(master, pending->data + pending->from, pending->to - pending->from);

	if (n > 0)
		pending->from += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		pending->from = pending->to;
}

static void refill(struct pending *pending)
{
	ssize_t n = read_some(STDIN_FILENO, pending->data, sizeof(pending->data));

	pending->from = 0;
	pending->to = n > 0 ? (size_t)n : 0;
	pending->open = n > 0;
}

/* Copies both ways until the terminal is hung up, stdin from the first output on. */
static int copy_console(int master)
{
	struct pending pending = { .open = true };
	bool seen = false;
	uint8_t data[4096];

	fcntl(master, F_SETFL, fcntl(master, F_GETFL) | O_NONBLOCK);
	for (;;) {
		bool full = pending.from < pending.to;
		struct pollfd p[2] = { { master, full ? POLLIN | POLLOUT : POLLIN, 0 },
			{ seen && !full && pending.open ? STDIN_FILENO : -1, POLLIN, 0 } };

		(void)poll(p, 2, -1);
		if (p[0].revents & (POLLIN | POLLHUP)) {
			ssize_t n = read(master, data, sizeof(data));

			if (n == 0 || (n < 0 && errno == EIO))
				return 0;
			if (n > 0 && write_all(STDOUT_FILENO, data, (size_t)n) < 0)
				return tool_fail("console: writing failed");
			seen = seen || n > 0;
		}
		if (p[0].revents & POLLOUT)
			feed_master(&pending, master);
		if (p[1].revents)
			refill(&pending);
	}
}

int tool_console(int n_args, char **args)
{
	_cleanup_close_ int listener = listen_at(args[0]);
	_cleanup_close_ int connection = -1, master = -1;
	uint64_t rows, cols;
	char name[4096];

	if (listener < 0)
		return tool_fail("%s: %s", args[0], strerror(-listener));
	connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	unlink(args[0]);
	if (connection < 0 || receive_master(connection, name, sizeof(name), &master) < 0)
		return tool_fail("console: %s", strerror(errno));
	if (master < 0)
		return tool_fail("console: \"%s\" came without a descriptor", name);
	if (n_args == 3 && parse_size(args[1], &rows) && parse_size(args[2], &cols))
		ioctl(master, TIOCSWINSZ,
			&(struct winsize){
				.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols });
	(void)emitf(STDERR_FILENO, "console %s\n", name);
	return copy_console(master);
}
