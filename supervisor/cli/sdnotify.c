/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Never waits: what systemd does not take at once is tried again, and until then the
 * container's own datagrams wait in its socket, which is bounded by the kernel.
 *
 * Not over libsystemd, which brings six libraries with it: measured for `cleat version`, 1.35 ms of
 * processor time instead of 0.64, and 112 system calls instead of 40, for each command of ours.
 *
 * Subtle: whatever a container sends with descriptors is read without a place for them, so that the
 * kernel closes them; a sender that waits for that (sd_notify_barrier) goes on at once.
 */
#include "supervisor/cli/sdnotify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/text.h"
#include "supervisor/cli/cli.h"

#define VARIABLE	 "NOTIFY_SOCKET"
#define FOLDER		 "notify"
#define NAME		 "notify.sock"
#define LIMIT_DATAGRAM	 4096 /* of a container's; a longer one is dropped */
#define LIMIT_STATUS	 1024
#define DATAGRAMS_A_TURN 16 /* then it is the signals' turn */
#define RETRY_MS	 100

/* --- to systemd --- */

/* It cannot be told: said once, since the unit will not become ready. */
static void fail(struct sdnotify *n, int error)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	buf_consume(&n->waiting, n->waiting.len);
	if (n->has_failed)
		return;
	n->has_failed = true;
	error_errno(&err, -error, VARIABLE " %s%s", *n->address.sun_path ? "" : "@",
		n->address.sun_path + (*n->address.sun_path == '\0'));
	cli_complain(n->id, &err);
}

static void flush(struct sdnotify *n)
{
	static const struct timeval retry = { 0, RETRY_MS * 1000 };
	ssize_t r;

	if (n->waiting.len == 0)
		return;
	r = sendto(n->out, buf_head(&n->waiting), n->waiting.len, MSG_DONTWAIT | MSG_NOSIGNAL,
		(const struct sockaddr *)&n->address, n->address_size);
	if (r < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)) {
		if (n->readable)
			event_del(n->readable);
		event_add(n->retry, &retry);
		return;
	}
	if (r < 0)
		fail(n, errno);
	buf_consume(&n->waiting, n->waiting.len);
	if (n->readable)
		event_add(n->readable, NULL);
}

static void on_retry(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	flush(userdata);
}

/* Lines without a newline at their end. What waits already goes in the same datagram. */
static void tell(struct sdnotify *n, const void *lines, size_t size)
{
	if ((n->waiting.len > 0 && buf_append(&n->waiting, "\n", 1) < 0) ||
		buf_append(&n->waiting, lines, size) < 0) {
		fail(n, ENOMEM);
		return;
	}
	flush(n);
}

void sdnotify_running(struct sdnotify *n)
{
	char text[LIMIT_STATUS];
	int size;

	/* a status of the container's own is the better one */
	if (!n->listens || n->has_passed)
		return;
	size = snprintf(text, sizeof(text), "%sSTATUS=Container %.100s is running%s",
		n->container ? "" : "READY=1\n", n->id,
		n->container ? ", and has not said that it is ready" : "");
	tell(n, text, (size_t)size);
}

/* --- from the container --- */

static int add_line(struct buf *to, const char *line, size_t n)
{
	if (to->len > 0 && buf_append(to, "\n", 1) < 0)
		return -ENOMEM;
	return buf_append(to, line, n);
}

static int filter_line(const char *line, size_t n, struct buf *ret)
{
	static const char *const words[] = { "READY=1", "STOPPING=1", "WATCHDOG=1" };
	static const char status[] = "STATUS=";
	const size_t n_status = sizeof(status) - 1;
	_cleanup_free_ char *text = NULL;
	int r;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (n == strlen(words[i]) && memcmp(line, words[i], n) == 0)
			return add_line(ret, line, n);
	if (n < n_status || memcmp(line, status, n_status) != 0)
		return 0;
	text = text_clean(line + n_status, n - n_status, LIMIT_STATUS);
	if (!text)
		return -ENOMEM;
	r = add_line(ret, status, n_status);
	return r == 0 ? buf_append(ret, text, strlen(text)) : r;
}

int sdnotify_filter(const void *data, size_t n, struct buf *ret)
{
	const char *p = data;
	int r = 0;

	while (n > 0 && r == 0) {
		const char *stop = memchr(p, '\n', n);
		size_t size = stop ? (size_t)(stop - p) : n;

		r = filter_line(p, size, ret);
		size += stop != NULL;
		p += size;
		n -= size;
	}
	return r;
}

/* false: there is nothing more. */
static bool pass_one(struct sdnotify *n)
{
	_cleanup_buf_ struct buf lines = BUF_INIT;
	char data[LIMIT_DATAGRAM];
	ssize_t r = recv(n->in, data, sizeof(data), MSG_TRUNC | MSG_DONTWAIT);

	if (r < 0)
		return errno == EINTR;
	if ((size_t)r <= sizeof(data) && sdnotify_filter(data, (size_t)r, &lines) == 0 &&
		lines.len > 0) {
		n->has_passed = true;
		tell(n, buf_head(&lines), lines.len);
	}
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *userdata)
{
	struct sdnotify *n = userdata;

	(void)fd;
	(void)what;
	for (int i = 0; i < DATAGRAMS_A_TURN && n->waiting.len == 0; i++)
		if (!pass_one(n))
			break;
}

/* The socket's name; the folder's descriptor makes it short enough, wherever it is. 0 or -errno. */
static int bind_in(int folder, int *ret)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/" NAME, folder);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
		fchmodat(folder, NAME, 0666, 0) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

/* Open to all who get there: the folder above is ours alone, and in the container any user may write. */
static int make_socket(struct sdnotify *n, int dir)
{
	_cleanup_close_ int folder = -1;

	if (mkdirat(dir, FOLDER, 0755) < 0)
		return -errno;
	folder = openat(dir, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0 || fchmod(folder, 0755) < 0)
		return -errno;
	return bind_in(folder, &n->in);
}

int sdnotify_serve(struct sdnotify *n, int dir, const char *path, struct error *err)
{
	int r = make_socket(n, dir);

	if (r == 0 && asprintf(&n->folder, "%s/" FOLDER, path) < 0) {
		n->folder = NULL;
		r = -ENOMEM;
	}
	if (r == 0) {
		n->readable = event_new(
			event_get_base(n->retry), n->in, EV_READ | EV_PERSIST, on_readable, n);
		r = n->readable && event_add(n->readable, NULL) == 0 ? 0 : -ENOMEM;
	}
	return r < 0 ? error_errno(err, r, "%s/" FOLDER "/" NAME, path) : 0;
}

/* --- the beginning and the end --- */

static int read_mode(struct sdnotify *n, const char *mode, bool *ret_ignore, struct error *err)
{
	*ret_ignore = mode && strcmp(mode, "ignore") == 0;
	n->container = mode && strcmp(mode, "container") == 0;
	if (!mode || *ret_ignore || n->container || strcmp(mode, "cleat") == 0)
		return 0;
	return error_set(err, CODE_INVALID_ARGUMENT,
		"--sdnotify \"%s\" is none of cleat, container, ignore", mode);
}

/* '@' and a name that is in no file system, or an absolute path: sd_notify(3). */
static int read_address(struct sdnotify *n, const char *text, struct error *err)
{
	const size_t size = strlen(text);

	if ((*text != '/' && *text != '@') || size < 2 || size >= sizeof(n->address.sun_path))
		return error_set(err, CODE_INVALID_ARGUMENT,
			VARIABLE " \"%.200s\" is neither an absolute path nor @NAME, of 107 bytes "
				 "at most",
			text);
	n->address.sun_family = AF_UNIX;
	memcpy(n->address.sun_path, text, size);
	if (*text == '@')
		n->address.sun_path[0] = '\0';
	n->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
	return 0;
}

/* WATCHDOG_PID is the pid of cleat, which is nobody in the container: it is left out. 0 or -ENOMEM. */
static int make_env(struct sdnotify *n)
{
	const char *watchdog = getenv("WATCHDOG_USEC");

	n->env[0] = strdup(VARIABLE "=" SDNOTIFY_INSIDE "/" NAME);
	if (watchdog && asprintf(&n->env[1], "WATCHDOG_USEC=%s", watchdog) < 0)
		n->env[1] = NULL;
	return n->env[0] && (!watchdog || n->env[1]) ? 0 : -ENOMEM;
}

static int begin(struct sdnotify *n, struct event_base *base, struct error *err)
{
	n->out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->out < 0)
		return error_errno(err, -errno, VARIABLE);
	n->retry = evtimer_new(base, on_retry, n);
	if (!n->retry || make_env(n) < 0)
		return error_errno(err, -ENOMEM, VARIABLE);
	n->listens = true;
	return 0;
}

int sdnotify_init(struct sdnotify *n, const char *mode, const char *id, struct event_base *base,
	struct error *err)
{
	const char *socket = getenv(VARIABLE);
	bool ignore = false;
	int r;

	*n = SDNOTIFY_INIT;
	n->id = id;
	r = read_mode(n, mode, &ignore, err);
	if (r == 0 && !ignore && socket && *socket) {
		r = read_address(n, socket, err);
		if (r == 0)
			r = begin(n, base, err);
	}
	unsetenv(VARIABLE);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return r;
}

bool sdnotify_has_socket(const struct sdnotify *n)
{
	return n->listens && n->container;
}

void sdnotify_deinit(struct sdnotify *n)
{
	if (n->readable)
		event_free(n->readable);
	if (n->retry)
		event_free(n->retry);
	if (n->in >= 0)
		close(n->in);
	if (n->out >= 0)
		close(n->out);
	buf_deinit(&n->waiting);
	free(n->env[0]);
	free(n->env[1]);
	free(n->folder);
	*n = SDNOTIFY_INIT;
}
