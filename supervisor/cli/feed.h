/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The events of one container, or of every container of a namespace, those that are made later
 * too: one subscription for each shim, over one loop.
 */

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/error.h"
#include "common/list.h"
#include "monitor.pb-c.h"

struct cli;

struct feed {
	struct cli *cli;
	struct event_base *base;
	bool has_since;
	uint64_t since;	  /* with has_since: the last event that is not wanted */
	bool single;	  /* one container: its shim's end is the feed's */
	int inotify_fd;	  /* -1: nothing is watched */
	int namespace_wd; /* the watch of the namespace's folder */
	struct event *inotify_event;
	struct list sources;
	/* one event of container id; other than 0 ends the feed with it */
	int (*on_event)(const char *id, const Cleat__Shim__V1__Event *event, void *userdata,
		struct error *err);
	void *userdata;
	struct error failure;
};

/*
 * Follows until the loop is broken, the single container's shim has ended, or something fails.
 * id NULL: all (or the one of --shim). base, cli, has_since, since, on_event, userdata are set
 * before.
 */
int feed_run(struct feed *feed, const char *id, struct error *err);
