/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes as 2017 tells them. Subtle: the container may have gone while a runtime was asked for
 * its pids.
 */
#include "shim/shim2017_processes.h"

#include <stdlib.h>

#include "common/cleanup.h"
#include "shim/request.h"
#include "shim2017.pb-c.h"
#include "types2017.pb-c.h"

typedef Cleat__Shim2017__Types__Process process_message;

/* There is no word for pausing. */
static Cleat__Shim2017__Types__Status status_on_wire(enum process_status status)
{
	static const Cleat__Shim2017__Types__Status map[_PROCESS_STATUS_MAX] = {
		[PROCESS_CREATING] = CLEAT__SHIM2017__TYPES__STATUS__UNKNOWN,
		[PROCESS_CREATED] = CLEAT__SHIM2017__TYPES__STATUS__CREATED,
		[PROCESS_RUNNING] = CLEAT__SHIM2017__TYPES__STATUS__RUNNING,
		[PROCESS_PAUSING] = CLEAT__SHIM2017__TYPES__STATUS__RUNNING,
		[PROCESS_PAUSED] = CLEAT__SHIM2017__TYPES__STATUS__PAUSED,
		[PROCESS_STOPPED] = CLEAT__SHIM2017__TYPES__STATUS__STOPPED,
		[PROCESS_DELETED] = CLEAT__SHIM2017__TYPES__STATUS__UNKNOWN,
	};

	return map[status];
}

static void tell(process_message *m, const struct process *p)
{
	cleat__shim2017__types__process__init(m);
	m->pid = (uint32_t)p->pid;
	m->terminal = p->terminal;
	m->status = status_on_wire(p->status);
	if (p->status == PROCESS_STOPPED)
		m->exit_status = request_exit_status(&p->exit);
}

/* One that we did not start: all there is to say is that it lives. */
static void tell_stray(process_message *m, pid_t pid, const struct container *c)
{
	cleat__shim2017__types__process__init(m);
	m->pid = (uint32_t)pid;
	m->status = c && c->init->status == PROCESS_PAUSED
			    ? CLEAT__SHIM2017__TYPES__STATUS__PAUSED
			    : CLEAT__SHIM2017__TYPES__STATUS__RUNNING;
}

static void no_memory(struct ttrpc_call *call)
{
	ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for the processes");
}

/* What has no pid yet has no key here: such an exec is not told. */
void shim2017_reply_state(struct ttrpc_call *call, const struct container *c)
{
	Cleat__Shim2017__StateResponse response = CLEAT__SHIM2017__STATE_RESPONSE__INIT;
	_cleanup_free_ process_message *told = calloc(c->n_processes, sizeof(*told));
	_cleanup_free_ process_message **list = calloc(c->n_processes, sizeof(*list));
	struct list *pos;
	size_t n = 0;

	if (!told || !list) {
		no_memory(call);
		return;
	}
	tell(&told[n++], c->init);
	list_for_each (pos, &c->processes) {
		const struct process *p = list_entry(pos, struct process, processes_link);

		if (p->pid)
			tell(&told[n++], p);
	}
	for (size_t i = 0; i < n; i++)
		list[i] = &told[i];
	response.id = c->id;
	response.bundle = c->bundle_path;
	response.pid = (uint32_t)c->init->pid;
	response.status = status_on_wire(c->init->status);
	response.n_processes = n;
	response.processes = list;
	ttrpc_call_reply(call, &response.base);
}

static void reply_pids(struct request *r, const pid_t *pids, size_t n)
{
	Cleat__Shim2017__ProcessesResponse response = CLEAT__SHIM2017__PROCESSES_RESPONSE__INIT;
	_cleanup_free_ process_message *told = calloc(n + 1, sizeof(*told));
	_cleanup_free_ process_message **list = calloc(n + 1, sizeof(*list));
	struct container *c = request_container(r->shim);

	if (!told || !list) {
		no_memory(r->call);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct process *p = c ? container_find_pid(c, pids[i]) : NULL;

		if (p)
			tell(&told[i], p);
		else
			tell_stray(&told[i], pids[i], c);
		list[i] = &told[i];
	}
	response.n_processes = n;
	response.processes = list;
	ttrpc_call_reply(r->call, &response.base);
}

void shim2017_pids_done(const struct error *err, const pid_t *pids, size_t n_pids, void *userdata)
{
	struct request *r = userdata;

	if (r->call && err->code == CODE_OK) {
		reply_pids(r, pids, n_pids);
		r->call = NULL;
	}
	request_done(err, NULL, r);
}
