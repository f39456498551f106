/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Subtle: that a file was removed is looked for after each write, not before it: what was
 * written to it in between would be lost and not counted.
 */
#include "shim/stdio_log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "shim/stdio_ends.h"

#define NOTICE_MAX 512

/* --- opening --- */

static int lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &whole) < 0 ? -errno : 0;
}

static bool ends_with_newline(const char *path, uint64_t size)
{
	_cleanup_close_ int fd = -1;
	char last = '\0';

	if (size == 0)
		return true;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd >= 0 && pread(fd, &last, 1, (off_t)size - 1) == 1 && last == '\n';
}

static void begin_file(struct log_file *f, int fd_take, uint64_t size)
{
	f->fd = fd_take;
	f->size = size;
	f->limit = f->max_size;
	f->torn = !ends_with_newline(f->path, size);
}

int log_file_open(const struct log_file_options *options, struct log_file *ret, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = stdio_file_open(options->path, &fd, err);

	if (r)
		return r;
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "fstat");
	if (!S_ISREG(st.st_mode))
		return error_set(err, CODE_INVALID_ARGUMENT, "not a file");
	r = lock(fd);
	if (r == -EAGAIN || r == -EACCES)
		return error_set(
			err, CODE_FAILED_PRECONDITION, "another process's log is written there");
	/* a file system without locks has none */
	*ret = LOG_FILE_INIT;
	ret->path = strdup(options->path);
	if (!ret->path)
		return error_errno(err, -ENOMEM, "path");
	ret->format = options->format;
	ret->max_size = options->max_size;
	ret->max_files = options->max_files;
	begin_file(ret, TAKE_FD(fd), (uint64_t)st.st_size);
	return 0;
}

/* Where it was removed, or moved away by us. */
static int open_again(struct log_file *f)
{
	int fd = open(
		f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EEXIST;
	}
	lock(fd);
	fd_close(&f->fd);
	begin_file(f, fd, (uint64_t)st.st_size);
	return 0;
}

/* --- rotating --- */

size_t log_file_room(const struct log_file *f)
{
	if (f->max_size == 0)
		return SIZE_MAX;
	return f->size < f->limit ? (size_t)(f->limit - f->size) : 0;
}

static bool numbered(const struct log_file *f, unsigned n, char path[static PATH_MAX])
{
	int length = n ? snprintf(path, PATH_MAX, "%s.%u", f->path, n)
		       : snprintf(path, PATH_MAX, "%s", f->path);

	return length < PATH_MAX;
}

/* The first number that is free, or the last one, whose file goes. */
static unsigned first_free(const struct log_file *f)
{
	char path[PATH_MAX];
	unsigned n = 1;

	while (n + 1 < f->max_files && numbered(f, n, path) && access(path, F_OK) == 0)
		n++;
	return n;
}

static int move_all(const struct log_file *f)
{
	char from[PATH_MAX], to[PATH_MAX];

	for (unsigned n = first_free(f); n > 0; n--) {
		if (!numbered(f, n - 1, from) || !numbered(f, n, to))
			return -ENAMETOOLONG;
		/* none there yet: the last rotation could not make it */
		if (rename(from, to) < 0 && !(n == 1 && errno == ENOENT))
			return -errno;
	}
	return 0;
}

void log_file_rotate(struct log_file *f)
{
	int r;

	if (f->max_size == 0 || f->size == 0)
		return;
	r = f->fd < 0 ? 0 : move_all(f);
	if (r == 0)
		r = open_again(f);
	if (r < 0) {
		/* no record is lost for it: on with the old one, and tried again later */
		f->limit = f->size + f->max_size;
		if (!f->rotates_badly)
			f->news.rotation = -r;
	}
	f->rotates_badly = r < 0;
}

/* --- gaps --- */

static void lose(struct log_file *f, const struct log_batch *b, size_t first, int error)
{
	if (f->error == 0)
		f->news.began = error;
	f->error = error;
	for (size_t i = first; i < b->n_records; i++)
		f->lost_bytes += b->records[i].n_text;
	f->lost_records += b->n_records - first;
}

static void gap_ended(struct log_file *f)
{
	f->news.ended = true;
	f->news.bytes += f->lost_bytes;
	f->news.records += f->lost_records;
	f->error = 0;
	f->lost_bytes = f->lost_records = 0;
}

/* What comes before the next record: the end of a line that has none, what is missing. */
static size_t make_notice(const struct log_file *f, char notice[static NOTICE_MAX])
{
	char text[200];
	size_t n = 0;

	if (f->torn)
		notice[n++] = '\n';
	if (f->error == 0)
		return n;
	snprintf(text, sizeof(text), "cleat: %" PRIu64 " bytes were not written: %s", f->lost_bytes,
		strerrordesc_np(f->error));
	return n + log_line(f->format, clock_now(), text, notice + n, NOTICE_MAX - n);
}

/* --- writing --- */

/* Through short writes. *ret_done bytes are written, also where the result is an error. */
static int write_all(int fd, struct iovec *iov, size_t n, size_t *ret_done)
{
	*ret_done = 0;
	while (n > 0) {
		ssize_t done = writev(fd, iov, (int)n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (done == 0)
			return -EIO;
		*ret_done += (size_t)done;
		while (n > 0 && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

/* Takes out what stands behind whole records; only where nobody else has written to the file. */
static void cut_back(struct log_file *f, size_t whole, size_t done)
{
	struct stat st;

	if (done == whole)
		return;
	if (fstat(f->fd, &st) == 0 && (uint64_t)st.st_size == f->size + done &&
		ftruncate(f->fd, (off_t)(f->size + whole)) == 0)
		return;
	f->torn = true;
	f->size += done - whole;
}

static bool was_removed(const struct log_file *f)
{
	struct stat st;

	return fstat(f->fd, &st) == 0 && st.st_nlink == 0;
}

/* Records that are in the file now. iov[0] is notice, of n_notice bytes. */
static size_t try_write(struct log_file *f, struct log_batch *b, int *ret_error)
{
	struct iovec *iov = b->work;
	char notice[NOTICE_MAX];
	size_t n_notice, done = 0, whole = 0, k = 0;
	int r;

	n_notice = make_notice(f, notice);
	memcpy(iov, b->iov, b->n_iov * sizeof(*iov));
	iov[0] = (struct iovec){ notice, n_notice };
	r = n_notice ? write_all(f->fd, iov, b->n_iov, &done)
		     : write_all(f->fd, iov + 1, b->n_iov - 1, &done);
	while (k < b->n_records && n_notice + b->records[k].end <= done)
		whole = n_notice + b->records[k++].end;
	if (whole > 0)
		f->torn = false;
	cut_back(f, whole, done);
	f->size += whole;
	*ret_error = -r;
	return k;
}

static size_t text_of(const struct log_batch *b, size_t first, size_t end)
{
	size_t n = 0;

	for (size_t i = first; i < end; i++)
		n += b->records[i].n_text;
	return n;
}

size_t log_file_write(struct log_file *f, struct log_batch *b)
{
	int error = f->fd < 0 ? -open_again(f) : 0;
	size_t k;

	if (error) {
		lose(f, b, 0, error);
		return 0;
	}
	k = try_write(f, b, &error);
	if (was_removed(f)) {
		/* nobody will read it there: all of it once more, into a new one */
		fd_close(&f->fd);
		error = -open_again(f);
		k = error ? 0 : try_write(f, b, &error);
	}
	if (k > 0 && f->error)
		gap_ended(f);
	if (k < b->n_records)
		lose(f, b, k, error);
	return text_of(b, 0, k);
}

void log_file_close(struct log_file *f)
{
	if (f->error && (f->fd >= 0 || open_again(f) == 0)) {
		char notice[NOTICE_MAX];
		struct iovec iov = { notice, make_notice(f, notice) };
		size_t n = iov.iov_len, done;

		write_all(f->fd, &iov, 1, &done);
		cut_back(f, done == n ? n : 0, done);
	}
	if (f->error)
		gap_ended(f);
	fd_close(&f->fd);
	free(f->path);
	f->path = NULL;
}
