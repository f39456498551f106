/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits.jsonl with any bytes in it: whoever reads it gets what is whole; whoever writes on adds to
 * that and loses none of it, also when the file is made anew.
 */
#include "common/ledger.h"
#include "test/fuzz/fuzz_folder.h"

static const struct exit_entry ours = {
	.id = (char *)"web",
	.exec_id = (char *)"fuzz",
	.pid = 4194304,
	.known = true,
	.status = 7,
};

static void append(struct ledger *l)
{
	CHECK(ledger_reserve(l, NULL) == 0);
	CHECK(ledger_append(l, &ours) == 0);
}

static size_t count(void)
{
	struct exit_entry *list = NULL;
	size_t n = 0;

	CHECK(ledger_read(folder(), &list, &n, NULL) == 0);
	for (size_t i = 0; i < n; i++)
		CHECK(list[i].pid > 0 && list[i].id && list[i].exec_id);
	exit_entries_free(list, n);
	return n;
}

/* Until the file has been made anew at least once. */
static void rewrite(struct ledger *l)
{
	for (int i = 0; i < 2500; i++) {
		append(l);
		ledger_forget(l, ours.exec_id, ours.pid);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct exit_entry *list = NULL;
	struct error err = ERROR_INIT;
	struct ledger *l = NULL;
	size_t n_list = 0, before;
	int r;

	folder_write("exits.jsonl", data, n);
	r = ledger_read(folder(), &list, &n_list, &err);
	CHECK((r == 0) == (err.message == NULL));
	exit_entries_free(list, n_list);
	error_clear(&err);
	CHECK((ledger_open(folder(), &l, &err) == 0) == (r == 0));
	error_clear(&err);
	if (r != 0)
		return 0;
	CHECK(count() == n_list);
	append(l);
	before = count();
	CHECK(before == n_list + 1);
	if (n % 64 == 0) /* it takes its time */
		rewrite(l);
	CHECK(count() >= before - 1); /* ours was forgotten by its name */
	ledger_free(l);
	return 0;
}
