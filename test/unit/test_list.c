/* SPDX-License-Identifier: Apache-2.0 */
/* The intrusive list: order, and the promises about unlinking. */
#include "common/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct item {
	int n;
	struct list list_link;
};

static void fill(struct list *head, struct item *items, int n)
{
	for (int i = 0; i < n; i++) {
		items[i].n = i;
		list_init(&items[i].list_link);
		list_append(head, &items[i].list_link);
	}
}

static void test_order(void **state)
{
	struct list head = LIST_INIT(head), *pos;
	struct item items[3];
	int n = 0;

	(void)state;
	assert_true(list_is_empty(&head));
	assert_int_equal(list_length(&head), 0);
	assert_null(list_first(&head, struct item, list_link));
	fill(&head, items, 3);
	assert_false(list_is_empty(&head));
	assert_int_equal(list_length(&head), 3);
	assert_ptr_equal(list_first(&head, struct item, list_link), &items[0]);
	list_for_each (pos, &head)
		assert_int_equal(list_entry(pos, struct item, list_link)->n, n++);
	assert_int_equal(n, 3);
}

static void test_unlink(void **state)
{
	struct list head = LIST_INIT(head);
	struct item items[3];

	(void)state;
	fill(&head, items, 3);
	list_unlink(&items[1].list_link);
	assert_true(list_is_empty(&items[1].list_link));
	assert_int_equal(list_length(&head), 2);
	list_unlink(&items[1].list_link);
	assert_int_equal(list_length(&head), 2);
	list_unlink(&items[0].list_link);
	assert_ptr_equal(list_first(&head, struct item, list_link), &items[2]);
	list_append(&head, &items[0].list_link);
	assert_ptr_equal(head.prev, &items[0].list_link);
	list_unlink(&items[0].list_link);
	list_unlink(&items[2].list_link);
	assert_true(list_is_empty(&head));
}

static void test_the_body_may_free(void **state)
{
	struct list head = LIST_INIT(head), *pos, *next;
	int n = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct item *item = calloc(1, sizeof(*item));

		assert_non_null(item);
		list_init(&item->list_link);
		list_append(&head, &item->list_link);
	}
	list_for_each_safe (pos, next, &head) {
		struct item *item = list_entry(pos, struct item, list_link);

		list_unlink(pos);
		free(item);
		n++;
	}
	assert_int_equal(n, 4);
	assert_true(list_is_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_unlink),
		cmocka_unit_test(test_the_body_may_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
