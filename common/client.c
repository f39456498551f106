/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client itself: how it is opened, what its errors are, which containers there are. Subtle: the
 * caller may have been built with an older or a newer header, so options are taken by their size.
 */
#include "common/cleat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/client_look.h"
#include "common/client_private.h"
#include "common/ids.h"
#include "common/ledger.h"
#include "common/pbtime.h"
#include "common/pidref.h"
#include "common/client_dead.h"

/* --- errors --- */

PUBLIC const char *cleat_error_message(const struct cleat_error *err)
{
	return err->message ? err->message : code_name(err->code);
}

PUBLIC void cleat_error_clear(struct cleat_error *err)
{
	if (!err)
		return;
	free(err->message);
	*err = (struct cleat_error)CLEAT_ERROR_INIT;
}

void client_error_hand_over(struct client_error *e)
{
	if (e->to) {
		e->to->code = (int)e->error.code;
		e->to->message = TAKE_PTR(e->error.message);
	}
	error_clear(&e->error);
}

PUBLIC const char *cleat_version(void)
{
	return CLEAT_VERSION;
}

void client_copy_options(void *to, size_t size, const void *from)
{
	size_t known;

	memset(to, 0, size);
	if (!from)
		return;
	memcpy(&known, from, sizeof(known));
	memcpy(to, from, known < size ? known : size);
}

struct cleat_exit client_public_exit(const struct client_exit *e)
{
	return (struct cleat_exit){ e->known, e->known ? e->status : 0, e->at };
}

/* --- opening --- */

static int set_place(
	struct cleat_client *client, const struct cleat_client_options *o, struct error *err)
{
	struct client_place *place = &client->place;

	client->root = o->root ? strdup(o->root) : state_default_root();
	client->ns = strdup(o->ns ? o->ns : "default");
	if (!client->root && !o->shim)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"no folder to work in: XDG_RUNTIME_DIR is not set, and no root is named");
	if (o->shim || o->socket)
		client->socket = strdup(o->shim ? o->shim : o->socket);
	else if (asprintf(&client->socket, "%s/cleatd.sock", client->root) < 0)
		client->socket = NULL;
	if (!client->ns || !client->socket || client_lines_new(&place->lines) < 0)
		return error_errno(err, -ENOMEM, "client");
	place->via = o->shim ? CLIENT_VIA_SHIM : CLIENT_VIA_CLEATD;
	place->falls_back = !o->shim && !o->socket;
	place->socket = client->socket;
	place->root = client->root;
	place->ns = client->ns;
	place->debug = o->debug;
	place->deadline_ms = o->deadline_ms;
	return client_place_choose(place, err);
}

static int check_options(const struct cleat_client_options *o, struct error *err)
{
	if (o->socket && o->shim)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"cleatd's socket and a shim's exclude each other");
	if (o->root && *o->root != '/')
		return error_set(
			err, CODE_INVALID_ARGUMENT, "root \"%s\" is not absolute", o->root);
	return o->ns ? id_check(o->ns, "namespace", err) : 0;
}

PUBLIC int cleat_client_open(const struct cleat_client_options *options, struct cleat_client **ret,
	struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct cleat_client_options o;
	struct cleat_client *client;
	int r;

	client_copy_options(&o, sizeof(o), options);
	r = check_options(&o, &e.error);
	if (r != 0)
		return r;
	client = calloc(1, sizeof(*client));
	if (!client)
		return error_errno(&e.error, -ENOMEM, "client");
	r = set_place(client, &o, &e.error);
	if (r != 0)
		cleat_client_close(client);
	else
		*ret = client;
	return r;
}

PUBLIC void cleat_client_close(struct cleat_client *client)
{
	if (!client)
		return;
	client_lines_free(client->place.lines);
	free(client->root);
	free(client->ns);
	free(client->socket);
	free(client);
}

PUBLIC enum cleat_via cleat_client_via(const struct cleat_client *client)
{
	static const enum cleat_via via[] = {
		[CLIENT_VIA_DIRECT] = CLEAT_VIA_DIRECT,
		[CLIENT_VIA_SHIM] = CLEAT_VIA_SHIM,
		[CLIENT_VIA_CLEATD] = CLEAT_VIA_CLEATD,
	};

	return via[client->place.via];
}

/* --- the list --- */

struct listing {
	struct cleat_container *v;
	size_t n, room;
	bool no_memory;
};

static void container_deinit(struct cleat_container *c)
{
	free(c->id);
	free(c->ns);
	free(c->status);
	free(c->bundle);
	free(c->runtime);
	free(c->socket);
}

static void from_hub(struct cleat_container *c, const Cleat__V1__Container *m)
{
	c->id = strdup(m->id);
	c->ns = strdup(m->namespace_);
	c->status = strdup(m->status);
	c->bundle = strdup(m->bundle);
	c->runtime = strdup(m->runtime);
	c->socket = strdup(m->socket);
	c->created_at = pbtime_get(m->created_at);
	c->shim_pid = m->shim_pid;
	c->exited = m->exited_at != NULL;
	c->pid = c->exited ? 0 : m->pid;
	c->exit = (struct cleat_exit){ m->exit_known, m->exit_status, pbtime_get(m->exited_at) };
}

static void from_info(struct cleat_container *c, const Cleat__Shim__V1__InfoResponse *m)
{
	c->id = strdup(m->id);
	c->ns = strdup(m->namespace_);
	c->status = strdup(m->status);
	c->bundle = strdup(m->bundle);
	c->runtime = strdup(m->runtime);
	c->socket = strdup(m->socket);
	c->created_at = pbtime_get(m->created_at);
	c->shim_pid = m->shim_pid;
	c->exited = strcmp(m->status, "stopped") == 0;
	c->pid = c->exited ? 0 : m->pid;
	c->exit = (struct cleat_exit){ m->exit_known, m->exit_status, pbtime_get(m->exited_at) };
}

static bool is_alive(pid_t pid, uint64_t start_time)
{
	struct proc_stat st;

	return pid > 0 && proc_stat_read(pid, &st) == 0 && st.start_time == start_time &&
	       st.state != 'Z';
}

/* False where there is none (yet). A broken file is told as a status. */
static bool from_files(struct cleat_container *c, const struct state_dir *dir, bool is_orphan)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	_cleanup_(shim_record_deinit) struct shim_record shim = { 0 };
	_cleanup_error_ struct error ignored = ERROR_INIT;
	struct client_exit e = { 0 };
	int r = container_record_read(dir, &record, &ignored);

	if (r == CODE_NOT_FOUND)
		return false;
	error_clear(&ignored);
	shim_record_read(dir, &shim, &ignored);
	c->exited = client_dead_exit(dir, "", 0, &e);
	c->id = strdup(dir->id);
	c->ns = strdup(dir->ns);
	c->status = strdup(r != 0 ? "unknown" : is_orphan ? "orphaned" : record.status);
	c->bundle = strdup(record.bundle ? record.bundle : "");
	c->runtime = strdup(record.runtime ? record.runtime : "");
	c->socket = strdup(shim.socket ? shim.socket : "");
	c->created_at = record.created;
	c->shim_pid = is_orphan ? 0 : (uint32_t)shim.pid;
	if (!c->exited && is_alive(record.pid, record.start_time))
		c->pid = (uint32_t)record.pid;
	c->exit = client_public_exit(&e);
	return true;
}

static void drop_container(void *made)
{
	container_deinit(made);
	free(made);
}

static void *make_container(const struct client_seen *seen, void *userdata, struct error *err)
{
	struct cleat_container *c = calloc(1, sizeof(*c));
	struct listing *l = userdata;
	bool there = true;

	(void)err;
	if (!c) {
		l->no_memory = true;
		return NULL;
	}
	if (seen->container)
		from_hub(c, seen->container);
	else if (seen->info && *seen->info->status)
		from_info(c, seen->info);
	else
		there = seen->dir && from_files(c, seen->dir, seen->is_orphan);
	if (there && c->id && c->ns && c->status && c->bundle && c->runtime && c->socket)
		return c;
	l->no_memory |= there;
	drop_container(c);
	return NULL;
}

static void take_container(void *made, void *userdata)
{
	struct listing *l = userdata;
	struct cleat_container *v;

	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 16;
		v = realloc(l->v, l->room * sizeof(*v));
		if (!v) {
			l->room = l->n;
			l->no_memory = true;
			drop_container(made);
			return;
		}
		l->v = v;
	}
	l->v[l->n++] = *(struct cleat_container *)made;
	free(made);
}

PUBLIC int cleat_client_list(struct cleat_client *client, struct cleat_container **ret,
	size_t *ret_n, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct listing l = { 0 };
	const struct client_look look = { make_container, take_container, drop_container, &l };
	int r = client_look_all(&client->place, &look, &e.error);

	if (r == 0 && l.no_memory)
		r = error_errno(&e.error, -ENOMEM, "list");
	if (r != 0) {
		cleat_containers_free(l.v, l.n);
		return r;
	}
	*ret = l.v;
	*ret_n = l.n;
	return 0;
}

PUBLIC void cleat_containers_free(struct cleat_container *containers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		container_deinit(&containers[i]);
	free(containers);
}
