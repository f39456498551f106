/* SPDX-License-Identifier: Apache-2.0 */
/* Events of containers for the hub. Keeps none. */
#include "supervisor/shims_events.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/pbtime.h"
#include "events.pb-c.h"
#include "supervisor/hub.h"
#include "supervisor/supervisor.h"

#define STATUS_UNKNOWN 255u

void shims_events_publish(
	struct supervisor *s, const struct member *m, const Cleat__Shim__V1__Event *event)
{
	const struct hub_event e = {
		.ns = m->ns,
		.id = m->id,
		.topic = event->topic,
		.type_url = event->event ? event->event->type_url : "",
		.payload = event->event ? event->event->value.data : NULL,
		.n_payload = event->event ? event->event->value.len : 0,
		.time = pbtime_get(event->time),
		.epoch = event->epoch,
		.seq = event->seq,
		.missed = event->missed,
		.late = event->late,
	};

	hub_publish(s->hub, &e);
}

void shims_events_publish_exit(struct supervisor *s, const struct member_process *p)
{
	Containerd__Events__TaskExit m = CONTAINERD__EVENTS__TASK_EXIT__INIT;
	Google__Protobuf__Timestamp exited_at;
	struct hub_event e = {
		.ns = p->member->ns,
		.id = p->member->id,
		.topic = "/tasks/exit",
		.type_url = "containerd.events.TaskExit",
		.time = clock_now(),
	};
	_cleanup_free_ uint8_t *payload = NULL;

	m.container_id = p->member->id;
	m.id = *p->exec_id ? (char *)p->exec_id : p->member->id;
	m.pid = p->pid;
	m.exit_status = p->exit_known ? p->exit_status : STATUS_UNKNOWN;
	m.exited_at = pbtime_set(&exited_at, p->exited_at);
	e.n_payload = containerd__events__task_exit__get_packed_size(&m);
	payload = malloc(e.n_payload);
	if (!payload)
		return; /* it is in the ledger */
	containerd__events__task_exit__pack(&m, payload);
	e.payload = payload;
	hub_publish(s->hub, &e);
}
