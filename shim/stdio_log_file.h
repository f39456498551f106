/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The file of a formatted log: written by whole records, rotated between them, and what becomes of
 * records that cannot be written. Blocks as writing to files does; knows no streams.
 *
 * A record that was written in part (the disk is full) is taken out of the file again: there are whole
 * ones only. What cannot be written is counted, and tried for anew with every batch; the first that can
 * is put behind a line of ours that says how much is missing. A file that was removed is made anew, if
 * its folder is there, and gets what went into the removed one since it was last looked at.
 *
 * While it is open the file is locked (fcntl(2), F_OFD_SETLK, all of it): nobody else of ours writes to
 * it, and its reader sees by F_OFD_GETLK whether there may be more to come.
 *
 * Rotation renames PATH.N-2 to PATH.N-1 and so on, then PATH to PATH.1, and makes PATH anew; nothing
 * is ever truncated. Where that fails the old file is written on.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "shim/log_split.h"

struct log_file_options {
	const char *path; /* absolute */
	enum log_format format;
	uint64_t max_size;  /* bytes; 0: never rotated */
	unsigned max_files; /* with that which is written to: 2 or more */
};

/* What is to be told of a gap; the user takes it and sets it to zero. */
struct log_gap_news {
	int began;		 /* why: an errno; 0: none began */
	bool ended;		 /* with: */
	uint64_t bytes, records; /* that were not written */
	int rotation;		 /* an errno: the file could not be rotated */
};

struct log_file {
	char *path;
	enum log_format format;
	uint64_t max_size;
	unsigned max_files;
	int fd; /* -1: it was removed, and could not be made anew yet */
	uint64_t size;
	uint64_t limit;	    /* where it is rotated */
	bool torn;	    /* its last line has no end */
	bool rotates_badly; /* told */
	/* of the gap that it is in */
	int error; /* 0: it is in none */
	uint64_t lost_bytes, lost_records;
	struct log_gap_news news;
};

#define LOG_FILE_INIT ((struct log_file){ .fd = -1 })

/* Made with its folders where missing, or appended to. 0, or a code with a sentence. */
int log_file_open(const struct log_file_options *options, struct log_file *ret, struct error *err);

/* Bytes that records may have before it is to be rotated. */
size_t log_file_room(const struct log_file *f);

/* To be called where the next record has no room: it may be written then, whatever its size. */
void log_file_rotate(struct log_file *f);

/*
 * Writes a batch, or counts what of it cannot be written. Uses its work[]. Returns the bytes of the
 * stream that are in the file now.
 */
size_t log_file_write(struct log_file *f, struct log_batch *b);

/* Says in the file what is missing, where that is possible by now, and closes it. Safe to repeat. */
void log_file_close(struct log_file *f);
