/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A log read back, oldest first: a file and those that it was rotated to, in Kubernetes' format, docker's
 * or none. Follows what is written meanwhile, across rotation: a file that was moved away is read to its
 * end before the next one. Shows nothing itself.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/error.h"

enum log_kind { LOG_KIND_PLAIN, LOG_KIND_CRI, LOG_KIND_JSON };

/* What was written to one stream at once: a line or a part of one, with its newline if it has one. */
struct log_entry {
	bool is_err;
	bool begins;	  /* a line */
	bool ends;	  /* one */
	const char *time; /* as it stands there, n_time bytes; NULL: the log has no times */
	size_t n_time;
	const char *text;
	size_t n_text;
};

struct log_reader;

/* path must exist; copied. 0, or a code that names it. */
int log_reader_open(
	const char *path, enum log_kind kind, struct log_reader **ret, struct error *err);

/*
 * Tells all entries that there are now and were not told; texts live for that call. A code of show's
 * ends it. What is no record of that kind is passed over, and counted.
 */
int log_reader_read(struct log_reader *r,
	int (*show)(const struct log_entry *entry, void *userdata, struct error *err),
	void *userdata, struct error *err);

/*
 * Goes back to where the last n lines begin of those that were read and for which is_wanted said so (NULL:
 * all), in place of the first log_reader_read(). Parts of lines that began before are not told.
 */
int log_reader_tail(struct log_reader *r, uint64_t n,
	bool (*is_wanted)(const struct log_entry *entry, void *userdata), void *userdata,
	struct error *err);

/* Whether somebody has it open for writing, as far as file locks can tell. */
bool log_reader_is_written(const struct log_reader *r);

/* Lines that were no records, and whether files went before they could be read. */
uint64_t log_reader_n_bad(const struct log_reader *r);
bool log_reader_has_gap(const struct log_reader *r);

const char *log_reader_path(const struct log_reader *r);

/* Takes NULL. */
void log_reader_free(struct log_reader *r);
