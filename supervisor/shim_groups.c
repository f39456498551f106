/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Moves nobody: the `start` command does that. Subtle: a shim's folder is gone before the
 * shim is, and only an empty group can be removed, so a group that is left is tried again for a while; and
 * a name may be taken again meanwhile, which then keeps its group. Makes none: who is to be in it does.
 */
#include "supervisor/shim_groups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/list.h"
#include "common/log.h"
#include "common/own_cgroup.h"

#define PREFIX	 "shim-"
#define AGAIN_MS 100
#define N_TRIES	 100

struct leaving {
	char *name;
	int n_tries;
	struct list groups_link;
};

struct shim_groups {
	char *path;   /* of WHERE, from the root of the hierarchy */
	char *folder; /* WHERE as a folder; it may go and come again, as systemd likes */
	struct event *again;
	struct list leaving;
};

/* 0 or -ENOMEM. */
static int join(const char *folder, const char *name, char **ret)
{
	if (asprintf(ret, "%s/%s", folder, name) >= 0)
		return 0;
	*ret = NULL;
	return -ENOMEM;
}

static int make_name(const char *ns, const char *id, char **ret)
{
	/* neither may have a "@" in it */
	return asprintf(ret, PREFIX "%s@%s", ns, id) < 0 ? -ENOMEM : 0;
}

static void forget(struct leaving *l)
{
	list_unlink(&l->groups_link);
	free(l->name);
	free(l);
}

/* --- groups that go --- */

static void try_again_later(struct shim_groups *g)
{
	const struct timeval tv = { 0, AGAIN_MS * 1000 };

	if (!list_is_empty(&g->leaving))
		evtimer_add(g->again, &tv); /* without it: at the next one, or the next start */
}

static void try_to_remove(struct shim_groups *g, struct leaving *l)
{
	_cleanup_free_ char *path = NULL;
	int r = join(g->folder, l->name, &path);

	if (r == 0 && rmdir(path) < 0)
		r = -errno;
	if (r < 0 && r != -ENOENT && ++l->n_tries < N_TRIES)
		return;
	if (r < 0 && r != -ENOENT)
		log_warn("a shim's cgroup is left", F_STR("cgroup", path ? path : l->name),
			F_STR("error", strerror(-r)));
	forget(l);
}

static void on_again(evutil_socket_t fd, short what, void *userdata)
{
	struct shim_groups *g = userdata;
	struct list *pos, *tmp;

	(void)fd;
	(void)what;
	list_for_each_safe (pos, tmp, &g->leaving)
		try_to_remove(g, list_entry(pos, struct leaving, groups_link));
	try_again_later(g);
}

void shim_groups_leave(struct shim_groups *g, const char *ns, const char *id)
{
	struct leaving *l;

	if (!g)
		return;
	l = calloc(1, sizeof(*l));
	if (!l || make_name(ns, id, &l->name) < 0) {
		free(l);
		return; /* the next start removes it */
	}
	list_init(&l->groups_link);
	list_append(&g->leaving, &l->groups_link);
	try_to_remove(g, l);
	try_again_later(g);
}

/* What is not empty stays: the kernel says so. */
static void sweep(const struct shim_groups *g)
{
	_cleanup_closedir_ DIR *dir = opendir(g->folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
}

/* --- groups that come --- */

int shim_groups_take(struct shim_groups *g, const char *ns, const char *id, char **ret)
{
	_cleanup_free_ char *name = NULL;
	struct list *pos, *tmp;
	int r;

	*ret = NULL;
	if (!g)
		return 0;
	r = make_name(ns, id, &name);
	if (r < 0)
		return r;
	list_for_each_safe (pos, tmp, &g->leaving) {
		struct leaving *l = list_entry(pos, struct leaving, groups_link);

		if (strcmp(l->name, name) == 0)
			forget(l);
	}
	return join(g->path, name, ret);
}

/* --- the whole --- */

/*
 * *ret: without links and "..", in the hierarchy. The group itself need not be there, what is above it must
 * be. 0 or -errno.
 */
static int resolve(const char *where, char **ret)
{
	_cleanup_free_ char *own = NULL, *full = NULL, *above = NULL;
	const size_t n = strlen(CGROUP2_ROOT);
	char *slash;
	int r = own_cgroup(&own);

	if (r < 0)
		return r;
	if (asprintf(&full, CGROUP2_ROOT "%s/%s", *where == '/' ? "" : own, where) < 0) {
		full = NULL;
		return -ENOMEM;
	}
	slash = strrchr(full, '/');
	*slash = '\0';
	above = realpath(full, NULL);
	if (!above)
		return -errno;
	if (strncmp(above, CGROUP2_ROOT, n) != 0 || (above[n] && above[n] != '/') || !slash[1] ||
		strcmp(slash + 1, "..") == 0)
		return -EINVAL;
	return join(above, slash + 1, ret);
}

static int find_groups(struct event_base *base, const char *where, struct shim_groups *g)
{
	int r = resolve(where, &g->folder);

	if (r < 0)
		return r;
	g->path = strdup(g->folder + strlen(CGROUP2_ROOT));
	g->again = evtimer_new(base, on_again, g);
	return g->path && g->again ? 0 : -ENOMEM;
}

int shim_groups_new(struct event_base *base, const char *where, struct shim_groups **ret)
{
	struct shim_groups *g = calloc(1, sizeof(*g));
	int r;

	*ret = NULL;
	if (!g)
		return -ENOMEM;
	list_init(&g->leaving);
	r = find_groups(base, where, g);
	if (r == 0) {
		sweep(g);
		*ret = g;
		return 0;
	}
	shim_groups_free(g);
	if (r == -ENOMEM)
		return r;
	log_warn("shims stay in cleatd's cgroup", F_STR("asked", where),
		F_STR("reason",
			r == -EOPNOTSUPP ? "there are cgroups of version 1" : strerror(-r)));
	return 0;
}

void shim_groups_free(struct shim_groups *g)
{
	struct list *pos, *tmp;

	if (!g)
		return;
	list_for_each_safe (pos, tmp, &g->leaving) {
		struct leaving *l = list_entry(pos, struct leaving, groups_link);

		l->n_tries = N_TRIES - 1; /* the last */
		try_to_remove(g, l);
	}
	if (g->again)
		event_free(g->again);
	free(g->path);
	free(g->folder);
	free(g);
}
