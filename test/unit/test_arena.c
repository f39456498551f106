/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for decoded messages: alignment, the bound, and that nothing is left. */
#include "common/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void *take(struct arena *a, size_t n)
{
	void *piece = a->allocator.alloc(a->allocator.allocator_data, n);

	if (piece && n <= 16 << 20)
		memset(piece, 0xaa, n);
	return piece;
}

static void small_pieces_come_from_the_first_block(void **state)
{
	_cleanup_arena_ struct arena a;
	unsigned char room[256];

	(void)state;
	for (size_t skew = 0; skew < 16; skew++) {
		arena_init(&a, room + skew, sizeof(room) - skew, 0);
		for (size_t i = 0; i < 5; i++) {
			unsigned char *p = take(&a, 20);

			assert_in_range((uintptr_t)p, (uintptr_t)room, (uintptr_t)room + 235);
			assert_int_equal((uintptr_t)p % 16, 0);
		}
		assert_null(a.blocks);
	}
	arena_init(&a, room + 1, 3, 0);
	assert_null(take(&a, 1));
}

static void pieces_do_not_overlap(void **state)
{
	static const size_t sizes[] = { 1, 100, 5000, 16, 4096, 3000, 70000, 8, 0, 1500, 4097, 24 };
	const size_t n = sizeof(sizes) / sizeof(*sizes);
	_cleanup_arena_ struct arena a;
	unsigned char room[64], *pieces[12 * 20];

	(void)state;
	arena_init(&a, room, sizeof(room), 16 << 20);
	for (size_t i = 0; i < n * 20; i++) {
		pieces[i] = take(&a, sizes[i % n]);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % 16, 0);
		memset(pieces[i], (int)i, sizes[i % n]);
	}
	for (size_t i = 0; i < n * 20; i++)
		for (size_t j = 0; j < sizes[i % n]; j++)
			assert_int_equal(pieces[i][j], i & 0xff);
	assert_false(a.exhausted);
}

static void the_limit_holds(void **state)
{
	_cleanup_arena_ struct arena a;
	size_t n = 0;

	(void)state;
	arena_init(&a, NULL, 0, 1 << 20);
	assert_non_null(take(&a, 1 << 20));
	assert_false(a.exhausted);
	assert_null(take(&a, 1));
	assert_true(a.exhausted);
	arena_deinit(&a);

	arena_init(&a, NULL, 0, 1 << 20);
	assert_null(take(&a, (1 << 20) + 1));
	assert_null(take(&a, SIZE_MAX));
	assert_null(take(&a, SIZE_MAX - 16));
	arena_deinit(&a);

	arena_init(&a, NULL, 0, 1 << 20);
	while (take(&a, 16))
		n++;
	assert_int_equal(n, (1 << 20) / 16);
	arena_deinit(&a);
	arena_deinit(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pieces_come_from_the_first_block),
		cmocka_unit_test(pieces_do_not_overlap),
		cmocka_unit_test(the_limit_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
