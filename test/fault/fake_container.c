/* SPDX-License-Identifier: Apache-2.0 */
#include "test/fault/fake_container.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *status_name(enum status status)
{
	static const char *const names[] = { "created", "running", "paused", "stopped" };

	return names[status];
}

static void state_path(const struct fake *fake, const char *id, char ret[static PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s/%s", fake->root, id);
}

/* mkdir -p, 0700. */
static int make_folders(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		size_t n = slash ? (size_t)(slash - path) : strlen(path);

		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return -errno;
		if (!slash)
			return 0;
	}
}

int container_make(struct fake *fake, const char *id, struct container *ret)
{
	char path[PATH_MAX];
	int r = make_folders(fake->root);

	if (r < 0)
		return r;
	state_path(fake, id, path);
	if (mkdir(path, 0700) < 0)
		return -errno;
	*ret = (struct container){ .id = id, .dir = open(path, O_DIRECTORY | O_CLOEXEC) };
	return ret->dir < 0 ? -errno : 0;
}

int container_put(const struct container *c, const char *name, const char *text)
{
	char new[NAME_MAX];
	_cleanup_close_ int fd = -1;
	int r;

	snprintf(new, sizeof(new), "%s.new-%d", name, (int)getpid());
	fd = openat(c->dir, new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, strlen(text));
	if (r == 0 && renameat(c->dir, new, c->dir, name) < 0)
		r = -errno;
	return r;
}

int container_save(struct container *c, pid_t pid, const char *bundle, const char *rootfs)
{
	_cleanup_free_ char *text = NULL;
	char created[64];

	c->pid = pid;
	c->start_time = process_start_time(pid);
	fake_time(created, sizeof(created), true);
	c->state = json_pack("{s:s, s:s, s:i, s:I, s:s, s:s, s:s}", "ociVersion", "1.0.2-dev", "id",
		c->id, "pid", (int)pid, "start_time", (json_int_t)c->start_time, "bundle", bundle,
		"rootfs", rootfs, "created", created);
	text = c->state ? json_dumps(c->state, JSON_INDENT(2)) : NULL;
	return text ? container_put(c, "state.json", text) : -ENOMEM;
}

int container_open(struct fake *fake, const char *id, struct container *ret)
{
	struct container c = { .id = id };
	char path[PATH_MAX];
	json_int_t start_time;
	int fd, pid;

	state_path(fake, id, path);
	c.dir = open(path, O_DIRECTORY | O_CLOEXEC);
	if (c.dir < 0)
		return -errno;
	fd = openat(c.dir, "state.json", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	c.state = json_loadfd(fd, 0, NULL);
	close(fd);
	if (!c.state ||
		json_unpack(c.state, "{s:i, s:I}", "pid", &pid, "start_time", &start_time) < 0)
		return -EBADMSG;
	c.pid = pid;
	c.start_time = (uint64_t)start_time;
	*ret = c;
	return 0;
}

int container_need(struct fake *fake, struct container *ret)
{
	int r = container_open(fake, fake->args[0], ret);

	if (r == -ENOENT)
		return fake_fail(fake, "container does not exist");
	if (r < 0)
		return fake_fail(fake, "unable to load container: %s", strerror(-r));
	return 0;
}

void container_remove(struct fake *fake, const char *id)
{
	char path[PATH_MAX];
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *entry;

	state_path(fake, id, path);
	d = opendir(path);
	while (d && (entry = readdir(d)))
		(void)unlinkat(dirfd(d), entry->d_name, 0);
	(void)rmdir(path);
}

bool container_has(const struct container *c, const char *name)
{
	return faccessat(c->dir, name, F_OK, 0) == 0;
}

/* What /proc/PID/stat tells: state letter, parent, session, start time. */
struct stat_line {
	char state;
	pid_t ppid, session;
	uint64_t start_time;
};

static bool read_stat(pid_t pid, struct stat_line *ret)
{
	char path[64], text[2048];
	_cleanup_close_ int fd = -1;
	unsigned long long start;
	const char *rest;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	rest = strrchr(text, ')');
	if (!rest ||
		sscanf(rest,
			") %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			"%*d %llu",
			&ret->state, &ret->ppid, &ret->session, &start) != 4)
		return false;
	ret->start_time = start;
	return true;
}

uint64_t process_start_time(pid_t pid)
{
	struct stat_line line;

	return read_stat(pid, &line) ? line.start_time : 0;
}

static bool is_dead(char state)
{
	return state == 'Z' || state == 'X';
}

enum status container_status(const struct container *c)
{
	struct stat_line line;

	if (c->start_time == 0 || !read_stat(c->pid, &line) || is_dead(line.state) ||
		line.start_time != c->start_time)
		return STATUS_STOPPED;
	if (container_has(c, "paused"))
		return STATUS_PAUSED;
	return container_has(c, "exec.fifo") ? STATUS_CREATED : STATUS_RUNNING;
}

json_t *container_describe(const struct container *c, const char *owner)
{
	static const char *const copied[] = { "bundle", "rootfs", "created" };
	enum status status = container_status(c);
	json_t *o = json_pack("{s:s, s:s, s:i, s:s}", "ociVersion", "1.0.2-dev", "id", c->id, "pid",
		status == STATUS_STOPPED ? 0 : (int)c->pid, "status", status_name(status));

	for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
		json_object_set(o, copied[i], json_object_get(c->state, copied[i]));
	json_object_set_new(o, "owner", json_string(owner));
	return o;
}

int container_add_session(const struct container *c, pid_t pid)
{
	_cleanup_close_ int fd =
		openat(c->dir, "sessions", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	return emitf(fd, "%d %llu\n", (int)pid, (unsigned long long)process_start_time(pid));
}

/* The leaders of the sessions whose number has not gone to another process since. The caller
 * frees them. */
static struct process_id *read_sessions(const struct container *c, size_t *ret_n)
{
	_cleanup_fclose_ FILE *file = NULL;
	struct process_id *sessions = NULL;
	unsigned long long start;
	size_t n = 0;
	int pid, fd = openat(c->dir, "sessions", O_RDONLY | O_CLOEXEC);

	*ret_n = 0;
	file = fd < 0 ? NULL : fdopen(fd, "r");
	while (file && fscanf(file, "%d %llu", &pid, &start) == 2) {
		uint64_t now = process_start_time(pid);

		if (start == 0 || (now != 0 && now != start))
			continue;
		sessions = realloc(sessions, (n + 1) * sizeof(*sessions));
		if (!sessions)
			abort();
		sessions[n++] = (struct process_id){ pid, start };
	}
	*ret_n = n;
	return sessions;
}

/* One living process of the host while the container's are picked out. */
struct candidate {
	pid_t pid;
	struct stat_line line;
	bool ours;
};

static struct candidate *read_processes(size_t *ret_n)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	struct candidate *all = NULL;
	struct dirent *entry;
	size_t n = 0;

	while (d && (entry = readdir(d))) {
		struct candidate c = { .pid = atoi(entry->d_name) };

		if (c.pid <= 0 || !read_stat(c.pid, &c.line) || is_dead(c.line.state))
			continue;
		all = realloc(all, (n + 1) * sizeof(*all));
		if (!all)
			abort();
		all[n++] = c;
	}
	*ret_n = n;
	return all;
}

static bool in_session(const struct candidate *c, const struct process_id *sessions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c->line.session == sessions[i].pid &&
			c->line.start_time >= sessions[i].start_time)
			return true;
	return false;
}

/* Marks the children of what is marked, until there is nothing to add. */
static void mark_descendants(struct candidate *all, size_t n)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < n && !all[i].ours; k++)
				if (all[k].ours && all[k].pid == all[i].line.ppid)
					changed = all[i].ours = true;
	}
}

static int compare_processes(const void *a, const void *b)
{
	const struct process_id *x = a, *y = b;

	return x->pid - y->pid;
}

struct process_id *container_processes(const struct container *c, size_t *ret_n)
{
	size_t n_sessions, n_all, n = 0;
	_cleanup_free_ struct process_id *sessions = read_sessions(c, &n_sessions);
	_cleanup_free_ struct candidate *all = read_processes(&n_all);
	struct process_id *ours;

	for (size_t i = 0; i < n_all; i++)
		all[i].ours = in_session(&all[i], sessions, n_sessions);
	mark_descendants(all, n_all);
	ours = calloc(n_all + 1, sizeof(*ours));
	if (!ours)
		abort();
	for (size_t i = 0; i < n_all; i++)
		if (all[i].ours)
			ours[n++] = (struct process_id){ all[i].pid, all[i].line.start_time };
	qsort(ours, n, sizeof(ours[0]), compare_processes);
	*ret_n = n;
	return ours;
}
