/* SPDX-License-Identifier: Apache-2.0 */

/* The multi-tool's mirror: what the process sees of itself and of the files around it, printed one
 * fact a line. Reads only; `touch` and `mem` are the two that change anything. */

#include "test/fault/tool.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

static int print_lines(int fd, char **lines)
{
	for (; *lines; lines++)
		if (emitf(fd, "%s\n", *lines) < 0)
			return 1;
	return 0;
}

int tool_args(int n_args, char **args)
{
	(void)n_args;
	return print_lines(STDOUT_FILENO, args);
}

int tool_err(int n_args, char **args)
{
	(void)n_args;
	return print_lines(STDERR_FILENO, args);
}

int tool_env(int n_args, char **args)
{
	(void)n_args, (void)args;
	return print_lines(STDOUT_FILENO, environ);
}

int tool_cwd(int n_args, char **args)
{
	char path[PATH_MAX];

	(void)n_args, (void)args;
	if (!getcwd(path, sizeof(path)))
		return tool_fail("cwd: %s", strerror(errno));
	return emitf(STDOUT_FILENO, "%s\n", path) < 0;
}

int tool_id(int n_args, char **args)
{
	gid_t groups[1024];
	char text[1024 * 12] = "-";
	size_t used = 0;
	int n = getgroups(1024, groups);

	(void)n_args, (void)args;
	if (n < 0)
		return tool_fail("id: %s", strerror(errno));
	for (int i = 0; i < n; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%u", i ? "," : "", groups[i]);
	return emitf(STDOUT_FILENO, "%u %u %s\n", getuid(), getgid(), text) < 0;
}

int tool_fds(int n_args, char **args)
{
	_cleanup_free_ char *text = NULL;
	int r = list_fds(&text);

	(void)n_args, (void)args;
	if (r < 0)
		return tool_fail("fds: %s", strerror(-r));
	return write_all(STDOUT_FILENO, text, strlen(text)) < 0;
}

static int print_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[4096];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return tool_fail("%s: %s", path, strerror(errno));
	n = read_some(fd, text, sizeof(text) - 1);
	if (n < 0)
		return tool_fail("%s: %s", path, strerror((int)-n));
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return emitf(STDOUT_FILENO, "%u %u %s\n", st.st_uid, st.st_gid, text) < 0;
}

int tool_file(int n_args, char **args)
{
	int status = 0;

	(void)n_args;
	for (; *args; args++)
		if (print_file(*args) != 0)
			status = 1;
	return status;
}

int tool_touch(int n_args, char **args)
{
	int r = touch_file(args[0]);

	(void)n_args;
	return r < 0 ? tool_fail("%s: %s", args[0], strerror(-r)) : 0;
}

int tool_wait_file(int n_args, char **args)
{
	int r = wait_for_file(args[0], 60000);

	(void)n_args;
	return r < 0 ? tool_fail("%s: %s", args[0], strerror(-r)) : 0;
}

int tool_wait_pid(int n_args, char **args)
{
	_cleanup_close_ int fd = -1;
	struct pollfd p;
	uint64_t pid;

	(void)n_args;
	if (!parse_size(args[0], &pid) || pid == 0 || pid > INT_MAX)
		return tool_fail("wait-pid: not a pid");
	fd = pidfd_open((pid_t)pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : tool_fail("wait-pid: %s", strerror(errno));
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	return poll(&p, 1, 60000) > 0 ? 0 : tool_fail("wait-pid: still there after 60 s");
}

int tool_mem(int n_args, char **args)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	volatile uint8_t *memory;
	uint64_t mb;

	if (!parse_size(args[0], &mb) || mb == 0 || (n_args > 1 && strcmp(args[1], "hold") != 0))
		return tool_fail("mem: MB [hold]");
	memory = mmap(NULL, mb << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return tool_fail("mem: %s", strerror(errno));
	for (uint64_t i = 0; i < mb << 20; i += page)
		memory[i] = 1;
	if (n_args == 1)
		return 0;
	if (emitf(STDOUT_FILENO, "ready\n") < 0)
		return 1;
	return tool_pause(0, NULL);
}
