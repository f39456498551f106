/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry. Never asks a shim itself. Subtle: a folder that is told of twice changes nothing, but
 * one that was removed and made anew under the same name is another container: the old one leaves
 * first, whatever is still on its way from its shim.
 */
#include "supervisor/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/state_watch.h"
#include "supervisor/listing.h"
#include "supervisor/member_link.h"
#include "supervisor/shim_groups.h"
#include "supervisor/supervisor.h"

/* --- the sorted array --- */

static int compare(const struct member *m, const char *ns, const char *id)
{
	int r = strcmp(m->ns, ns);

	return r != 0 ? r : strcmp(m->id, id);
}

/* Where it is, or would be. */
static size_t place(const struct registry *r, const char *ns, const char *id)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(r->v[mid], ns, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct registry_part registry_part(const struct registry *r, const char *ns)
{
	if (!ns)
		return (struct registry_part){ 0, r->n };
	return (struct registry_part){ place(r, ns, ""),
		place(r, ns, "\xff") }; /* above every id */
}

struct member *registry_find(const struct registry *r, const char *ns, const char *id)
{
	size_t i = place(r, ns, id);

	return i < r->n && compare(r->v[i], ns, id) == 0 ? r->v[i] : NULL;
}

static int insert(struct registry *r, struct member *m)
{
	size_t i = place(r, m->ns, m->id);

	if (r->n == r->n_room) {
		size_t n_room = r->n_room ? 2 * r->n_room : 16;
		struct member **v = reallocarray(r->v, n_room, sizeof(*v));

		if (!v)
			return -ENOMEM;
		r->v = v;
		r->n_room = n_room;
	}
	memmove(&r->v[i + 1], &r->v[i], (r->n - i) * sizeof(*r->v));
	r->v[i] = m;
	r->n++;
	return 0;
}

/* Out of the array, if it is in it. */
static void take_out(struct registry *r, struct member *m)
{
	size_t i = place(r, m->ns, m->id);

	if (i == r->n || r->v[i] != m)
		return;
	r->n--;
	memmove(&r->v[i], &r->v[i + 1], (r->n - i) * sizeof(*r->v));
}

/* --- coming and going --- */

static struct member *add(struct registry *r, const char *ns, const char *id)
{
	struct member *m = member_new(r->supervisor, ns, id);

	if (m && insert(r, m) < 0) {
		member_free(m);
		m = NULL;
	}
	if (!m)
		log_error("no memory for a container", F_STR("namespace", ns), F_STR("id", id));
	return m;
}

struct member *registry_take(struct registry *r, const char *ns, const char *id)
{
	struct member *m = registry_find(r, ns, id);

	if (!m)
		m = add(r, ns, id);
	if (m)
		member_find_shim(m);
	return registry_find(r, ns, id);
}

struct member *registry_adopt(
	struct registry *r, const char *socket, const Cleat__Shim__V1__InfoResponse *info)
{
	struct member *m = add(r, info->namespace_, info->id);

	if (!m)
		return NULL;
	m->adopted = true;
	m->socket = strdup(socket);
	m->folder = strdup(info->state_dir);
	if (m->socket && m->folder && member_take_info(m, info) == 0)
		member_find_shim(m);
	return registry_find(r, info->namespace_, info->id);
}

void registry_remove(struct registry *r, struct member *m)
{
	take_out(r, m);
	shim_groups_leave(r->supervisor->shim_groups, m->ns, m->id);
	member_free(m);
	registry_heard(r);
}

void registry_leave(struct registry *r, struct member *m)
{
	take_out(r, m);
	if (list_is_empty(&m->leaving_link))
		list_append(&r->leaving, &m->leaving_link);
	registry_heard(r);
}

int registry_await(struct registry *r, struct member *m)
{
	return state_watch_await(r->watch, m->ns, m->id);
}

static bool is_heard(const struct member *m)
{
	return m->late || m->state != LINK_ASKING;
}

void registry_heard(struct registry *r)
{
	listing_step(r->supervisor);
	if (r->is_settled || !r->watch_event)
		return;
	for (size_t i = 0; i < r->n; i++)
		if (!is_heard(r->v[i]))
			return;
	r->is_settled = true;
	supervisor_settled(r->supervisor);
}

/* --- folders --- */

static void on_folder(const char *ns, const char *id, void *userdata)
{
	struct registry *r = userdata;
	struct member *m = registry_find(r, ns, id);

	if (!m)
		m = add(r, ns, id);
	if (!m)
		return;
	m->is_there = true;
	if (r->watch)
		member_find_shim(m);
}

static void on_gone(const char *ns, const char *id, void *userdata)
{
	struct registry *r = userdata;
	struct member *m = registry_find(r, ns, id);

	if (m && !m->adopted)
		member_folder_gone(m);
}

static void on_rescan_begin(void *userdata)
{
	struct registry *r = userdata;

	log_warn("notices of folders were lost: all are looked at again");
	for (size_t i = 0; i < r->n; i++)
		r->v[i]->is_there = r->v[i]->adopted;
}

static void on_rescan_end(void *userdata)
{
	struct registry *r = userdata;

	for (size_t i = r->n; i-- > 0;)
		if (i < r->n && !r->v[i]->is_there)
			member_folder_gone(r->v[i]);
}

static const struct state_watch_handlers *make_handlers(struct registry *r)
{
	r->handlers = (struct state_watch_handlers){
		.on_folder = on_folder,
		.on_gone = on_gone,
		.on_rescan_begin = on_rescan_begin,
		.on_rescan_end = on_rescan_end,
		.userdata = r,
	};
	return &r->handlers;
}

static void on_watch(evutil_socket_t fd, short what, void *userdata)
{
	struct registry *r = userdata;

	(void)fd;
	(void)what;
	state_watch_dispatch(r->watch);
}

/* --- the whole --- */

/* What was found while there was no watch yet to await anything by. */
static void find_shims(struct registry *r)
{
	for (size_t i = r->n; i-- > 0;)
		if (i < r->n)
			member_find_shim(r->v[i]);
}

static int begin(struct registry *r, struct error *err)
{
	int code = state_watch_new(r->supervisor->root, NULL, make_handlers(r), &r->watch, err);

	if (code != 0)
		return code;
	find_shims(r);
	r->watch_event = event_new(
		r->supervisor->base, state_watch_fd(r->watch), EV_READ | EV_PERSIST, on_watch, r);
	if (!r->watch_event || event_add(r->watch_event, NULL) < 0)
		return error_errno(err, -ENOMEM, "%s", r->supervisor->root);
	registry_heard(r);
	return 0;
}

int registry_new(struct supervisor *supervisor, struct registry **ret, struct error *err)
{
	struct registry *r = calloc(1, sizeof(*r));
	int code;

	if (!r)
		return error_errno(err, -ENOMEM, "registry");
	r->supervisor = supervisor;
	supervisor->registry = r; /* members ask for it as they are found */
	list_init(&r->leaving);
	code = begin(r, err);
	if (code != 0) {
		registry_free(r);
		supervisor->registry = NULL;
		return code;
	}
	*ret = r;
	return 0;
}

void registry_free(struct registry *r)
{
	struct member *m;

	if (!r)
		return;
	r->is_settled = true;
	while (r->n > 0)
		registry_remove(r, r->v[r->n - 1]);
	while ((m = list_first(&r->leaving, struct member, leaving_link)))
		registry_remove(r, m);
	if (r->watch_event)
		event_free(r->watch_event);
	state_watch_free(r->watch);
	free(r->v);
	free(r);
}
