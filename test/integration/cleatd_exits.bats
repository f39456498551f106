#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# deadline: 300
# Exits that the shim did not live to see, as cleatd tells them: from its own reaping, from the kernel, or
# not at all. ROUNDS says how often each race is run (10).

load lib

setup() {
	cleat_setup
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "trap", "USR1", "7"]'
}

teardown() {
	cleat_teardown
}

lost() { # WAY
	local rounds=${ROUNDS:-10}

	deadline $((60 + rounds * 2))
	run "$BATS_TEST_DIRNAME/lost_exits.py" "$1" "$rounds" "$ROOT" "$BUNDLE" "$ID"
	assert_status 0
	assert_equal "${lines[-1]}" "$rounds"
}

kernel_tells_exits() {
	local major minor

	IFS=. read -r major minor _ <<<"$(uname -r)"
	[[ $major -gt 6 || ($major -eq 6 && $minor -ge 15) ]]
}

@test "an exit that the shim did not reap is told by its cleatd, which is its subreaper" {
	lost subreaper
}

@test "an exit that neither the shim nor this cleatd could reap is told by the kernel" {
	kernel_tells_exits || skip "PIDFD_GET_INFO tells exits from Linux 6.15 on"
	lost pidfd
}

@test "an exit that nobody can tell is unknown, never a number" {
	lost nobody
}
