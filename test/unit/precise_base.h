/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A loop for tests that measure how long something took. By itself libevent reads the coarse clock,
 * which lags behind by up to a tick of the kernel's: now and then a timer is then some milliseconds
 * early by clock_monotonic_ms(), and a test that asks for the whole time fails.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

static inline struct event_base *precise_base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	assert_non_null(config);
	assert_int_equal(event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER), 0);
	base = event_base_new_with_config(config);
	assert_non_null(base);
	event_config_free(config);
	return base;
}
