/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Events of a shim, as words: forwarded to a ttrpc server of ours, as to containerd. What a message
 * has wrong is part of its word, after a '!'.
 */

#include <stddef.h>

#include "test/conformance/conform.h"

#define SINK_EVENTS 64

/* What the words are about: events of any other container are marked. */
struct sink_subject {
	const char *id, *exec_id, *bundle;
};

struct sink;

/* Listens at "DIR/events.sock". */
struct sink *sink_new(struct conform *conform);
void sink_free(struct sink *sink);
const char *sink_address(const struct sink *sink);

/* Forgets what came, and begins with another subject, whose strings stay the caller's. */
void sink_begin(struct sink *sink, const struct sink_subject *subject);
size_t sink_count(const struct sink *sink);
const char *sink_word(const struct sink *sink, size_t i);
