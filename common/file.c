/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files and whole folders, through descriptors of folders. Never follows a link. Subtle:
 * remove_tree() keeps one descriptor per level open, so it gives up past MAX_DEPTH; none of our
 * folders is deeper than a handful.
 */
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/fd.h"
#include "common/ids.h"

#define MAX_DEPTH 64

static int write_new(int dir, const char *name, const void *data, size_t n, mode_t mode)
{
	_cleanup_close_ int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return -errno;
	/* the umask took bits away that the caller asked for */
	if (fchmod(fd, mode) < 0)
		return -errno;
	return fd_write_all(fd, data, n);
}

int file_write_atomic(int dir, const char *name, const void *data, size_t n, mode_t mode)
{
	char temporary[32] = ".tmp-";
	int r = random_hex(temporary + strlen(temporary), 8);

	if (r < 0)
		return r;
	r = write_new(dir, temporary, data, n, mode);
	if (r == 0 && renameat(dir, temporary, dir, name) < 0)
		r = -errno;
	/* EEXIST: the name was somebody else's, so it is not ours to remove */
	if (r < 0 && r != -EEXIST)
		unlinkat(dir, temporary, 0);
	return error_trace(r);
}

int dir_ensure(int dir, const char *name, mode_t mode)
{
	_cleanup_close_ int fd = -1;
	bool made = mkdirat(dir, name, mode) == 0;
	struct stat st;

	if (!made && errno != EEXIST)
		return error_trace(-errno);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_trace(-errno);
	if (st.st_uid != geteuid())
		return error_trace(-EPERM);
	/* not tightened: what others could write into it before would stay in it */
	if (!made && (st.st_mode & 0777 & ~mode))
		return error_trace(-EPERM);
	/* the umask took bits away, or a folder with S_ISGID gave that on */
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		return error_trace(-errno);
	return 0;
}

static int remove_at(int dir, const char *name, int depth);

static int remove_content(int fd, int depth)
{
	_cleanup_closedir_ DIR *d = NULL;
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3), r = 0;
	struct dirent *entry;

	if (own < 0)
		return -errno;
	d = fdopendir(own);
	if (!d) {
		close(own);
		return -ENOMEM;
	}
	for (errno = 0; (entry = readdir(d)); errno = 0) {
		int one = 0;

		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			one = remove_at(fd, entry->d_name, depth + 1);
		if (r == 0)
			r = one;
	}
	return r < 0 ? r : -errno;
}

/* Tries it as a file first: unlink(2) of a folder fails and harms nothing. */
static int remove_at(int dir, const char *name, int depth)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth > MAX_DEPTH)
		return -ELOOP;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = remove_content(fd, depth);
	if (r < 0)
		return r;
	return unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

int remove_tree(int dir, const char *name)
{
	return error_trace(remove_at(dir, name, 0));
}
