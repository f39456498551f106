/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's cgroup, by a descriptor of its folder: once the group is removed, the descriptor
 * reaches nothing, while a path could reach another one made under the same name. Never asks the
 * runtime. The subtle rule: a pid is signalled only by a pidfd that was opened before the pid was
 * seen in the group, or it might be another process by then.
 */
#include "shim/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/pidref.h"
#include "shim/cgroup_places.h"

#define LIMIT_PROCS_FILE (64u << 20) /* pid_max is 4 Mi, a line is 8 bytes at most */
#define KILL_BATCH	 256u	     /* pidfds open at once */

static int open_places(
	const struct cgroup_places *theirs, const struct cgroup_places *own, struct cgroup *ret)
{
	const struct cgroup_place *place = cgroup_places_choose(theirs, own);
	_cleanup_free_ char *folder = NULL;
	int fd;

	*ret = CGROUP_INIT;
	if (!place)
		return 0;
	folder = cgroup_place_folder(place, place->path);
	if (!folder)
		return error_trace(-ENOMEM);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) /* one that is gone had been left by all but a zombie */
		return errno == ENOENT ? 0 : error_trace(-errno);
	ret->fd = fd;
	ret->path = TAKE_PTR(folder);
	cgroup_folders_open(theirs, own, &ret->folders);
	return 0;
}

int cgroup_open(pid_t pid, struct cgroup *ret)
{
	_cleanup_cgroup_places_ struct cgroup_places own = CGROUP_PLACES_INIT;
	_cleanup_cgroup_places_ struct cgroup_places theirs = CGROUP_PLACES_INIT;
	int r = cgroup_places_read(0, &own);

	if (r == 0)
		r = cgroup_places_read(pid, &theirs);
	return r < 0 ? r : open_places(&theirs, &own, ret);
}

int cgroup_open_made(const struct argv *made, struct cgroup *ret)
{
	_cleanup_cgroup_places_ struct cgroup_places own = CGROUP_PLACES_INIT;
	_cleanup_cgroup_places_ struct cgroup_places theirs = CGROUP_PLACES_INIT;
	int r = cgroup_places_read(0, &own);

	if (r == 0)
		r = cgroup_places_made(&own, made, &theirs);
	return r < 0 ? r : open_places(&theirs, &own, ret);
}

bool cgroup_has_made_memory(const struct cgroup *g, const struct argv *made)
{
	int memory = g->folders.v1[CGROUP_MEMORY];
	char link[FD_PATH_MAX], path[PATH_MAX];
	ssize_t n;

	fd_path(memory >= 0 ? memory : g->folders.v2, link);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	for (size_t i = 0; i < made->n; i++)
		if (strcmp(made->v[i], path) == 0)
			return true;
	return false;
}

void cgroup_close(struct cgroup *g)
{
	fd_close(&g->fd);
	cgroup_folders_close(&g->folders);
	free(g->path);
	g->path = NULL;
}

struct pids {
	pid_t *v;
	size_t n, size;
};

static int pids_add(struct pids *pids, pid_t pid)
{
	if (pids->n == pids->size) {
		size_t size = pids->size ? pids->size * 2 : 64;
		pid_t *grown = reallocarray(pids->v, size, sizeof(*grown));

		if (!grown)
			return error_trace(-ENOMEM);
		pids->v = grown;
		pids->size = size;
	}
	pids->v[pids->n++] = pid;
	return 0;
}

/* A group that was removed under us. */
static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENODEV;
}

/* Adds what stands in a cgroup.procs. Pids of another pid namespace read as 0. */
static int read_procs(int dir, const char *path, struct pids *pids)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char *next;
	int r;

	r = fd_read_file(dir, path, &text, LIMIT_PROCS_FILE);
	if (r == 0)
		r = buf_append(&text, "", 1);
	if (r < 0)
		return r;
	for (char *line = (char *)buf_head(&text); *line; line = next) {
		long pid = strtol(line, &next, 10);

		if (next == line)
			break;
		if (pid > 0 && (r = pids_add(pids, (pid_t)pid)) < 0)
			return r;
	}
	return 0;
}

/* Adds the groups right below path ("" for the top) to todo. */
static int add_children(int fd, const char *path, struct argv *todo)
{
	_cleanup_close_ int dir_fd =
		openat(fd, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;

	if (dir_fd < 0)
		return -errno;
	dir = fdopendir(dir_fd);
	if (!dir)
		return error_trace(-errno);
	dir_fd = -1;
	while ((errno = 0, entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
			strcmp(entry->d_name, "..") == 0)
			continue;
		if (argv_addf(todo, "%s%s%s", path, *path ? "/" : "", entry->d_name) < 0)
			return error_trace(-ENOMEM);
	}
	return errno ? error_trace(-errno) : 0;
}

/* One group and the names of those right below it. */
static int visit(int fd, const char *path, struct pids *pids, struct argv *todo)
{
	_cleanup_free_ char *procs = NULL;
	int r;

	if (asprintf(&procs, "%s%scgroup.procs", path, *path ? "/" : "") < 0)
		return error_trace(-ENOMEM);
	r = read_procs(fd, procs, pids);
	/* a threaded group of v2 does not say: its processes stand in the group that it is part of */
	if (r == -EOPNOTSUPP && *path)
		r = 0;
	return r < 0 ? r : add_children(fd, path, todo);
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* v1 promises neither order nor that each stands there once. */
static void sort_unique(struct pids *pids)
{
	size_t n = 0;

	if (pids->n == 0)
		return;
	qsort(pids->v, pids->n, sizeof(*pids->v), compare_pids);
	for (size_t i = 1; i < pids->n; i++)
		if (pids->v[i] != pids->v[n])
			pids->v[++n] = pids->v[i];
	pids->n = n + 1;
}

int cgroup_pids(const struct cgroup *g, pid_t **ret, size_t *ret_n)
{
	_cleanup_argv_ struct argv todo = ARGV_INIT;
	struct pids pids = { NULL, 0, 0 };
	int r = 0;

	if (g->fd >= 0)
		r = argv_add(&todo, "");
	for (size_t i = 0; i < todo.n && r == 0; i++) {
		r = visit(g->fd, todo.v[i], &pids, &todo);
		/* deeper than a path can say is deeper than we look */
		if (is_gone(r) || r == -ENAMETOOLONG)
			r = 0;
	}
	if (r < 0) {
		free(pids.v);
		return r;
	}
	sort_unique(&pids);
	*ret = pids.v;
	*ret_n = pids.n;
	return 0;
}

static bool has_pid(const pid_t *pids, size_t n, pid_t pid)
{
	return n > 0 && bsearch(&pid, pids, n, sizeof(pid), compare_pids);
}

bool cgroup_has_pid(const struct cgroup *g, pid_t pid)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;

	return cgroup_pids(g, &pids, &n) == 0 && has_pid(pids, n, pid);
}

/* Opens a reference to each, looks again who is in the group, and kills those. */
static int kill_batch(const struct cgroup *g, const pid_t *pids, size_t n)
{
	_cleanup_free_ pid_t *again = NULL;
	size_t n_again = 0;
	struct pidref refs[KILL_BATCH];
	int r;

	for (size_t i = 0; i < n; i++) {
		refs[i] = PIDREF_INIT;
		pidref_open(pids[i], &refs[i]); /* what has gone meanwhile needs no signal */
	}
	r = cgroup_pids(g, &again, &n_again);
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && has_pid(again, n_again, pids[i]))
			pidref_signal(&refs[i], SIGKILL);
		pidref_close(&refs[i]);
	}
	return r;
}

int cgroup_kill(const struct cgroup *g)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int r;

	r = cgroup_pids(g, &pids, &n);
	for (size_t i = 0; i < n && r == 0; i += KILL_BATCH)
		r = kill_batch(g, pids + i, n - i < KILL_BATCH ? n - i : KILL_BATCH);
	return r < 0 ? r : (int)n;
}

int cgroup_thaw(const struct cgroup *g)
{
	_cleanup_close_ int fd = -1;

	if (g->fd < 0)
		return 0;
	fd = openat(g->fd, "cgroup.freeze", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : error_trace(-errno);
	if (write(fd, "0", 1) < 0)
		return is_gone(-errno) ? 0 : error_trace(-errno);
	return 0;
}

int cgroup_missing(const char *cgroups_path, const char *id, struct argv *ret)
{
	_cleanup_cgroup_places_ struct cgroup_places own = CGROUP_PLACES_INIT;
	_cleanup_argv_ struct argv wanted = ARGV_INIT;
	int r;

	r = cgroup_places_read(0, &own);
	if (r == 0)
		r = cgroup_places_wanted(&own, cgroups_path, id, &wanted);
	for (size_t i = 0; i < wanted.n && r == 0; i++)
		if (access(wanted.v[i], F_OK) < 0 && errno == ENOENT)
			r = argv_add(ret, wanted.v[i]);
	return r;
}

void cgroup_remove_empty(const struct argv *folders)
{
	for (size_t i = folders->n; i > 0; i--)
		rmdir(folders->v[i - 1]);
}
