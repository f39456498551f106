/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * containerd's Events service, for tests: a process of its own that takes what shims forward, and
 * that may be stopped, killed, started again, told to refuse or to be slow. What it has taken is in
 * memory that outlives it. Never counts what it refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/clock.h"

#define SINK_EVENTS  8192
#define SINK_PAYLOAD 400

struct sink_event {
	char topic[32], type[64], ns[80];
	moment time;
	size_t n_payload;
	uint8_t payload[SINK_PAYLOAD];
};

/* Shared with the process. */
struct sink_memory {
	volatile bool refuses;
	volatile uint32_t delay_ms; /* of each answer */
	volatile size_t n_calls;    /* whatever became of them */
	volatile size_t n;
	struct sink_event events[SINK_EVENTS];
};

struct sink {
	char *path;
	pid_t pid; /* 0: none */
	struct sink_memory *memory;
};

/* Nobody listens there yet. */
void sink_init(struct sink *sink, const char *path);
void sink_deinit(struct sink *sink);

/* Listens from the moment that it returns. */
void sink_start(struct sink *sink);
/* SIGKILL; its socket stays behind, dead. */
void sink_kill(struct sink *sink);
void sink_signal(struct sink *sink, int signal);

/* Waits until so many have been taken (or were called, whatever became of them). */
void sink_await(struct sink *sink, size_t n);
void sink_await_calls(struct sink *sink, size_t n);
