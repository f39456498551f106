/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One run of the conformance suite: which shim is under test, the folder that everything lies in,
 * and the event loop under all of it. Nothing waits but in conform_wait(), which turns the loop.
 */

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#define CONFORM_NS "conform"

struct conform {
	struct event_base *base;
	struct event *tick;
	bool reference; /* Debian's containerd-shim-runc-v2, else ours */
	const char *service;
	char *dir;    /* private; its last part is in every name that we give */
	char *rootfs; /* a busybox, shared by all bundles */
	struct sink *sink;
	unsigned n_boxes; /* made so far */
	bool ended;	  /* a signal asked us to stop: every wait ends at once */
};

/* Makes the loop, and ends it. */
void conform_init(struct conform *conform);
void conform_deinit(struct conform *conform);

/* A string of malloc's; no memory ends the program. */
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program with a sentence: for what says nothing about a shim. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* How long to watch for what ours does and the reference may never do. */
int64_t conform_watch_ms(const struct conform *conform);

/* Turns the loop until holds() says so. False when it did not in time. */
bool conform_wait(
	struct conform *conform, bool (*holds)(void *userdata), void *userdata, int64_t timeout_ms);
