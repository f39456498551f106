/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A program that the supervisor runs beside its loop: the `start` of a shim, or a part of its own work
 * that may block. What it prints is kept in memory files, so that nobody has to read while it runs.
 */

#include <event2/event.h>
#include <sys/resource.h>

#include "common/reaper.h"
#include "common/run.h"

struct child;

struct child_options {
	struct event_base *base;
	struct reaper *reaper;
	const char *path;     /* NULL: argv[0] */
	char *const *argv;    /* ends with NULL */
	size_t output_limit;  /* bytes of each stream that are kept */
	uint32_t deadline_ms; /* then its process group is killed */
	const struct rlimit *nofile;
	/* Runs once, from the loop; run is the callee's to look at, not to keep. */
	void (*on_end)(const struct run_result *run, void *userdata);
	void *userdata;
};

/* 0 or -errno, as spawn(). The child frees itself after on_end. *ret may be NULL. */
int child_begin(const struct child_options *options, struct child **ret);

/* Kills it and forgets it, without on_end. Takes NULL. */
void child_abandon(struct child *c);
