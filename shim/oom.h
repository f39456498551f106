/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How often the kernel killed for want of memory in a container's cgroup: told when it happens,
 * and asked once more when a process has ended.
 *
 *   version 1   memory.oom_control, by an eventfd registered in cgroup.event_control
 *   version 2   memory.events, by inotify
 *
 * Who was killed the kernel does not say. The counter has risen before the signal is sent, so
 * whoever looks after a process was reaped finds it risen.
 */

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/error.h"
#include "shim/cgroup_folders.h"

struct oom_watch;

/*
 * Begins to watch. on_rise runs from the loop when the counter has risen; it may not free the
 * watch. What was counted before is not told, unless from_zero (the group was made for it): then
 * the first look tells. 0, or a code: CODE_NOT_FOUND where the memory group
 * is not the container's own. folders is not kept. Where only the notice cannot be had (a host out
 * of inotify instances, for one) *ret is there and can be asked, and err says so: CODE_UNAVAILABLE.
 */
int oom_watch_new(struct event_base *base, const struct cgroup_folders *folders, bool from_zero,
	void (*on_rise)(void *userdata), void *userdata, struct oom_watch **ret, struct error *err);
void oom_watch_free(struct oom_watch *w);

/* Reads the counter: whether it has risen since it was last read. on_rise does not run. */
bool oom_watch_look(struct oom_watch *w);

/* When it was last seen to have risen; 0: never. */
moment oom_watch_last_rise(const struct oom_watch *w);
