/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches over ROOT/c, over each namespace's folder in it, and for a short time over the folder of a
 * container whose shim has not begun yet. Opens no container and decides nothing. Subtle: a folder is
 * watched first and listed then, so that nothing that comes in between is missed; it may be told twice.
 */
#include "common/state_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/ids.h"
#include "common/list.h"
#include "common/state_dir.h"

#define NAMESPACE_MASK (IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR | IN_DONT_FOLLOW)
#define ROOT_MASK      (IN_CREATE | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW)
#define AWAIT_MASK     (IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW)

/* One watched folder: a namespace's, or with an id a container's. */
struct folder {
	struct list folders_link;
	int wd;
	char *ns, *id; /* id: NULL for the namespace's own */
};

struct state_watch {
	const struct state_watch_handlers *h;
	char *root, *only; /* only: the one namespace; NULL: all */
	int fd, root_wd;
	struct list folders;
};

static void folder_free(struct folder *f)
{
	list_unlink(&f->folders_link);
	free(f->ns);
	free(f->id);
	free(f);
}

static struct folder *find_wd(const struct state_watch *w, int wd)
{
	struct list *pos;

	list_for_each (pos, &w->folders) {
		struct folder *f = list_entry(pos, struct folder, folders_link);

		if (f->wd == wd)
			return f;
	}
	return NULL;
}

static int add_folder(struct state_watch *w, const char *ns, const char *id, uint32_t mask)
{
	_cleanup_free_ char *path = NULL;
	struct folder *f;
	int wd;

	if (asprintf(&path, "%s/c/%s%s%s", w->root, ns, id ? "/" : "", id ? id : "") < 0)
		return error_trace(-ENOMEM);
	wd = inotify_add_watch(w->fd, path, mask);
	if (wd < 0)
		return -errno;
	if (find_wd(w, wd))
		return 0;
	f = calloc(1, sizeof(*f));
	if (f) {
		f->wd = wd;
		f->ns = strdup(ns);
		f->id = id ? strdup(id) : NULL;
		list_init(&f->folders_link);
		list_append(&w->folders, &f->folders_link);
	}
	if (f && f->ns && (!id || f->id))
		return 0;
	if (f)
		folder_free(f);
	inotify_rm_watch(w->fd, wd);
	return error_trace(-ENOMEM);
}

/* --- what is there --- */

static int tell_folder(const char *ns, const char *id, void *userdata)
{
	const struct state_watch *w = userdata;

	w->h->on_folder(ns, id, w->h->userdata);
	return 0;
}

static int take_namespace(struct state_watch *w, const char *ns)
{
	int r = add_folder(w, ns, NULL, NAMESPACE_MASK);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r == 0)
		r = state_each(w->root, ns, tell_folder, w, NULL);
	return r;
}

static int take_each_namespace(const char *ns, void *userdata)
{
	return take_namespace(userdata, ns);
}

static int scan(struct state_watch *w, struct error *err)
{
	int r = w->only ? take_namespace(w, w->only)
			: state_each_namespace(w->root, take_each_namespace, w, err);

	return r < 0 ? error_errno(err, r, "%s/c", w->root) : r;
}

/* --- notices --- */

static void rescan(struct state_watch *w)
{
	w->h->on_rescan_begin(w->h->userdata);
	scan(w, NULL);
	w->h->on_rescan_end(w->h->userdata);
}

static void on_container_notice(
	struct state_watch *w, struct folder *f, const struct inotify_event *e)
{
	if (e->mask & IN_IGNORED) {
		folder_free(f);
		return;
	}
	if (e->len == 0 || strcmp(e->name, "shim.json") != 0)
		return;
	inotify_rm_watch(w->fd, f->wd);
	f->wd = -1; /* what else was on its way for this number is nobody's */
	w->h->on_folder(f->ns, f->id, w->h->userdata);
	folder_free(f);
}

static void on_namespace_notice(
	struct state_watch *w, struct folder *f, const struct inotify_event *e)
{
	if (e->mask & IN_IGNORED) {
		folder_free(f);
		return;
	}
	if (e->len == 0 || !id_is_valid(e->name))
		return;
	if (e->mask & IN_MOVED_TO)
		w->h->on_folder(f->ns, e->name, w->h->userdata);
	else
		w->h->on_gone(f->ns, e->name, w->h->userdata);
}

static void on_notice(struct state_watch *w, const struct inotify_event *e)
{
	struct folder *f;

	if (e->mask & IN_Q_OVERFLOW) {
		rescan(w);
		return;
	}
	if (e->wd == w->root_wd) {
		if (e->len > 0 && id_is_valid(e->name))
			take_namespace(w, e->name);
		return;
	}
	f = find_wd(w, e->wd);
	if (f && f->id)
		on_container_notice(w, f, e);
	else if (f)
		on_namespace_notice(w, f, e);
}

void state_watch_dispatch(struct state_watch *w)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(w->fd, buffer, sizeof(buffer))) > 0) {
		for (const char *p = buffer; p < buffer + n;) {
			const struct inotify_event *e = (const void *)p;

			on_notice(w, e);
			p += sizeof(*e) + e->len;
		}
	}
}

int state_watch_await(struct state_watch *w, const char *ns, const char *id)
{
	return add_folder(w, ns, id, AWAIT_MASK);
}

/* --- the whole --- */

int state_watch_fd(const struct state_watch *w)
{
	return w->fd;
}

static int begin(struct state_watch *w, const char *root, const char *ns, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	int r = state_prepare(root, ns, err); /* watching needs a folder */

	if (r != 0)
		return r;
	w->root = strdup(root);
	w->only = ns ? strdup(ns) : NULL;
	if (!w->root || (ns && !w->only) || asprintf(&path, "%s/c", root) < 0)
		return error_errno(err, -ENOMEM, "%s", root);
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd < 0)
		return error_errno(err, -errno, "inotify");
	if (!ns) {
		w->root_wd = inotify_add_watch(w->fd, path, ROOT_MASK);
		if (w->root_wd < 0)
			return error_errno(err, -errno, "%s", path);
	}
	return scan(w, err);
}

int state_watch_new(const char *root, const char *ns, const struct state_watch_handlers *handlers,
	struct state_watch **ret, struct error *err)
{
	struct state_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return error_errno(err, -ENOMEM, "%s", root);
	w->h = handlers;
	w->fd = w->root_wd = -1;
	list_init(&w->folders);
	r = begin(w, root, ns, err);
	if (r != 0) {
		state_watch_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void state_watch_free(struct state_watch *w)
{
	struct folder *f;

	if (!w)
		return;
	while ((f = list_first(&w->folders, struct folder, folders_link)))
		folder_free(f);
	if (w->fd >= 0)
		close(w->fd);
	free(w->only);
	free(w->root);
	free(w);
}
