/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Subtle: they are opened from the newest to the oldest, against the way in which they
 * are renamed: one that is moved on meanwhile is met twice, and none is missed. While they are renamed one
 * number among them is free.
 */
#include "supervisor/cli/log_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"

static int open_nth(const char *path, unsigned n)
{
	char name[PATH_MAX];
	int length = n ? snprintf(name, sizeof(name), "%s.%u", path, n)
		       : snprintf(name, sizeof(name), "%s", path);
	int fd;

	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int log_files_id(int fd, struct log_file_id *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = (struct log_file_id){ .dev = st.st_dev, .ino = st.st_ino };
	return 0;
}

bool log_files_is_locked(const char *path, unsigned n)
{
	struct flock all = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	_cleanup_close_ int fd = open_nth(path, n);

	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &all) == 0 && all.l_type != F_UNLCK;
}

static bool is_same(const struct log_file_id *a, const struct log_file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

/*
 * Goes from the newest on to the one that id is, or (NULL) to the oldest. *ret_fd, where it is not NULL,
 * is that one, *ret_newer the one before it on the way; -1 where there is none. 0, -ENOENT where id was
 * not met (then *ret_fd is the oldest), or -errno.
 */
static int walk(const char *path, bool is_rotated, const struct log_file_id *id, int *ret_fd,
	int *ret_newer)
{
	_cleanup_close_ int last = -1, before = -1;
	struct log_file_id last_id = { 0 }, now;
	unsigned n_free = 0;
	int r = 0;

	for (unsigned n = 0; n <= (is_rotated ? LIMIT_LOG_FILES : 0); n++) {
		_cleanup_close_ int fd = open_nth(path, n);

		if (fd == -ENOENT && n_free++ == 0)
			continue;
		if (fd == -ENOENT)
			break;
		n_free = 0;
		r = fd < 0 ? fd : log_files_id(fd, &now);
		if (r < 0)
			return r;
		if (last >= 0 && is_same(&now, &last_id))
			continue;
		fd_close(&before);
		before = TAKE_FD(last);
		last = TAKE_FD(fd);
		last_id = now;
		if (id && is_same(&now, id))
			break;
	}
	if (last < 0 || (id && !is_same(&last_id, id)))
		r = -ENOENT;
	*ret_fd = TAKE_FD(last);
	*ret_newer = TAKE_FD(before);
	return r;
}

int log_files_oldest(const char *path, bool is_rotated)
{
	_cleanup_close_ int newer = -1;
	int fd = -1, r = walk(path, is_rotated, NULL, &fd, &newer);

	return r < 0 ? r : fd;
}

int log_files_find(const char *path, bool is_rotated, const struct log_file_id *id)
{
	_cleanup_close_ int fd = -1, newer = -1;
	int r = walk(path, is_rotated, id, &fd, &newer);

	return r < 0 ? r : TAKE_FD(fd);
}

int log_files_next(const char *path, bool is_rotated, int fd, bool *ret_gap)
{
	_cleanup_close_ int found = -1, newer = -1;
	struct log_file_id id;
	int r = log_files_id(fd, &id);

	*ret_gap = false;
	if (r == 0)
		r = walk(path, is_rotated, &id, &found, &newer);
	if (r == 0 && newer >= 0)
		return TAKE_FD(newer);
	if (r == 0 || (r == -ENOENT && found < 0))
		return -ENODATA;
	if (r != -ENOENT)
		return r;
	*ret_gap = is_rotated;
	return TAKE_FD(found);
}
