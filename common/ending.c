/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Subtle: to a reader who may not look into a process /proc/PID/stat shows 0 for its
 * exit code, which would be a success that nobody saw; so a link is read first that the same
 * permission guards (proc(5), PTRACE_MODE_READ_FSCREDS).
 */
#include "common/ending.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_MS 50

/* <linux/pidfd.h> of Linux 6.13, with the exit of 6.15. */
struct pidfd_exit_info {
	uint64_t mask;
	uint64_t cgroup_id;
	uint32_t ids[11];
	int32_t exit_code; /* a wait status */
};
#define PIDFD_EXIT_INFO_IOCTL _IOWR(0xFF, 11, struct pidfd_exit_info)
#define PIDFD_EXIT_INFO_MASK  (UINT64_C(1) << 3)
_Static_assert(sizeof(struct pidfd_exit_info) == 64, "the first size that the kernel knows");

uint32_t ending_status(const struct ending *e)
{
	return WIFSIGNALED(e->wait_status) ? 128u + (uint32_t)WTERMSIG(e->wait_status)
					   : (uint32_t)WEXITSTATUS(e->wait_status);
}

/* The process that p stands for, now. */
static bool read_stat(const struct pidref *p, struct proc_stat *ret)
{
	return proc_stat_read(p->pid, ret) == 0 && ret->start_time == p->start_time;
}

int ending_kill(const struct pidref *p, struct ending *ret)
{
	const struct timespec step = { .tv_nsec = 1000000 };
	struct proc_stat stat = { 0 };
	int r = pidref_signal(p, SIGSTOP);

	*ret = (struct ending){ 0 };
	for (int i = 0; i < STOP_MS && r == 0; i++) {
		if (!read_stat(p, &stat) || stat.state == 'T' || stat.state == 'Z')
			break;
		nanosleep(&step, NULL);
	}
	if (r == 0)
		r = pidref_signal(p, SIGKILL);
	if (r == 0 && stat.state == 'T')
		*ret = (struct ending){ true, SIGKILL };
	return r;
}

static bool may_look_into(pid_t pid)
{
	char path[32], target[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	return readlink(path, target, sizeof(target)) > 0;
}

void ending_learn(const struct pidref *p, struct ending *ret)
{
	struct pidfd_exit_info info = { .mask = PIDFD_EXIT_INFO_MASK };
	struct proc_stat stat;

	*ret = (struct ending){ 0 };
	/* asked in this order: the number is its own for as long as it is a zombie */
	if (may_look_into(p->pid) && read_stat(p, &stat) && stat.state == 'Z')
		*ret = (struct ending){ true, stat.exit_code };
	else if (ioctl(p->fd, PIDFD_EXIT_INFO_IOCTL, &info) == 0 &&
		 (info.mask & PIDFD_EXIT_INFO_MASK))
		*ret = (struct ending){ true, info.exit_code };
}
