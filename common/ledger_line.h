/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One line of the exit ledger, for ledger.c and its reader. */

#include <stddef.h>

#include "common/ledger.h"
#include "common/limits.h"

#define LEDGER_FILE    "exits.jsonl"
#define LEDGER_VERSION 1

/* No line is longer, its line end included; what is reserved for one. */
#define LEDGER_LINE_MAX 512

/* Most of a ledger's bytes; with every process of the longest names alive it is half of that. */
#define LEDGER_FILE_MAX (2u * LIMIT_PROCESSES * LEDGER_LINE_MAX)

/* Writes e as a line, with its end; allocates nothing. The line's length, or -EINVAL. */
int ledger_line_format(const struct exit_entry *e, char ret[static LEDGER_LINE_MAX]);

enum {
	LEDGER_LINE_NEWER = 1, /* a version that we do not know */
};

/* Reads a line, without its end. 0, LEDGER_LINE_NEWER, -EINVAL (broken), or -ENOMEM. */
int ledger_line_parse(const char *line, size_t n, struct exit_entry *ret);

/* Calls each for every whole line in data, with its place; ends early if it returns other than 0. */
int ledger_each_line(const char *data, size_t n,
	int (*each)(const char *line, size_t n, size_t offset, void *userdata), void *userdata);
