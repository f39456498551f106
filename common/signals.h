/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Signals by name and number, as people write them. Linux's numbers, 1 to 64. */

#define SIGNAL_MAX	64
#define SIGNAL_RTMIN	34 /* what names count from: libc keeps 32 and 33 for itself */
#define SIGNAL_TEXT_MAX 16

/*
 * "TERM", "SIGTERM", "sigterm", "15", "RTMIN", "RTMIN+3", "RTMAX-1". 0 for what is no signal.
 */
int signal_parse(const char *text);

/* Writes "SIGTERM", "SIGRTMIN+3", or the bare number of what has no name. */
void signal_format(int sig, char ret[static SIGNAL_TEXT_MAX]);
