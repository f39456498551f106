/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The forms that figures have in a cgroup's files, and memory for the messages that they go into.
 * Where a file is not there, nothing is written.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/arena.h"
#include "common/buf.h"

struct metrics_reader {
	struct arena arena; /* what the messages are made of */
	bool no_memory;	    /* something is missing for want of memory */
	uint8_t room[4096];
};

void metrics_reader_init(struct metrics_reader *r);
void metrics_reader_deinit(struct metrics_reader *r);

/* Zeroed memory, or NULL. */
void *metrics_alloc(struct metrics_reader *r, size_t n);
/* An empty message, or NULL. */
void *metrics_message(struct metrics_reader *r, const ProtobufCMessageDescriptor *type);
/* Adds item to a repeated field of messages or strings. item NULL: no memory, and nothing added. */
void metrics_append(struct metrics_reader *r, void *list, size_t *n, void *item);
/* A copy of n bytes as a string, or NULL. */
char *metrics_string(struct metrics_reader *r, const char *s, size_t n);

/* The whole file as a string in ret (empty before). false: there is none. */
bool metrics_text(struct metrics_reader *r, int dir, const char *file, struct buf *ret);

/* Where the value of a name goes: a uint64_t in a message. */
struct metrics_key {
	const char *name;
	size_t offset;
};

#define METRICS_KEY(type, n, field) ((struct metrics_key){ (n), offsetof(type, field) })

/* A file of lines "NAME VALUE" into message; what is not in keys (n of them) is passed over. */
bool metrics_keys(struct metrics_reader *r, int dir, const char *file,
	const struct metrics_key *keys, size_t n, void *message);

/* A file that is one number, or "max", which is told as max. */
bool metrics_number(
	struct metrics_reader *r, int dir, const char *file, uint64_t max, uint64_t *ret);

/* A number at the beginning of s; 0 for a negative one, UINT64_MAX for one that is too large. */
uint64_t metrics_parse(const char *s);

/*
 * The sizes of huge pages that the folder has files for ("2MB", "1GB"): those that stand between
 * "hugetlb." and suffix. each runs for each one.
 */
void metrics_hugetlb_sizes(struct metrics_reader *r, int dir, const char *suffix,
	void (*each)(struct metrics_reader *r, int dir, const char *size, void *userdata),
	void *userdata);

/* rdma.current and rdma.max: "DEVICE hca_handle=N hca_object=N", N may be "max". */
struct metrics_rdma {
	char *device;
	uint32_t handles, objects;
};
void metrics_rdma(struct metrics_reader *r, int dir, const char *file,
	void (*each)(struct metrics_reader *r, const struct metrics_rdma *entry, void *userdata),
	void *userdata);
