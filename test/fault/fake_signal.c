/* SPDX-License-Identifier: Apache-2.0 */

/* The scripted runtime's signals to processes that are not its children, and the waits for their
 * end: always through a pidfd, opened first and compared by start time after. */

#include "test/fault/fake_container.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>

/* A pidfd of the process that started then. -ESRCH where that one is gone. */
static int open_process(pid_t pid, uint64_t start_time)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);

	if (fd < 0)
		return -errno;
	if (start_time != 0 && process_start_time(pid) != start_time)
		return -ESRCH;
	return TAKE_FD(fd);
}

int process_signal(pid_t pid, uint64_t start_time, int sig)
{
	_cleanup_close_ int fd = open_process(pid, start_time);

	if (fd < 0)
		return fd;
	return pidfd_send_signal(fd, sig, NULL, 0) < 0 ? -errno : 0;
}

bool process_await(pid_t pid, uint64_t start_time, int timeout_ms)
{
	_cleanup_close_ int fd = open_process(pid, start_time);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	if (fd < 0)
		return true;
	do
		r = poll(&p, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	return r > 0;
}

size_t container_signal_all(const struct container *c, int sig)
{
	size_t n;
	_cleanup_free_ struct process_id *all = container_processes(c, &n);

	for (size_t i = 0; i < n; i++)
		(void)process_signal(all[i].pid, all[i].start_time, sig);
	return n;
}

bool container_kill_all(const struct container *c)
{
	int64_t end = monotonic_ms() + 10000;

	while (monotonic_ms() < end) {
		size_t n;
		_cleanup_free_ struct process_id *all = container_processes(c, &n);

		if (n == 0)
			return true;
		for (size_t i = 0; i < n; i++)
			(void)process_signal(all[i].pid, all[i].start_time, SIGKILL);
		for (size_t i = 0; i < n && monotonic_ms() < end; i++)
			(void)process_await(
				all[i].pid, all[i].start_time, (int)(end - monotonic_ms()));
	}
	return false;
}
