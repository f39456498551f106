/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Subtle: a line is looked through for its newline only as far as a part may reach, so
 * that a line of any length is looked through once.
 */
#include "shim/log_split.h"

#include <stdio.h>
#include <string.h>

#define JSON_HEAD "{\"log\":\""

/* --- cutting --- */

/* Where a part ends that is not to be cut within a character: up to three bytes before n. */
static size_t cut_before(const uint8_t *text, size_t n)
{
	for (size_t at = n; at > n - 4; at--)
		if ((text[at] & 0xc0) != 0x80)
			return at;
	return n; /* that is no UTF-8 */
}

/* The bytes of the next record, with its newline if it is full; 0: there is no whole one yet. */
static size_t next_part(const uint8_t *text, size_t n, bool at_end, bool *ret_full)
{
	size_t reach = n > LIMIT_LOG_PART ? LIMIT_LOG_PART + 1 : n;
	const uint8_t *newline = memchr(text, '\n', reach);

	*ret_full = newline != NULL;
	if (newline)
		return (size_t)(newline - text) + 1;
	if (n > LIMIT_LOG_PART)
		return cut_before(text, LIMIT_LOG_PART);
	return at_end ? n : 0;
}

/* --- JSON --- */

/* The length of the character that text begins with, or 0 where it is none. */
static size_t utf8_length(const uint8_t *text, size_t n)
{
	uint8_t first = text[0], low = 0x80, high = 0xbf;
	size_t length;

	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		length = 2;
	else if (first >= 0xe0 && first <= 0xef)
		length = 3;
	else if (first >= 0xf0 && first <= 0xf4)
		length = 4;
	else
		return 0;
	if (length > n)
		return 0;
	/* longer than need be, a surrogate, or past the last one */
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static size_t escape_control(char *to, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";
	static const char short_of[0x20] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'
	};

	to[0] = '\\';
	to[1] = c == '"' || c == '\\' ? (char)c : c < 0x20 ? short_of[c] : '\0';
	if (to[1])
		return 2;
	memcpy(to + 1, "u00", 3);
	to[4] = digits[c >> 4];
	to[5] = digits[c & 15];
	return 6;
}

/* Six bytes at most for each. */
static size_t escape(char *to, const uint8_t *text, size_t n)
{
	char *at = to;

	for (size_t i = 0; i < n;) {
		size_t length;

		if (is_plain(text[i])) {
			*at++ = (char)text[i++];
			continue;
		}
		length = utf8_length(text + i, n - i);
		if (length == 0) {
			memcpy(at, "\\ufffd", 6);
			at += 6;
			i++;
		} else if (length == 1) {
			at += escape_control(at, text[i++]);
		} else {
			memcpy(at, text + i, length);
			at += length;
			i += length;
		}
	}
	return (size_t)(at - to);
}

static size_t put(char *to, const char *from, size_t n)
{
	memcpy(to, from, n);
	return n;
}

static size_t put_json(const struct log_batch *b, char *to, const uint8_t *text, size_t n)
{
	size_t done = put(to, JSON_HEAD, strlen(JSON_HEAD));

	done += escape(to + done, text, n);
	return done + put(to + done, b->head[0], b->n_head);
}

/* --- batches --- */

void log_batch_clear(struct log_batch *b)
{
	b->n_iov = 1;
	b->n_records = b->n_bytes = b->n_json = 0;
	b->is_full = false;
}

void log_batch_begin(struct log_batch *b, enum log_format format, const char *stream, moment at)
{
	char time[CLOCK_TEXT_MAX];
	int n;

	clock_format(at, time);
	b->format = format;
	if (format == LOG_CRI) {
		snprintf(b->head[0], LOG_HEAD_MAX, "%s %s P ", time, stream);
		n = snprintf(b->head[1], LOG_HEAD_MAX, "%s %s F ", time, stream);
	} else {
		n = snprintf(b->head[0], LOG_HEAD_MAX, "\",\"stream\":\"%s\",\"time\":\"%s\"}\n",
			stream, time);
	}
	b->n_head = (size_t)n;
	log_batch_clear(b);
}

static void add_iov(struct log_batch *b, const void *data, size_t n)
{
	b->iov[b->n_iov++] = (struct iovec){ .iov_base = (void *)data, .iov_len = n };
}

static void add_record(struct log_batch *b, size_t n_bytes, size_t n_text)
{
	b->n_bytes += n_bytes;
	b->records[b->n_records++] = (struct log_record){ .end = b->n_bytes, .n_text = n_text };
}

static bool add_cri(struct log_batch *b, const uint8_t *text, size_t n, bool full, size_t room)
{
	size_t n_bytes = b->n_head + n + !full;

	if (n_bytes > room || b->n_iov + 3 > LOG_BATCH_IOV)
		return false;
	add_iov(b, b->head[full], b->n_head);
	add_iov(b, text, n);
	if (!full)
		add_iov(b, "\n", 1);
	add_record(b, n_bytes, n);
	return true;
}

/* One entry for all: they stand behind one another. */
static bool add_json(struct log_batch *b, const uint8_t *text, size_t n, size_t room)
{
	size_t around = strlen(JSON_HEAD) + b->n_head, n_bytes;

	/* with its newline a part has a byte more than its bound, which escaped are two */
	if (b->n_json + around + 6 * n > LOG_BATCH_JSON)
		return false;
	n_bytes = put_json(b, b->json + b->n_json, text, n);
	if (n_bytes > room)
		return false;
	b->n_json += n_bytes;
	b->iov[1] = (struct iovec){ .iov_base = b->json, .iov_len = b->n_json };
	b->n_iov = 2;
	add_record(b, n_bytes, n);
	return true;
}

size_t log_batch_add(
	struct log_batch *b, const uint8_t *text, size_t n, bool at_end, size_t room, bool must)
{
	size_t used = 0;

	while (used < n) {
		size_t left = room > b->n_bytes ? room - b->n_bytes : 0;
		bool full, fits;
		size_t part = next_part(text + used, n - used, at_end, &full);

		if (part == 0)
			break;
		if (must && b->n_records == 0)
			left = SIZE_MAX;
		fits = b->n_records < LOG_BATCH_RECORDS &&
		       (b->format == LOG_CRI ? add_cri(b, text + used, part, full, left)
					     : add_json(b, text + used, part, left));
		if (!fits) {
			b->is_full = true;
			break;
		}
		used += part;
	}
	return used;
}

size_t log_line(enum log_format format, moment at, const char *text, char *to, size_t size)
{
	char time[CLOCK_TEXT_MAX], escaped[6 * 256];
	size_t n = strnlen(text, 256);
	int length;

	clock_format(at, time);
	if (format == LOG_CRI) {
		length = snprintf(to, size, "%s stderr F %.*s\n", time, (int)n, text);
	} else {
		size_t n_escaped = escape(escaped, (const uint8_t *)text, n);

		length = snprintf(to, size,
			JSON_HEAD "%.*s\\n\",\"stream\":\"stderr\",\"time\":\"%s\"}\n",
			(int)n_escaped, escaped, time);
	}
	return (size_t)length < size ? (size_t)length : 0;
}
