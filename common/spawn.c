/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fork. Between vfork and execve the child runs on our stack and memory: it makes system
 * calls only, allocates nothing, and changes no variable that the parent reads afterwards.
 * Subtle: signals are blocked around it, or a handler could run in the child on our memory.
 */
#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"

#define MAX_FDS 16

struct child {
	const struct spawn_options *options;
	const char *path;
	struct spawn_fd fds[MAX_FDS + 3];
	int high[MAX_FDS + 3]; /* the child's own copies, out of the targets' way */
	size_t n_fds;
	int first_free; /* one above the highest target */
	int error_fd;
	int null_fd;
	pid_t parent;
};

/*
 * By the system call itself: libc refuses its own two signals, which posix_spawn(3) of glibc leaves
 * ignored in every child, so we may have been started with them ignored. All zero is SIG_DFL.
 */
static void child_reset_signals(void)
{
	static const unsigned long dfl[8];
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, dfl, NULL,
			NSIG / 8); /* KILL and STOP refuse: fine */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Linux 5.9. Before, and under an old valgrind, all of ours are close-on-exec anyway. */
static void child_close_from(int first)
{
	if (syscall(SYS_close_range, (unsigned int)first, ~0U, 0) == 0)
		return;
	for (int fd = first; fd < 1024; fd++)
		close(fd);
}

static int child_place_fds(struct child *c)
{
	int fd = fcntl(c->error_fd, F_DUPFD_CLOEXEC, c->first_free);

	if (fd < 0)
		return -errno;
	c->error_fd = fd;
	for (size_t i = 0; i < c->n_fds; i++) {
		c->high[i] = fcntl(c->fds[i].from, F_DUPFD_CLOEXEC, c->error_fd + 1);
		if (c->high[i] < 0)
			return -errno;
	}
	for (int i = 0; i < c->first_free; i++)
		close(i);
	for (size_t i = 0; i < c->n_fds; i++)
		if (dup2(c->high[i], c->fds[i].to) < 0)
			return -errno;
	for (int i = c->first_free; i < c->error_fd; i++)
		close(i);
	child_close_from(c->error_fd + 1);
	return 0;
}

static int child_prepare(struct child *c)
{
	const struct spawn_options *o = c->options;
	int r;

	child_reset_signals();
	if (o->new_session && setsid() < 0)
		return -errno;
	if (o->new_group && !o->new_session && setpgid(0, 0) < 0)
		return -errno;
	if (o->death_signal) {
		if (prctl(PR_SET_PDEATHSIG, o->death_signal) < 0)
			return -errno;
		if (getppid() != c->parent)
			return -ESRCH;
	}
	r = child_place_fds(c);
	if (r < 0)
		return r;
	if (o->cwd && chdir(o->cwd) < 0)
		return -errno;
	/* last: a lower limit would stop us from placing descriptors */
	if (o->nofile && setrlimit(RLIMIT_NOFILE, o->nofile) < 0)
		return -errno;
	return 0;
}

static _Noreturn void child_run(struct child *c)
{
	const struct spawn_options *o = c->options;
	int r = child_prepare(c);

	if (r == 0) {
		execve(c->path, o->argv, o->env ? o->env : environ);
		r = -errno;
	}
	if (write(c->error_fd, &r, sizeof(r)) < 0)
		_exit(127);
	_exit(127);
}

/* A separate frame, so that nothing of the caller's lives in registers across the vfork. */
static __attribute__((noinline)) pid_t fork_and_run(struct child *c)
{
	pid_t pid = vfork();

	if (pid == 0)
		child_run(c);
	return pid;
}

static int is_target(const struct child *c, int fd)
{
	for (size_t i = 0; i < c->n_fds; i++)
		if (c->fds[i].to == fd)
			return 1;
	return 0;
}

static int plan_fds(struct child *c)
{
	const struct spawn_options *o = c->options;

	if (o->n_fds > MAX_FDS)
		return -E2BIG;
	for (size_t i = 0; i < o->n_fds; i++)
		c->fds[c->n_fds++] = o->fds[i];
	for (int fd = 0; fd < 3; fd++)
		if (!is_target(c, fd))
			c->fds[c->n_fds++] = (struct spawn_fd){ c->null_fd, fd };
	for (size_t i = 0; i < c->n_fds; i++)
		if (c->fds[i].to >= c->first_free)
			c->first_free = c->fds[i].to + 1;
	return 0;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* 0 once the program runs; the child's error otherwise (the child is then reaped). */
static int read_verdict(int fd, pid_t pid)
{
	ssize_t n;
	int r = 0;

	do
		n = read(fd, &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != (ssize_t)sizeof(r))
		r = n < 0 ? -errno : -EIO;
	reap(pid);
	return r;
}

/* The child changes its folder before it executes: a relative path is meant from here. */
static int make_absolute(char **path)
{
	char *full = realpath(*path, NULL);

	if (!full)
		return -errno;
	free(*path);
	*path = full;
	return 0;
}

int spawn(const struct spawn_options *options, struct pidref *ret)
{
	_cleanup_close_ int verdict = -1, error_fd = -1, null_fd = -1;
	_cleanup_free_ char *path = NULL;
	struct child c = { .options = options, .parent = getpid() };
	sigset_t all, before;
	pid_t pid;
	int r;

	r = spawn_find_program(options->path ? options->path : options->argv[0], &path);
	if (r < 0)
		return r;
	if (options->cwd && *path != '/') {
		r = make_absolute(&path);
		if (r < 0)
			return r;
	}
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return -errno;
	r = fd_pipe(&verdict, &error_fd, 0);
	if (r < 0)
		return r;
	c.path = path;
	c.null_fd = null_fd;
	c.error_fd = error_fd;
	r = plan_fds(&c);
	if (r < 0)
		return r;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork_and_run(&c);
	r = pid < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;

	fd_close(&error_fd);
	r = read_verdict(verdict, pid);
	if (r < 0)
		return r;
	/* not reaped by anyone but us, so the number still is this child, dead or alive */
	r = pidref_open(pid, ret);
	if (r < 0) {
		kill(pid, SIGKILL);
		reap(pid);
	}
	return r;
}

static int check_program(const char *path, char **ret)
{
	struct stat st;

	if (access(path, X_OK) < 0 || stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	*ret = strdup(path);
	return *ret ? 0 : -ENOMEM;
}

int spawn_find_program(const char *name, char **ret)
{
	const char *path = getenv("PATH");
	int result = -ENOENT;

	if (!*name)
		return -ENOENT;
	if (strchr(name, '/'))
		return check_program(name, ret);
	if (!path || !*path)
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	while (*path) {
		size_t n = strcspn(path, ":");
		char full[PATH_MAX];
		int r;

		/* an element that is no absolute path would mean the folder we happen to be in */
		if (*path == '/' && (size_t)snprintf(full, sizeof(full), "%.*s/%s", (int)n, path,
					    name) < sizeof(full)) {
			r = check_program(full, ret);
			if (r == 0 || r == -ENOMEM)
				return r;
			if (r == -EACCES)
				result = r;
		}
		path += n + (path[n] == ':');
	}
	return result;
}
