/* SPDX-License-Identifier: Apache-2.0 */
/* The hub: what is in its events, what is kept, and what subscribers may do while they are woken. */
#include "supervisor/hub.h"

#include <errno.h>

#include "common/limits.h"
#include "test/unit/unit.h"

struct reader {
	struct ring_cursor cursor;
	uint64_t n_wakes, n_read, n_missed;
	bool reads;
	struct reader *unsubscribes;
};

static struct hub *make(void)
{
	struct hub *hub;

	assert_int_equal(hub_new(&hub), 0);
	return hub;
}

static int publish(struct hub *hub, size_t n_payload)
{
	static char payload[LIMIT_HUB_BYTES + 1];
	const struct hub_event e = {
		.ns = "n", .topic = "/t", .type_url = "", .payload = payload, .n_payload = n_payload
	};

	return hub_publish(hub, &e);
}

static void add(struct hub *hub, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(publish(hub, 0), 0);
}

static void read_all(struct reader *r)
{
	struct hub_event e;
	uint64_t missed;

	while (hub_next(&r->cursor, &e, &missed)) {
		r->n_missed += missed;
		r->n_read++;
	}
}

static void on_wake(void *userdata)
{
	struct reader *r = userdata;

	r->n_wakes++;
	if (r->reads)
		read_all(r);
	if (r->unsubscribes)
		ring_unsubscribe(&r->unsubscribes->cursor);
}

static void subscribe(struct hub *hub, struct reader *r, uint64_t since)
{
	ring_subscribe(hub_ring(hub), &r->cursor, since, on_wake, r);
}

static void test_content(void **state)
{
	struct hub_event in = { .ns = "default",
		.topic = "/tasks/exit",
		.type_url = "t.T",
		.payload = "a\0b",
		.n_payload = 3,
		.time = 5,
		.id = "web",
		.epoch = 6,
		.seq = 7,
		.missed = 8,
		.late = true };
	struct hub_event plain = { .ns = "", .topic = "", .type_url = "" }, out;
	struct hub *hub = make();
	struct ring_cursor c;
	uint64_t missed;

	(void)state;
	assert_int_equal(hub_publish(hub, &in), 0);
	assert_int_equal(hub_publish(hub, &plain), 0);
	ring_subscribe(hub_ring(hub), &c, 0, on_wake, NULL);
	assert_true(hub_next(&c, &out, &missed));
	assert_int_equal(missed, 0);
	assert_string_equal(out.ns, "default");
	assert_string_equal(out.topic, "/tasks/exit");
	assert_string_equal(out.type_url, "t.T");
	assert_string_equal(out.id, "web");
	assert_int_equal(out.n_payload, 3);
	assert_memory_equal(out.payload, "a\0b", 3);
	assert_true(out.time == 5 && out.epoch == 6 && out.seq == 7 && out.missed == 8 && out.late);
	assert_true(hub_next(&c, &out, &missed));
	assert_string_equal(out.ns, "");
	assert_null(out.id);
	assert_int_equal(out.n_payload, 0);
	assert_false(out.late);
	assert_false(hub_next(&c, &out, &missed));
	hub_free(hub);
	hub_free(NULL);
}

/* By number and by bytes: at the bound, one above, far above. */
static void test_bounds(void **state)
{
	const size_t tries[] = { LIMIT_HUB_EVENTS, LIMIT_HUB_EVENTS + 1, 10 * LIMIT_HUB_EVENTS };
	struct reader big = { 0 };
	struct hub *hub;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct reader slow = { 0 }, eager = { .reads = true };

		hub = make();
		subscribe(hub, &slow, 0);
		subscribe(hub, &eager, 0);
		add(hub, tries[i]);
		read_all(&slow);
		assert_int_equal(slow.n_wakes, 1);
		assert_int_equal(slow.n_missed, tries[i] - LIMIT_HUB_EVENTS);
		assert_int_equal(slow.n_read, LIMIT_HUB_EVENTS);
		assert_int_equal(eager.n_read, tries[i]);
		hub_free(hub);
	}
	hub = make();
	subscribe(hub, &big, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(publish(hub, LIMIT_HUB_EVENT - 200), 0);
	assert_true(ring_bytes(hub_ring(hub)) <= LIMIT_HUB_BYTES);
	read_all(&big);
	assert_int_equal(big.n_read, LIMIT_HUB_BYTES / LIMIT_HUB_EVENT);
	assert_int_equal(big.n_missed + big.n_read, 100);
	hub_free(hub);
}

static void test_one_too_large(void **state)
{
	struct hub *hub = make();
	struct reader r = { 0 };
	size_t at = LIMIT_HUB_EVENT;

	(void)state;
	subscribe(hub, &r, RING_FROM_NOW);
	while (publish(hub, at) != 0) /* the largest that there is room for, with its texts */
		at--;
	assert_true(at > LIMIT_HUB_EVENT - 200);
	assert_int_equal(publish(hub, at + 1), -E2BIG);
	assert_int_equal(publish(hub, LIMIT_HUB_BYTES + 1), -E2BIG);
	add(hub, 1);
	read_all(&r);
	assert_int_equal(r.n_read, 2);
	assert_int_equal(r.n_missed, LIMIT_HUB_EVENT - at + 2);
	hub_free(hub);
}

/* Of what everyone has read there is a tail for who comes late. */
static void test_tail(void **state)
{
	const size_t tries[] = { HUB_TAIL_EVENTS, HUB_TAIL_EVENTS + 1, 10 * HUB_TAIL_EVENTS };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct reader eager = { .reads = true }, late = { 0 }, later = { 0 };
		struct hub *hub = make();

		subscribe(hub, &eager, 0);
		add(hub, tries[i]);
		subscribe(hub, &late, 0);
		read_all(&late);
		assert_int_equal(late.n_read, HUB_TAIL_EVENTS);
		assert_int_equal(late.n_missed, 0);
		subscribe(hub, &later, RING_FROM_NOW);
		read_all(&later);
		assert_int_equal(later.n_read + later.n_missed, 0);
		hub_free(hub);
	}
}

/* A wake may take any subscriber off, those that are still to be woken, and itself. */
static void test_unsubscribe_in_wake(void **state)
{
	struct reader a = { .reads = true }, b = { 0 }, c = { .reads = true };
	struct hub *hub = make();

	(void)state;
	subscribe(hub, &a, 0);
	subscribe(hub, &b, 0);
	subscribe(hub, &c, 0);
	a.unsubscribes = &b;
	c.unsubscribes = &c;
	add(hub, 2);
	assert_int_equal(a.n_read, 2);
	assert_int_equal(b.n_wakes, 0);
	assert_int_equal(c.n_read, 1);
	assert_null(c.cursor.ring);
	hub_free(hub);
	assert_null(a.cursor.ring);
}

static void test_end(void **state)
{
	struct reader r = { .reads = true };
	struct hub *hub = make();

	(void)state;
	subscribe(hub, &r, 0);
	hub_end(hub);
	assert_int_equal(r.n_wakes, 1);
	assert_true(hub_ring(hub)->ended);
	hub_free(hub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_one_too_large),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_unsubscribe_in_wake),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
