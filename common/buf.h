/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A growing run of bytes with a front that can be consumed. Never larger than its user allows. */

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;	   /* the first byte not consumed is data[start] */
	size_t start, len; /* len: bytes from start on */
	size_t size;
};

#define BUF_INIT      ((struct buf){ NULL, 0, 0, 0 })
#define _cleanup_buf_ __attribute__((cleanup(buf_deinit)))

void buf_deinit(struct buf *b);

static inline uint8_t *buf_head(const struct buf *b)
{
	return b->data ? b->data + b->start : NULL;
}

/* Makes room for n more bytes at the end and returns where they go; NULL without memory. */
uint8_t *buf_reserve(struct buf *b, size_t n);

/* Counts n bytes written at buf_reserve()'s place. */
void buf_commit(struct buf *b, size_t n);

/* 0 or -ENOMEM. data may be NULL when n is 0. */
int buf_append(struct buf *b, const void *data, size_t n);

/* Drops n bytes (at most len) from the front; gives the memory back when nothing is left. */
void buf_consume(struct buf *b, size_t n);
