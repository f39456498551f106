/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists. Changes nothing. Subtle: Info is answered after every event that the shim has sent before, so
 * what a list waits for is at least as new as anything that its caller can have seen by another way.
 */
#include "supervisor/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/pbtime.h"
#include "supervisor/forward.h"
#include "supervisor/member_link.h"
#include "supervisor/registry.h"
#include "supervisor/supervisor.h"
#include "tasks.pb-c.h"

#define STATUS_UNKNOWN 255u

/* A list whose shims are being asked. */
struct listing {
	struct list listings_link;
	struct supervisor *supervisor;
	struct ttrpc_call *call;
	listing_reply_fn reply;
	char *ns;
};

static char *text(const char *s)
{
	return (char *)(s ? s : "");
}

void listing_fill_process(const struct member *m, const struct member_process *p,
	Containerd__V1__Types__Process *ret, Google__Protobuf__Timestamp *exited_at)
{
	containerd__v1__types__process__init(ret);
	ret->container_id = m->id;
	ret->id = text(p->exec_id);
	ret->pid = p->pid;
	ret->status = m->is_unknown ? CONTAINERD__V1__TYPES__STATUS__UNKNOWN : p->status;
	ret->stdin = text(p->stdin_uri);
	ret->stdout = text(p->stdout_uri);
	ret->stderr = text(p->stderr_uri);
	ret->terminal = p->terminal;
	if (p->exited)
		ret->exit_status = p->exit_known ? p->exit_status : STATUS_UNKNOWN;
	ret->exited_at = pbtime_set(exited_at, p->exited_at);
}

void listing_fill_container(const struct member *m, struct listed_container *ret)
{
	const struct member_process *init = member_init_process(m);
	Cleat__V1__Container *c = &ret->container;

	cleat__v1__container__init(c);
	c->id = m->id;
	c->namespace_ = m->ns;
	c->status = text(member_word(m));
	c->bundle = text(m->bundle);
	c->runtime = text(m->runtime);
	c->created_at = pbtime_set(&ret->created_at, m->created_at);
	c->shim_pid = m->state == LINK_LOST ? 0 : m->shim_pid;
	c->socket = text(m->socket);
	c->version = text(m->version);
	c->epoch = m->epoch;
	c->problem = text(m->problem);
	if (!init)
		return;
	c->terminal = init->terminal;
	c->pid = init->exited ? 0 : init->pid;
	c->exit_known = init->exited && init->exit_known;
	c->exit_status = c->exit_known ? init->exit_status : 0;
	c->exited_at = init->exited ? pbtime_set(&ret->exited_at, init->exited_at) : NULL;
}

/* --- the answers --- */

void listing_reply_tasks(struct supervisor *s, struct ttrpc_call *call, const char *ns)
{
	Containerd__Services__Tasks__V1__ListTasksResponse to =
		CONTAINERD__SERVICES__TASKS__V1__LIST_TASKS_RESPONSE__INIT;
	const struct registry *r = s->registry;
	const struct registry_part part = registry_part(r, ns);
	struct {
		Containerd__V1__Types__Process process;
		Google__Protobuf__Timestamp exited_at;
	} *seen = calloc(part.end - part.begin + 1, sizeof(*seen));

	to.tasks = calloc(part.end - part.begin + 1, sizeof(*to.tasks));
	for (size_t i = part.begin; seen && to.tasks && i < part.end; i++) {
		const struct member_process *init = member_init_process(r->v[i]);

		if (!init || !member_is_shown(r->v[i]))
			continue;
		listing_fill_process(
			r->v[i], init, &seen[to.n_tasks].process, &seen[to.n_tasks].exited_at);
		to.tasks[to.n_tasks] = &seen[to.n_tasks].process;
		to.n_tasks++;
	}
	if (seen && to.tasks)
		ttrpc_call_reply(call, &to.base);
	else
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for a list");
	free(to.tasks);
	free(seen);
}

void listing_reply_containers(struct supervisor *s, struct ttrpc_call *call, const char *ns)
{
	Cleat__V1__ListResponse to = CLEAT__V1__LIST_RESPONSE__INIT;
	const struct registry *r = s->registry;
	const struct registry_part part = registry_part(r, ns);
	struct listed_container *seen = calloc(part.end - part.begin + 1, sizeof(*seen));

	to.containers = calloc(part.end - part.begin + 1, sizeof(*to.containers));
	for (size_t i = part.begin; seen && to.containers && i < part.end; i++) {
		if (!member_is_shown(r->v[i]))
			continue;
		listing_fill_container(r->v[i], &seen[to.n_containers]);
		to.containers[to.n_containers] = &seen[to.n_containers].container;
		to.n_containers++;
	}
	if (seen && to.containers)
		ttrpc_call_reply(call, &to.base);
	else
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for a list");
	free(to.containers);
	free(seen);
}

/* --- asking --- */

static void listing_free(struct listing *l)
{
	list_unlink(&l->listings_link);
	free(l->ns);
	free(l);
}

static void on_left(void *userdata)
{
	listing_free(userdata);
}

/* Those that have been silent for longest, the longest first. */
struct silent {
	struct member *v[LISTING_TURN];
	size_t n;
};

static void add_silent(struct silent *s, struct member *m)
{
	size_t i = s->n;

	if (i == LISTING_TURN && s->v[i - 1]->heard <= m->heard)
		return;
	if (i < LISTING_TURN)
		s->n++;
	else
		i--;
	for (; i > 0 && s->v[i - 1]->heard > m->heard; i--)
		s->v[i] = s->v[i - 1];
	s->v[i] = m;
}

/* Of the part, without those that are being asked, or have said something in this very moment. */
static void find_silent(const struct registry *r, struct registry_part part, struct silent *ret)
{
	int64_t now = clock_monotonic_ms();

	ret->n = 0;
	for (size_t i = part.begin; i < part.end; i++) {
		struct member *m = r->v[i];

		if (member_is_linked(m) && !m->asked && !m->late && m->heard < now)
			add_silent(ret, m);
	}
}

/* Every one, where they are few; else those that have been silent for longest. */
static void ask(const struct registry *r, const char *ns)
{
	const struct registry_part part = registry_part(r, ns);
	struct silent silent;

	if (part.end - part.begin > LISTING_ALL) {
		find_silent(r, part, &silent);
		for (size_t i = 0; i < silent.n; i++)
			member_ask(silent.v[i]);
		return;
	}
	for (size_t i = part.begin; i < part.end; i++)
		if (!r->v[i]->late)
			member_ask(r->v[i]);
}

static bool is_waiting(const struct registry *r, const char *ns)
{
	const struct registry_part part = registry_part(r, ns);

	for (size_t i = part.begin; i < part.end; i++)
		if (r->v[i]->asked && !r->v[i]->late)
			return true;
	return false;
}

void listing_step(struct supervisor *s)
{
	struct list *pos, *next;

	list_for_each_safe (pos, next, &s->listings) {
		struct listing *l = list_entry(pos, struct listing, listings_link);
		struct ttrpc_call *call = l->call;

		if (is_waiting(s->registry, l->ns))
			continue;
		l->reply(s, call, l->ns);
		listing_free(l);
	}
}

void listing_begin(
	struct supervisor *s, struct ttrpc_call *call, const char *ns, listing_reply_fn reply)
{
	struct listing *l;

	ask(s->registry, ns);
	if (!is_waiting(s->registry, ns)) {
		reply(s, call, ns);
		return;
	}
	l = calloc(1, sizeof(*l));
	if (!l || (ns && !(l->ns = strdup(ns)))) {
		free(l);
		reply(s, call, ns);
		return;
	}
	l->supervisor = s;
	l->call = call;
	l->reply = reply;
	list_init(&l->listings_link);
	list_append(&s->listings, &l->listings_link);
	ttrpc_call_keep(call, on_left, NULL, l);
}
