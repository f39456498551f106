/* SPDX-License-Identifier: Apache-2.0 */
/* Rings of bounds that the shim's does not have; what events see of one is test_events.c's. */
#include "common/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_READERS 8u

struct number {
	struct ring_entry entry;
	uint64_t twice;
	uint8_t filling[];
};

struct reader {
	struct ring_cursor cursor;
	uint64_t last, n_read, n_missed;
	bool reads;
};

static void add(struct ring *ring, size_t n_filling)
{
	size_t size = offsetof(struct number, filling) + n_filling;
	struct number *e = (struct number *)ring_append(ring, size);

	assert_non_null(e);
	assert_int_equal(e->entry.size, size);
	assert_int_equal(e->entry.n_readers, 0);
	assert_int_equal(e->twice, 0);
	e->twice = 2 * e->entry.seq;
	memset(e->filling, (int)(e->entry.seq & 0xff), n_filling);
	ring_announce(ring, &e->entry);
}

static void read_some(struct reader *r, unsigned n)
{
	const struct number *e;
	uint64_t missed;

	while (n-- > 0 && (e = (const struct number *)ring_next(&r->cursor, &missed))) {
		assert_int_equal(e->entry.seq, r->last + missed + 1);
		assert_int_equal(e->twice, 2 * e->entry.seq);
		for (size_t i = offsetof(struct number, filling); i < e->entry.size; i++)
			assert_int_equal(((const uint8_t *)e)[i], e->entry.seq & 0xff);
		r->last = e->entry.seq;
		r->n_missed += missed;
		r->n_read++;
	}
}

static void on_wake(void *userdata)
{
	struct reader *r = userdata;

	if (r->reads)
		read_some(r, UINT32_MAX);
}

static void subscribe(struct ring *ring, struct reader *r, uint64_t since)
{
	r->last = since == RING_FROM_NOW ? ring->next_seq - 1 : since;
	ring_subscribe(ring, &r->cursor, since, on_wake, r);
}

/* By number and by bytes: at the bound, one above, far above. */
static void test_bounds(void **state)
{
	static const struct ring_bounds by_number = { 10, 4096, 2, 1024 },
					by_bytes = { 1000, 640, 2, 128 };
	const struct ring_bounds *bounds[] = { &by_number, &by_bytes };
	const unsigned tries[] = { 9, 10, 11, 1000 };

	(void)state;
	for (size_t b = 0; b < 2; b++)
		for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
			struct reader slow = { 0 }, late = { 0 };
			unsigned lost = tries[i] > 10 ? tries[i] - 10 : 0;
			struct ring ring;

			assert_int_equal(ring_init(&ring, bounds[b]), 0);
			subscribe(&ring, &slow, 0);
			for (unsigned n = 0; n < tries[i]; n++)
				add(&ring, 64 - offsetof(struct number, filling));
			read_some(&slow, UINT32_MAX);
			assert_int_equal(slow.n_missed, lost);
			assert_int_equal(slow.n_read + slow.n_missed, tries[i]);
			/* and now that it has read them, the tail is what is left */
			ring_unsubscribe(&slow.cursor);
			assert_int_equal(ring.n, 2);
			late.last = tries[i] - 2;
			ring_subscribe(&ring, &late.cursor, 0, on_wake, &late);
			read_some(&late, UINT32_MAX);
			assert_int_equal(late.n_read, 2);
			ring_deinit(&ring);
			ring_deinit(&ring);
			assert_null(late.cursor.ring);
		}
}

static void test_larger_than_all(void **state)
{
	static const struct ring_bounds bounds = { 10, 640, 2, 128 };
	struct reader r = { 0 };
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, &bounds), 0);
	subscribe(&ring, &r, 0);
	add(&ring, 640 - offsetof(struct number, filling));
	assert_null(ring_append(&ring, 641));
	assert_null(ring_append(&ring, SIZE_MAX));
	assert_null(ring_append(&ring, (size_t)UINT32_MAX + 2));
	add(&ring, 0);
	read_some(&r, UINT32_MAX);
	assert_int_equal(r.last, 5);
	/* the first had to go for the last */
	assert_int_equal(r.n_missed, 4);
	ring_deinit(&ring);
}

/* Readers that come, read and leave as they like, over entries of all sizes: nobody's count is wrong. */
static void test_at_random(void **state)
{
	static const struct ring_bounds bounds = { 200, 5000, 20, 700 };
	struct reader readers[N_READERS] = { 0 };
	struct ring ring;

	(void)state;
	srand(7);
	assert_int_equal(ring_init(&ring, &bounds), 0);
	for (unsigned i = 0; i < 200000; i++) {
		struct reader *r = &readers[(unsigned)rand() % N_READERS];

		switch (rand() % 8) {
		case 0:
			if (r->cursor.ring)
				read_some(r, (unsigned)rand() % 300);
			break;
		case 1:
			if (rand() % 4)
				break;
			if (r->cursor.ring)
				assert_true(r->n_read + r->n_missed <= ring.next_seq);
			ring_unsubscribe(&r->cursor);
			*r = (struct reader){ .reads = rand() % 2 };
			subscribe(&ring, r, rand() % 2 ? RING_FROM_NOW : (ring.next_seq - 1) / 2);
			break;
		default:
			add(&ring, (unsigned)rand() % (rand() % 50 ? 40 : 2000));
		}
		assert_true(ring.n <= bounds.n && ring_bytes(&ring) <= bounds.bytes);
	}
	for (size_t i = 0; i < N_READERS; i++) {
		if (!readers[i].cursor.ring)
			continue;
		read_some(&readers[i], UINT32_MAX);
		assert_int_equal(readers[i].last, ring.next_seq - 1);
	}
	ring_deinit(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_larger_than_all),
		cmocka_unit_test(test_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
