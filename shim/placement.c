/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Makes no cgroup for containerd. Subtle: systemd removes groups that are empty, so one that
 * was just made may be gone before anybody is in it.
 */
#include "shim/placement.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/log.h"

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE	     62
#define PR_SCHED_CORE_CREATE 1
#endif
#define SCOPE_THREAD_GROUP 1 /* <linux/sched.h> has it as an enum where it has it */

#define CGROUPS	    "/sys/fs/cgroup"
#define SCORE_MAX   1000
#define N_TRIES	    20 /* to be in a group that somebody else removes */
#define LIMIT_SCORE 64 /* bytes of an oom_score_adj */

/* 0 or -errno. */
static int write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
}

static int read_score(pid_t pid, int *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	r = fd_read_file(AT_FDCWD, path, &text, LIMIT_SCORE);
	if (r == 0)
		r = buf_append(&text, "", 1);
	if (r == 0)
		*ret = atoi((const char *)buf_head(&text));
	return r;
}

void placement_oom_score(void)
{
	char text[16];
	int score = 0, r = read_score(getppid(), &score);

	if (r == 0) {
		snprintf(text, sizeof(text), "%d", score < SCORE_MAX ? score + 1 : SCORE_MAX);
		r = write_file("/proc/self/oom_score_adj", text);
	}
	if (r < 0)
		log_warn("the shim keeps the OOM score that it has", F_STR("error", strerror(-r)));
}

void placement_sched_core(void)
{
	if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, SCOPE_THREAD_GROUP, 0) < 0)
		log_warn("no core of its own for this container", F_STR("error", strerror(errno)));
}

static bool leads_out(const char *path)
{
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += strspn(p, "/");
		if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || !p[2]))
			return true;
	}
	return false;
}

/* Into HIERARCHY/path, if that is there. 0 or -errno. */
static int join(const char *hierarchy, const char *path, pid_t pid)
{
	char full[PATH_MAX], text[16];

	if (snprintf(full, sizeof(full), CGROUPS "/%s/%s/cgroup.procs", hierarchy, path) >=
		(int)sizeof(full))
		return -ENAMETOOLONG;
	snprintf(text, sizeof(text), "%d", pid);
	return write_file(full, text);
}

static bool is_hierarchy(int dir, const char *name)
{
	struct stat st;

	return *name != '.' && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

/* Every hierarchy of v1 that has it. 0, -ENOENT, or an -errno. */
static int join_all(const char *path, pid_t pid)
{
	_cleanup_closedir_ DIR *dir = opendir(CGROUPS);
	struct dirent *entry;
	int result = -ENOENT;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		int r = is_hierarchy(dirfd(dir), entry->d_name) ? join(entry->d_name, path, pid)
								: -ENOENT;

		if (r == -ENOENT)
			continue;
		if (result == -ENOENT || r < 0)
			result = r;
	}
	return result;
}

int placement_cgroup(pid_t pid, const char *path, struct error *err)
{
	bool is_v2 = access(CGROUPS "/cgroup.controllers", F_OK) == 0;
	int r;

	if (leads_out(path))
		return error_set(err, CODE_INVALID_ARGUMENT,
			"the shim's cgroup \"%.200s\" leads out of itself", path);
	r = is_v2 ? join(".", path, pid) : join_all(path, pid);
	if (r == -EPERM || r == -EACCES || r == -EROFS) {
		log_warn("the shim stays in the cgroup that it is in", F_STR("cgroup", path),
			F_STR("error", strerror(-r)));
		return 0;
	}
	return r < 0 ? error_errno(err, r, "the shim's cgroup %.200s", path) : 0;
}

/* 0 or -errno. */
static int make_group(const char *path)
{
	char full[PATH_MAX], *slash;

	if (snprintf(full, sizeof(full), CGROUPS "/%s", path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	slash = strrchr(full, '/');
	*slash = '\0';
	if (mkdir(full, 0755) < 0 && errno != EEXIST)
		return -errno;
	*slash = '/';
	return mkdir(full, 0755) == 0 || errno == EEXIST ? 0 : -errno;
}

int placement_own_cgroup(pid_t pid, const char *path, struct error *err)
{
	int r = -ENOENT;

	if (leads_out(path))
		return error_set(err, CODE_INVALID_ARGUMENT,
			"the shim's cgroup \"%.200s\" leads out of itself", path);
	if (access(CGROUPS "/cgroup.controllers", F_OK) < 0)
		r = -EOPNOTSUPP;
	for (int i = 0; i < N_TRIES && (r == -ENOENT || r == -ENODEV); i++) {
		r = make_group(path);
		if (r == 0)
			r = join(".", path, pid);
	}
	if (r < 0)
		log_warn("the shim stays in the cgroup that it is in", F_STR("cgroup", path),
			F_STR("error", strerror(-r)));
	return 0;
}
