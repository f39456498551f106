/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel and the host have. Subtle: whether a pidfd tells an exit is tried, not told from the
 * version: the one process that this takes is ourselves once more, asked for its version.
 */
#include "supervisor/cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/ending.h"
#include "common/fd.h"
#include "common/spawn.h"
#include "supervisor/cli/doctor_judge.h"

#define LIMIT_TEXT (4u << 20) /* bytes of a file that is looked through */
#define CHILD_MS   5000

/* The file as a string; the caller frees. NULL where it cannot be read. */
static char *read_text(const char *path)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (fd_read_file(AT_FDCWD, path, &text, LIMIT_TEXT) < 0 || buf_append(&text, "", 1) < 0)
		return NULL;
	return strdup((const char *)buf_head(&text));
}

static long read_number(const char *path)
{
	_cleanup_free_ char *text = read_text(path);

	return text ? strtol(text, NULL, 10) : -1;
}

int doctor_kernel(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	struct utsname host;

	(void)d;
	(void)name;
	uname(&host);
	return judge_kernel(host.release, ret);
}

int doctor_pidfd(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int r;

	(void)d;
	(void)name;
	if (fd >= 0)
		return doctor_find(ret, "pidfd_open works");
	r = doctor_find(ret, "pidfd_open: %s", strerror(errno));
	return r < 0 ? r
		     : doctor_advise(ret, DOCTOR_ERROR,
			       "boot a newer kernel, or lift the seccomp filter that refuses it: no "
			       "process can be watched without");
}

/* 0 or -errno. */
static int try_exit(bool *ret_known)
{
	char *argv[] = { (char *)"cleat", (char *)"--version", NULL };
	const struct spawn_options options = { .path = "/proc/self/exe", .argv = argv };
	_cleanup_(pidref_close) struct pidref child = PIDREF_INIT;
	struct ending ending;
	int r = spawn(&options, &child), status;
	struct pollfd ended;

	if (r < 0)
		return r;
	ended = (struct pollfd){ .fd = child.fd, .events = POLLIN };
	if (poll(&ended, 1, CHILD_MS) != 1)
		pidref_signal(&child, SIGKILL);
	while (waitpid(child.pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	ending_learn(&child, &ending);
	*ret_known = ending.is_known && ending.wait_status == status;
	return 0;
}

int doctor_pidfd_exits(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	bool known = false;
	int r = try_exit(&known);

	(void)d;
	(void)name;
	if (r < 0)
		return doctor_find(ret, "not tried: %s", strerror(-r));
	if (known)
		return doctor_find(ret, "a pidfd tells how its process ended");
	return doctor_find(ret, "not told before Linux 6.15: how a container ends whose shim was "
				"killed may stay unknown");
}

int doctor_cgroups(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	_cleanup_free_ char *text = read_text("/proc/self/mountinfo");

	(void)d;
	(void)name;
	return judge_cgroups(text ? text : "", ret);
}

int doctor_userns(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	const struct userns_limits limits = {
		.max = read_number("/proc/sys/user/max_user_namespaces"),
		.clone = read_number("/proc/sys/kernel/unprivileged_userns_clone"),
		.apparmor = read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
	};

	(void)name;
	return judge_userns(&limits, d->is_root, ret);
}

/* --- subordinate ids --- */

static bool is_program(const char *name)
{
	_cleanup_free_ char *path = NULL;

	return spawn_find_program(name, &path) == 0;
}

static unsigned long count_in(const char *path, const char *user)
{
	_cleanup_free_ char *text = read_text(path);

	return text ? count_subids(text, user, geteuid()) : 0;
}

int doctor_subids(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	struct passwd entry, *user = NULL;
	const char *who = NULL;
	unsigned long uids, gids;
	char text[1024];
	int r;

	(void)name;
	if (d->is_root)
		return doctor_find(ret, "root needs none");
	if (getpwuid_r(geteuid(), &entry, text, sizeof(text), &user) == 0 && user)
		who = user->pw_name;
	if (!is_program("newuidmap") || !is_program("newgidmap")) {
		r = doctor_find(ret, "newuidmap or newgidmap is not there");
		return r < 0 ? r
			     : doctor_advise(ret, DOCTOR_WARNING,
				       "install the package uidmap: without, a container has one "
				       "user alone");
	}
	uids = count_in("/etc/subuid", who);
	gids = count_in("/etc/subgid", who);
	r = doctor_find(ret, "%lu uids in /etc/subuid, %lu gids in /etc/subgid", uids, gids);
	if (r < 0 || (uids > 0 && gids > 0))
		return r;
	return doctor_advise(ret, DOCTOR_WARNING,
		"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s",
		who ? who : "USER");
}
