/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bed has left behind, looked for by its folder's name and its container's id, which nothing
 * else on the machine has. Never removes anything.
 */
#include "test/integration/bed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/argv.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "shim/cgroup_places.h"

static bool file_has(const char *dir, const char *name, const char *needle)
{
	_cleanup_free_ char *path = bed_format("/proc/%s/%s", dir, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf data = BUF_INIT;

	if (fd < 0 || fd_read_all(fd, &data, 1u << 20) < 0)
		return false;
	return memmem(buf_head(&data), data.len, needle, strlen(needle)) != NULL;
}

static bool link_has(const char *dir, const char *name, const char *needle)
{
	_cleanup_free_ char *path = bed_format("/proc/%s/%s", dir, name);
	char target[4096];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	return n > 0 && memmem(target, (size_t)n, needle, strlen(needle));
}

static bool is_zombie(const char *dir)
{
	struct proc_stat stat;

	return proc_stat_read((pid_t)atoi(dir), &stat) < 0 || stat.state == 'Z';
}

/* A process of the bed that lives, or 0. A zombie waits for a process 1 that is slow here. */
static int find_process(const struct bed *bed)
{
	const char *tag = bed->dir + strlen("/tmp/");
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *e;

	while ((e = readdir(proc))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || atoi(e->d_name) == getpid())
			continue;
		if ((file_has(e->d_name, "cmdline", tag) || file_has(e->d_name, "cgroup", tag) ||
			    link_has(e->d_name, "cwd", tag) || link_has(e->d_name, "exe", tag)) &&
			!is_zombie(e->d_name))
			return atoi(e->d_name);
	}
	return 0;
}

static bool folder_is_empty(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *e;

	if (!dir)
		return errno == ENOENT;
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	return true;
}

static void check_folder(const struct bed *bed, const char *name)
{
	_cleanup_free_ char *path = bed_format("%s/%s", bed->dir, name);

	if (!folder_is_empty(path))
		print_error("left behind: something in %s\n", path);
	assert_true(folder_is_empty(path));
}

/* Where runc makes the groups of a container without a cgroupsPath. */
static void check_cgroups(const struct bed *bed)
{
	_cleanup_cgroup_places_ struct cgroup_places own = CGROUP_PLACES_INIT;
	_cleanup_argv_ struct argv wanted = ARGV_INIT;

	assert_int_equal(cgroup_places_read(0, &own), 0);
	assert_int_equal(cgroup_places_wanted(&own, NULL, bed->id, &wanted), 0);
	for (size_t i = 0; i < wanted.n; i++)
		if (access(wanted.v[i], F_OK) == 0)
			fail_msg("left behind: %s", wanted.v[i]);
}

void bed_check_leftovers(const struct bed *bed)
{
	int64_t end = clock_monotonic_ms() + 2000;
	int pid;

	/* what ends with its shim may take a moment to be gone */
	while ((pid = find_process(bed)) && clock_monotonic_ms() < end)
		poll(NULL, 0, 20);
	if (pid)
		fail_msg("left behind: process %d", pid);
	if (file_has("self", "mountinfo", bed->dir))
		fail_msg("left behind: a mount in %s", bed->dir);
	check_folder(bed, "root/c/default");
	check_folder(bed, "root/s");
	check_folder(bed, "root/r/default");
	check_folder(bed, "r");
	check_cgroups(bed);
}
