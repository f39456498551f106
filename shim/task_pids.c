/* SPDX-License-Identifier: Apache-2.0 */
/* Pids as Task tells them. Subtle: the container may have gone while a runtime was asked. */
#include "shim/task_pids.h"

#include <stdlib.h>

#include "common/cleanup.h"
#include "runc_options.pb-c.h"
#include "shim/request.h"
#include "task.pb-c.h"

/* Room for a ProcessDetails: one id with its tag and length. */
#define DETAILS_ROOM (LIMIT_ID + 2u)

struct told_pid {
	Containerd__V1__Types__ProcessInfo info;
	Google__Protobuf__Any any;
	uint8_t details[DETAILS_ROOM];
};

/* containerd names only execs: of the init and of strays there is nothing to say. */
static void tell_exec(struct told_pid *t, const struct process *p)
{
	Containerd__Runc__V1__ProcessDetails details = CONTAINERD__RUNC__V1__PROCESS_DETAILS__INIT;

	details.exec_id = p->exec_id;
	if (protobuf_c_message_get_packed_size(&details.base) > sizeof(t->details))
		return;
	google__protobuf__any__init(&t->any);
	t->any.type_url = (char *)"containerd.runc.v1.ProcessDetails";
	t->any.value.len = protobuf_c_message_pack(&details.base, t->details);
	t->any.value.data = t->details;
	t->info.info = &t->any;
}

static void reply(struct request *r, const pid_t *pids, size_t n)
{
	Containerd__Task__V2__PidsResponse response = CONTAINERD__TASK__V2__PIDS_RESPONSE__INIT;
	_cleanup_free_ struct told_pid *told = calloc(n + 1, sizeof(*told));
	_cleanup_free_ Containerd__V1__Types__ProcessInfo **infos = calloc(n + 1, sizeof(*infos));
	struct container *c = request_container(r->shim);

	if (!told || !infos) {
		ttrpc_call_fail(r->call, CODE_RESOURCE_EXHAUSTED, "no memory for the pids");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct process *p = c ? container_find_pid(c, pids[i]) : NULL;

		containerd__v1__types__process_info__init(&told[i].info);
		told[i].info.pid = (uint32_t)pids[i];
		if (p && !p->is_init)
			tell_exec(&told[i], p);
		infos[i] = &told[i].info;
	}
	response.n_processes = n;
	response.processes = infos;
	ttrpc_call_reply(r->call, &response.base);
}

void task_pids_done(const struct error *err, const pid_t *pids, size_t n_pids, void *userdata)
{
	struct request *r = userdata;

	if (r->call && err->code == CODE_OK) {
		reply(r, pids, n_pids);
		r->call = NULL;
	}
	request_done(err, NULL, r);
}
