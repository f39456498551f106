/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Over libsystemd, and used by cleatd alone: a shim has nothing to tell systemd.
 * Subtle: libsystemd finds NOTIFY_SOCKET in the environment, in which it must not be while a child is
 * started; it is put there for the time of one datagram. There is one thread.
 */
#include "supervisor/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/text.h"

#define VARIABLE     "NOTIFY_SOCKET"
#define LIMIT_STATUS 1024
#define LIMIT_NAMES  200

int notify_init(struct notify *n)
{
	const char *socket = getenv(VARIABLE);
	uint64_t us = 0;
	int r = sd_watchdog_enabled(1, &us);

	*n = NOTIFY_INIT;
	if (socket && *socket) {
		n->socket = strdup(socket);
		if (!n->socket)
			return -ENOMEM;
	}
	unsetenv(VARIABLE);
	/* a watchdog's time that cannot be read is systemd's mistake, and no reason not to serve */
	n->watchdog_us = r > 0 && n->socket ? us : 0;
	return 0;
}

void notify_deinit(struct notify *n)
{
	if (n->timer)
		event_free(n->timer);
	free(n->socket);
	*n = NOTIFY_INIT;
}

static int send_text(const struct notify *n, const char *text)
{
	int r;

	if (!n->socket)
		return 0;
	if (setenv(VARIABLE, n->socket, 1) < 0)
		return -errno;
	r = sd_notify(1, text);
	unsetenv(VARIABLE);
	return r < 0 ? r : 0;
}

/* The word, and a status in one line; NULL: the one that it has stays. */
static int send_word(const struct notify *n, const char *word, const char *status)
{
	_cleanup_free_ char *line = NULL, *text = NULL;

	if (!status)
		return send_text(n, word);
	line = text_clean(status, strlen(status), LIMIT_STATUS);
	if (!line || asprintf(&text, "%s\nSTATUS=%s", word, line) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return send_text(n, text + (*word == '\0'));
}

int notify_ready(const struct notify *n, const char *status)
{
	return send_word(n, "READY=1", status);
}

int notify_stopping(const struct notify *n, const char *status)
{
	return send_word(n, "STOPPING=1", status);
}

int notify_status(const struct notify *n, const char *status)
{
	return send_word(n, "", status);
}

int notify_reloading(const struct notify *n)
{
	struct timespec now;
	char text[80];

	/* the time is for systemd from 253 on, which tells this reload from an earlier one by it */
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld%06ld", (long long)now.tv_sec,
		now.tv_nsec / 1000);
	return send_text(n, text);
}

/* --- the watchdog --- */

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	/* one that is lost is made up for by the next: that is why there are two */
	send_text(userdata, "WATCHDOG=1");
}

int notify_watch(struct notify *n, struct event_base *base)
{
	const uint64_t half = n->watchdog_us / 2;
	const struct timeval tv = { (time_t)(half / 1000000), (suseconds_t)(half % 1000000) };

	if (half == 0 || n->timer)
		return 0;
	n->timer = event_new(base, -1, EV_PERSIST, on_timer, n);
	return n->timer && event_add(n->timer, &tv) == 0 ? 0 : -ENOMEM;
}

/* --- the socket --- */

static void free_names(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
}

/* "a, b" */
static void join_names(char *const *names, char ret[static LIMIT_NAMES])
{
	size_t n = 0;

	ret[0] = '\0';
	for (; names && *names && n < LIMIT_NAMES - 1; names++)
		n += (size_t)snprintf(ret + n, LIMIT_NAMES - n, "%s%s", n ? ", " : "", *names);
}

/* What is wrong with the n descriptors that were passed. 0 or a code. */
static int check_passed(int n, char *const *names, struct error *err)
{
	char all[LIMIT_NAMES];
	int r;

	join_names(names, all);
	if (n > 1)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"systemd passed %d sockets (%s), where one is expected", n, all);
	r = sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0);
	if (r < 0)
		return error_errno(err, r, "the socket that systemd passed (%s)", all);
	if (r == 0)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"what systemd passed (%s) is no listening Unix stream socket", all);
	r = fd_set_nonblock(SD_LISTEN_FDS_START, true);
	return r < 0 ? error_errno(err, r, "the socket that systemd passed (%s)", all) : 0;
}

int notify_take_socket(int *ret_fd, struct error *err)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names), r = 0;

	*ret_fd = -1;
	if (n < 0)
		r = error_errno(err, n, "the sockets that systemd passed");
	else if (n > 0)
		r = check_passed(n, names, err);
	for (int i = 0; i < n && r != 0; i++)
		close(SD_LISTEN_FDS_START + i);
	if (n > 0 && r == 0)
		*ret_fd = SD_LISTEN_FDS_START;
	free_names(names);
	return r;
}
