/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches one counter. Never tells anybody but its owner, and never wakes up while nothing runs
 * out of memory. Subtle: in version 1 the notice comes before the kernel has chosen whom to kill,
 * so the counter is looked at again a few times, ever later; a notice for
 * which it does not rise at all was about a group above this one.
 */
#include "shim/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"

struct oom_watch {
	int counter; /* memory.oom_control or memory.events, open since the beginning */
	int notice;  /* eventfd or inotify; -1: none */
	uint64_t kills;
	moment last_rise;
	struct event *readable;
	struct event *again; /* version 1 */
	unsigned n_again;
	void (*on_rise)(void *userdata);
	void *userdata;
};

/* Milliseconds until the counter is looked at again. */
static const unsigned again_ms[] = { 1, 10, 100, 1000 };
#define N_AGAIN (sizeof(again_ms) / sizeof(*again_ms))

/* The number after a name in lines of "NAME NUMBER". */
static bool find_number(const char *text, const char *name, uint64_t *ret)
{
	size_t n = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, n) == 0 && line[n] == ' ') {
			*ret = strtoull(line + n, NULL, 10);
			return true;
		}
	}
	return false;
}

/* False where the group is gone: what was counted last stands. */
static bool read_kills(const struct oom_watch *w, uint64_t *ret)
{
	char text[1024];
	ssize_t n = pread(w->counter, text, sizeof(text) - 1, 0);

	if (n < 0)
		return false;
	text[n] = '\0';
	return find_number(text, "oom_kill", ret);
}

bool oom_watch_look(struct oom_watch *w)
{
	uint64_t kills;

	if (!w || !read_kills(w, &kills) || kills <= w->kills)
		return false;
	w->kills = kills;
	w->last_rise = clock_now();
	return true;
}

moment oom_watch_last_rise(const struct oom_watch *w)
{
	return w ? w->last_rise : 0;
}

static void look_again(struct oom_watch *w)
{
	struct timeval tv;

	if (!w->again || w->n_again == N_AGAIN)
		return;
	tv.tv_sec = again_ms[w->n_again] / 1000;
	tv.tv_usec = (suseconds_t)(again_ms[w->n_again] % 1000) * 1000;
	w->n_again++;
	evtimer_add(w->again, &tv);
}

static void look(struct oom_watch *w)
{
	if (oom_watch_look(w))
		w->on_rise(w->userdata);
	/* risen or not: two notices may have been read as one */
	look_again(w);
}

static void again_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	look(userdata);
}

static void notice_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct oom_watch *w = userdata;
	char block[1024];
	uint64_t kills;

	(void)what;
	while (read(fd, block, sizeof(block)) > 0)
		;
	/* the end of the group is a notice too, the last one */
	if (!read_kills(w, &kills)) {
		event_del(w->readable);
		return;
	}
	w->n_again = 0;
	look(w);
}

void oom_watch_free(struct oom_watch *w)
{
	if (!w)
		return;
	if (w->readable)
		event_free(w->readable);
	if (w->again)
		event_free(w->again);
	fd_close(&w->notice);
	fd_close(&w->counter);
	free(w);
}

/* The kernel keeps what it needs of both descriptors. */
static int register_v1(struct oom_watch *w, int folder)
{
	_cleanup_close_ int control = openat(folder, "cgroup.event_control", O_WRONLY | O_CLOEXEC);
	char text[32];
	int n;

	if (control < 0)
		return error_trace(-errno);
	w->notice = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->notice < 0)
		return error_trace(-errno);
	n = snprintf(text, sizeof(text), "%d %d", w->notice, w->counter);
	return write(control, text, (size_t)n) < 0 ? error_trace(-errno) : 0;
}

static int register_v2(struct oom_watch *w, int folder)
{
	char path[FD_PATH_MAX + sizeof("/memory.events")], fd[FD_PATH_MAX];

	fd_path(folder, fd);
	snprintf(path, sizeof(path), "%s/memory.events", fd);
	w->notice = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->notice < 0 || inotify_add_watch(w->notice, path, IN_MODIFY) < 0)
		return error_trace(-errno);
	return 0;
}

static int arm(struct oom_watch *w, struct event_base *base, int folder, bool is_v1)
{
	int r = is_v1 ? register_v1(w, folder) : register_v2(w, folder);

	if (r < 0)
		return r;
	w->readable = event_new(base, w->notice, EV_READ | EV_PERSIST, notice_dispatch, w);
	if (is_v1)
		w->again = evtimer_new(base, again_dispatch, w);
	if (!w->readable || (is_v1 && !w->again) || event_add(w->readable, NULL) < 0)
		return error_trace(-ENOMEM);
	return 0;
}

/* Without a notice, and with what can be asked. */
static void disarm(struct oom_watch *w)
{
	if (w->readable)
		event_free(w->readable);
	if (w->again)
		event_free(w->again);
	w->readable = w->again = NULL;
	fd_close(&w->notice);
}

int oom_watch_new(struct event_base *base, const struct cgroup_folders *folders, bool from_zero,
	void (*on_rise)(void *userdata), void *userdata, struct oom_watch **ret, struct error *err)
{
	bool is_v1 = folders->v1[CGROUP_MEMORY] >= 0;
	int folder = is_v1 ? folders->v1[CGROUP_MEMORY] : folders->v2;
	_cleanup_(cleanup_free) struct oom_watch *w = calloc(1, sizeof(*w));
	int r;

	if (folder < 0)
		return error_set(err, CODE_NOT_FOUND, "no memory cgroup of its own");
	if (!w)
		return error_errno(err, -ENOMEM, "watching for OOM");
	w->notice = -1;
	w->on_rise = on_rise;
	w->userdata = userdata;
	w->counter = openat(
		folder, is_v1 ? "memory.oom_control" : "memory.events", O_RDONLY | O_CLOEXEC);
	if (w->counter < 0)
		return error_errno(
			err, -errno, "%s", is_v1 ? "memory.oom_control" : "memory.events");
	if (!from_zero)
		read_kills(w, &w->kills);
	r = arm(w, base, folder, is_v1);
	if (r < 0)
		disarm(w);
	*ret = TAKE_PTR(w);
	return r < 0 ? error_set(err, CODE_UNAVAILABLE, "no notice of OOM: %s", strerror(-r)) : 0;
}
