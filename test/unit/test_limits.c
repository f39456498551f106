/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds are promises of the design (section 10), and some only make sense together. */
#include "common/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_as_promised(void **state)
{
	(void)state;
	assert_int_equal(LIMIT_FRAME_DATA, 4 * 1024 * 1024);
	assert_int_equal(LIMIT_CONNECTIONS, 128);
	assert_int_equal(LIMIT_STREAMS, 4096);
	assert_int_equal(LIMIT_QUEUED_REPLIES, 8 * 1024 * 1024);
	assert_int_equal(LIMIT_PROCESSES, 4096);
	assert_int_equal(LIMIT_MOUNTS, 512);
	assert_int_equal(LIMIT_ID, 76);
	assert_int_equal(LIMIT_RUNTIME_STDERR, 64 * 1024);
	assert_int_equal(LIMIT_RUNTIME_JSON, 16 * 1024 * 1024);
	assert_int_equal(LIMIT_CONFIG_JSON, 4 * 1024 * 1024);
	assert_int_equal(LIMIT_RING_EVENTS, 4096);
	assert_int_equal(LIMIT_RING_BYTES, 256 * 1024);
	assert_int_equal(LIMIT_OWED_EXITS, 8192);
	assert_int_equal(LIMIT_HUB_EVENTS, 16384);
	assert_int_equal(LIMIT_HUB_BYTES, 8 * 1024 * 1024);
	assert_true(HUB_TAIL_EVENTS < LIMIT_HUB_EVENTS && HUB_TAIL_BYTES < LIMIT_HUB_BYTES);
	assert_true(RING_TAIL_EVENTS < LIMIT_RING_EVENTS && RING_TAIL_BYTES < LIMIT_RING_BYTES);
	assert_int_equal(LIMIT_LEDGER, 256 * 1024);
	assert_int_equal(LIMIT_LOG_PART, 16 * 1024);
	assert_int_equal(LIMIT_LOG_FILES, 1000);
	assert_int_equal(LIMIT_FILTER, 4096);
	assert_int_equal(LIMIT_FILTERS, 64);
	assert_int_equal(LIMIT_FILTER_CONDITIONS, 256);
	assert_int_equal(LIMIT_FILTER_STATES, 512);
	assert_int_equal(LIMIT_FRAME_FDS, 4);
}

static void test_together(void **state)
{
	(void)state;
	/* one frame of the largest size can be queued, or no client could ever get it */
	assert_true(LIMIT_QUEUED_REPLIES >= LIMIT_FRAME_DATA + 10);
	/* what a shim can tell, its supervisor can, and in a frame */
	assert_true(LIMIT_HUB_EVENT > LIMIT_RING_BYTES && LIMIT_HUB_EVENT < LIMIT_FRAME_DATA / 2);
	assert_true(LIMIT_HUB_EVENT < LIMIT_HUB_BYTES);
	/* what a Create can carry, its shim's start can */
	assert_true(LIMIT_BOOTSTRAP >= LIMIT_FRAME_DATA);
	/* a Wait for every process fits on one connection */
	assert_true(LIMIT_STREAMS >= LIMIT_PROCESSES);
	/* a full container runs while containerd is away */
	assert_true(LIMIT_OWED_EXITS > LIMIT_PROCESSES);
	/* a shim that is told to end is given its time before whoever told it gives up on the call */
	assert_true(STOP_GRACE_MS < RUNTIME_DEADLINE_MS);
	assert_true(DRAIN_DEADLINE_MS < RUNTIME_DEADLINE_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_promised),
		cmocka_unit_test(test_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
