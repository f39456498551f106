/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup's files, read and parsed. Knows no message. Subtle: the kernel owns these files and
 * their forms, so what does not parse is a newer kernel's and is passed over, never an error.
 */
#include "shim/metrics_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fd.h"

#define LIMIT_FILE (1u << 20) /* io.stat of some ten thousand devices */

void metrics_reader_init(struct metrics_reader *r)
{
	r->no_memory = false;
	arena_init(&r->arena, r->room, sizeof(r->room), ARENA_LIMIT);
}

void metrics_reader_deinit(struct metrics_reader *r)
{
	arena_deinit(&r->arena);
}

void *metrics_alloc(struct metrics_reader *r, size_t n)
{
	void *p = r->arena.allocator.alloc(r->arena.allocator.allocator_data, n);

	if (!p) {
		r->no_memory = true;
		return NULL;
	}
	return memset(p, 0, n);
}

void *metrics_message(struct metrics_reader *r, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *m = metrics_alloc(r, type->sizeof_message);

	if (m)
		protobuf_c_message_init(type, m);
	return m;
}

void metrics_append(struct metrics_reader *r, void *list, size_t *n, void *item)
{
	void **items;

	if (!item)
		return;
	memcpy(&items, list, sizeof(items)); /* a pointer to pointers of the item's own type */
	/* it grows when n is a power of two, or 0; what it was before is left in the arena */
	if ((*n & (*n - 1)) == 0) {
		void **grown = metrics_alloc(r, (*n ? *n * 2 : 1) * sizeof(*grown));

		if (!grown)
			return;
		if (*n)
			memcpy(grown, items, *n * sizeof(*grown));
		items = grown;
		memcpy(list, &items, sizeof(items));
	}
	items[(*n)++] = item;
}

char *metrics_string(struct metrics_reader *r, const char *s, size_t n)
{
	char *copy = metrics_alloc(r, n + 1);

	return copy ? memcpy(copy, s, n) : NULL;
}

bool metrics_text(struct metrics_reader *r, int dir, const char *file, struct buf *ret)
{
	int e = dir < 0 && dir != AT_FDCWD ? -ENOENT : fd_read_file(dir, file, ret, LIMIT_FILE);

	if (e == 0)
		e = buf_append(ret, "", 1);
	if (e == -ENOMEM)
		r->no_memory = true;
	return e == 0;
}

uint64_t metrics_parse(const char *s)
{
	return *s == '-' ? 0 : strtoull(s, NULL, 10);
}

static void put_key(char *line, const struct metrics_key *keys, size_t n, void *message)
{
	char *space = strchr(line, ' ');

	if (!space)
		return;
	*space = '\0';
	for (size_t i = 0; i < n; i++)
		if (strcmp(keys[i].name, line) == 0) {
			uint64_t value = metrics_parse(space + 1);

			memcpy((char *)message + keys[i].offset, &value, sizeof(value));
			return;
		}
}

bool metrics_keys(struct metrics_reader *r, int dir, const char *file,
	const struct metrics_key *keys, size_t n, void *message)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char *rest = NULL;

	if (!metrics_text(r, dir, file, &text))
		return false;
	for (char *line = strtok_r((char *)buf_head(&text), "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest))
		put_key(line, keys, n, message);
	return true;
}

bool metrics_number(
	struct metrics_reader *r, int dir, const char *file, uint64_t max, uint64_t *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *s;

	if (!metrics_text(r, dir, file, &text))
		return false;
	s = (const char *)buf_head(&text);
	*ret = strncmp(s, "max", 3) == 0 ? max : metrics_parse(s);
	return true;
}

void metrics_hugetlb_sizes(struct metrics_reader *r, int dir, const char *suffix,
	void (*each)(struct metrics_reader *r, int dir, const char *size, void *userdata),
	void *userdata)
{
	static const char prefix[] = "hugetlb.";
	_cleanup_close_ int fd =
		dir < 0 ? -1 : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d)
		return;
	fd = -1;
	while ((entry = readdir(d))) {
		const char *size = entry->d_name + sizeof(prefix) - 1;
		const char *dot;
		char name[32];

		if (strncmp(entry->d_name, prefix, sizeof(prefix) - 1) != 0)
			continue;
		/* the name ends at the next dot: hugetlb.2MB.rsvd.current is another thing */
		dot = strchr(size, '.');
		if (!dot || strcmp(dot, suffix) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(dot - size), size);
		each(r, dir, name, userdata);
	}
}

static uint32_t rdma_value(const char *s)
{
	uint64_t value = strncmp(s, "max", 3) == 0 ? UINT32_MAX : metrics_parse(s);

	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static bool rdma_parse(char *line, struct metrics_rdma *ret)
{
	char *rest = NULL, *word;

	ret->device = strtok_r(line, " ", &rest);
	ret->handles = ret->objects = 0;
	while ((word = strtok_r(NULL, " ", &rest))) {
		if (strncmp(word, "hca_handle=", 11) == 0)
			ret->handles = rdma_value(word + 11);
		else if (strncmp(word, "hca_object=", 11) == 0)
			ret->objects = rdma_value(word + 11);
	}
	return ret->device != NULL;
}

void metrics_rdma(struct metrics_reader *r, int dir, const char *file,
	void (*each)(struct metrics_reader *r, const struct metrics_rdma *entry, void *userdata),
	void *userdata)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct metrics_rdma entry;
	char *rest = NULL;

	if (!metrics_text(r, dir, file, &text))
		return;
	for (char *line = strtok_r((char *)buf_head(&text), "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest)) {
		if (!rdma_parse(line, &entry))
			continue;
		entry.device = metrics_string(r, entry.device, strlen(entry.device));
		if (entry.device)
			each(r, &entry, userdata);
	}
}
