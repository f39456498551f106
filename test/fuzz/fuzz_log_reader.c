/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log with any bytes in it, in two files: of each kind what is told lies within what was read, a plain
 * one's all of it, and the last lines are the end of all.
 */
#include "supervisor/cli/log_reader.h"

#include "common/buf.h"
#include "test/fuzz/fuzz_folder.h"

static int collect(const struct log_entry *entry, void *userdata, struct error *err)
{
	(void)err;
	CHECK(buf_append(userdata, entry->text, entry->n_text) == 0);
	CHECK(!entry->time || entry->n_time < 4096 * 1024);
	return 0;
}

static void read_all(const char *path, enum log_kind kind, int64_t tail, struct buf *ret)
{
	struct error err = ERROR_INIT;
	struct log_reader *r;

	CHECK(log_reader_open(path, kind, &r, &err) == 0);
	if (tail >= 0)
		CHECK(log_reader_tail(r, (uint64_t)tail, NULL, NULL, &err) == 0);
	CHECK(log_reader_read(r, collect, ret, &err) == 0);
	CHECK(!log_reader_has_gap(r));
	log_reader_free(r);
}

static void write_file(const char *name, const uint8_t *data, size_t n)
{
	int fd = openat(folder(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && fd_write_all(fd, data, n) == 0);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char path[128];
	size_t cut = n > 0 ? (size_t)data[0] * n / 256 : 0;

	write_file("log.1", data, cut);
	write_file("log", data + cut, n - cut);
	snprintf(path, sizeof(path), "%s/log", folder_path);
	for (int kind = LOG_KIND_PLAIN; kind <= LOG_KIND_JSON; kind++) {
		struct buf all = BUF_INIT, end = BUF_INIT;

		read_all(path, (enum log_kind)kind, -1, &all);
		read_all(path, (enum log_kind)kind, n > 1 ? data[1] % 8 : 0, &end);
		CHECK(all.len <= n + n / 2 && end.len <= all.len);
		if (kind == LOG_KIND_PLAIN) {
			CHECK(all.len == n - cut);
			CHECK(n == cut || memcmp(buf_head(&all), data + cut, all.len) == 0);
			CHECK(end.len == 0 || memcmp(buf_head(&all) + all.len - end.len,
						      buf_head(&end), end.len) == 0);
		}
		buf_deinit(&all);
		buf_deinit(&end);
	}
	return 0;
}
