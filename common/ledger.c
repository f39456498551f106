/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing side of the ledger. Never lets a line go that somebody may still ask for. Subtle:
 * room is blocks past the end of the file (fallocate with KEEP_SIZE), and what is known of each
 * line is a slot made together with the room: at an exit neither disk nor memory is asked for.
 */
#include "common/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/ledger_line.h"
#include "common/list.h"

#define NEW_FILE     LEDGER_FILE ".new"
#define BLOCK	     4096
#define REWRITE_STEP (LIMIT_LEDGER / 4) /* after a rewrite that failed: the next try */

/* A line that a rewrite keeps, or the promise of one. */
struct slot {
	struct list slots_link;
	size_t offset, length;
	pid_t pid;
	char exec_id[LIMIT_ID + 1];
};

struct ledger {
	int dir, fd;
	size_t end;	      /* bytes of whole lines: the file's size */
	size_t room_end;      /* up to here blocks are ours */
	size_t rewrite_above; /* bytes */
	size_t n_reserved;
	struct list kept;     /* in the order of the file */
	struct list reserved; /* n_reserved of them */
	bool has_untracked;   /* a line without a slot: no rewrite may drop it */
};

static void free_slots(struct list *head)
{
	struct list *pos, *next;

	list_for_each_safe (pos, next, head)
		free(list_entry(pos, struct slot, slots_link));
	list_init(head);
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	fd_close(&l->fd);
	free_slots(&l->kept);
	free_slots(&l->reserved);
	free(l);
}

static void cleanup_ledger(struct ledger **l)
{
	ledger_free(*l);
}

/* Puts a slot to a line that is in the file. */
static void keep(struct ledger *l, struct slot *slot, const struct exit_entry *e, size_t offset,
	size_t length)
{
	slot->offset = offset;
	slot->length = length;
	slot->pid = e->pid;
	strcpy(slot->exec_id, e->exec_id ? e->exec_id : "");
	list_append(&l->kept, &slot->slots_link);
}

static int load_line(const char *line, size_t n, size_t offset, void *userdata)
{
	_cleanup_(exit_entry_deinit) struct exit_entry e = { 0 };
	struct ledger *l = userdata;
	struct slot *slot;
	int r;

	l->end = offset + n + 1;
	if (n >= LEDGER_LINE_MAX)
		return 0; /* none of ours */
	r = ledger_line_parse(line, n, &e);
	if (r != 0)
		return r == -EINVAL ? 0 : r;
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	keep(l, slot, &e, offset, n + 1);
	return 0;
}

/* What an earlier shim wrote. A torn last line is cut off, so that ours begin at a beginning. */
static int load(struct ledger *l)
{
	_cleanup_buf_ struct buf data = BUF_INIT;
	struct stat st;
	int r;

	if (fstat(l->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	r = fd_read_all(l->fd, &data, LEDGER_FILE_MAX);
	if (r == 0 && data.len > 0)
		r = ledger_each_line((const char *)buf_head(&data), data.len, load_line, l);
	if (r == 0 && l->end < data.len && ftruncate(l->fd, (off_t)l->end) < 0)
		r = -errno;
	l->room_end = l->end;
	return r;
}

int ledger_open(int dir, struct ledger **ret, struct error *err)
{
	_cleanup_(cleanup_ledger) struct ledger *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return error_errno(err, -ENOMEM, "exit ledger %s", LEDGER_FILE);
	l->dir = dir;
	l->rewrite_above = LIMIT_LEDGER;
	list_init(&l->kept);
	list_init(&l->reserved);
	l->fd = openat(dir, LEDGER_FILE,
		O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	r = l->fd < 0 ? -errno : load(l);
	if (r == LEDGER_LINE_NEWER)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"exit ledger %s has a version above %d: a newer cleat wrote it",
			LEDGER_FILE, LEDGER_VERSION);
	if (r < 0)
		return error_errno(err, r, "exit ledger %s", LEDGER_FILE);
	*ret = TAKE_PTR(l);
	return 0;
}

/* Makes blocks ours from one place up to another. A file system that cannot promises nothing. */
static int allocate(int fd, size_t from, size_t to)
{
	int r;

	do
		r = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from));
	while (r < 0 && errno == EINTR);
	return r < 0 && errno != EOPNOTSUPP ? -errno : 0;
}

static size_t room_needed(size_t end, size_t n_lines)
{
	return (end + n_lines * LEDGER_LINE_MAX + BLOCK - 1) / BLOCK * BLOCK;
}

/* Room for n lines from the end on. */
static int make_room(struct ledger *l, size_t n_lines)
{
	size_t to = room_needed(l->end, n_lines);
	int r;

	if (to <= l->room_end)
		return 0;
	r = allocate(l->fd, l->end, to);
	if (r == 0)
		l->room_end = to;
	return r;
}

int ledger_reserve(struct ledger *l, struct error *err)
{
	struct slot *slot = calloc(1, sizeof(*slot));
	int r = slot ? make_room(l, l->n_reserved + 1) : -ENOMEM;

	if (r < 0) {
		free(slot);
		return error_errno(
			err, r, "exit ledger %s: no room for one more exit", LEDGER_FILE);
	}
	list_append(&l->reserved, &slot->slots_link);
	l->n_reserved++;
	return 0;
}

static struct slot *take_reserved(struct ledger *l)
{
	struct slot *slot = list_first(&l->reserved, struct slot, slots_link);

	if (slot) {
		list_unlink(&slot->slots_link);
		l->n_reserved--;
	}
	return slot;
}

void ledger_unreserve(struct ledger *l)
{
	free(take_reserved(l));
}

static int write_kept(const struct ledger *l, int fd)
{
	const struct list *pos;

	list_for_each (pos, &l->kept) {
		const struct slot *slot = list_entry(pos, struct slot, slots_link);
		char line[LEDGER_LINE_MAX];
		ssize_t n = pread(l->fd, line, slot->length, (off_t)slot->offset);
		int r;

		if (n != (ssize_t)slot->length)
			return n < 0 ? -errno : -EIO;
		r = fd_write_all(fd, line, slot->length);
		if (r < 0)
			return r;
	}
	return 0;
}

static size_t kept_bytes(const struct ledger *l)
{
	const struct list *pos;
	size_t n = 0;

	list_for_each (pos, &l->kept)
		n += list_entry(pos, struct slot, slots_link)->length;
	return n;
}

/* The new file has the old one's promises before it takes its name. */
static int make_new(const struct ledger *l, size_t room_end)
{
	_cleanup_close_ int fd = -1;
	int r;

	unlinkat(l->dir, NEW_FILE, 0); /* of a rewrite that was killed */
	fd = openat(l->dir, NEW_FILE, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		0600);
	if (fd < 0)
		return -errno;
	r = allocate(fd, 0, room_end);
	if (r == 0)
		r = write_kept(l, fd);
	if (r == 0 && renameat(l->dir, NEW_FILE, l->dir, LEDGER_FILE) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(l->dir, NEW_FILE, 0);
		return r;
	}
	return TAKE_FD(fd);
}

/* If it does not work the old file goes on: what matters is in it. */
static void rewrite(struct ledger *l)
{
	size_t kept = kept_bytes(l), room_end = room_needed(kept, l->n_reserved), offset = 0;
	struct list *pos;
	int fd = l->has_untracked ? -EBUSY : make_new(l, room_end);

	if (fd < 0) {
		l->rewrite_above = l->end + REWRITE_STEP;
		return;
	}
	list_for_each (pos, &l->kept) {
		struct slot *slot = list_entry(pos, struct slot, slots_link);

		slot->offset = offset;
		offset += slot->length;
	}
	fd_close(&l->fd);
	l->fd = fd;
	l->end = kept;
	l->room_end = room_end;
	/* many that are alive would have it rewritten at each exit */
	l->rewrite_above = 2 * kept > LIMIT_LEDGER ? 2 * kept : LIMIT_LEDGER;
}

/* One write; part of a line is taken back. 0 or -errno. */
static int write_line(struct ledger *l, const char *line, size_t n)
{
	ssize_t done;

	do
		done = write(l->fd, line, n);
	while (done < 0 && errno == EINTR);
	if (done == (ssize_t)n) {
		l->end += n;
		return 0;
	}
	if (done < 0)
		return -errno;
	/* only without a promise: cutting the file gives up the blocks behind its end */
	if (ftruncate(l->fd, (off_t)l->end) < 0)
		return -errno;
	l->room_end = l->end;
	make_room(l, l->n_reserved);
	return -ENOSPC;
}

int ledger_append(struct ledger *l, const struct exit_entry *e)
{
	char line[LEDGER_LINE_MAX];
	struct slot *slot;
	size_t offset = l->end;
	int n = ledger_line_format(e, line);
	int r = n < 0 ? n : write_line(l, line, (size_t)n);

	slot = take_reserved(l);
	if (r < 0) {
		free(slot);
		return error_trace(r);
	}
	if (!slot) /* nobody reserved: then it may ask for memory */
		slot = calloc(1, sizeof(*slot));
	if (slot)
		keep(l, slot, e, offset, (size_t)n);
	else
		l->has_untracked = true;
	if (l->end > l->rewrite_above)
		rewrite(l);
	return 0;
}

void ledger_forget(struct ledger *l, const char *exec_id, pid_t pid)
{
	struct list *pos;

	if (!*exec_id)
		return;
	list_for_each (pos, &l->kept) {
		struct slot *slot = list_entry(pos, struct slot, slots_link);

		if (slot->pid != pid || strcmp(slot->exec_id, exec_id) != 0)
			continue;
		list_unlink(&slot->slots_link);
		free(slot);
		return;
	}
}
