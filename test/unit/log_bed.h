/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Text through the splitter in chunks, as the log's thread does it, into a buffer that stands for the
 * file; and a reader of both formats that knows nothing of the splitter. BED_CHECK is the caller's.
 */

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/buf.h"
#include "shim/log_split.h"

#define LOG_BED_AT ((moment)1767323045678901234)

struct log_bed {
	struct log_batch *batch;
	enum log_format format;
	struct buf carry, file;
	size_t room;
	size_t n_records, largest_carry;
};

static inline void log_bed_init(struct log_bed *l, enum log_format format, size_t room)
{
	*l = (struct log_bed){ .format = format, .room = room };
	l->batch = malloc(sizeof(*l->batch));
	BED_CHECK(l->batch);
	log_batch_begin(l->batch, format, "stdout", LOG_BED_AT);
}

static inline void log_bed_deinit(struct log_bed *l)
{
	free(l->batch);
	buf_deinit(&l->carry);
	buf_deinit(&l->file);
}

/* What a batch says of itself is so. */
static inline void log_bed_store(struct log_bed *l, size_t used)
{
	const struct log_batch *b = l->batch;
	size_t n_bytes = 0, n_text = 0, before = 0;

	for (size_t i = 1; i < b->n_iov; i++) {
		n_bytes += b->iov[i].iov_len;
		BED_CHECK(buf_append(&l->file, b->iov[i].iov_base, b->iov[i].iov_len) == 0);
	}
	for (size_t i = 0; i < b->n_records; i++) {
		n_text += b->records[i].n_text;
		BED_CHECK(b->records[i].end > before);
		before = b->records[i].end;
		BED_CHECK(buf_head(&l->file)[l->file.len - n_bytes + before - 1] == '\n');
	}
	BED_CHECK(n_bytes == b->n_bytes && n_bytes == before && n_text == used);
	BED_CHECK(n_bytes <= l->room || b->n_records == 1);
	l->n_records += b->n_records;
}

static inline void log_bed_feed(struct log_bed *l, const uint8_t *text, size_t n, bool at_end)
{
	size_t used;

	BED_CHECK(n == 0 || buf_append(&l->carry, text, n) == 0);
	for (;;) {
		log_batch_clear(l->batch);
		used = log_batch_add(
			l->batch, buf_head(&l->carry), l->carry.len, at_end, l->room, false);
		if (l->batch->n_records == 0 && l->batch->is_full)
			used = log_batch_add(
				l->batch, buf_head(&l->carry), l->carry.len, at_end, l->room, true);
		if (l->batch->n_records == 0)
			break;
		log_bed_store(l, used);
		buf_consume(&l->carry, used);
	}
	BED_CHECK(used == 0 && l->carry.len <= (at_end ? 0 : LIMIT_LOG_PART));
}

/* Of one record; what it holds is added to text. */
static inline void log_bed_parse_cri(const uint8_t *line, size_t n, struct buf *text)
{
	static const char time[] = "2026-01-02T03:04:05.678901234Z stdout ";
	size_t head = strlen(time);

	BED_CHECK(n >= head + 2 && memcmp(line, time, head) == 0);
	BED_CHECK((line[head] == 'P' || line[head] == 'F') && line[head + 1] == ' ');
	BED_CHECK(n - head - 2 <= LIMIT_LOG_PART);
	if (n > head + 2)
		BED_CHECK(buf_append(text, line + head + 2, n - head - 2) == 0);
	if (line[head] == 'F')
		BED_CHECK(buf_append(text, "\n", 1) == 0);
}

static inline void log_bed_parse_json(const uint8_t *line, size_t n, struct buf *text)
{
	json_t *j =
		json_loadb((const char *)line, n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	const json_t *log = json_object_get(j, "log");

	BED_CHECK(j && json_object_size(j) == 3 && json_is_string(log));
	BED_CHECK(strcmp(json_string_value(json_object_get(j, "stream")), "stdout") == 0);
	BED_CHECK(strcmp(json_string_value(json_object_get(j, "time")),
			  "2026-01-02T03:04:05.678901234Z") == 0);
	BED_CHECK(json_string_length(log) > 0);
	BED_CHECK(buf_append(text, json_string_value(log), json_string_length(log)) == 0);
	json_decref(j);
}

static inline void log_bed_parse(const struct log_bed *l, struct buf *text)
{
	const uint8_t *at = buf_head(&l->file), *end = at + l->file.len;
	size_t n_lines = 0;

	for (; at < end; n_lines++) {
		const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));

		BED_CHECK(newline);
		if (l->format == LOG_CRI)
			log_bed_parse_cri(at, (size_t)(newline - at), text);
		else
			log_bed_parse_json(at, (size_t)(newline - at), text);
		at = newline + 1;
	}
	BED_CHECK(n_lines == l->n_records);
}
