/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers as JSON objects. Asks nobody: what it is given is what it tells. Subtle: an exit
 * status that is not known is null, never a number.
 */
#include "supervisor/cli/look_json.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/bundle.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/pbtime.h"
#include "common/pidref.h"
#include "common/client_dead.h"
#include "supervisor/cli/print.h"

static void set(json_t *obj, const char *key, json_t *value_take)
{
	json_object_set_new(obj, key, value_take);
}

static void set_string(json_t *obj, const char *key, const char *s)
{
	set(obj, key, print_text(s ? s : ""));
}

static void set_exit(json_t *obj, bool exited, const struct client_exit *e)
{
	set(obj, "exit_status", exited && e->known ? json_integer(e->status) : json_null());
	set(obj, "exited_at", exited ? print_moment(e->at) : json_null());
}

/* --- what the spec tells --- */

/* root.path, from the bundle if it is relative. */
static json_t *make_rootfs(const json_t *spec, const char *bundle)
{
	const char *path = json_get_string(json_object_get(spec, "root"), "path", "");

	_cleanup_free_ char *joined = NULL;

	if (!*path || *path == '/')
		return json_string(path);
	return asprintf(&joined, "%s/%s", bundle, path) < 0 ? NULL : print_text(joined);
}

/* more: what updates have laid over the document's annotations; may be NULL. */
static void set_spec(json_t *obj, json_t *spec, const char *bundle, json_t *more)
{
	const json_t *own = json_object_get(spec, "annotations");
	json_t *all = json_is_object(own) ? json_copy((json_t *)own) : json_object();

	set_string(obj, "ociVersion", json_get_string(spec, "ociVersion", ""));
	set(obj, "rootfs", make_rootfs(spec, bundle));
	json_object_update(all, more);
	if (json_object_size(all) > 0)
		json_object_set(obj, "annotations", all);
	json_decref(all);
}

/* From the config.json that the container was made from, if it is still there. */
static void set_file_spec(json_t *obj, const char *bundle, json_t *more)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct bundle b = BUNDLE_INIT;

	bundle_load(bundle, &b, &ignored);
	set_spec(obj, b.config, bundle, more);
	bundle_deinit(&b);
}

/* The one whose folder or socket it is, as runc has it. */
static void set_owner(json_t *obj, const char *path)
{
	struct passwd entry, *user = NULL;
	struct stat st;
	char text[1024];

	if (stat(path, &st) < 0) {
		set_string(obj, "owner", "");
		return;
	}
	if (getpwuid_r(st.st_uid, &entry, text, sizeof(text), &user) == 0 && user)
		set_string(obj, "owner", user->pw_name);
	else
		set(obj, "owner", json_sprintf("%u", st.st_uid));
}

/* --- from the shim --- */

static json_t *make_stream(const char *uri, const Cleat__Shim__V1__StreamCounters *c)
{
	return json_pack("{s:o, s:I, s:I}", "uri", print_text(uri), "bytes_in",
		(json_int_t)(c ? c->bytes_in : 0), "bytes_out", (json_int_t)(c ? c->bytes_out : 0));
}

static json_t *make_process(const Cleat__Shim__V1__ProcessRecord *p)
{
	const struct client_exit exit = {
		.known = p->exit_known, .status = p->exit_status, .at = pbtime_get(p->exited_at)
	};
	json_t *obj = json_object();

	set(obj, "exec_id", *p->exec_id ? json_string(p->exec_id) : json_null());
	set(obj, "pid", json_integer(p->pid));
	set_string(obj, "status", p->status);
	set_exit(obj, p->exited_at || p->exit_known, &exit);
	set(obj, "terminal", json_boolean(p->terminal));
	set(obj, "stdin", make_stream(p->stdin_uri, p->stdin));
	set(obj, "stdout", make_stream(p->stdout_uri, p->stdout));
	set(obj, "stderr", make_stream(p->stderr_uri, p->stderr));
	return obj;
}

static void set_info(json_t *obj, const Cleat__Shim__V1__InfoResponse *info)
{
	/* an orphan's init may have ended, too */
	bool exited = info->exited_at || strcmp(info->status, "stopped") == 0;
	const struct client_exit exit = { .known = info->exit_known,
		.status = info->exit_status,
		.at = pbtime_get(info->exited_at) };
	json_t *processes = json_array();

	set_string(obj, "id", info->id);
	set_string(obj, "namespace", info->namespace_);
	set_string(obj, "status", info->status);
	set(obj, "pid", json_integer(exited ? 0 : info->pid));
	set_string(obj, "bundle", info->bundle);
	set_string(obj, "runtime", info->runtime);
	set(obj, "created", print_moment(pbtime_get(info->created_at)));
	set_exit(obj, exited, &exit);
	set(obj, "shim_pid", json_integer(info->shim_pid));
	set_string(obj, "socket", info->socket);
	set(obj, "terminal", json_boolean(info->terminal));
	for (size_t i = 0; i < info->n_processes; i++)
		json_array_append_new(processes, make_process(info->processes[i]));
	set(obj, "processes", processes);
}

json_t *look_from_info(const Cleat__Shim__V1__InfoResponse *info, bool full)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	_cleanup_json_ json_t *spec = NULL, *annotations = json_object();
	json_t *obj;

	if (!*info->status)
		return NULL;
	obj = json_object();
	if (full) {
		for (size_t i = 0; i < info->n_annotations; i++)
			set_string(annotations, info->annotations[i]->key,
				info->annotations[i]->value);
		if (json_parse(info->spec.data, info->spec.len, "config.json", &spec, &ignored) ==
			0)
			set_spec(obj, spec, info->bundle, annotations);
		else
			set_file_spec(obj, info->bundle, annotations);
		set_owner(obj, info->state_dir);
	}
	set_info(obj, info);
	return obj;
}

json_t *look_from_container(const Cleat__V1__Container *c)
{
	const struct client_exit exit = {
		.known = c->exit_known, .status = c->exit_status, .at = pbtime_get(c->exited_at)
	};
	json_t *obj = json_object();

	set_string(obj, "id", c->id);
	set_string(obj, "namespace", c->namespace_);
	set_string(obj, "status", c->status);
	set(obj, "pid", json_integer(c->exited_at ? 0 : c->pid));
	set_string(obj, "bundle", c->bundle);
	set_string(obj, "runtime", c->runtime);
	set(obj, "created", print_moment(pbtime_get(c->created_at)));
	set_exit(obj, c->exited_at != NULL, &exit);
	set(obj, "shim_pid", json_integer(c->shim_pid));
	set_string(obj, "socket", c->socket);
	set(obj, "terminal", json_boolean(c->terminal));
	return obj;
}

/* --- from the files --- */

static bool is_alive(pid_t pid, uint64_t start_time)
{
	_cleanup_(pidref_close) struct pidref p = PIDREF_INIT;
	struct proc_stat st;

	return pid > 0 && pidref_open_same(pid, start_time, &p) == 0 &&
	       proc_stat_read(pid, &st) == 0 && st.state != 'Z';
}

static json_t *make_file_process(const struct state_dir *dir, const char *exec_id, pid_t pid,
	uint64_t start_time, const char *status)
{
	struct client_exit exit = { 0 };
	bool exited = pid > 0 && client_dead_exit(dir, exec_id, pid, &exit);
	json_t *obj = json_object();

	if (exited || (pid > 0 && !is_alive(pid, start_time)))
		status = "stopped";
	set(obj, "exec_id", *exec_id ? json_string(exec_id) : json_null());
	set(obj, "pid", json_integer(pid));
	set_string(obj, "status", status);
	set_exit(obj, exited, &exit);
	return obj;
}

static void set_record(
	json_t *obj, const struct state_dir *dir, const struct container_record *r, bool orphaned)
{
	json_t *processes = json_array();
	struct client_exit exit = { 0 };
	bool exited = client_dead_exit(dir, "", 0, &exit);

	set_string(obj, "id", dir->id);
	set_string(obj, "namespace", dir->ns);
	set_string(obj, "status", orphaned ? "orphaned" : r->status);
	set(obj, "pid", json_integer(!exited && is_alive(r->pid, r->start_time) ? r->pid : 0));
	set_string(obj, "bundle", r->bundle);
	set_string(obj, "runtime", r->runtime);
	set(obj, "created", print_moment(r->created));
	set_exit(obj, exited, &exit);
	set(obj, "terminal", json_boolean(r->terminal));
	json_array_append_new(
		processes, make_file_process(dir, "", r->pid, r->start_time, r->status));
	for (size_t i = 0; i < r->n_execs; i++)
		json_array_append_new(
			processes, make_file_process(dir, r->execs[i].exec_id, r->execs[i].pid,
					   r->execs[i].start_time, r->execs[i].status));
	set(obj, "processes", processes);
}

static void set_shim(json_t *obj, const struct state_dir *dir, bool orphaned)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	_cleanup_(shim_record_deinit) struct shim_record shim = { 0 };

	shim_record_read(dir, &shim, &ignored);
	set(obj, "shim_pid", json_integer(orphaned ? 0 : shim.pid));
	set_string(obj, "socket", shim.socket);
}

/* Something is there, and its files do not say what. */
static json_t *make_unknown(const struct state_dir *dir, bool orphaned)
{
	json_t *obj = json_object();

	set_string(obj, "id", dir->id);
	set_string(obj, "namespace", dir->ns);
	set_string(obj, "status", "unknown");
	set(obj, "pid", json_integer(0));
	set_string(obj, "bundle", "");
	set_string(obj, "runtime", "");
	set(obj, "created", json_null());
	set_shim(obj, dir, orphaned);
	return obj;
}

json_t *look_from_files(const struct state_dir *dir, bool orphaned, bool full, struct error *err)
{
	_cleanup_(container_record_deinit) struct container_record r = { 0 };
	int code = container_record_read(dir, &r, err);
	json_t *obj;

	if (code != 0)
		return code == CODE_NOT_FOUND || full ? NULL : make_unknown(dir, orphaned);
	obj = json_object();
	if (full) {
		set_file_spec(obj, r.bundle, NULL);
		set_owner(obj, dir->path);
	}
	set_record(obj, dir, &r, orphaned);
	set_shim(obj, dir, orphaned);
	return obj;
}
