/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim.json and state.json. Never believes what it reads: another's hand may have been in it.
 * Subtle: `epoch` has 64 bits and is written as a string of digits, since most readers of JSON
 * keep 53.
 */
#include "common/state_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/text.h"

#define VERSION 1

/* A string; NULL is "". Paths may hold bytes that are not UTF-8, which JSON cannot: '?' there. */
static json_t *pack_text(const char *s)
{
	_cleanup_free_ char *valid = NULL;

	if (!s || text_is_utf8(s))
		return json_string(s ? s : "");
	valid = text_valid(s, strlen(s), SIZE_MAX - 8);
	return valid ? json_string(valid) : NULL;
}

/* Writes j_take as NAME in dir. */
static int write_json(
	const struct state_dir *dir, const char *name, json_t *j_take, struct error *err)
{
	_cleanup_json_ json_t *j = j_take;
	_cleanup_free_ char *text = j ? json_text(j) : NULL;
	int r = text ? file_write_atomic(dir->fd, name, text, strlen(text), 0600) : -ENOMEM;

	return r < 0 ? error_errno(err, r, "container %s: %s", dir->id, name) : 0;
}

static int broken(const struct state_dir *dir, const char *name, const char *how, struct error *err)
{
	return error_set(err, CODE_INTERNAL, "container %s: %s: %s", dir->id, name, how);
}

/* Reads NAME of dir, an object of a version that we know. */
static int read_json(const struct state_dir *dir, const char *name, json_t **ret, struct error *err)
{
	_cleanup_json_ json_t *j = NULL;
	int r = json_read_file(dir->fd, name, LIMIT_STATE_JSON, name, &j, err);
	int64_t v;

	if (r != 0) {
		error_wrap(err, "container %s", dir->id);
		/* not the caller's argument: our own file */
		if (err && r == CODE_INVALID_ARGUMENT)
			err->code = CODE_INTERNAL;
		return r == CODE_INVALID_ARGUMENT ? CODE_INTERNAL : r;
	}
	if (!json_is_object(j))
		return broken(dir, name, "must be an object", err);
	if (json_need_int(j, "v", name, &v, NULL) != 0)
		return broken(dir, name, "has no version", err);
	if (v > VERSION)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: %s has version %" PRId64 ", this program knows %d: a newer "
			"cleat made it",
			dir->id, name, v, VERSION);
	if (v < 1)
		return broken(dir, name, "has no version", err);
	*ret = TAKE_PTR(j);
	return 0;
}

/* A reader of fields: the first that is not what was promised sticks. */
struct reader {
	const json_t *obj;
	const char *bad; /* the key; NULL while all is well */
	bool no_memory;
};

static char *take_string(struct reader *r, const char *key)
{
	const json_t *j = json_object_get(r->obj, key);
	char *copy;

	if (!json_is_string(j)) {
		r->bad = r->bad ? r->bad : key;
		return NULL;
	}
	copy = strdup(json_string_value(j));
	r->no_memory |= !copy;
	return copy;
}

/* The same, "" where it is missing. */
static char *take_later_string(struct reader *r, const char *key)
{
	char *empty;

	if (json_object_get(r->obj, key))
		return take_string(r, key);
	empty = strdup("");
	r->no_memory |= !empty;
	return empty;
}

static int64_t take_int(struct reader *r, const char *key, int64_t low, int64_t high)
{
	const json_t *j = json_object_get(r->obj, key);
	int64_t n = json_is_integer(j) ? json_integer_value(j) : low;

	if (!json_is_integer(j) || n < low || n > high) {
		r->bad = r->bad ? r->bad : key;
		return low;
	}
	return n;
}

static bool take_bool(struct reader *r, const char *key)
{
	const json_t *j = json_object_get(r->obj, key);

	if (!json_is_boolean(j))
		r->bad = r->bad ? r->bad : key;
	return json_is_true(j);
}

static char *take_status(struct reader *r)
{
	static const char *const words[] = { "created", "running", "paused", "pausing", "stopped" };
	char *status = take_string(r, "status");

	for (size_t i = 0; status && i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(status, words[i]) == 0)
			return status;
	r->bad = r->bad ? r->bad : "status";
	return status;
}

/* 0, or the code of what reader stumbled on. */
static int reader_end(
	const struct reader *r, const struct state_dir *dir, const char *name, struct error *err)
{
	if (r->bad)
		return error_set(err, CODE_INTERNAL, "container %s: %s: %s is missing or wrong",
			dir->id, name, r->bad);
	if (r->no_memory)
		return error_errno(err, -ENOMEM, "container %s: %s", dir->id, name);
	return 0;
}

int shim_record_write(const struct state_dir *dir, const struct shim_record *r, struct error *err)
{
	char epoch[24];

	snprintf(epoch, sizeof(epoch), "%" PRIu64, r->epoch);
	return write_json(dir, "shim.json",
		json_pack("{s:i, s:I, s:I, s:o, s:o, s:s}", "v", VERSION, "pid", (json_int_t)r->pid,
			"start_time", (json_int_t)r->start_time, "socket", pack_text(r->socket),
			"version", pack_text(r->version), "epoch", epoch),
		err);
}

static uint64_t take_epoch(struct reader *r)
{
	_cleanup_free_ char *text = take_string(r, "epoch");
	unsigned long long epoch = 0;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	epoch = strtoull(text, &end, 10);
	if (errno || *end || text[strspn(text, "0123456789")] || !*text)
		r->bad = r->bad ? r->bad : "epoch";
	return epoch;
}

int shim_record_read(const struct state_dir *dir, struct shim_record *ret, struct error *err)
{
	_cleanup_(shim_record_deinit) struct shim_record record = { 0 };
	_cleanup_json_ json_t *j = NULL;
	struct reader r = { 0 };
	int code = read_json(dir, "shim.json", &j, err);

	if (code != 0)
		return code;
	r.obj = j;
	record.pid = (pid_t)take_int(&r, "pid", 1, LIMIT_PID_VALUE);
	record.start_time = (uint64_t)take_int(&r, "start_time", 0, INT64_MAX);
	record.socket = take_string(&r, "socket");
	record.version = take_string(&r, "version");
	record.epoch = take_epoch(&r);
	code = reader_end(&r, dir, "shim.json", err);
	if (code != 0)
		return code;
	*ret = record;
	record = (struct shim_record){ 0 };
	return 0;
}

void shim_record_deinit(struct shim_record *r)
{
	free(r->socket);
	free(r->version);
	*r = (struct shim_record){ 0 };
}

/* Appends item_take. NULL, with all freed, if either is NULL. */
static json_t *append(json_t *array_take, json_t *item_take)
{
	if (json_array_append_new(array_take, item_take) == 0)
		return array_take;
	json_decref(array_take);
	return NULL;
}

static json_t *pack_strings(char *const *strings)
{
	json_t *array = json_array();

	for (; array && strings && *strings; strings++)
		array = append(array, pack_text(*strings));
	return array;
}

static json_t *pack_execs(const struct container_record *r)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < r->n_execs; i++) {
		const struct exec_record *e = &r->execs[i];

		json_t *packed = json_pack("{s:o, s:o, s:I, s:I}", "exec_id", pack_text(e->exec_id),
			"status", pack_text(e->status), "pid", (json_int_t)e->pid, "start_time",
			(json_int_t)e->start_time);

		if (e->stdout_uri && *e->stdout_uri)
			json_object_set_new(packed, "stdout", pack_text(e->stdout_uri));
		if (e->stderr_uri && *e->stderr_uri)
			json_object_set_new(packed, "stderr", pack_text(e->stderr_uri));
		array = append(array, packed);
	}
	return array;
}

static json_t *pack_runtime(const struct container_record *r)
{
	return json_pack("{s:o, s:o, s:o, s:b, s:o}", "command", pack_text(r->runtime), "kind",
		pack_text(r->runtime_kind), "root", pack_text(r->runtime_root), "systemd_cgroup",
		(int)r->systemd_cgroup, "options", pack_strings(r->runtime_options));
}

static json_t *pack_stdio(const struct container_record *r)
{
	return json_pack("{s:o, s:o, s:o}", "stdin", pack_text(r->stdin_uri), "stdout",
		pack_text(r->stdout_uri), "stderr", pack_text(r->stderr_uri));
}

/* Takes j over; NULL if either part cannot be made. */
static json_t *add_making(json_t *j_take, const struct container_record *r)
{
	json_t *making;

	if (!j_take || !r->making.is_so)
		return j_take;
	making = json_pack("{s:I, s:I, s:o}", "pid", (json_int_t)r->making.pid, "start_time",
		(json_int_t)r->making.start_time, "cgroups", pack_strings(r->making.cgroups));
	if (json_object_set_new(j_take, "making", making) == 0)
		return j_take;
	json_decref(j_take);
	return NULL;
}

int container_record_write(
	const struct state_dir *dir, const struct container_record *r, struct error *err)
{
	char created[CLOCK_TEXT_MAX];

	clock_format(r->created, created);
	/* what "o" is given is taken over, also when packing fails */
	return write_json(dir, "state.json",
		add_making(
			json_pack(
				"{s:i, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:b, s:o, s:o, s:b, s:s, s:o}",
				"v", VERSION, "id", pack_text(r->id), "namespace", pack_text(r->ns),
				"bundle", pack_text(r->bundle), "runtime", pack_runtime(r),
				"status", pack_text(r->status), "pid", (json_int_t)r->pid,
				"start_time", (json_int_t)r->start_time, "terminal",
				(int)r->terminal, "stdio", pack_stdio(r), "rootfs",
				pack_text(r->rootfs), "rootfs_made", (int)r->rootfs_made, "created",
				created, "execs", pack_execs(r)),
			r),
		err);
}

/* What is to be unmounted: an absolute path, or "", also where an older shim wrote none. */
static void take_rootfs(struct reader *r, struct container_record *ret)
{
	if (!json_object_get(r->obj, "rootfs")) {
		ret->rootfs = strdup("");
		r->no_memory |= !ret->rootfs;
		return;
	}
	ret->rootfs = take_string(r, "rootfs");
	if (ret->rootfs && *ret->rootfs && *ret->rootfs != '/')
		r->bad = r->bad ? r->bad : "rootfs";
	ret->rootfs_made = take_bool(r, "rootfs_made");
}

/* A NULL-terminated copy of an array of strings. */
static char **take_strings(struct reader *r, const char *key)
{
	const json_t *array = json_object_get(r->obj, key);
	size_t n = json_array_size(array);
	char **strings;

	if (!json_is_array(array)) {
		r->bad = r->bad ? r->bad : key;
		return NULL;
	}
	strings = calloc(n + 1, sizeof(*strings));
	for (size_t i = 0; strings && i < n; i++) {
		const char *s = json_string_value(json_array_get(array, i));

		strings[i] = strdup(s ? s : "");
		r->no_memory |= !strings[i];
		if (!s)
			r->bad = r->bad ? r->bad : key;
		if (!strings[i])
			break;
	}
	r->no_memory |= !strings;
	return strings;
}

static void take_runtime(struct reader *outer, struct container_record *ret)
{
	struct reader r = { .obj = json_object_get(outer->obj, "runtime") };

	ret->runtime = take_string(&r, "command");
	ret->runtime_kind = take_string(&r, "kind");
	ret->runtime_root = take_string(&r, "root");
	ret->systemd_cgroup = take_bool(&r, "systemd_cgroup");
	ret->runtime_options = take_strings(&r, "options");
	if (r.bad && !outer->bad)
		outer->bad = "runtime";
	outer->no_memory |= r.no_memory;
}

static void take_stdio(struct reader *outer, struct container_record *ret)
{
	struct reader r = { .obj = json_object_get(outer->obj, "stdio") };

	ret->stdin_uri = take_string(&r, "stdin");
	ret->stdout_uri = take_string(&r, "stdout");
	ret->stderr_uri = take_string(&r, "stderr");
	if (r.bad && !outer->bad)
		outer->bad = "stdio";
	outer->no_memory |= r.no_memory;
}

static void take_making(struct reader *outer, struct container_record *ret)
{
	struct reader r = { .obj = json_object_get(outer->obj, "making") };

	if (!r.obj)
		return;
	ret->making.is_so = true;
	ret->making.pid = (pid_t)take_int(&r, "pid", 0, LIMIT_PID_VALUE);
	ret->making.start_time = (uint64_t)take_int(&r, "start_time", 0, INT64_MAX);
	ret->making.cgroups = take_strings(&r, "cgroups");
	for (char **g = ret->making.cgroups; g && *g; g++)
		if (**g != '/')
			r.bad = "cgroups";
	if (r.bad && !outer->bad)
		outer->bad = "making";
	outer->no_memory |= r.no_memory;
}

static void take_execs(struct reader *outer, struct container_record *ret)
{
	const json_t *array = json_object_get(outer->obj, "execs");
	size_t n = json_array_size(array);

	if (!json_is_array(array) || n > LIMIT_PROCESSES) {
		outer->bad = outer->bad ? outer->bad : "execs";
		return;
	}
	ret->execs = calloc(n ? n : 1, sizeof(*ret->execs));
	if (!ret->execs) {
		outer->no_memory = true;
		return;
	}
	ret->n_execs = n;
	for (size_t i = 0; i < n; i++) {
		struct reader r = { .obj = json_array_get(array, i) };
		struct exec_record *e = &ret->execs[i];

		e->exec_id = take_string(&r, "exec_id");
		e->status = take_status(&r);
		e->pid = (pid_t)take_int(&r, "pid", 0, LIMIT_PID_VALUE);
		e->start_time = (uint64_t)take_int(&r, "start_time", 0, INT64_MAX);
		e->stdout_uri = take_later_string(&r, "stdout");
		e->stderr_uri = take_later_string(&r, "stderr");
		if (r.bad && !outer->bad)
			outer->bad = "execs";
		outer->no_memory |= r.no_memory;
	}
}

static moment take_moment(struct reader *r, const char *key)
{
	_cleanup_free_ char *text = take_string(r, key);
	moment m = 0;

	if (text && clock_parse(text, &m) < 0)
		r->bad = r->bad ? r->bad : key;
	return m;
}

int container_record_read(
	const struct state_dir *dir, struct container_record *ret, struct error *err)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	_cleanup_json_ json_t *j = NULL;
	struct reader r = { 0 };
	int code = read_json(dir, "state.json", &j, err);

	if (code == CODE_NOT_FOUND)
		return error_set(err, CODE_NOT_FOUND, "container %s: was not created", dir->id);
	if (code != 0)
		return code;
	r.obj = j;
	record.id = take_string(&r, "id");
	record.ns = take_string(&r, "namespace");
	record.bundle = take_string(&r, "bundle");
	take_runtime(&r, &record);
	record.status = take_status(&r);
	record.pid = (pid_t)take_int(&r, "pid", 0, LIMIT_PID_VALUE);
	record.start_time = (uint64_t)take_int(&r, "start_time", 0, INT64_MAX);
	record.terminal = take_bool(&r, "terminal");
	take_stdio(&r, &record);
	take_rootfs(&r, &record);
	record.created = take_moment(&r, "created");
	take_making(&r, &record);
	take_execs(&r, &record);
	code = reader_end(&r, dir, "state.json", err);
	if (code != 0)
		return code;
	*ret = record;
	record = (struct container_record){ 0 };
	return 0;
}

void container_record_deinit(struct container_record *r)
{
	for (size_t i = 0; i < r->n_execs; i++) {
		free(r->execs[i].exec_id);
		free(r->execs[i].status);
		free(r->execs[i].stdout_uri);
		free(r->execs[i].stderr_uri);
	}
	for (char **s = r->runtime_options; s && *s; s++)
		free(*s);
	for (char **s = r->making.cgroups; s && *s; s++)
		free(*s);
	free(r->making.cgroups);
	free(r->execs);
	free(r->runtime_options);
	free(r->id);
	free(r->ns);
	free(r->bundle);
	free(r->runtime);
	free(r->runtime_kind);
	free(r->runtime_root);
	free(r->status);
	free(r->stdin_uri);
	free(r->stdout_uri);
	free(r->stderr_uri);
	free(r->rootfs);
	*r = (struct container_record){ 0 };
}
