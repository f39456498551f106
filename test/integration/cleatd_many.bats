#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# One cleatd for many: the soaks of test/soak in a small form. What they insist on of times and memory is
# theirs alone: here, other suites run beside.
# deadline: 300

load lib

setup() {
	[[ $RUNTIME == runc ]] || skip "the soaks are over runc"
	cleat_setup
	SOAK=$BATS_TEST_DIRNAME/../soak
}

teardown() {
	cleat_teardown
}

@test "fifty containers are listed, found again after kill -9 with what became of them, and removed" {
	MANY=50 MANY_STRICT=0 run "$SOAK/many"
	assert_status 0
	assert_match "$output" "50 found again in .* 1 of them ended meanwhile"
	assert_match "$output" "50 removed in"
}

@test "two hundred clients at once are told everything, and two that do not read what they have missed" {
	[[ ${VARIANT-} != asan ]] || skip "what a sanitizer keeps of freed memory is no growth of cleatd's"
	CLIENTS_SECONDS=5 run "$SOAK/clients"
	assert_status 0
	assert_match "$output" "50 waiters and 50 subscribers: none lost"
	assert_match "$output" "one of Events that did not read: got [0-9]+ and missed [1-9]"
}
