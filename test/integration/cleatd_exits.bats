#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# deadline: 300
# Exits that the shim did not live to see, as cleatd tells them: from its own reaping, from the kernel, or
# not at all. ROUNDS says how often each race is run (10).

load lib

setup() {
	cleat_setup
	needs_way direct -- "each round has a cleatd of its own"
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

orphan() { # CASE
	run "$BATS_TEST_DIRNAME/cleatd_orphans.py" "$1" "$ROOT" "$BUNDLE" "$ID"
	assert_status 0
}

@test "an orphan takes signals for one process; its exits are learned; it is deleted once it has ended" {
	orphan kill_one
}

@test "an orphan takes a signal for all of its processes" {
	needs_root "has no cgroup, by which runc signals all"
	orphan kill_all
}

@test "an orphan that ends by itself is told of, by the cleatd after this one, too" {
	orphan end_by_itself
}

@test "an orphan's execs are told of before its init, whoever is found first" {
	needs_root "needs a pid namespace of their own to mount proc"
	edit_config "$BUNDLE" '.linux.namespaces |= map(select(.type != "pid"))'
	orphan end_unseen
}

@test "an orphan that runs is deleted by force alone, and then nothing of it is left" {
	orphan delete
}
