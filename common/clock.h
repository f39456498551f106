/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Time as we keep and print it. A moment is wall-clock time in nanoseconds since 1970 (int64, good
 * until 2262); 0 means "none". Durations and deadlines are monotonic milliseconds.
 */

#include <stdint.h>

typedef int64_t moment;

#define CLOCK_TEXT_MAX 40

/* Now, wall clock. */
moment clock_now(void);

/* Milliseconds of the monotonic clock: for deadlines only. */
int64_t clock_monotonic_ms(void);

/* Writes m as RFC 3339 UTC with nine digits of nanoseconds: 2026-01-02T03:04:05.678901234Z. */
void clock_format(moment m, char ret[static CLOCK_TEXT_MAX]);

/*
 * Reads what clock_format() wrote, with 1 to 9 digits, or no point and none. 0, or -EINVAL: also
 * for a moment before 1970 or past the end of int64.
 */
int clock_parse(const char *text, moment *ret);
