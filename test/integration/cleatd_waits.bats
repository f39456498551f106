#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# deadline: 180
# Waits that race with the exit, and what a cleatd finds that was killed.

load lib

setup() {
	cleat_setup
	needs_way direct -- "this has a cleatd of its own"
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "trap", "USR1", "7"]'
}

teardown() {
	cleat_teardown
}

waits() { # CASE
	run "$BATS_TEST_DIRNAME/cleatd_waits.py" "$1" "$ROOT" "$BUNDLE" "$ID"
	assert_status 0
}

@test "an exit between subscribing and the status is never missed, told first or last, 1,000 times each" {
	waits race
}

@test "killed under running containers: all are found, and told of what happened meanwhile" {
	needs_root "has no cgroup to be frozen"
	waits restart
}
