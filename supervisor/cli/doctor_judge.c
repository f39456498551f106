/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. Looks at nothing by itself. */
#include "supervisor/cli/doctor_judge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define KERNEL_MAJOR 5
#define KERNEL_MINOR 10

void doctor_finding_deinit(struct doctor_finding *f)
{
	free(f->found);
	free(f->advice);
	*f = DOCTOR_FINDING_INIT;
}

static int set(char **to, const char *fmt, va_list args)
{
	char *made;

	if (vasprintf(&made, fmt, args) < 0)
		return -ENOMEM;
	free(*to);
	*to = made;
	return 0;
}

int doctor_find(struct doctor_finding *f, const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = set(&f->found, fmt, args);
	va_end(args);
	return r;
}

int doctor_advise(struct doctor_finding *f, enum doctor_state state, const char *fmt, ...)
{
	va_list args;
	int r;

	f->state = state;
	va_start(args, fmt);
	r = set(&f->advice, fmt, args);
	va_end(args);
	return r;
}

int judge_kernel(const char *release, struct doctor_finding *ret)
{
	int major = 0, minor = 0, r = doctor_find(ret, "Linux %s", release);

	if (r < 0)
		return r;
	if (sscanf(release, "%d.%d", &major, &minor) != 2)
		return doctor_advise(ret, DOCTOR_WARNING,
			"no version can be read from this; cleat needs Linux %d.%d or later",
			KERNEL_MAJOR, KERNEL_MINOR);
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		return 0;
	return doctor_advise(ret, DOCTOR_ERROR,
		"boot a newer kernel: cleat needs Linux %d.%d or later", KERNEL_MAJOR,
		KERNEL_MINOR);
}

/* --- cgroups --- */

/* One line's mount point (the fifth word) and type (after " - "). false: no such line. */
static bool read_mount(const char *line, const char *end, char *ret_type, size_t size)
{
	_cleanup_free_ char *copy = strndup(line, (size_t)(end - line));
	char *dash = copy ? strstr(copy, " - ") : NULL, *point = copy;
	size_t n;

	if (!dash)
		return false;
	for (int i = 0; i < 4 && point; i++) {
		point = strchr(point, ' ');
		if (point)
			point++;
	}
	n = strcspn(dash + 3, " ");
	if (!point || strncmp(point, "/sys/fs/cgroup", 14) != 0 || n >= size)
		return false;
	memcpy(ret_type, dash + 3, n);
	ret_type[n] = '\0';
	return true;
}

int judge_cgroups(const char *mountinfo, struct doctor_finding *ret)
{
	bool v1 = false, v2 = false;
	int r;

	for (const char *line = mountinfo, *end; *line; line = end + (*end == '\n')) {
		char type[16];

		end = line + strcspn(line, "\n");
		if (!read_mount(line, end, type, sizeof(type)))
			continue;
		v1 = v1 || strcmp(type, "cgroup") == 0;
		v2 = v2 || strcmp(type, "cgroup2") == 0;
	}
	if (v1 && v2) {
		r = doctor_find(ret, "versions 1 and 2 (hybrid)");
		return r < 0 ? r
			     : doctor_advise(ret, DOCTOR_WARNING,
				       "crun 1.8 refuses such a host: use runc, or boot with "
				       "systemd.unified_cgroup_hierarchy=1 for version 2 alone");
	}
	if (v1 || v2)
		return doctor_find(ret, "version %d", v1 ? 1 : 2);
	r = doctor_find(ret, "none in /sys/fs/cgroup");
	return r < 0 ? r
		     : doctor_advise(ret, DOCTOR_WARNING,
			       "mount them: without, a container cannot be paused, limited or "
			       "measured, and as root not made");
}

/* --- ordinary users --- */

static const char *userns_wall(const struct userns_limits *l, const char **ret_key)
{
	*ret_key = NULL;
	if (l->max < 0)
		return "the kernel has none";
	*ret_key = "user.max_user_namespaces=15000";
	if (l->max == 0)
		return "none may be made: user.max_user_namespaces is 0";
	*ret_key = "kernel.unprivileged_userns_clone=1";
	if (l->clone == 0)
		return "only root may make them: kernel.unprivileged_userns_clone is 0";
	*ret_key = "kernel.apparmor_restrict_unprivileged_userns=0";
	if (l->apparmor > 0)
		return "only root, and whom AppArmor lets, may make them: "
		       "kernel.apparmor_restrict_unprivileged_userns is 1";
	return NULL;
}

int judge_userns(const struct userns_limits *l, bool is_root, struct doctor_finding *ret)
{
	const char *key, *wall = userns_wall(l, &key);
	/* there may be a profile for the runtime */
	enum doctor_state state =
		l->apparmor > 0 && l->clone != 0 && l->max > 0 ? DOCTOR_WARNING : DOCTOR_ERROR;
	int r;

	if (!wall)
		return doctor_find(ret, "an ordinary user may make them");
	r = doctor_find(ret, "%s%s", wall, is_root ? ", which root does not need" : "");
	if (r < 0 || is_root)
		return r;
	if (!key)
		return doctor_advise(ret, state, "boot a kernel that has user namespaces");
	return doctor_advise(ret, state, "as root: sysctl -w %s", key);
}

static bool is_owner(const char *line, size_t n, const char *user, uid_t uid)
{
	char number[24];

	if (user && strlen(user) == n && strncmp(line, user, n) == 0)
		return true;
	snprintf(number, sizeof(number), "%u", (unsigned)uid);
	return strlen(number) == n && strncmp(line, number, n) == 0;
}

unsigned long count_subids(const char *text, const char *user, uid_t uid)
{
	unsigned long all = 0, first, count;
	const char *end;

	for (const char *line = text; *line; line = end + (*end == '\n')) {
		size_t n = strcspn(line, ":\n");
		char after;

		end = line + strcspn(line, "\n");
		if (line[n] != ':' || !is_owner(line, n, user, uid))
			continue;
		if (sscanf(line + n, ":%lu:%lu%c", &first, &count, &after) >= 2 &&
			strcspn(line + n, "-\n") == (size_t)(end - line) - n)
			all += count;
	}
	return all;
}
