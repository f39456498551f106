/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Readers of what a runtime tells about a running container and about itself: stats, a stream of
 * events, tables of processes, exit statuses, features, versions. Each takes any bytes. What was
 * not promised is CODE_INTERNAL with the first line quoted, as in common/runtime.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/argv.h"
#include "common/buf.h"
#include "common/error.h"
#include "common/runtime.h"

enum runtime_event_kind {
	RUNTIME_EVENT_STATS,
	RUNTIME_EVENT_OOM,
	RUNTIME_EVENT_OTHER,  /* a type that we do not know */
	RUNTIME_EVENT_BROKEN, /* no event at all: see error */
};

/* One line of `events`. */
struct runtime_event {
	enum runtime_event_kind kind;
	char *type, *id;    /* NULL of a broken one */
	json_t *data;	    /* an object, or NULL where it has none */
	struct error error; /* of a broken one: CODE_INTERNAL, or CODE_RESOURCE_EXHAUSTED */
};

#define RUNTIME_EVENT_INIT ((struct runtime_event){ .error = ERROR_INIT })
void runtime_event_deinit(struct runtime_event *e);

/*
 * Parts a stream into events. on_event is called for each line that is not blank, a broken one
 * too, and the stream goes on; e is valid during the call. A line past LIMIT_RUNTIME_EVENT is one
 * broken event. false of on_event ends it: nothing more is told.
 */
struct runtime_event_reader {
	const struct runtime *rt;
	bool (*on_event)(const struct runtime_event *e, void *userdata);
	void *userdata;
	/* private, zeroed at the beginning */
	struct buf line;
	bool skipping, ended;
};

void runtime_event_reader_deinit(struct runtime_event_reader *r);
/* false once on_event said so. */
bool runtime_event_reader_feed(struct runtime_event_reader *r, const void *data, size_t n);
/* The stream is over: what is left is a line that was cut off, or has no line end. */
void runtime_event_reader_end(struct runtime_event_reader *r);

/*
 * Runs `events`, which has no deadline, until it ends by itself, or on_event says false: then the
 * run is killed and *ret_stopped is true. 0 and *ret filled however it ended (judge it unless it
 * was stopped), or a code if it could not be run. request->verb is RUNTIME_EVENTS.
 */
int runtime_follow(const struct runtime *rt, const struct runtime_request *request,
	bool (*on_event)(const struct runtime_event *e, void *userdata), void *userdata,
	struct runtime_outcome *ret, bool *ret_stopped, struct error *err);

#define RUNTIME_STAT_UNKNOWN UINT64_MAX

/* The answer of `events --stats`; RUNTIME_STAT_UNKNOWN for what it does not say. */
struct runtime_stats {
	char *id;
	uint64_t cpu_ns, memory, pids; /* used since the start, bytes in use, processes */
	uint64_t memory_limit;	       /* unknown stands for none, too */
	json_t *data;		       /* all that was said: an object */
};

#define RUNTIME_STATS_INIT ((struct runtime_stats){ 0 })
void runtime_stats_deinit(struct runtime_stats *s);
int runtime_read_stats(const struct runtime *rt, const struct buf *out, struct runtime_stats *ret,
	struct error *err);
/* The same from an event of a stream. */
int runtime_stats_of(const struct runtime *rt, const struct runtime_event *e,
	struct runtime_stats *ret, struct error *err);

/*
 * `ps` as a table: a line of headers, PID among them, and rows of as many columns; the last one
 * takes what is left of its line. crun has the one column alone.
 */
struct runtime_top {
	struct argv headers;
	struct argv *rows;
	size_t n_rows, pid_column;
};

#define RUNTIME_TOP_INIT ((struct runtime_top){ .headers = ARGV_INIT })
void runtime_top_deinit(struct runtime_top *t);
int runtime_read_top(const struct runtime *rt, const struct buf *out, struct runtime_top *ret,
	struct error *err);

/* `wait`: the exit status, 0 to 255. */
int runtime_read_wait(
	const struct runtime *rt, const struct buf *out, unsigned *ret, struct error *err);

struct runtime_features {
	char *oci_min, *oci_max; /* versions of the specification */
	json_t *document;	 /* all of it: an object */
};

#define RUNTIME_FEATURES_INIT ((struct runtime_features){ 0 })
void runtime_features_deinit(struct runtime_features *f);
int runtime_read_features(const struct runtime *rt, const struct buf *out,
	struct runtime_features *ret, struct error *err);

/* `--version`; "" for what it does not say. */
struct runtime_version {
	char *version, *commit, *spec;
};

#define RUNTIME_VERSION_INIT ((struct runtime_version){ 0 })
void runtime_version_deinit(struct runtime_version *v);
int runtime_read_version(const struct runtime *rt, const struct buf *out,
	struct runtime_version *ret, struct error *err);
