/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The exit ledger, exits.jsonl: one line for every exit, written at reap and before anybody is
 * told (design, section 5). Room for the next lines is reserved before a process starts, so that a
 * full disk cannot lose an exit.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/clock.h"
#include "common/error.h"

struct exit_entry {
	char *id;      /* the container's */
	char *exec_id; /* "" for the init */
	pid_t pid;
	bool known;	 /* false: how it ended cannot be known */
	uint32_t status; /* the code, or 128 + signal */
	uint32_t signal; /* 0: it exited by itself */
	moment started_at, exited_at;
	uint64_t utime_us, stime_us, maxrss_kb;
	bool oom;
};

void exit_entry_deinit(struct exit_entry *e);
void exit_entries_free(struct exit_entry *e, size_t n);

struct ledger; /* the writing side: one for each shim */

/* Opens or makes exits.jsonl in dir (kept, not consumed: must outlive it). 0 or a code. */
int ledger_open(int dir, struct ledger **ret, struct error *err);
void ledger_free(struct ledger *l);

/*
 * Reserves room for one more exit; before a process starts. CODE_RESOURCE_EXHAUSTED names the
 * ledger. Each reservation is used up by one ledger_append() or given back.
 */
int ledger_reserve(struct ledger *l, struct error *err);
void ledger_unreserve(struct ledger *l);

/*
 * Appends one line with one write(2) into reserved room; allocates nothing. Past LIMIT_LEDGER the
 * file is rewritten without the entries forgotten. 0 or -errno.
 */
int ledger_append(struct ledger *l, const struct exit_entry *e);

/* The process was deleted: its entry need not survive the next rewrite. The init's always does. */
void ledger_forget(struct ledger *l, const char *exec_id, pid_t pid);

/*
 * Reads all entries of the exits.jsonl in dir, oldest first. A torn last line is ignored; a broken
 * one in between is skipped. A missing file is an empty ledger. *ret: freed by exit_entries_free().
 */
int ledger_read(int dir, struct exit_entry **ret, size_t *ret_n, struct error *err);
