/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a process writes, made into the records of a formatted log. Pure: reads and writes nothing,
 * keeps nothing of the text. The same bytes give the same records however they are cut up:
 *
 *   a line of LIMIT_LOG_PART bytes or fewer   one full record
 *   a longer one                              parts of that size, of which the last is full; what is
 *                                             UTF-8 is not cut within a character
 *   what stands after the last newline        at the end of the stream, and only then: a partial record
 *
 * The formats:
 *   CRI    TIME STREAM P|F TEXT\n, as Kubernetes has it: P is a part to which more of its line follows.
 *          TEXT is the bytes themselves. What the stream ends with and has no newline is a P that
 *          nothing follows: Kubernetes' reader joins parts without a newline and prints them so, which
 *          is exact; an F would make up a newline.
 *   JSON   {"log":"TEXT","stream":"STREAM","time":"TIME"}\n, as docker's json-file has it: TEXT has the
 *          newline in it where its line has one. Bytes that are no UTF-8 become U+FFFD, one each, as
 *          Go's encoder has it: JSON has no other word for them. NUL and the other control characters are
 *          kept by escapes.
 * TIME is RFC 3339 in UTC, with nanoseconds.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/stdio_uri.h"

/* The most that one batch has: IOV_MAX entries, the first of which is kept free. */
#define LOG_BATCH_IOV	  1024
#define LOG_BATCH_RECORDS 512
#define LOG_HEAD_MAX	  96 /* what stands around a text */
/* of escaped text: the longest part, every byte of it as \u0000, fits */
#define LOG_BATCH_JSON (6 * (size_t)LIMIT_LOG_PART + (32u << 10))

struct log_record {
	size_t end;    /* bytes of the batch up to its end */
	size_t n_text; /* bytes of the stream that are in it */
};

/*
 * Records to be written by one writev(2), in order: iov[1] to iov[n_iov - 1], which point into the text
 * that was added and into the batch itself; iov[0] is its user's.
 */
struct log_batch {
	enum log_format format;
	char head
		[2]
		[LOG_HEAD_MAX]; /* CRI: of a P and of an F; JSON: what follows a text, in the first */
	size_t n_head;
	struct iovec iov[LOG_BATCH_IOV], work[LOG_BATCH_IOV]; /* work: for who writes them */
	size_t n_iov;
	struct log_record records[LOG_BATCH_RECORDS];
	size_t n_records;
	size_t n_bytes; /* of all records */
	bool is_full;	/* there is a record that did not fit, or had no room */
	size_t n_json;
	char json[LOG_BATCH_JSON];
};

/* For a stream ("stdout" or "stderr", a constant) and a time. Empty. */
void log_batch_begin(struct log_batch *b, enum log_format format, const char *stream, moment at);

/* Takes out the records. */
void log_batch_clear(struct log_batch *b);

/*
 * Adds the records that text begins with, until one would make the batch larger than room (the first may,
 * if must), the batch is full, or what is left is no whole record yet: at most LIMIT_LOG_PART bytes,
 * none with at_end. Returns how many bytes of text are in records now. To an empty batch, once.
 */
size_t log_batch_add(
	struct log_batch *b, const uint8_t *text, size_t n, bool at_end, size_t room, bool must);

/* A whole line of our own as a record of "stderr", into to. Its length; text is cut where it must be. */
size_t log_line(enum log_format format, moment at, const char *text, char *to, size_t size);
