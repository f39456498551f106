/* SPDX-License-Identifier: Apache-2.0 */
/* ROOT, what is wrong with it, who serves there, and what is left in it. Makes nothing. */
#include "supervisor/cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/client_target.h"

#define SPACE_ERROR   (1ull << 20)
#define SPACE_WARNING (16ull << 20)
#define NAMES_SHOWN   3u

static int no_root(struct doctor_finding *ret)
{
	return doctor_find(ret, "not looked at: there is no root");
}

/* The folder itself, or the next above it that is there. */
static void find_existing(const char *path, char ret[static PATH_MAX])
{
	struct stat st;

	snprintf(ret, PATH_MAX, "%s", path);
	while (strlen(ret) > 1 && stat(ret, &st) < 0) {
		char *slash = strrchr(ret, '/');

		if (slash == ret)
			slash++;
		*slash = '\0';
	}
}

/* --- the folder --- */

static int judge_missing(const char *root, struct doctor_finding *ret)
{
	char above[PATH_MAX];
	int r;

	find_existing(root, above);
	if (access(above, W_OK | X_OK) == 0)
		return doctor_find(ret, "%s is not there yet: the first container makes it", root);
	r = doctor_find(ret, "%s is not there, and %s is not writable", root, above);
	return r < 0 ? r
		     : doctor_advise(ret, DOCTOR_ERROR,
			       "name a folder of your own with --root, or have somebody make it");
}

int doctor_root(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	const char *root = d->root;
	struct stat st;
	int r;

	(void)name;
	if (!root) {
		r = doctor_find(ret, "%s", error_message(&d->no_root));
		return r < 0 ? r
			     : doctor_advise(ret, DOCTOR_ERROR,
				       "log in with a session, or name a folder with --root");
	}
	if (lstat(root, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
		return judge_missing(root, ret);
	if (lstat(root, &st) < 0) {
		r = doctor_find(ret, "%s: %s", root, strerror(errno));
		return r < 0 ? r : doctor_advise(ret, DOCTOR_ERROR, "use another with --root");
	}
	r = doctor_find(ret, "%s, of user %u, mode %04o", root, (unsigned)st.st_uid,
		(unsigned)st.st_mode & 07777);
	if (r < 0)
		return r;
	if (!S_ISDIR(st.st_mode))
		return doctor_advise(ret, DOCTOR_ERROR,
			"it must be a folder, not a link or a file: remove it, or use --root");
	if (st.st_uid != geteuid())
		return doctor_advise(ret, DOCTOR_ERROR,
			"it must belong to this user (%u): use another with --root",
			(unsigned)geteuid());
	if (st.st_mode & 022)
		return doctor_advise(ret, DOCTOR_ERROR,
			"others may write into it: look at what is in it, then chmod go-w %s",
			root);
	return 0;
}

/* One of those in ROOT. *n is raised where it is there; the finding is set where it is wrong. */
static int judge_folder(
	const struct doctor *d, const char *name, size_t *n, struct doctor_finding *ret)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;
	int r;

	if (asprintf(&path, "%s/%s", d->root, name) < 0)
		return -ENOMEM;
	if (lstat(path, &st) < 0)
		return 0;
	++*n;
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 077))
		return 0;
	r = doctor_find(ret, "%s, of user %u, mode %04o%s", path, (unsigned)st.st_uid,
		(unsigned)st.st_mode & 07777, S_ISDIR(st.st_mode) ? "" : ", is no folder");
	return r < 0 ? r
		     : doctor_advise(ret, DOCTOR_ERROR,
			       "it must be a folder of this user and open to nobody else: look at "
			       "what is in it, then chmod 0700 %s",
			       path);
}

int doctor_folders(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	static const char *const names[] = { "s", "c", "r" };
	size_t n = 0;
	int r = 0;

	(void)name;
	if (!d->root)
		return no_root(ret);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && r == 0 && !ret->found; i++)
		r = judge_folder(d, names[i], &n, ret);
	if (r < 0 || ret->found)
		return r;
	return n == 0 ? doctor_find(ret, "not there yet")
		      : doctor_find(ret, "those of sockets, containers and states are open to "
					 "nobody else");
}

int doctor_space(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	unsigned long long room;
	char where[PATH_MAX];
	struct statvfs st;
	int r;

	(void)name;
	if (!d->root)
		return no_root(ret);
	find_existing(d->root, where);
	if (statvfs(where, &st) < 0) {
		r = doctor_find(ret, "%s: %s", where, strerror(errno));
		return r < 0 ? r : doctor_advise(ret, DOCTOR_ERROR, "use another with --root");
	}
	room = (unsigned long long)st.f_bavail * st.f_frsize;
	r = doctor_find(ret, "%llu MiB free in %s", room >> 20, where);
	if (r < 0)
		return r;
	if (access(where, W_OK) < 0)
		return doctor_advise(ret, DOCTOR_ERROR,
			"%s is not writable (%s): mount it so, or use another with --root", where,
			strerror(errno));
	if (room < SPACE_ERROR || (st.f_files > 0 && st.f_favail == 0))
		return doctor_advise(
			ret, DOCTOR_ERROR, "make room there: every start will be refused");
	if (room < SPACE_WARNING)
		return doctor_advise(ret, DOCTOR_WARNING, "make room there: starts may be refused");
	return 0;
}

/* --- who serves --- */

static int judge_cleatd(const struct client_place *place, int r, const struct error *err,
	struct doctor_finding *ret)
{
	if (r == 0 && place->via == CLIENT_VIA_CLEATD)
		return doctor_find(ret, "serves on %s", place->socket);
	if (r == 0)
		return doctor_find(ret, "none serves on %s, and none need", place->socket);
	r = doctor_find(ret, "%s: %s", place->socket, error_message(err));
	return r < 0 ? r
		     : doctor_advise(ret, DOCTOR_WARNING,
			       "start it again, no container will notice; meanwhile cleat --direct "
			       "passes it by");
}

int doctor_cleatd(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	struct client_place place = { .via = CLIENT_VIA_CLEATD, .falls_back = true };
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *socket = NULL;
	int r;

	(void)name;
	if (!d->root && !d->socket)
		return no_root(ret);
	if (!d->socket && asprintf(&socket, "%s/cleatd.sock", d->root) < 0) {
		socket = NULL;
		return -ENOMEM;
	}
	place.root = d->root;
	place.ns = d->ns ? d->ns : "default";
	place.socket = d->socket ? d->socket : socket;
	r = client_lines_new(&place.lines);
	if (r < 0)
		return r;
	r = client_place_choose(&place, &err);
	client_lines_free(place.lines);
	return judge_cleatd(&place, r, &err, ret);
}

/* --- what is left --- */

/* The first few names, and how many there are. 0 or -ENOMEM. */
static int count(const struct doctor *d, enum stray_kind a, enum stray_kind b, size_t *ret_n,
	char **ret_names)
{
	char *names = strdup("");
	size_t n = 0;

	for (size_t i = 0; i < d->strays.n && names; i++) {
		const struct stray *s = &d->strays.v[i];
		char *more = NULL;

		/* a start under way has a socket, too */
		if ((s->kind != a && s->kind != b) ||
			(s->kind == STRAY_SOCKET && s->fate != STRAY_GOES) || ++n > NAMES_SHOWN)
			continue;
		if (asprintf(&more, "%s%s%s", names, n > 1 ? ", " : "", s->what) < 0)
			more = NULL;
		free(names);
		names = more;
	}
	*ret_n = n;
	*ret_names = names;
	return names ? 0 : -ENOMEM;
}

static int judge_strays(const struct doctor *d, enum stray_kind a, enum stray_kind b,
	const char *words, const char *advice, struct doctor_finding *ret)
{
	_cleanup_free_ char *names = NULL;
	size_t n = 0;
	int r;

	if (!d->root)
		return no_root(ret);
	if (d->no_strays.code != CODE_OK) {
		r = doctor_find(ret, "not looked at: %s", error_message(&d->no_strays));
		return r < 0 ? r
			     : doctor_advise(
				       ret, DOCTOR_WARNING, "see what is said of root and folders");
	}
	r = count(d, a, b, &n, &names);
	if (r < 0)
		return r;
	r = n == 0 ? doctor_find(ret, "none")
		   : doctor_find(
			     ret, "%zu %s: %s%s", n, words, names, n > NAMES_SHOWN ? ", ..." : "");
	return r < 0 || n == 0 ? r : doctor_advise(ret, DOCTOR_WARNING, "%s", advice);
}

int doctor_orphans(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	(void)name;
	return judge_strays(d, STRAY_ORPHAN, STRAY_CONTAINER, "whose shim is gone",
		"cleat delete --force ID removes one; cleat gc tells those that have ended", ret);
}

int doctor_unfinished(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	(void)name;
	return judge_strays(d, STRAY_UNFINISHED, STRAY_UNFINISHED, "of starts that died",
		"cleat gc --yes removes them", ret);
}

int doctor_sockets(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	(void)name;
	return judge_strays(d, STRAY_SOCKET, STRAY_SOCKET, "that nobody serves",
		"cleat gc --yes removes them", ret);
}

int doctor_states(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	(void)name;
	return judge_strays(d, STRAY_RUNTIME, STRAY_RUNTIME, "without a container",
		"cleat gc tells what each is, and with --yes removes what has ended", ret);
}

int doctor_temporaries(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	(void)name;
	return judge_strays(d, STRAY_TEMPORARY, STRAY_TEMPORARY, "that dead shims were writing",
		"cleat gc --yes removes them", ret);
}
