/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Subtle: that there is a next file is seen only after this one's end was, and its writer
 * may have written to it in between: so its end is read once more before it is left.
 */
#include "supervisor/cli/log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/limits.h"
#include "supervisor/cli/log_files.h"

#define READ_SIZE ((size_t)64 << 10)
/* A line of a log that is longer is no record: an escaped part has six bytes for one. */
#define RECORD_MAX ((size_t)8 * LIMIT_LOG_PART)

/* Where a line begins, and which of the streams had one open there. */
struct position {
	struct log_file_id file;
	uint64_t offset;
	bool open[2];
};

struct tail {
	struct position *ring; /* the last n, of which n_seen have been */
	uint64_t n, n_seen, size;
	bool (*is_wanted)(const struct log_entry *entry, void *userdata);
	void *userdata;
};

struct log_reader {
	char *path;
	enum log_kind kind;
	int fd;
	struct buf buf;
	uint64_t offset; /* in the file, of what buf begins with */
	bool is_passing; /* over a line that is too long */
	bool open[2];	 /* stdout's and stderr's line has begun */
	bool skips[2];	 /* and the rest of that is not told */
	uint64_t n_bad;
	bool has_gap;
	struct tail *tail; /* while it is looked for */
	int (*show)(const struct log_entry *entry, void *userdata, struct error *err);
	void *userdata;
};

static bool is_rotated(const struct log_reader *r)
{
	return r->kind != LOG_KIND_PLAIN;
}

/* --- records --- */

/* TIME stdout|stderr P|F TEXT\n */
static bool parse_cri(const char *line, size_t n, struct log_entry *ret)
{
	const char *space = memchr(line, ' ', n);
	const char *rest = space ? space + 1 : line;
	size_t left = n - (size_t)(rest - line);

	if (!space || left < strlen("stdout F \n") || rest[6] != ' ' || rest[8] != ' ')
		return false;
	ret->is_err = memcmp(rest, "stderr", 6) == 0;
	if ((!ret->is_err && memcmp(rest, "stdout", 6) != 0) || (rest[7] != 'F' && rest[7] != 'P'))
		return false;
	ret->ends = rest[7] == 'F';
	ret->time = line;
	ret->n_time = (size_t)(space - line);
	ret->text = rest + 9;
	ret->n_text = left - 9 - !ret->ends; /* a part's newline is the record's alone */
	return true;
}

/* *ret_json owns what ret points to. */
static bool parse_json(const char *line, size_t n, json_t **ret_json, struct log_entry *ret)
{
	json_t *j = json_loadb(line, n, JSON_ALLOW_NUL, NULL);
	const json_t *text = json_object_get(j, "log");
	const char *stream = json_get_string(j, "stream", "");

	*ret_json = j;
	ret->time = json_get_string(j, "time", NULL);
	ret->is_err = strcmp(stream, "stderr") == 0;
	if (!json_is_string(text) || !ret->time || (!ret->is_err && strcmp(stream, "stdout") != 0))
		return false;
	ret->n_time = strlen(ret->time);
	ret->text = json_string_value(text);
	ret->n_text = json_string_length(text);
	ret->ends = ret->n_text > 0 && ret->text[ret->n_text - 1] == '\n';
	return true;
}

static int note_line(struct log_reader *r, const struct log_entry *entry, uint64_t offset)
{
	struct tail *t = r->tail;
	struct position *p;

	if (!entry->begins || t->n == 0 || (t->is_wanted && !t->is_wanted(entry, t->userdata)))
		return 0;
	if (t->n_seen >= t->size && t->size < t->n) {
		uint64_t size = t->size ? 2 * t->size : 64;
		struct position *ring =
			reallocarray(t->ring, size < t->n ? size : t->n, sizeof(*ring));

		if (!ring)
			return -ENOMEM;
		t->ring = ring;
		t->size = size < t->n ? size : t->n;
	}
	p = &t->ring[t->n_seen++ % t->size];
	p->offset = offset;
	memcpy(p->open, r->open, sizeof(p->open));
	return log_files_id(r->fd, &p->file);
}

/* One entry that begins at offset of the file. */
static int take_entry(
	struct log_reader *r, struct log_entry *entry, uint64_t offset, struct error *err)
{
	bool *open = &r->open[entry->is_err], *skips = &r->skips[entry->is_err];
	int code = 0;

	entry->begins = !*open;
	if (r->tail) {
		code = note_line(r, entry, offset);
		if (code < 0)
			code = error_errno(err, code, "%s", r->path);
	} else if (!*skips) {
		code = r->show(entry, r->userdata, err);
	}
	*open = !entry->ends;
	*skips &= !entry->ends;
	return code;
}

static int take_record(
	struct log_reader *r, const char *line, size_t n, uint64_t offset, struct error *err)
{
	struct log_entry entry = { 0 };
	_cleanup_json_ json_t *j = NULL;
	bool is_good;

	if (r->kind == LOG_KIND_PLAIN) {
		entry.text = line;
		entry.n_text = n;
		entry.ends = line[n - 1] == '\n';
		is_good = true;
	} else {
		is_good = r->kind == LOG_KIND_CRI ? parse_cri(line, n, &entry)
						  : parse_json(line, n, &j, &entry);
	}
	if (is_good)
		return take_entry(r, &entry, offset, err);
	r->n_bad++;
	return 0;
}

/* --- one file --- */

/* Whole lines of what was read; of a plain file the rest as well. */
static int take_lines(struct log_reader *r, struct error *err)
{
	int code = 0;

	while (code == 0 && r->buf.len > 0) {
		const char *line = (const char *)buf_head(&r->buf);
		const char *newline = memchr(line, '\n', r->buf.len);
		size_t n = newline ? (size_t)(newline - line) + 1 : r->buf.len;

		if (!newline && r->kind != LOG_KIND_PLAIN && n <= RECORD_MAX)
			break;
		if (newline && r->is_passing)
			r->is_passing = false;
		else if (newline || r->kind == LOG_KIND_PLAIN)
			code = take_record(r, line, n, r->offset, err);
		else if (!r->is_passing) {
			r->is_passing = true;
			r->n_bad++;
		}
		buf_consume(&r->buf, n);
		r->offset += n;
	}
	return code;
}

/* A plain file that was made shorter begins anew. */
static void look_at_size(struct log_reader *r)
{
	struct stat st;

	if (r->kind != LOG_KIND_PLAIN || fstat(r->fd, &st) < 0 ||
		(uint64_t)st.st_size >= r->offset + r->buf.len)
		return;
	lseek(r->fd, 0, SEEK_SET);
	r->offset = 0;
	buf_consume(&r->buf, r->buf.len);
}

static int read_file(struct log_reader *r, struct error *err)
{
	int code = 0;

	look_at_size(r);
	while (code == 0) {
		uint8_t *to = buf_reserve(&r->buf, READ_SIZE);
		ssize_t n = to ? read(r->fd, to, READ_SIZE) : -1;

		if (!to)
			return error_errno(err, -ENOMEM, "%s", r->path);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, -errno, "%s", r->path);
		if (n == 0)
			break;
		buf_commit(&r->buf, (size_t)n);
		code = take_lines(r, err);
	}
	return code;
}

/* --- all of them --- */

/* From offset on, with nothing in hand. */
static void enter(struct log_reader *r, int fd_take, uint64_t offset)
{
	fd_close(&r->fd);
	r->fd = fd_take;
	r->offset = offset;
	r->is_passing = false;
	buf_consume(&r->buf, r->buf.len);
	lseek(r->fd, (off_t)offset, SEEK_SET);
}

static int read_all(struct log_reader *r, struct error *err)
{
	for (;;) {
		bool gap;
		int code = read_file(r, err), next;

		if (code != 0)
			return code;
		next = log_files_next(r->path, is_rotated(r), r->fd, &gap);
		if (next == -ENODATA)
			return 0;
		if (next < 0)
			return error_errno(err, next, "%s", r->path);
		code = read_file(r, err);
		if (code != 0) {
			close(next);
			return code;
		}
		r->n_bad += r->buf.len > 0; /* a record without an end */
		r->has_gap |= gap;
		enter(r, next, 0);
	}
}

int log_reader_read(struct log_reader *r,
	int (*show)(const struct log_entry *entry, void *userdata, struct error *err),
	void *userdata, struct error *err)
{
	r->show = show;
	r->userdata = userdata;
	return read_all(r, err);
}

/* The oldest of those in the ring, or the oldest file where that is gone. */
static int go_back(struct log_reader *r, const struct tail *t, struct error *err)
{
	const struct position *p = &t->ring[t->n_seen > t->size ? t->n_seen % t->size : 0];
	int fd = log_files_find(r->path, is_rotated(r), &p->file);

	if (fd >= 0) {
		enter(r, fd, p->offset);
		memcpy(r->open, p->open, sizeof(r->open));
		memcpy(r->skips, p->open, sizeof(r->skips));
		return 0;
	}
	fd = log_files_oldest(r->path, is_rotated(r));
	if (fd < 0)
		return error_errno(err, fd, "%s", r->path);
	r->has_gap = true;
	enter(r, fd, 0);
	return 0;
}

int log_reader_tail(struct log_reader *r, uint64_t n,
	bool (*is_wanted)(const struct log_entry *entry, void *userdata), void *userdata,
	struct error *err)
{
	struct tail t = { .n = n, .is_wanted = is_wanted, .userdata = userdata };
	int code;

	r->tail = &t;
	code = read_all(r, err);
	r->tail = NULL;
	r->n_bad = 0; /* it is told of what is shown */
	if (code == 0 && t.n_seen > 0)
		code = go_back(r, &t, err);
	free(t.ring);
	return code;
}

bool log_reader_is_written(const struct log_reader *r)
{
	/* as it is rotated there is a moment at which PATH is a new file that is not locked yet, and the old
	 * one still is */
	return log_files_is_locked(r->path, 0) ||
	       (is_rotated(r) &&
		       (log_files_is_locked(r->path, 1) || log_files_is_locked(r->path, 0)));
}

int log_reader_open(
	const char *path, enum log_kind kind, struct log_reader **ret, struct error *err)
{
	struct log_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return error_errno(err, -ENOMEM, "%s", path);
	r->kind = kind;
	r->buf = BUF_INIT;
	r->path = strdup(path);
	r->fd = r->path ? log_files_oldest(path, kind != LOG_KIND_PLAIN) : -ENOMEM;
	if (r->fd < 0) {
		int code = error_errno(err, r->fd, "%s", path);

		r->fd = -1;
		log_reader_free(r);
		return code;
	}
	*ret = r;
	return 0;
}

uint64_t log_reader_n_bad(const struct log_reader *r)
{
	return r->n_bad;
}

bool log_reader_has_gap(const struct log_reader *r)
{
	return r->has_gap;
}

const char *log_reader_path(const struct log_reader *r)
{
	return r->path;
}

void log_reader_free(struct log_reader *r)
{
	if (!r)
		return;
	fd_close(&r->fd);
	buf_deinit(&r->buf);
	free(r->path);
	free(r);
}
