/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process writes, in chunks of any size, into both formats: however it is cut up the file is the
 * same, and so is, once read again, the text (with JSON: but for what is no UTF-8).
 * The first two bytes say how it is cut and how much room a file has; a 0xfe makes a long run.
 */
#include "shim/log_split.h"

#include "common/text.h"
#include "test/fuzz/fuzz_folder.h"

#define BED_CHECK CHECK
#include "test/unit/log_bed.h"

static void expand(const uint8_t *data, size_t n, struct buf *text)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t run[4096];

		if (data[i] != 0xfe || i + 2 >= n) {
			CHECK(buf_append(text, data + i, 1) == 0);
			continue;
		}
		memset(run, data[i + 1], sizeof(run));
		for (int k = 0; k < data[i + 2] % 6; k++)
			CHECK(buf_append(text, run, sizeof(run)) == 0);
		CHECK(buf_append(text, run, data[i + 2]) == 0);
		i += 2;
	}
}

static void split(struct log_bed *l, const struct buf *text, size_t chunk, struct buf *back)
{
	for (size_t i = 0; i < text->len; i += chunk)
		log_bed_feed(l, buf_head(text) + i, text->len - i < chunk ? text->len - i : chunk,
			false);
	log_bed_feed(l, NULL, 0, true);
	log_bed_parse(l, back);
}

static void check(enum log_format format, const struct buf *text, size_t chunk, size_t room)
{
	struct buf back = BUF_INIT, back_whole = BUF_INIT;
	struct log_bed cut, whole;
	char *copy = strndup((const char *)buf_head(text), text->len);

	log_bed_init(&cut, format, room);
	log_bed_init(&whole, format, SIZE_MAX);
	split(&cut, text, chunk, &back);
	split(&whole, text, text->len, &back_whole);
	CHECK(cut.file.len == whole.file.len &&
		memcmp(buf_head(&cut.file), buf_head(&whole.file), cut.file.len) == 0);
	CHECK(copy);
	if (format == LOG_CRI || (strlen(copy) == text->len && text_is_utf8(copy)))
		CHECK(back.len == text->len &&
			memcmp(buf_head(&back), buf_head(text), back.len) == 0);
	free(copy);
	log_bed_deinit(&cut);
	log_bed_deinit(&whole);
	buf_deinit(&back);
	buf_deinit(&back_whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf text = BUF_INIT;

	if (n < 3)
		return 0;
	expand(data + 2, n - 2, &text);
	for (int format = LOG_CRI; text.len > 0 && format <= LOG_JSON; format++)
		check((enum log_format)format, &text,
			text.len < 4096 ? data[0] + 1u : 997 * (data[0] + 1u), 37 * (data[1] + 1u));
	buf_deinit(&text);
	return 0;
}
