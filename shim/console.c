/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Two events: the listening socket, then the one connection. Subtle: on_master is
 * the last thing that a dispatch does, since it may free the console.
 */
#include "shim/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/ids.h"
#include "common/log.h"

/* More than a runtime has reason to send; two would already be an error. */
#define MAX_FDS 4

struct console {
	struct event_base *base;
	struct sockaddr_un address;
	bool bound;
	char *folder; /* made for the socket; NULL where it lies in the caller's */
	int fd;	      /* the listening socket, then the connection */
	struct event *event;
	void (*on_master)(int master_take, int error, void *userdata);
	void *userdata;
};

static void console_close(struct console *c)
{
	if (c->event)
		event_free(c->event);
	c->event = NULL;
	fd_close(&c->fd);
	if (c->bound)
		unlink(c->address.sun_path);
	c->bound = false;
	if (c->folder)
		rmdir(c->folder);
	free(c->folder);
	c->folder = NULL;
}

/* --- the connection --- */

/* Takes the descriptors out of a message; counts them all, closes those that there is no room for. */
static size_t take_fds(struct msghdr *m, int ret[static MAX_FDS])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n_here;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n_here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n_here; i++, n++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (n < MAX_FDS)
				ret[n] = fd;
			else
				close(fd);
		}
	}
	return n;
}

/* A master, -EAGAIN while there is none yet, or what went wrong. */
static int receive_master(int connection)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control;
	char name[4096]; /* runc sends the device's name along, crun a byte */
	struct iovec iov = { name, sizeof(name) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	int fds[MAX_FDS], r = -EPROTO;
	unsigned number;
	size_t n_fds;
	ssize_t n;

	n = recvmsg(connection, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	n_fds = take_fds(&m, fds);
	if (n_fds == 0)
		return n == 0 ? -ECONNRESET : -EAGAIN;
	if (n_fds == 1 && !(m.msg_flags & MSG_CTRUNC) && ioctl(fds[0], TIOCGPTN, &number) == 0)
		return fds[0];
	for (size_t i = 0; i < n_fds && i < MAX_FDS; i++)
		close(fds[i]);
	return r;
}

static void connection_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct console *c = userdata;
	int master = receive_master(fd);

	(void)what;
	if (master == -EAGAIN)
		return;
	console_close(c);
	c->on_master(master < 0 ? -1 : master, master < 0 ? master : 0, c->userdata);
}

/* --- the listening socket --- */

static bool peer_is_trusted(int connection)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

/* Exchanges what is watched. */
static int console_watch(struct console *c, int fd_take, event_callback_fn dispatch)
{
	struct event *event = event_new(c->base, fd_take, EV_READ | EV_PERSIST, dispatch, c);

	if (!event || event_add(event, NULL) < 0) {
		if (event)
			event_free(event);
		close(fd_take);
		return -ENOMEM;
	}
	if (c->event)
		event_free(c->event);
	fd_close(&c->fd);
	c->event = event;
	c->fd = fd_take;
	return 0;
}

static void listener_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	_cleanup_close_ int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct console *c = userdata;
	int r;

	(void)what;
	if (connection < 0) {
		r = -errno;
		if (r == -EAGAIN || r == -EINTR || r == -ECONNABORTED)
			return;
	} else if (!peer_is_trusted(connection)) {
		log_warn("console: a peer of another user was turned away");
		return;
	} else {
		r = console_watch(c, TAKE_FD(connection), connection_dispatch);
	}
	if (r == 0) {
		/* it may be there already, and crun's exec has the size only from us: every turn counts */
		connection_dispatch(c->fd, EV_READ, c);
		return;
	}
	console_close(c);
	c->on_master(-1, r, c->userdata);
}

/* --- making it --- */

/* DIR/NAME as the address. -ENAMETOOLONG where it does not fit, with its NUL. */
static int set_address(struct console *c, const char *folder, const char *name)
{
	size_t size = sizeof(c->address.sun_path);
	int n = snprintf(c->address.sun_path, size, "%s/%s", folder, name);

	c->address.sun_family = AF_UNIX;
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int make_folder_in(struct console *c, const char *parent)
{
	_cleanup_free_ char *folder = NULL;
	int r;

	if (!parent || parent[0] != '/')
		return -ENOENT;
	if (asprintf(&folder, "%s/pty-XXXXXX", parent) < 0) {
		folder = NULL;
		return -ENOMEM;
	}
	r = set_address(c, folder, "s");
	if (r < 0)
		return r;
	if (!mkdtemp(folder))
		return -errno;
	set_address(c, folder, "s"); /* the X are known now */
	c->folder = TAKE_PTR(folder);
	return 0;
}

/* Names the socket, in a folder that only our user can enter. */
static int choose_address(struct console *c, const char *dir_path)
{
	char digits[9], name[16];
	int r;

	r = random_hex(digits, 4);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "pty-%s", digits);
	r = set_address(c, dir_path, name);
	if (r != -ENAMETOOLONG)
		return r;
	r = make_folder_in(c, "/run/cleat");
	if (r < 0)
		r = make_folder_in(c, getenv("XDG_RUNTIME_DIR"));
	if (r < 0)
		r = make_folder_in(c, "/tmp");
	return r;
}

static int listen_at(struct console *c, const char *dir_path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = choose_address(c, dir_path);
	if (r < 0)
		return r;
	/* Linux gives the socket file the socket's own mode, so that it is never wider. */
	if (fchmod(fd, 0600) < 0 ||
		bind(fd, (const struct sockaddr *)&c->address, sizeof(c->address)) < 0)
		return -errno;
	c->bound = true;
	if (listen(fd, 4) < 0)
		return -errno;
	return console_watch(c, TAKE_FD(fd), listener_dispatch);
}

int console_listen(struct event_base *base, const char *dir_path,
	void (*on_master)(int master_take, int error, void *userdata), void *userdata,
	struct console **ret, struct error *err)
{
	struct console *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_errno(err, -ENOMEM, "console socket");
	c->base = base;
	c->fd = -1;
	c->on_master = on_master;
	c->userdata = userdata;
	r = listen_at(c, dir_path);
	if (r < 0) {
		console_free(c);
		return error_errno(err, r, "console socket in %s", dir_path);
	}
	*ret = c;
	return 0;
}

const char *console_path(const struct console *c)
{
	return c->address.sun_path;
}

void console_free(struct console *c)
{
	if (!c)
		return;
	console_close(c);
	free(c);
}
