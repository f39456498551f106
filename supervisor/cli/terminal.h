/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The caller's terminal: raw while a container has it, and put back as it was. */

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct terminal {
	int fd; /* not owned; -1: there is none */
	bool raw;
	struct termios saved;
};

#define TERMINAL_INIT ((struct terminal){ .fd = -1 })

/* Takes the terminal that stdin is, if it is one. */
void terminal_init(struct terminal *t);

/* 0 or -errno; without a terminal nothing is done. */
int terminal_make_raw(struct terminal *t);

/* Puts it back. Safe to repeat. */
void terminal_restore(struct terminal *t);

/* The window's size in character cells: stdin's, else stdout's. False if neither has one. */
bool terminal_size(uint32_t *ret_width, uint32_t *ret_height);

/*
 * A descriptor for the terminal or pipe fd with an open file description of its own, so that
 * making it non-blocking changes nothing for those who share the caller's. -1 if that cannot be.
 */
int terminal_reopen(int fd, int flags);
