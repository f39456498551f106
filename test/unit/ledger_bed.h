/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tests of the exit ledger share: entries, and what a file of them holds. */

#include <sys/stat.h>

#include "common/ledger.h"
#include "common/limits.h"
#include "test/unit/unit.h"

#define LINE_ROOM 512 /* what is reserved for one line */

static inline struct ledger *open_ledger(int dir)
{
	struct error err = ERROR_INIT;
	struct ledger *l = NULL;

	assert_ok(ledger_open(dir, &l, &err), &err);
	return l;
}

static inline void reserve(struct ledger *l)
{
	struct error err = ERROR_INIT;

	assert_ok(ledger_reserve(l, &err), &err);
}

static inline struct exit_entry entry(const char *exec_id, pid_t pid)
{
	return (struct exit_entry){
		.id = (char *)"web",
		.exec_id = (char *)exec_id,
		.pid = pid,
		.known = true,
		.status = (uint32_t)pid % 256,
		.started_at = 1767225845000000000,
		.exited_at = 1767225845678901234,
	};
}

/* Reserves and appends. */
static inline void record(struct ledger *l, const char *exec_id, pid_t pid)
{
	const struct exit_entry e = entry(exec_id, pid);

	reserve(l);
	assert_int_equal(ledger_append(l, &e), 0);
}

/* Records an exec and deletes it, as a probe does. */
static inline void probe(struct ledger *l, pid_t pid)
{
	char id[32];

	snprintf(id, sizeof(id), "probe-%d", pid);
	record(l, id, pid);
	ledger_forget(l, id, pid);
}

static inline struct exit_entry *read_ledger(int dir, size_t *ret_n)
{
	struct exit_entry *list = NULL;
	struct error err = ERROR_INIT;

	assert_ok(ledger_read(dir, &list, ret_n, &err), &err);
	return list;
}

static inline size_t count_entries(int dir)
{
	size_t n;
	struct exit_entry *list = read_ledger(dir, &n);

	exit_entries_free(list, n);
	return n;
}

static inline bool has_entry(int dir, const char *exec_id, pid_t pid)
{
	size_t n;
	struct exit_entry *list = read_ledger(dir, &n);
	bool found = false;

	for (size_t i = 0; i < n; i++)
		found |= list[i].pid == pid && strcmp(list[i].exec_id, exec_id) == 0;
	exit_entries_free(list, n);
	return found;
}

static inline size_t size_of(int dir)
{
	struct stat st;

	assert_int_equal(fstatat(dir, "exits.jsonl", &st, 0), 0);
	return (size_t)st.st_size;
}
