/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unmounting by the table. Never follows a link at a mount point. Subtle: a mount can hide older
 * ones beneath it, so the order is that of the list backwards, not that of depth, and the list is
 * read again after each round.
 */
#include "shim/mount_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/text.h"

#define MAX_TABLE (64u << 20)

void mount_table_deinit(struct mount_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].path);
	free(t->v);
	*t = MOUNT_TABLE_INIT;
}

static bool is_at_or_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static int table_add(struct mount_table *t, int id, const char *path)
{
	struct mount_entry *grown = realloc(t->v, (t->n + 1) * sizeof(*grown));
	char *copy = strdup(path);

	if (grown)
		t->v = grown;
	if (!grown || !copy) {
		free(copy);
		return -ENOMEM;
	}
	t->v[t->n++] = (struct mount_entry){ id, copy };
	return 0;
}

/* A line: id, parent's id, device, root, mount point, and what we have no use for (proc(5)). */
static int table_add_line(struct mount_table *t, char *line, const char *folder)
{
	int id = atoi(line);
	char *state = NULL, *field = strtok_r(line, " ", &state);

	for (int i = 1; field && i < 5; i++)
		field = strtok_r(NULL, " ", &state);
	if (!field)
		return -EIO;
	text_unescape_octal(field);
	return is_at_or_below(field, folder) ? table_add(t, id, field) : 0;
}

int mount_table_read(const char *path, struct mount_table *ret)
{
	_cleanup_mount_table_ struct mount_table t = MOUNT_TABLE_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	char *state = NULL;
	int r = fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &text, MAX_TABLE);

	if (r == 0)
		r = buf_append(&text, "", 1);
	if (r < 0)
		return r;
	for (char *line = strtok_r((char *)buf_head(&text), "\n", &state); line;
		line = strtok_r(NULL, "\n", &state)) {
		r = table_add_line(&t, line, path);
		if (r < 0)
			return r;
	}
	*ret = t;
	t = MOUNT_TABLE_INIT;
	return 0;
}

static bool has_id(const struct mount_table *t, int id)
{
	for (size_t i = 0; t && i < t->n; i++)
		if (t->v[i].id == id)
			return true;
	return false;
}

/* One round over the list. *ret_last: the youngest that is still there. */
struct round {
	size_t n_done, n_busy;
	int first_error;
	const char *last;
};

static struct round unmount_round(const struct mount_table *t, const struct mount_table *keep)
{
	struct round round = { 0 };

	for (size_t i = t->n; i-- > 0;) {
		if (has_id(keep, t->v[i].id))
			continue;
		if (umount2(t->v[i].path, UMOUNT_NOFOLLOW) == 0) {
			round.n_done++;
			continue;
		}
		if (errno == EBUSY)
			round.n_busy++;
		if (!round.last) {
			round.first_error = -errno;
			round.last = t->v[i].path;
		}
	}
	return round;
}

/* The kernel tells nobody when a mount stops being in use, so it has to be asked again. */
static void wait_before_asking_again(void)
{
	struct timespec ts = { 0, 10 * 1000 * 1000 };

	nanosleep(&ts, NULL);
}

int mount_table_unmount(const char *path, const struct mount_table *keep, unsigned *ret_n_detached)
{
	int64_t give_up = clock_monotonic_ms() + MOUNT_BUSY_MS;

	for (;;) {
		_cleanup_mount_table_ struct mount_table t = MOUNT_TABLE_INIT;
		struct round round;
		int r = mount_table_read(path, &t);

		if (r < 0)
			return r;
		round = unmount_round(&t, keep);
		if (!round.last)
			return 0;
		if (round.n_done > 0)
			continue;
		if (round.n_busy == 0)
			return round.first_error;
		if (clock_monotonic_ms() < give_up) {
			wait_before_asking_again();
			continue;
		}
		if (umount2(round.last, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return -errno;
		++*ret_n_detached;
	}
}
