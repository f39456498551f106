/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What containerd has to say to `start` on its stdin, and how it wants to be answered.
 *
 * Two dialects stand there, and either parses as the other: field 1 and 2 of both have a length.
 *
 *   containerd   stdin                                    answer on stdout
 *   1.6 to 2.2   nothing, or an Any of options            the plain address
 *   from 2.3 on  BootstrapParams, with the options as     BootstrapResult
 *                one of its extensions
 *
 * It is BootstrapParams where instance_id and namespace are those of -id and -namespace, which no Any
 * has by accident: its type's name would have to be the container's id, and its options to read as the
 * namespace. Everything else must be an Any of options that are known, and of nothing more.
 *
 * Protobuf has no end of its own: what is cut off just between two fields is a message all the same.
 * What is cut off anywhere else, or is no UTF-8 where a string stands, is refused.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"
#include "google/protobuf/any.pb-c.h"

enum bootstrap_dialect {
	BOOTSTRAP_FLAGS,  /* all but the options comes as flags and environment */
	BOOTSTRAP_PARAMS, /* all of it stood on stdin */
	_BOOTSTRAP_DIALECT_MAX,
};

/* Owns all of it. NULL: not said. */
struct bootstrap {
	enum bootstrap_dialect dialect;
	bool debug; /* the level asked for is debug, or more; false for BOOTSTRAP_FLAGS, which have -debug */
	char *ttrpc_address; /* as it came: a path, or unix:// and one */
	char *grpc_address;
	char *containerd_binary;
	char *socket_dir; /* absolute: where the shim's socket is to be */
	Google__Protobuf__Any
		*options; /* of a type that runtime_wish_parse() takes, and can be decoded */
};

#define BOOTSTRAP_INIT	    ((struct bootstrap){ .dialect = BOOTSTRAP_FLAGS })
#define _cleanup_bootstrap_ __attribute__((cleanup(bootstrap_deinit)))

void bootstrap_deinit(struct bootstrap *b);

/*
 * From the n bytes that stood there for the container id in namespace ns. None: BOOTSTRAP_FLAGS
 * without options. CODE_INVALID_ARGUMENT for what is neither dialect, is another container's, has
 * options of an unknown type or that cannot be decoded, or a relative socket_dir;
 * CODE_RESOURCE_EXHAUSTED above LIMIT_BOOTSTRAP. Asks nothing of the disk. id and ns NULL: it stands
 * before no container's start but before `-info`, where there is an Any or nothing.
 */
int bootstrap_parse(const void *data, size_t n, const char *id, const char *ns,
	struct bootstrap *ret, struct error *err);

/*
 * The same from a descriptor, which is read to its end and not consumed. A terminal says nothing: it
 * is somebody's who tries the command.
 */
int bootstrap_read(
	int fd, const char *id, const char *ns, struct bootstrap *ret, struct error *err);

/*
 * Appends the answer to ret: socket (an absolute path) as "unix://" and a line end, or as a
 * BootstrapResult of version 2: from 3 on containerd puts a pod's other containers into the same shim.
 * 0 or -ENOMEM.
 */
int bootstrap_answer(enum bootstrap_dialect dialect, const char *socket, struct buf *ret);
