/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a stream's URI says, read and checked; nothing is opened. */

#include <stdbool.h>
#include <stdint.h>

#include "common/argv.h"
#include "common/error.h"

enum stdio_scheme {
	STDIO_NULL, /* empty */
	STDIO_FD,
	STDIO_FIFO,
	STDIO_FILE,
	STDIO_LOGGER,
	STDIO_LOG,
};

/* Of STDIO_LOG: Kubernetes' and docker's. */
enum log_format { LOG_CRI, LOG_JSON };

struct stdio_uri {
	enum stdio_scheme scheme;
	unsigned fd; /* STDIO_FD: an index */
	char *path;  /* the others: absolute; percent-decoded, but of a FIFO */
	bool direct; /* STDIO_FILE */
	/* STDIO_LOGGER: key and value of each pair, decoded, in their order; of a key the first */
	struct argv args;
	bool wants_byte; /* binary-v2 */
	/* STDIO_LOG */
	enum log_format format;
	uint64_t max_size; /* bytes; 0: it is never rotated */
	unsigned max_files;
};

#define STDIO_URI_INIT	    ((struct stdio_uri){ .scheme = STDIO_NULL })
#define _cleanup_stdio_uri_ __attribute__((cleanup(stdio_uri_deinit)))

/* uri may be NULL. 0, CODE_UNIMPLEMENTED naming the scheme, or CODE_INVALID_ARGUMENT. */
int stdio_uri_parse(const char *uri, struct stdio_uri *ret, struct error *err);

void stdio_uri_deinit(struct stdio_uri *u);
