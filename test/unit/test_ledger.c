/* SPDX-License-Identifier: Apache-2.0 */
/* The exit ledger: no exit is lost to a torn line or a rewrite. Disks are test_ledger_room.c's. */
#include "common/ledger.h"

#include <errno.h>

#include "test/unit/ledger_bed.h"

static void test_line_as_documented(void **state)
{
	struct bed *bed = *state;
	struct ledger *l = open_ledger(bed->dir);
	struct exit_entry e = entry("", 77);
	struct stat st;
	char *text;

	e.status = 137;
	e.signal = 9;
	e.utime_us = 1;
	e.stime_us = 2;
	e.maxrss_kb = 3;
	e.oom = true;
	reserve(l);
	assert_int_equal(ledger_append(l, &e), 0);
	e = entry("probe", 78);
	e.known = false;
	e.started_at = 0;
	reserve(l);
	assert_int_equal(ledger_append(l, &e), 0);
	ledger_free(l);
	text = read_text(bed->dir, "exits.jsonl");
	assert_string_equal(text,
		"{\"v\":1,\"id\":\"web\",\"exec_id\":\"\",\"pid\":77,\"status\":137,\"signal\":9,"
		"\"started_at\":\"2026-01-01T00:04:05.000000000Z\","
		"\"exited_at\":\"2026-01-01T00:04:05.678901234Z\",\"utime_us\":1,\"stime_us\":2,"
		"\"maxrss_kb\":3,\"oom\":true}\n"
		"{\"v\":1,\"id\":\"web\",\"exec_id\":\"probe\",\"pid\":78,\"status\":null,"
		"\"signal\":0,\"started_at\":null,"
		"\"exited_at\":\"2026-01-01T00:04:05.678901234Z\",\"utime_us\":0,\"stime_us\":0,"
		"\"maxrss_kb\":0,\"oom\":false}\n");
	free(text);
	assert_int_equal(fstatat(bed->dir, "exits.jsonl", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_round_trip(void **state)
{
	struct bed *bed = *state;
	struct ledger *l = open_ledger(bed->dir);
	struct exit_entry e = entry("probe", 4194304), *list;
	size_t n;

	e.status = 255;
	e.signal = 64;
	e.utime_us = e.stime_us = INT64_MAX;
	e.maxrss_kb = UINT64_MAX; /* more than JSON's readers have */
	e.oom = true;
	reserve(l);
	assert_int_equal(ledger_append(l, &e), 0);
	e = entry(NULL, 5);
	e.known = false;
	reserve(l);
	assert_int_equal(ledger_append(l, &e), 0);
	ledger_free(l);
	list = read_ledger(bed->dir, &n);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].id, "web");
	assert_string_equal(list[0].exec_id, "probe");
	assert_int_equal(list[0].pid, 4194304);
	assert_true(list[0].known);
	assert_int_equal(list[0].status, 255);
	assert_int_equal(list[0].signal, 64);
	assert_true(list[0].started_at == 1767225845000000000);
	assert_true(list[0].exited_at == 1767225845678901234);
	assert_true(list[0].utime_us == INT64_MAX);
	assert_true(list[0].maxrss_kb == INT64_MAX);
	assert_true(list[0].oom);
	assert_string_equal(list[1].exec_id, "");
	assert_false(list[1].known);
	exit_entries_free(list, n);
}

/* The longest of everything fits into what is reserved for one. */
static void test_longest_line(void **state)
{
	struct bed *bed = *state;
	struct ledger *l = open_ledger(bed->dir);
	char id[LIMIT_ID + 2];
	struct exit_entry e = {
		.id = id,
		.exec_id = id,
		.pid = 4194304,
		.known = true,
		.status = UINT32_MAX,
		.signal = UINT32_MAX,
		.started_at = INT64_MAX - 2000000000, /* in 2262 */
		.exited_at = INT64_MAX - 2000000000,
		.utime_us = UINT64_MAX,
		.stime_us = UINT64_MAX,
		.maxrss_kb = UINT64_MAX,
	};

	memset(id, 'x', sizeof(id));
	id[LIMIT_ID] = '\0';
	reserve(l);
	assert_int_equal(ledger_append(l, &e), 0);
	assert_true(size_of(bed->dir) <= LINE_ROOM);
	/* longer names, and names that would break the line, never get that far */
	id[LIMIT_ID] = 'x';
	id[LIMIT_ID + 1] = '\0';
	assert_int_equal(ledger_append(l, &e), -EINVAL);
	e.id = e.exec_id = (char *)"a\"b";
	assert_int_equal(ledger_append(l, &e), -EINVAL);
	assert_int_equal(count_entries(bed->dir), 1);
	ledger_free(l);
}

static void test_no_ledger_is_an_empty_one(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(count_entries(bed->dir), 0);
	write_text(bed->dir, "exits.jsonl", "");
	assert_int_equal(count_entries(bed->dir), 0);
}

/* A year of probes: the file stays small, and what is wanted stays in it. */
static void test_five_thousand_probes(void **state)
{
	struct bed *bed = *state;
	struct ledger *l = open_ledger(bed->dir);
	size_t most = 0;

	record(l, "", 77);
	record(l, "kept", 78);
	for (int i = 0; i < 5000; i++) {
		probe(l, 1000 + i);
		if (size_of(bed->dir) > most)
			most = size_of(bed->dir);
	}
	record(l, "late", 79);
	ledger_free(l);
	assert_true(most <= LIMIT_LEDGER + LINE_ROOM);
	assert_true(most > LIMIT_LEDGER / 2); /* it is rewritten now and then, not always */
	assert_true(has_entry(bed->dir, "", 77));
	assert_true(has_entry(bed->dir, "kept", 78));
	assert_true(has_entry(bed->dir, "late", 79));
	assert_true(has_entry(bed->dir, "probe-5999", 5999));
	assert_false(has_entry(bed->dir, "probe-1000", 1000));
	assert_int_equal(count_names(bed->dir, "."), 1);
}

/* The init's is never forgotten, an exec's only by its own id and pid. */
static void test_forgetting(void **state)
{
	struct bed *bed = *state;
	struct ledger *l = open_ledger(bed->dir);

	record(l, "", 77);
	record(l, "a", 78);
	record(l, "b", 79);
	ledger_forget(l, "", 77);
	ledger_forget(l, "a", 79);
	ledger_forget(l, "b", 79);
	ledger_forget(l, "none", 1);
	for (int i = 0; i < 2000; i++)
		probe(l, 1000 + i);
	assert_true(has_entry(bed->dir, "", 77));
	assert_true(has_entry(bed->dir, "a", 78));
	assert_false(has_entry(bed->dir, "b", 79));
	ledger_free(l);
}

/* More are alive than the limit has room for: all of them stay, and it is not rewritten each time. */
static void test_many_alive(void **state)
{
	struct bed *bed = *state;
	struct ledger *l = open_ledger(bed->dir);
	struct stat st;
	ino_t inode = 0;
	int rewrites = 0;

	for (int i = 0; i < 3000; i++) {
		char id[32];

		snprintf(id, sizeof(id), "exec-%d", i);
		record(l, id, 1000 + i);
		assert_int_equal(fstatat(bed->dir, "exits.jsonl", &st, 0), 0);
		rewrites += inode && st.st_ino != inode;
		inode = st.st_ino;
	}
	assert_int_equal(count_entries(bed->dir), 3000);
	assert_true(rewrites > 0 && rewrites < 10);
	ledger_free(l);
}

static void test_opened_again(void **state)
{
	struct bed *bed = *state;
	struct ledger *l = open_ledger(bed->dir);

	record(l, "", 77);
	record(l, "a", 78);
	ledger_free(l);
	l = open_ledger(bed->dir);
	record(l, "b", 79);
	assert_int_equal(count_entries(bed->dir), 3);
	ledger_forget(l, "a", 78); /* known from the file */
	for (int i = 0; i < 2000; i++)
		probe(l, 1000 + i);
	assert_true(has_entry(bed->dir, "", 77));
	assert_false(has_entry(bed->dir, "a", 78));
	assert_true(has_entry(bed->dir, "b", 79));
	ledger_free(l);
}

#define GOOD(pid)                                                                                  \
	"{\"v\":1,\"id\":\"web\",\"exec_id\":\"\",\"pid\":" pid ",\"status\":0,\"signal\":0,"      \
	"\"started_at\":null,\"exited_at\":null,\"utime_us\":0,\"stime_us\":0,"                    \
	"\"maxrss_kb\":0,\"oom\":false}\n"

/* A writer died in the middle of a line: readers pass over it, the next writer cuts it off. */
static void test_torn_line(void **state)
{
	struct bed *bed = *state;
	struct ledger *l;
	char *text;

	write_text(bed->dir, "exits.jsonl", GOOD("1") "{\"v\":1,\"id\":\"we");
	assert_int_equal(count_entries(bed->dir), 1);
	l = open_ledger(bed->dir);
	record(l, "a", 2);
	ledger_free(l);
	assert_int_equal(count_entries(bed->dir), 2);
	text = read_text(bed->dir, "exits.jsonl");
	assert_null(strstr(text, "\"we{"));
	free(text);
}

static void test_broken_lines_are_passed_over(void **state)
{
	static const char *const broken[] = { "\n", "noise\n", "[]\n", "{}\n", "{\"v\":1}\n",
		"{\"v\":0,\"id\":\"web\"}\n", GOOD("0"), GOOD("-1"), GOOD("4194305"), GOOD("\"1\""),
		GOOD("1,\"id\":\"../x\""), GOOD("1,\"exec_id\":7"), GOOD("1,\"x\":\"\xff\"") };
	struct bed *bed = *state;

	for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
		struct ledger *l;
		char text[2048];

		snprintf(text, sizeof(text), "%s%s%s", GOOD("1"), broken[i], GOOD("2"));
		write_text(bed->dir, "exits.jsonl", text);
		assert_int_equal(count_entries(bed->dir), 2);
		l = open_ledger(bed->dir);
		record(l, "a", 3);
		assert_int_equal(count_entries(bed->dir), 3);
		ledger_free(l);
	}
}

/* Not guessed at, and not written into. */
static void test_newer_version(void **state)
{
	struct bed *bed = *state;
	struct exit_entry *list;
	struct error err = ERROR_INIT;
	struct ledger *l;
	size_t n;

	write_text(bed->dir, "exits.jsonl", GOOD("1") "{\"v\":2,\"what\":\"ever\"}\n");
	assert_error(ledger_read(bed->dir, &list, &n, &err), &err, CODE_FAILED_PRECONDITION,
		"exit ledger exits.jsonl has a version above 1: a newer cleat wrote it");
	assert_error(ledger_open(bed->dir, &l, &err), &err, CODE_FAILED_PRECONDITION,
		"exit ledger exits.jsonl has a version above 1: a newer cleat wrote it");
}

static void test_what_is_no_file(void **state)
{
	struct bed *bed = *state;
	struct exit_entry *list;
	struct error err = ERROR_INIT;
	struct ledger *l;
	size_t n;

	write_text(bed->dir, "target", "");
	assert_int_equal(symlinkat("target", bed->dir, "exits.jsonl"), 0);
	assert_error(ledger_open(bed->dir, &l, &err), &err, CODE_INVALID_ARGUMENT, NULL);
	assert_error(ledger_read(bed->dir, &list, &n, &err), &err, CODE_INVALID_ARGUMENT, NULL);
	assert_int_equal(unlinkat(bed->dir, "exits.jsonl", 0), 0);
	assert_int_equal(mkfifoat(bed->dir, "exits.jsonl", 0600), 0);
	assert_error(ledger_open(bed->dir, &l, &err), &err, CODE_INVALID_ARGUMENT, NULL);
	assert_error(ledger_read(bed->dir, &list, &n, &err), &err, CODE_INVALID_ARGUMENT, NULL);
}

/* Bounded in memory, too: a file of more than could ever be ours is refused by its size. */
static void test_huge_file(void **state)
{
	struct bed *bed = *state;
	struct exit_entry *list;
	struct error err = ERROR_INIT;
	size_t n;
	int fd;

	write_text(bed->dir, "exits.jsonl", GOOD("1"));
	fd = openat(bed->dir, "exits.jsonl", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 100 << 20), 0);
	close(fd);
	assert_error(ledger_read(bed->dir, &list, &n, &err), &err, CODE_RESOURCE_EXHAUSTED, NULL);
}

/* A rewrite that was killed in the middle left a file; the next one is not stopped by it. */
static void test_leftover_of_a_rewrite(void **state)
{
	struct bed *bed = *state;
	struct ledger *l;

	write_text(bed->dir, "exits.jsonl.new", "half");
	l = open_ledger(bed->dir);
	record(l, "", 77);
	for (int i = 0; i < 2000; i++)
		probe(l, 1000 + i);
	assert_true(size_of(bed->dir) <= LIMIT_LEDGER + LINE_ROOM);
	assert_true(has_entry(bed->dir, "", 77));
	assert_false(is_there(bed->dir, "exits.jsonl.new"));
	ledger_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_line_as_documented),
		bed_test(test_round_trip),
		bed_test(test_longest_line),
		bed_test(test_no_ledger_is_an_empty_one),
		bed_test(test_five_thousand_probes),
		bed_test(test_forgetting),
		bed_test(test_many_alive),
		bed_test(test_opened_again),
		bed_test(test_torn_line),
		bed_test(test_broken_lines_are_passed_over),
		bed_test(test_newer_version),
		bed_test(test_what_is_no_file),
		bed_test(test_huge_file),
		bed_test(test_leftover_of_a_rewrite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
