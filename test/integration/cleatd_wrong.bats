#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# deadline: 180
# Shims that hang, are dead or are not understood, and everybody else beside them.

load lib

setup() {
	cleat_setup
	needs_way direct -- "this has a cleatd of its own"
	make_bundle "$BUNDLE"
}

teardown() {
	cleat_teardown
}

wrong() { # CASE
	run "$BATS_TEST_DIRNAME/cleatd_wrong.py" "$1" "$ROOT" "$BUNDLE" "$ID"
	assert_status 0
}

@test "beside a hung shim, a dead one and foreign ones, all else is answered in 50 ms" {
	needs_root "has no cgroup, by which runc lists processes"
	wrong all_beside
}

@test "a hung shim costs its own callers, and is found as it was when it goes on" {
	wrong hung
}
