/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ROOT and the folders of namespaces. Never uses a folder through a link, nor one that others
 * could have written into. Subtle: a slash at the end of a path makes the kernel follow a link
 * that O_NOFOLLOW would refuse, so it is cut off.
 */
#include "common/state_root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/ids.h"
#include "common/state_dir.h"
#include "common/text.h"

#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

char *state_default_root(void)
{
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
	char *root;

	if (geteuid() == 0)
		return strdup("/run/cleat");
	if (!runtime_dir || *runtime_dir != '/')
		return NULL;
	return asprintf(&root, "%s/cleat", runtime_dir) < 0 ? NULL : root;
}

/*
 * Copies root without slashes at its end. 0, -EINVAL for a relative one, -ENAMETOOLONG. -EILSEQ:
 * no UTF-8, so that our JSON files could not name what lies in it.
 */
static int trim_root(const char *root, char ret[static PATH_MAX])
{
	size_t n = strlen(root);

	if (*root != '/')
		return -EINVAL;
	if (!text_is_utf8(root))
		return -EILSEQ;
	while (n > 1 && root[n - 1] == '/')
		n--;
	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(ret, root, n);
	ret[n] = '\0';
	return 0;
}

static int open_root(const char *root)
{
	char path[PATH_MAX];
	int r = trim_root(root, path), fd;

	if (r < 0)
		return r;
	fd = open(path, OPEN_FOLDER);
	return fd < 0 ? -errno : fd;
}

/* Makes the folders on the way to path, as the runtimes do for theirs. */
static int make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int r;

		*slash = '\0';
		r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

/* ROOT itself may be readable by others, as systemd makes it; what is below it is not. */
static int ensure_root(const char *root)
{
	char path[PATH_MAX];
	struct stat st;
	int r = trim_root(root, path);

	if (r == 0)
		r = make_parents(path);
	if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		r = open_root(path);
	if (r < 0)
		return r;
	if (fstat(r, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
		close(r);
		return -EPERM;
	}
	return r;
}

static int ensure_in(int dir, const char *name, int *ret_fd)
{
	int r = dir_ensure(dir, name, 0700);

	if (r < 0)
		return r;
	*ret_fd = openat(dir, name, OPEN_FOLDER);
	return *ret_fd < 0 ? -errno : 0;
}

static int refuse_folder(int r, const char *root, const char *name, struct error *err)
{
	const char *slash = *name ? "/" : "";

	if (r == -ELOOP || r == -ENOTDIR)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"%s%s%s: must be a folder, not a link or a file", root, slash, name);
	if (r == -EPERM)
		return error_set(err, CODE_PERMISSION_DENIED,
			"%s%s%s: must belong to this user and be open to nobody else", root, slash,
			name);
	if (r == -EINVAL && *root != '/')
		return error_set(
			err, CODE_INVALID_ARGUMENT, "root \"%s\": must be an absolute path", root);
	if (r == -EILSEQ)
		return error_set(
			err, CODE_INVALID_ARGUMENT, "root \"%s\": must be valid UTF-8", root);
	return error_errno(err, r, "%s%s%s", root, slash, name);
}

int state_prepare(const char *root, const char *ns, struct error *err)
{
	_cleanup_close_ int root_fd = -1, c = -1, s = -1, r_fd = -1;
	int r = ns ? id_check(ns, "namespace", err) : 0;

	if (r != 0)
		return r;
	root_fd = ensure_root(root);
	if (root_fd < 0)
		return refuse_folder(root_fd, root, "", err);
	r = ensure_in(root_fd, "c", &c);
	if (r < 0)
		return refuse_folder(r, root, "c", err);
	r = ensure_in(root_fd, "s", &s);
	if (r < 0)
		return refuse_folder(r, root, "s", err);
	r = ensure_in(root_fd, "r", &r_fd);
	if (r < 0)
		return refuse_folder(r, root, "r", err);
	if (!ns)
		return 0;
	r = dir_ensure(c, ns, 0700);
	if (r == 0)
		r = dir_ensure(r_fd, ns, 0700);
	return r < 0 ? refuse_folder(r, root, ns, err) : 0;
}

/* Opens ROOT/c, or ROOT/c/NS. A descriptor or -errno. */
static int open_c(const char *root, const char *ns)
{
	_cleanup_close_ int root_fd = open_root(root), c = -1;
	int fd;

	if (root_fd < 0)
		return root_fd;
	c = openat(root_fd, "c", OPEN_FOLDER);
	if (c < 0)
		return -errno;
	if (!ns)
		return TAKE_FD(c);
	fd = openat(c, ns, OPEN_FOLDER);
	return fd < 0 ? -errno : fd;
}

int state_open_ns(const char *root, const char *ns, const char *id, int *ret_fd, struct error *err)
{
	int r = id_check(ns, "namespace", err), fd;

	if (r == 0)
		r = id_check(id, "container id", err);
	if (r != 0)
		return r;
	fd = open_c(root, ns);
	if (fd < 0)
		return refuse_folder(fd, root, "c", err);
	*ret_fd = fd;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int state_list_names(int dir, bool (*pass)(const char *name), struct argv *ret)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *entry;
	/* a descriptor of its own: a copy would share the place of reading with dir */
	int fd = openat(dir, ".", OPEN_FOLDER), r = 0;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	for (errno = 0; r == 0 && (entry = readdir(d)); errno = 0)
		if (pass(entry->d_name))
			r = argv_add(ret, entry->d_name);
	if (r == 0)
		r = -errno;
	if (r == 0 && ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), compare_names);
	return r;
}

struct walk {
	const char *root;
	int (*each)(const char *ns, const char *id, void *userdata);
	void *userdata;
	struct error *err;
};

static bool is_folder(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int walk_ns(const struct walk *w, const char *ns)
{
	_cleanup_argv_ struct argv ids = ARGV_INIT;
	_cleanup_close_ int fd = open_c(w->root, ns);
	int r = fd < 0 ? fd : state_list_names(fd, id_is_valid, &ids);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return refuse_folder(r, w->root, ns, w->err);
	for (size_t i = 0; i < ids.n; i++) {
		r = is_folder(fd, ids.v[i]) ? w->each(ns, ids.v[i], w->userdata) : 0;
		if (r != 0)
			return r;
	}
	return 0;
}

static int walk_in(const char *ns, void *userdata)
{
	return walk_ns(userdata, ns);
}

int state_each_namespace(const char *root, int (*each)(const char *ns, void *userdata),
	void *userdata, struct error *err)
{
	_cleanup_argv_ struct argv names = ARGV_INIT;
	_cleanup_close_ int fd = open_c(root, NULL);
	int r = fd < 0 ? fd : state_list_names(fd, id_is_valid, &names);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return refuse_folder(r, root, "c", err);
	for (size_t i = 0; i < names.n; i++) {
		r = is_folder(fd, names.v[i]) ? each(names.v[i], userdata) : 0;
		if (r != 0)
			return r;
	}
	return 0;
}

int state_each(const char *root, const char *ns,
	int (*each)(const char *ns, const char *id, void *userdata), void *userdata,
	struct error *err)
{
	struct walk w = { root, each, userdata, err };
	int r = ns ? id_check(ns, "namespace", err) : 0;

	if (r != 0)
		return r;
	return ns ? walk_ns(&w, ns) : state_each_namespace(root, walk_in, &w, err);
}
