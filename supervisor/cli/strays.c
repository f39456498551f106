/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for what nobody owns. Takes no lock and changes nothing. Subtle: a start binds its socket before
 * it listens on it, and its shim writes shim.json later still; but all that time it holds the lock of a
 * folder that has its name already. So the sockets are listed first and the folders after them: where
 * every locked folder has a shim.json by then, a listed socket that none of them names has no owner, and
 * will not get one, for a name is random and no bind takes one that is there.
 */
#include "supervisor/cli/strays.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/argv.h"
#include "common/cleanup.h"
#include "common/ids.h"
#include "common/orphan.h"
#include "common/pidref.h"
#include "common/socket_file.h"
#include "common/state_dir.h"
#include "common/state_root.h"

#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define SOCKET_NAME 16 /* hex digits */
#define TEMPORARY   ".tmp-"

struct search {
	const char *root, *ns;
	struct strays *found;
	struct argv named; /* the sockets that folders name */
	char *starting;	   /* NS/ID of a shim that has not said its socket yet; NULL: none */
	struct error *err;
};

static const char *const kind_names[] = {
	[STRAY_SOCKET] = "socket",
	[STRAY_UNFINISHED] = "unfinished",
	[STRAY_CONTAINER] = "container",
	[STRAY_ORPHAN] = "orphan",
	[STRAY_RUNTIME] = "runtime",
	[STRAY_TEMPORARY] = "temporary",
};
_Static_assert(sizeof(kind_names) / sizeof(*kind_names) == _STRAY_KIND_MAX, "a name for each");

const char *stray_kind_name(enum stray_kind kind)
{
	return kind_names[kind];
}

static void stray_deinit(struct stray *s)
{
	free(s->ns);
	free(s->id);
	free(s->name);
	free(s->what);
	free(s->why);
}

void strays_deinit(struct strays *s)
{
	for (size_t i = 0; i < s->n; i++)
		stray_deinit(&s->v[i]);
	free(s->v);
	*s = STRAYS_INIT;
}

static int no_memory(struct error *err)
{
	return error_errno(err, -ENOMEM, "what has no owner");
}

/* Takes over why, also on failure; the rest is copied. why NULL: no memory. */
static int add(struct search *s, const struct stray *like, char *why_take)
{
	struct stray stray = { .kind = like->kind, .fate = like->fate, .why = why_take };
	struct strays *all = s->found;
	struct stray *grown = realloc(all->v, (all->n + 1) * sizeof(*grown));

	if (grown)
		all->v = grown;
	stray.ns = like->ns ? strdup(like->ns) : NULL;
	stray.id = like->id ? strdup(like->id) : NULL;
	stray.name = like->name ? strdup(like->name) : NULL;
	stray.what = strdup(like->what);
	if (!grown || !stray.why || !stray.what || (like->ns && !stray.ns) ||
		(like->id && !stray.id) || (like->name && !stray.name)) {
		stray_deinit(&stray);
		return no_memory(s->err);
	}
	all->v[all->n++] = stray;
	return 0;
}

/* One that is a path below ROOT. */
static int add_path(struct search *s, struct stray *like, char *why_take, const char *path)
{
	_cleanup_free_ char *what = NULL;

	if (asprintf(&what, "%s/%s", s->root, path) < 0) {
		free(why_take);
		return no_memory(s->err);
	}
	like->what = what;
	return add(s, like, why_take);
}

__attribute__((format(printf, 1, 2))) static char *text(const char *fmt, ...)
{
	char *made = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&made, fmt, args);
	va_end(args);
	return n < 0 ? NULL : made;
}

/* The name in a command: with its namespace, where that is not the default. */
static char *delete_command(const struct state_dir *dir, bool force)
{
	bool is_default = strcmp(dir->ns, "default") == 0;

	return text("cleat %s%s%sdelete%s %s", is_default ? "" : "-n ", is_default ? "" : dir->ns,
		is_default ? "" : " ", force ? " --force" : "", dir->id);
}

/* --- containers' folders --- */

static bool lives(pid_t pid, uint64_t start_time)
{
	_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
	struct proc_stat stat;

	return pid > 0 && pidref_open_same(pid, start_time, &p) == 0 &&
	       proc_stat_read(pid, &stat) == 0 && stat.state != 'Z';
}

static bool runs(const struct container_record *r)
{
	bool any = lives(r->pid, r->start_time);

	for (size_t i = 0; i < r->n_execs && !any; i++)
		any = lives(r->execs[i].pid, r->execs[i].start_time);
	return any;
}

static bool is_temporary(const char *name)
{
	return strncmp(name, TEMPORARY, strlen(TEMPORARY)) == 0;
}

static int add_temporaries(struct search *s, const struct state_dir *dir)
{
	_cleanup_argv_ struct argv names = ARGV_INIT;
	int r = state_list_names(dir->fd, is_temporary, &names);

	if (r < 0)
		return error_errno(s->err, r, "container %s: state folder", dir->id);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		struct stray like = { STRAY_TEMPORARY, STRAY_GOES, dir->ns, dir->id, names.v[i] };
		_cleanup_free_ char *path = text("c/%s/%s/%s", dir->ns, dir->id, names.v[i]);

		r = path ? add_path(s, &like, text("the shim that was writing it is dead"), path)
			 : no_memory(s->err);
	}
	return r;
}

/* Its shim is dead, and nothing of it runs. */
static char *ended_why(const struct state_dir *dir)
{
	_cleanup_free_ char *command = delete_command(dir, false);
	struct exit_entry e = { 0 };
	bool found = false;
	char *why;

	if (!command)
		return NULL;
	if (orphan_exit(dir, &found, &e, NULL) == 0 && found && e.known)
		why = text("has an exit (%u) that nobody fetched: %s", e.status, command);
	else
		why = text("has ended without its shim, and how is not known: %s", command);
	exit_entry_deinit(&e);
	return why;
}

static int add_container(
	struct search *s, const struct state_dir *dir, const struct container_record *r)
{
	_cleanup_free_ char *command = delete_command(dir, true), *what = NULL;
	struct stray like = { STRAY_CONTAINER, STRAY_LEFT, dir->ns, dir->id };
	char *why;
	int code;

	if (!command || asprintf(&what, "%s/%s", dir->ns, dir->id) < 0)
		return no_memory(s->err);
	like.what = what;
	if (r->making.is_so) {
		why = text("was being created when its shim died: %s", command);
	} else if (runs(r)) {
		like.kind = STRAY_ORPHAN;
		why = text("runs, though its shim is dead: %s", command);
	} else {
		like.fate = STRAY_KEPT;
		why = ended_why(dir);
	}
	code = add(s, &like, why);
	return code == 0 ? add_temporaries(s, dir) : code;
}

static int add_broken(struct search *s, const struct state_dir *dir, const struct error *wrong)
{
	_cleanup_free_ char *what = text("%s/%s", dir->ns, dir->id);
	struct stray like = { STRAY_CONTAINER, STRAY_LEFT, dir->ns, dir->id, NULL, what };

	return what ? add(s, &like, text("%s", error_message(wrong))) : no_memory(s->err);
}

static int add_unfinished(struct search *s, const struct state_dir *dir)
{
	struct stray like = { STRAY_UNFINISHED, STRAY_GOES, dir->ns, dir->id };
	_cleanup_free_ char *path = text("c/%s/%s", dir->ns, dir->id);

	return path ? add_path(s, &like, text("its start died before there was a container"), path)
		    : no_memory(s->err);
}

/* A folder whose lock is free. */
static int look_at_dead(struct search *s, const struct state_dir *dir)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	_cleanup_error_ struct error wrong = ERROR_INIT;
	struct stat st;
	int r;

	if (fstatat(dir->fd, "lock", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* it is being removed, or none of ours */
	r = container_record_read(dir, &record, &wrong);
	if (r == CODE_NOT_FOUND)
		return add_unfinished(s, dir);
	return r == 0 ? add_container(s, dir, &record) : add_broken(s, dir, &wrong);
}

static int note_starting(struct search *s, const struct state_dir *dir)
{
	if (!s->starting)
		s->starting = text("%s/%s", dir->ns, dir->id);
	return s->starting ? 0 : no_memory(s->err);
}

static int look_at_folder(const char *ns, const char *id, void *userdata)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_(shim_record_deinit) struct shim_record shim = { 0 };
	struct search *s = userdata;
	bool is_locked;
	int r = 0;

	if (state_dir_open(s->root, ns, id, &dir, NULL) != 0)
		return 0;
	is_locked = state_dir_is_locked(&dir); /* before its record: see above */
	if (shim_record_read(&dir, &shim, NULL) == 0 && shim.socket)
		r = argv_add(&s->named, shim.socket) < 0 ? no_memory(s->err) : 0;
	else if (is_locked)
		r = note_starting(s, &dir);
	if (r != 0 || is_locked || (s->ns && strcmp(s->ns, ns) != 0))
		return r;
	return look_at_dead(s, &dir);
}

/* --- sockets --- */

static bool is_socket_name(const char *name)
{
	return strlen(name) == SOCKET_NAME && strspn(name, "0123456789abcdef") == SOCKET_NAME;
}

/* Folders may name it by another way to ROOT; its name is random enough. */
static bool is_named(const struct search *s, const char *name)
{
	for (size_t i = 0; i < s->named.n; i++) {
		const char *slash = strrchr(s->named.v[i], '/');

		if (slash && strcmp(slash + 1, name) == 0)
			return true;
	}
	return false;
}

static int look_at_socket(struct search *s, int folder, const char *name)
{
	struct stray like = { .kind = STRAY_SOCKET, .name = (char *)name };
	char path[SOCKET_NAME + 3];
	char *why;

	if (is_named(s, name) || !socket_file_is_dead(folder, name))
		return 0;
	snprintf(path, sizeof(path), "s/%s", name);
	like.fate = s->starting ? STRAY_LEFT : STRAY_GOES;
	if (s->starting)
		why = text("nobody serves it, unless the shim of %s does that is just starting",
			s->starting);
	else
		why = text("nobody serves it, and no container has it");
	return add_path(s, &like, why, path);
}

/* --- what runtimes keep --- */

static int look_at_state(struct search *s, const char *ns, const char *id, bool ask)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	struct stray like = { STRAY_RUNTIME, STRAY_LEFT, (char *)ns, (char *)id };
	_cleanup_free_ char *path = text("r/%s/%s", ns, id);
	char *why = NULL;
	int r;

	if (state_dir_open(s->root, ns, id, &dir, NULL) != CODE_NOT_FOUND)
		return 0;
	if (!path)
		return no_memory(s->err);
	r = ask ? stray_judge_runtime(s->root, ns, id, &like.fate, &why, s->err) : 0;
	if (r != 0)
		return r;
	return add_path(s, &like, ask ? why : text("no container has it"), path);
}

static int look_at_states(struct search *s, int r_fd, const char *ns, bool ask)
{
	_cleanup_close_ int fd = openat(r_fd, ns, OPEN_FOLDER);
	_cleanup_argv_ struct argv ids = ARGV_INIT;
	int r = fd < 0 ? -errno : state_list_names(fd, id_is_valid, &ids);

	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0;
	if (r < 0)
		return error_errno(s->err, r, "%s/r/%s", s->root, ns);
	for (size_t i = 0; i < ids.n && r == 0; i++) {
		struct stat st;

		if (fstatat(fd, ids.v[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
			r = look_at_state(s, ns, ids.v[i], ask);
	}
	return r;
}

static int look_for_states(struct search *s, int root, bool ask)
{
	_cleanup_close_ int fd = openat(root, "r", OPEN_FOLDER);
	_cleanup_argv_ struct argv names = ARGV_INIT;
	int r = fd < 0 ? -errno : state_list_names(fd, id_is_valid, &names);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_errno(s->err, r, "%s/r", s->root);
	for (size_t i = 0; i < names.n && r == 0; i++)
		if (!s->ns || strcmp(s->ns, names.v[i]) == 0)
			r = look_at_states(s, fd, names.v[i], ask);
	return r;
}

/* --- all --- */

static int compare(const void *a, const void *b)
{
	const struct stray *x = a, *y = b;

	return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->what, y->what);
}

static int search(struct search *s, int root, bool ask)
{
	_cleanup_close_ int fd = openat(root, "s", OPEN_FOLDER);
	_cleanup_argv_ struct argv sockets = ARGV_INIT;
	int r = 0;

	if (fd < 0 && errno != ENOENT)
		return error_errno(s->err, -errno, "%s/s", s->root);
	if (fd >= 0 && !s->ns)
		r = state_list_names(fd, is_socket_name, &sockets);
	if (r < 0)
		return error_errno(s->err, r, "%s/s", s->root);
	r = state_each(s->root, NULL, look_at_folder, s, s->err);
	for (size_t i = 0; i < sockets.n && r == 0; i++)
		r = look_at_socket(s, fd, sockets.v[i]);
	return r == 0 ? look_for_states(s, root, ask) : r;
}

int strays_find(const char *root, const char *ns, bool ask, struct strays *ret, struct error *err)
{
	_cleanup_strays_ struct strays found = STRAYS_INIT;
	struct search s = { .root = root, .ns = ns, .found = &found, .err = err };
	_cleanup_close_ int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT) {
		*ret = STRAYS_INIT;
		return 0;
	}
	if (fd < 0)
		return error_errno(err, -errno, "%s", root);
	r = search(&s, fd, ask);
	argv_deinit(&s.named);
	free(s.starting);
	if (r != 0)
		return r;
	if (found.n > 1)
		qsort(found.v, found.n, sizeof(*found.v), compare);
	*ret = found;
	found = STRAYS_INIT;
	return 0;
}
