/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a ledger, by anybody, also while its shim writes. Never repairs it. */
#include "common/ledger_line.h"

#include <errno.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"

struct entries {
	struct exit_entry *list;
	size_t n, size;
};

void exit_entries_free(struct exit_entry *e, size_t n)
{
	for (size_t i = 0; i < n; i++)
		exit_entry_deinit(&e[i]);
	free(e);
}

static int add_line(const char *line, size_t n, size_t offset, void *userdata)
{
	struct entries *entries = userdata;
	int r;

	(void)offset;
	if (entries->n == entries->size) {
		size_t size = entries->size ? 2 * entries->size : 16;
		struct exit_entry *grown = reallocarray(entries->list, size, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		entries->list = grown;
		entries->size = size;
	}
	r = ledger_line_parse(line, n, &entries->list[entries->n]);
	if (r == 0)
		entries->n++;
	return r == -EINVAL ? 0 : r;
}

int ledger_read(int dir, struct exit_entry **ret, size_t *ret_n, struct error *err)
{
	_cleanup_buf_ struct buf data = BUF_INIT;
	struct entries entries = { 0 };
	int r = fd_read_file(dir, LEDGER_FILE, &data, LEDGER_FILE_MAX);

	if (r < 0 && r != -ENOENT)
		return error_errno(err, r, "exit ledger %s", LEDGER_FILE);
	if (data.len > 0)
		r = ledger_each_line((const char *)buf_head(&data), data.len, add_line, &entries);
	if (r == LEDGER_LINE_NEWER || r == -ENOMEM) {
		exit_entries_free(entries.list, entries.n);
		if (r == -ENOMEM)
			return error_errno(err, r, "exit ledger %s", LEDGER_FILE);
		return error_set(err, CODE_FAILED_PRECONDITION,
			"exit ledger %s has a version above %d: a newer cleat wrote it",
			LEDGER_FILE, LEDGER_VERSION);
	}
	*ret = entries.list;
	*ret_n = entries.n;
	return 0;
}
