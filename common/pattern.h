/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Regular expressions of outsiders, matched in time and memory that are bounded before the first byte
 * is looked at. The syntax is RE2's, which containerd's filters have, without flags, names and Unicode
 * classes: what is not known is refused, never taken for something else. Text is UTF-8; a byte that is
 * not counts as U+FFFD.
 *
 * regex.h is not used: glibc's keeps a state for each way through the text that it has seen. Measured
 * with glibc 2.36, `[ab]*a[ab]{200}c` over 64 KiB of letters took 2.4 GB, and minutes.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct pattern;

/*
 * CODE_INVALID_ARGUMENT names the part and its place, counted in bytes from 1: `"[ab" at 3 has no "]"`;
 * or CODE_RESOURCE_EXHAUSTED: it needs more than max_states (each character is one, and a repetition as
 * many as it repeats), or memory.
 */
int pattern_new(const char *text, size_t max_states, struct pattern **ret, struct error *err);
void pattern_free(struct pattern *p);
size_t pattern_n_states(const struct pattern *p);

/* Whether it is found in the text, anywhere. Steps: at most length times states. Asks for no memory. */
bool pattern_matches(struct pattern *p, const char *text);
