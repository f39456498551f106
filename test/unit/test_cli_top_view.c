/* SPDX-License-Identifier: Apache-2.0 */
/* What `top` shows, to the character. */
#include "supervisor/cli/top_view.h"

#include <string.h>

#include "test/unit/unit.h"

#define MIB (UINT64_C(1) << 20)

static void add(struct top_table *t, const char *id, double cpu, uint64_t memory, uint64_t pids,
	uint64_t read)
{
	const struct figures f = {
		.cpu = cpu,
		.memory = memory,
		.limit = strcmp(id, "web") == 0 ? 64 * MIB : 0,
		.pids = pids,
		.read = read,
		.written = read / 2,
	};

	assert_int_equal(top_table_add(t, id, &f), 0);
}

static void draws(const struct top_table *t, enum top_order order, bool has_keys, size_t width,
	size_t height, const char *wanted)
{
	struct buf text = BUF_INIT;

	assert_int_equal(top_table_draw(t, order, has_keys, width, height, &text), 0);
	assert_int_equal(buf_append(&text, "", 1), 0);
	assert_string_equal((const char *)buf_head(&text), wanted);
	buf_deinit(&text);
}

/* Three containers, of which the last is new in the second look. */
static void make(struct top_table *now)
{
	struct top_table before = { 0 };

	add(&before, "db", 10, 3 * MIB, 4, 1000);
	add(&before, "web", 5, 2 * MIB, 1, 0);
	add(now, "db", 10.5, 3 * MIB, 4, 5096);
	add(now, "web", 7, 2 * MIB, 1, 0);
	add(now, "a-name-that-is-longer", 1, 5 * MIB, 20, 7);
	top_table_compare(now, &before, 2);
	top_table_deinit(&before);
}

static void test_screen(void **state)
{
	struct top_table t = { 0 };

	(void)state;
	make(&t);
	top_table_sort(&t, TOP_BY_CPU);
	draws(&t, TOP_BY_CPU, true, 100, 24,
		"3 containers by cpu   keys: c cpu, m memory, p pids, i i/o, n name, q quit\n"
		"ID                      CPU %      MEMORY       LIMIT   PIDS      READ/S   WRITTEN/S\n"
		"web                     100.0     2.0 MiB    64.0 MiB      1         0 B         0 B\n"
		"db                       25.0     3.0 MiB           -      4     2.0 KiB     1.0 KiB\n"
		"a-name-that-is-longer       -     5.0 MiB           -     20           -           -\n");
	/* the id gives way, then the line is cut; two rows of three do not fit */
	draws(&t, TOP_BY_CPU, true, 80, 4,
		"3 containers by cpu   keys: c cpu, m memory, p pids, i i/o, n name, q quit\n"
		"ID                  CPU %      MEMORY       LIMIT   PIDS      READ/S   WRITTEN/S\n"
		"web                 100.0     2.0 MiB    64.0 MiB      1         0 B         0 B\n"
		"... and 2 more\n");
	draws(&t, TOP_BY_CPU, false, 40, 0,
		"ID         CPU %      MEMORY       LIMIT\n"
		"web        100.0     2.0 MiB    64.0 MiB\n"
		"db          25.0     3.0 MiB           -\n"
		"a-name-t       -     5.0 MiB           -\n");
	draws(&t, TOP_BY_ID, true, 20, 3, "3 containers by id\nID         CPU %\n... and 3 more\n");
	top_table_deinit(&t);
	draws(&t, TOP_BY_ID, true, 80, 24,
		"0 containers by id   keys: c cpu, m memory, p pids, i i/o, n name, q quit\n"
		"ID         CPU %      MEMORY       LIMIT   PIDS      READ/S   WRITTEN/S\n");
}

static void is_first(enum top_order order, const char *wanted)
{
	struct top_table t = { 0 };

	make(&t);
	top_table_sort(&t, order);
	assert_string_equal(t.v[0].id, wanted);
	top_table_deinit(&t);
}

static void test_orders(void **state)
{
	enum top_order order;

	(void)state;
	is_first(TOP_BY_CPU, "web");
	is_first(TOP_BY_MEMORY, "a-name-that-is-longer");
	is_first(TOP_BY_PIDS, "a-name-that-is-longer");
	is_first(TOP_BY_IO, "db");
	is_first(TOP_BY_ID, "a-name-that-is-longer");
	assert_true(top_order_parse("pids", &order));
	assert_int_equal(order, TOP_BY_PIDS);
	assert_false(top_order_parse("", &order));
	assert_false(top_order_parse("CPU", &order));
}

/* Counters that fell belong to another container of that name. */
static void test_begun_anew(void **state)
{
	struct top_table before = { 0 }, now = { 0 };

	(void)state;
	add(&before, "db", 10, MIB, 1, 0);
	add(&now, "db", 1, MIB, 1, 0);
	top_table_compare(&now, &before, 1);
	assert_false(now.v[0].has_rates);
	top_table_compare(&before, &before, 0);
	assert_false(before.v[0].has_rates);
	top_table_deinit(&before);
	top_table_deinit(&now);
}

static void test_json(void **state)
{
	struct top_table t = { 0 };
	json_t *all;
	char *text;

	(void)state;
	make(&t);
	all = top_table_json(&t);
	text = json_dumps(json_array_get(all, 2), JSON_COMPACT);
	assert_string_equal(text,
		"{\"id\":\"a-name-that-is-longer\",\"cpu_percent\":null,\"cpu_seconds\":1.0,"
		"\"memory\":5242880,\"limit\":null,\"pids\":20,\"read\":7,\"written\":3,"
		"\"read_rate\":null,\"written_rate\":null}");
	free(text);
	json_decref(all);
	top_table_deinit(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_screen),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_begun_anew),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
