/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. Subtle: an emptied buffer frees its memory, so an idle connection holds none. */
#include "common/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void buf_deinit(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
	size_t size = b->size ? b->size : 256;
	uint8_t *grown;

	if (b->data && b->size - b->start - b->len >= n)
		return b->data + b->start + b->len;
	if (b->start > 0) {
		memmove(b->data, b->data + b->start, b->len);
		b->start = 0;
	}
	if (n > SIZE_MAX / 2 - b->len)
		return NULL;
	while (size - b->len < n)
		size *= 2;
	if (size != b->size) {
		grown = realloc(b->data, size);
		if (!grown)
			return NULL;
		b->data = grown;
		b->size = size;
	}
	return b->data + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
	b->len += n;
}

int buf_append(struct buf *b, const void *data, size_t n)
{
	uint8_t *to;

	if (n == 0)
		return 0;
	to = buf_reserve(b, n);
	if (!to)
		return -ENOMEM;
	memcpy(to, data, n);
	b->len += n;
	return 0;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	b->start += n;
	b->len -= n;
	if (b->len == 0)
		buf_deinit(b);
}
