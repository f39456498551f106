/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What running out of memory means to a container: an event before the exit that it caused, and a
 * word in that exit's record. Never keeps a container from being made. Subtle: the kernel counts
 * kills and names nobody, so an exit is put down to it by how and when the process ended.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "shim/container_life.h"
#include "shim/oom.h"
#include "shim/shim.h"

/* What is killed for want of memory, or because such a process was its init, is gone by then. */
#define CAUSED_WITHIN 10000000000ll /* nanoseconds */

static void tell(struct container *c)
{
	const struct event_args args = { .kind = EVENT_OOM, .container_id = c->id };

	/* it may run out of memory before the runtime that makes or starts it has returned */
	c->oom_untold = !c->is_told || operation_is_running(c->init, OPERATION_START);
	if (c->oom_untold)
		return;
	log_info("the kernel killed for want of memory", F_STR("id", c->id));
	events_add(c->shim->events, &args);
}

static void on_rise(void *userdata)
{
	tell(userdata);
}

void container_oom_tell(struct container *c)
{
	if (c->oom_untold)
		tell(c);
}

static void watch(struct container *c)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	bool is_new = cgroup_has_made_memory(&c->cgroup, &c->new_cgroups);

	if (oom_watch_new(c->shim->base, &c->cgroup.folders, is_new, on_rise, c, &c->oom, &err) !=
		0)
		log_info("OOM is not watched", F_STR("id", c->id),
			F_STR("reason", error_message(&err)));
}

static int use_made(struct container *c)
{
	struct cgroup made = CGROUP_INIT;
	int r = cgroup_open_made(&c->new_cgroups, &made);

	if (r == 0 && (c->cgroup.fd < 0 || made.folders.v1[CGROUP_MEMORY] >= 0)) {
		cgroup_close(&c->cgroup);
		c->cgroup = made;
		return 0;
	}
	cgroup_close(&made);
	return r;
}

void container_find_cgroup(struct container *c, pid_t pid)
{
	int r = pid ? cgroup_open(pid, &c->cgroup) : -ESRCH;

	/*
	 * Of what is ending the kernel tells the root in every hierarchy of version 1 (and the
	 * truth in version 2): then it is what was made for it.
	 */
	if (r == -ESRCH || (r == 0 && c->cgroup.folders.v1[CGROUP_MEMORY] < 0))
		r = use_made(c);
	if (r < 0)
		log_warn("the container's cgroup cannot be read", F_STR("id", c->id),
			F_STR("error", strerror(-r)));
	watch(c);
	/* of what a group that is new has counted already, nobody was told */
	if (oom_watch_look(c->oom))
		tell(c);
}

void container_oom_unwatch(struct container *c)
{
	oom_watch_free(c->oom);
	c->oom = NULL;
}

/* Every process of a container ends with its init. */
static bool is_killed_by_us(const struct process *p)
{
	return p->kill_sent || p->container->init->kill_sent;
}

bool container_oom_look(struct container *c, const struct process *p, const struct reaped *r)
{
	bool risen = oom_watch_look(c->oom);
	moment last = oom_watch_last_rise(c->oom);
	/* a shell hands on how its child ended */
	bool killed = r->code == (r->signaled ? SIGKILL : 128 + SIGKILL);

	if (risen)
		tell(c);
	if (!killed || last == 0)
		return false;
	return risen || (!is_killed_by_us(p) && r->at - last < CAUSED_WITHIN);
}
