/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups and the folders that they are. Never opens a cgroup. The subtle rule: a group that our
 * own lies in is never taken for a container's, or killing a container could kill its host.
 */
#include "shim/cgroup_places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/fd.h"
#include "common/text.h"

#define LIMIT_PROC_FILE (16u << 20) /* a host with a hundred thousand mounts */

struct cgroup_mount {
	char *root, *point, *options; /* options: of the filesystem, the controllers among them */
	bool is_v2;
};

struct cgroup_mounts {
	struct cgroup_mount *v;
	size_t n;
};

static void mounts_deinit(struct cgroup_mounts *mounts)
{
	for (size_t i = 0; i < mounts->n; i++) {
		free(mounts->v[i].root);
		free(mounts->v[i].point);
		free(mounts->v[i].options);
	}
	free(mounts->v);
}

void cgroup_places_deinit(struct cgroup_places *places)
{
	for (size_t i = 0; i < places->n; i++) {
		free(places->v[i].controllers);
		free(places->v[i].path);
		free(places->v[i].mount);
		free(places->v[i].mount_root);
	}
	free(places->v);
	*places = CGROUP_PLACES_INIT;
}

/* Whether word is in a list that is separated by commas. */
static bool list_has(const char *list, const char *word, size_t n)
{
	while (*list) {
		size_t len = strcspn(list, ",");

		if (len == n && strncmp(list, word, n) == 0)
			return true;
		list += len;
		list += *list == ',';
	}
	return false;
}

/* One line of mountinfo (proc(5)), cut up in place; other filesystems are passed over. */
static int mount_add(struct cgroup_mounts *mounts, char *line)
{
	char *fields[6], *type, *options, *rest = NULL;
	struct cgroup_mount *grown, *m;

	for (size_t i = 0; i < 6; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &rest);
		if (!fields[i])
			return 0;
	}
	do
		type = strtok_r(NULL, " ", &rest);
	while (type && strcmp(type, "-") != 0);
	type = strtok_r(NULL, " ", &rest);
	strtok_r(NULL, " ", &rest);
	options = strtok_r(NULL, " ", &rest);
	if (!type || !options || (strcmp(type, "cgroup") != 0 && strcmp(type, "cgroup2") != 0))
		return 0;
	grown = reallocarray(mounts->v, mounts->n + 1, sizeof(*grown));
	if (!grown)
		return error_trace(-ENOMEM);
	mounts->v = grown;
	m = &grown[mounts->n++];
	text_unescape_octal(fields[3]);
	text_unescape_octal(fields[4]);
	m->root = strdup(fields[3]);
	m->point = strdup(fields[4]);
	m->options = strdup(options);
	m->is_v2 = strcmp(type, "cgroup2") == 0;
	return m->root && m->point && m->options ? 0 : error_trace(-ENOMEM);
}

static int mounts_parse(const char *text, struct cgroup_mounts *ret)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = NULL;

	if (!copy)
		return error_trace(-ENOMEM);
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		int r = mount_add(ret, line);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Whether path is prefix or lies below it; both absolute. */
static bool path_is_within(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	while (n > 0 && prefix[n - 1] == '/')
		n--;
	return strncmp(path, prefix, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Paths that lead out of our cgroup namespace say nothing about where a folder is. */
static bool path_is_plain(const char *path)
{
	return *path == '/' && strncmp(path, "/..", 3) != 0;
}

/* The mount in which the place's own path can be seen, else any mount of its hierarchy. */
static const struct cgroup_mount *mount_of(
	const struct cgroup_mounts *mounts, const struct cgroup_place *place)
{
	size_t n = strcspn(place->controllers, ",");
	const struct cgroup_mount *any = NULL;

	for (size_t i = 0; i < mounts->n; i++) {
		const struct cgroup_mount *m = &mounts->v[i];

		if (m->is_v2 != cgroup_place_is_v2(place) || !path_is_plain(m->root))
			continue;
		if (!m->is_v2 && !list_has(m->options, place->controllers, n))
			continue;
		if (path_is_within(place->path, m->root))
			return m;
		any = any ? any : m;
	}
	return any;
}

/* "4:memory:/a/b", cut up in place. */
static int place_add(struct cgroup_places *places, const struct cgroup_mounts *mounts, char *line)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	struct cgroup_place *grown, *place;
	const struct cgroup_mount *m;

	if (!path)
		return error_trace(-EBADMSG);
	*path++ = '\0';
	grown = reallocarray(places->v, places->n + 1, sizeof(*grown));
	if (!grown)
		return error_trace(-ENOMEM);
	places->v = grown;
	place = &grown[places->n++];
	*place = (struct cgroup_place){ strdup(controllers + 1), strdup(path), NULL, NULL };
	if (!place->controllers || !place->path)
		return error_trace(-ENOMEM);
	m = mount_of(mounts, place);
	if (!m)
		return 0;
	place->mount = strdup(m->point);
	place->mount_root = strdup(m->root);
	return place->mount && place->mount_root ? 0 : error_trace(-ENOMEM);
}

int cgroup_places_parse(const char *cgroup, const char *mountinfo, struct cgroup_places *ret)
{
	__attribute__((cleanup(mounts_deinit))) struct cgroup_mounts mounts = { NULL, 0 };
	_cleanup_cgroup_places_ struct cgroup_places places = CGROUP_PLACES_INIT;
	_cleanup_free_ char *copy = strdup(cgroup);
	char *rest = NULL;
	int r;

	if (!copy)
		return error_trace(-ENOMEM);
	r = mounts_parse(mountinfo, &mounts);
	if (r < 0)
		return r;
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		r = place_add(&places, &mounts, line);
		if (r < 0)
			return r;
	}
	*ret = places;
	places = CGROUP_PLACES_INIT;
	return 0;
}

static int read_text(const char *path, struct buf *ret)
{
	int r = fd_read_file(AT_FDCWD, path, ret, LIMIT_PROC_FILE);

	return r < 0 ? r : buf_append(ret, "", 1);
}

int cgroup_places_read(int pid, struct cgroup_places *ret)
{
	_cleanup_buf_ struct buf cgroup = BUF_INIT, mountinfo = BUF_INIT;
	char path[64] = "/proc/self/cgroup";
	int r;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	r = read_text(path, &cgroup);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	r = read_text("/proc/self/mountinfo", &mountinfo);
	if (r < 0)
		return r;
	return cgroup_places_parse(
		(const char *)buf_head(&cgroup), (const char *)buf_head(&mountinfo), ret);
}

char *cgroup_place_folder(const struct cgroup_place *place, const char *path)
{
	size_t n_root = place->mount_root ? strlen(place->mount_root) : 0;
	char *folder;

	if (!place->mount || !path_is_plain(path) || !path_is_within(path, place->mount_root))
		return NULL;
	if (strcmp(place->mount_root, "/") == 0)
		n_root = 0;
	path += n_root;
	if (strcmp(path, "/") == 0)
		path = "";
	return asprintf(&folder, "%s%s", place->mount, path) < 0 ? NULL : folder;
}

/* Which hierarchies say best what a container's processes are: those that every runtime uses. */
static unsigned rank(const struct cgroup_place *place)
{
	static const char *const best[] = { "pids", "memory", "freezer", "devices",
		"name=systemd" };
	const unsigned n = sizeof(best) / sizeof(*best);

	for (unsigned i = 0; i < n; i++)
		if (list_has(place->controllers, best[i], strlen(best[i])))
			return i;
	return cgroup_place_is_v2(place) ? n + 1 : n;
}

static const struct cgroup_place *same_hierarchy(
	const struct cgroup_places *places, const struct cgroup_place *place)
{
	for (size_t i = 0; i < places->n; i++)
		if (strcmp(places->v[i].controllers, place->controllers) == 0)
			return &places->v[i];
	return NULL;
}

/* Whether a place of theirs can be reached, and is theirs alone. */
static bool is_their_own(const struct cgroup_place *place, const struct cgroup_places *own)
{
	const struct cgroup_place *ours = same_hierarchy(own, place);
	_cleanup_free_ char *folder = cgroup_place_folder(place, place->path);

	return folder && ours && !path_is_within(ours->path, place->path);
}

const struct cgroup_place *cgroup_places_find(
	const struct cgroup_places *theirs, const struct cgroup_places *own, const char *controller)
{
	for (size_t i = 0; i < theirs->n; i++) {
		const struct cgroup_place *place = &theirs->v[i];
		bool found = *controller
				     ? list_has(place->controllers, controller, strlen(controller))
				     : cgroup_place_is_v2(place);

		if (found)
			return is_their_own(place, own) ? place : NULL;
	}
	return NULL;
}

const struct cgroup_place *cgroup_places_choose(
	const struct cgroup_places *theirs, const struct cgroup_places *own)
{
	const struct cgroup_place *best = NULL;

	for (size_t i = 0; i < theirs->n; i++) {
		const struct cgroup_place *place = &theirs->v[i];

		if (!is_their_own(place, own))
			continue;
		if (!best || rank(place) < rank(best))
			best = place;
	}
	return best;
}

/* Adds base/path and each folder between the two, parents first; what is in ret already is not. */
static int add_chain(struct argv *ret, const char *base, const char *path)
{
	_cleanup_free_ char *copy = strdup(path), *folder = strdup(base);
	char *rest = NULL;

	if (!copy || !folder)
		return error_trace(-ENOMEM);
	for (char *part = strtok_r(copy, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
		bool known = false;
		char *next;

		if (strcmp(part, ".") == 0)
			continue;
		if (asprintf(&next, "%s/%s", folder, part) < 0)
			return error_trace(-ENOMEM);
		free(folder);
		folder = next;
		for (size_t i = 0; i < ret->n && !known; i++)
			known = strcmp(ret->v[i], folder) == 0;
		if (!known && argv_add(ret, folder) < 0)
			return error_trace(-ENOMEM);
	}
	return 0;
}

static bool has_dotdot(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '\0' || p[2] == '/'))
			return true;
	return false;
}

/* "slice:prefix:name" */
static bool is_systemd_path(const char *path)
{
	const char *colon = strchr(path, ':');

	return *path != '/' && colon && strchr(colon + 1, ':');
}

/*
 * What a path that is not absolute is relative to: our own group; in v2 the one above it, since a
 * group that has processes can't have groups with controllers (runc, libcontainer/cgroups/fs2).
 */
static char *relative_base(const struct cgroup_place *place)
{
	char *base = cgroup_place_folder(place, place->path), *slash;

	if (!base || !cgroup_place_is_v2(place))
		return base;
	slash = strrchr(base, '/');
	if (slash && slash >= base + strlen(place->mount))
		*slash = '\0';
	return base;
}

int cgroup_places_wanted(
	const struct cgroup_places *own, const char *cgroups_path, const char *id, struct argv *ret)
{
	bool named = cgroups_path && *cgroups_path;
	const char *path = named ? cgroups_path : id;

	if (is_systemd_path(path) || has_dotdot(path))
		return 0;
	for (size_t i = 0; i < own->n; i++) {
		const struct cgroup_place *place = &own->v[i];
		_cleanup_free_ char *base = NULL;
		int r = 0;

		if (!place->mount)
			continue;
		if (*path != '/' && (base = relative_base(place)))
			r = add_chain(ret, base, path);
		/* crun's default is below the mount */
		if (r == 0 && (*path == '/' || !named))
			r = add_chain(ret, place->mount, path);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The group's path in the hierarchy of the last of folders in it that is there; own's if none is. */
static char *made_path(const struct cgroup_place *place, const struct argv *folders)
{
	size_t n = place->mount ? strlen(place->mount) : 0;
	char *path;

	for (size_t i = place->mount ? folders->n : 0; i > 0; i--) {
		const char *folder = folders->v[i - 1];
		const char *root = strcmp(place->mount_root, "/") == 0 ? "" : place->mount_root;

		if (!path_is_within(folder, place->mount) || access(folder, F_OK) < 0)
			continue;
		return asprintf(&path, "%s%s", root, folder + n) < 0 ? NULL : path;
	}
	return strdup(place->path);
}

int cgroup_places_made(
	const struct cgroup_places *own, const struct argv *folders, struct cgroup_places *ret)
{
	struct cgroup_places places = { calloc(own->n + 1, sizeof(*places.v)), 0 };

	for (; places.v && places.n < own->n; places.n++) {
		const struct cgroup_place *from = &own->v[places.n];
		struct cgroup_place *to = &places.v[places.n];

		to->controllers = strdup(from->controllers);
		to->path = made_path(from, folders);
		to->mount = from->mount ? strdup(from->mount) : NULL;
		to->mount_root = from->mount_root ? strdup(from->mount_root) : NULL;
		if (!to->controllers || !to->path || !to->mount != !from->mount ||
			!to->mount_root != !from->mount_root) {
			places.n++;
			cgroup_places_deinit(&places);
			return error_trace(-ENOMEM);
		}
	}
	if (!places.v)
		return error_trace(-ENOMEM);
	*ret = places;
	return 0;
}
