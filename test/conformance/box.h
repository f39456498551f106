/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a cell is tried in: one shim, started for it alone, with the container and the exec that
 * the cell is about. Made before the cell, ended after it, whatever happened in between; what it
 * leaves behind is told.
 */

#include "common/buf.h"
#include "common/pidref.h"
#include "common/ttrpc_client.h"
#include "test/conformance/conform.h"

#define BOX_MS	   20000 /* a cell's deadline */
#define BOX_ASK_MS 10000 /* one call's */
#define BOX_TAIL   8

#define EXEC_ID "extra"

enum who { INIT, EXEC, _WHO_MAX };

/* The client's ends of a process's streams, and what was read so far. */
struct streams {
	char *in, *out, *err;
	int in_fd, out_fd, err_fd;
	struct buf seen, seen_err;
};

struct box {
	struct conform *conform;
	char *id, *dir, *socket;
	bool terminal;	/* the processes get one */
	bool any_order; /* the cell's events are told sorted */
	struct ttrpc_client *client;
	struct pidref shim;
	uint32_t pid[_WHO_MAX]; /* as told; 0: not yet */
	struct streams streams[_WHO_MAX];
	int log_fd;
	int64_t deadline;
	size_t n_setup; /* events that belong to the state which the cell is about */
	size_t n_tail;	/* and those of the end */
	const char *tail[BOX_TAIL];
};

/* Starts a shim. command: the init's, a JSON array; NULL is the usual one. */
struct box *box_new(struct conform *conform, bool terminal, const char *command);

/* The usual process: ends with its standard input, or tells its terminal's size for each line. */
const char *box_command(const struct box *box);
/* Writes config.json anew. */
void box_config(struct box *box, const char *command);
/* An OCI process with that command (a JSON array), as JSON; the caller frees. */
char *box_process(const struct box *box, const char *command);

/* conform_wait(), but never past the cell's deadline. */
bool box_wait(struct box *box, bool (*holds)(void *userdata), void *userdata, int64_t timeout_ms);

/* Counts the events that have been made so far as the state's own. False when they don't come. */
bool box_expect_events(struct box *box, size_t n);

/*
 * Ends whatever is left: processes, container, shim. What came between box_expect_events() and this
 * is written to events, as words. Returns what was left behind, as a sentence for the caller to
 * free, or NULL. Frees the box.
 */
char *box_end(struct box *box, FILE *events);

/* --- streams --- */

/* Opens the client's ends: the output that a process has, and a writer of its input. */
void box_open_streams(struct box *box, enum who who);
void box_close_input(struct box *box, enum who who);
void box_write(struct box *box, enum who who, const char *text);
/* Waits until text stands in what was read of standard output. */
bool box_await_output(struct box *box, enum who who, const char *text, int64_t timeout_ms);
/* Reads what is there of both outputs. */
void box_read(struct box *box, enum who who);
