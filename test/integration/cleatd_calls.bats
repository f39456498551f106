#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# deadline: 180
# Every call that cleatd serves, with its refusals.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	needs_way direct -- "this has a cleatd of its own"
	make_bundle "$BUNDLE"
}

teardown() {
	cleat_teardown
}

calls() { # CASE
	run "$BATS_TEST_DIRNAME/cleatd_calls.py" "$1" "$ROOT" "$BUNDLE" "$ID"
	assert_status 0
}

@test "every call wants a namespace, a valid id, and a container that there is" {
	calls names
}

@test "Create: bundle and runtime come in the options, and each that is wrong is named" {
	calls create
}

@test "the seventeen calls of Tasks on one container, with their refusals" {
	needs_root "has no cgroup to be frozen, nor one by which runc lists processes"
	calls life
}

@test "ResizePty with a terminal" {
	edit_config "$BUNDLE" '.process.terminal = true'
	calls terminal
}

@test "Publish, Forward, and Subscribe with filters" {
	calls events
}

@test "Supervisor: Info, List, Get, Create, Delete, ExitRecords, Subscribe" {
	calls supervisor
}

@test "Adopt: a shim in a bundle, as containerd has it" {
	calls adopt
}

@test "the configured runtime is a set of runtimes.json; in its root each namespace has a folder" {
	local call=$BATS_TEST_DIRNAME/../supervisor/call.py ns

	[[ $RUNTIME == runc ]] || skip "the set names runc"
	echo '{"v": 1, "runtime": "mine"}' >"$T/cleatd.json"
	echo "{\"v\": 1, \"runtimes\": {\"mine\": {\"kind\": \"runc\", \"root\": \"$T/own\"}}}" >"$T/runtimes.json"
	CLEAT_RUNTIMES=$T/runtimes.json background cleatd "$CLEAT_BIN/cleatd" --root "$ROOT" --config "$T/cleatd.json"
	wait_for 10 cleatd_serves
	for ns in one two; do
		NS=$ns "$call" "$ROOT/cleatd.sock" Supervisor/Create \
			"{\"id\": \"$ID-$ns\", \"options\": {\"bundle\": \"$BUNDLE\"}}"
		assert test -d "$T/own/$ns/$ID-$ns"
	done
	for ns in one two; do
		NS=$ns "$call" "$ROOT/cleatd.sock" Supervisor/Delete "{\"id\": \"$ID-$ns\", \"force\": true}"
	done
}

# What it does where it may: test/system/cleatd.bats.
@test "a cgroup for shims that is not there is told, and they stay in cleatd's" {
	background cleatd "$CLEAT_BIN/cleatd" --root "$ROOT" --shims-cgroup "/none-$TAG"
	wait_for 10 cleatd_serves
	cleat run -d --bundle "$BUNDLE" "$ID"
	assert_match "$(cat "$T/cleatd.err")" "level=warning msg=\"shims stay in cleatd's cgroup\" asked=/none-$TAG"
	assert_equal "$(cat "/proc/$(cleat state "$ID" | jq .shim_pid)/cgroup")" \
		"$(cat "/proc/${PID[cleatd]}/cgroup")"
	cleat delete --force "$ID"
}

@test "a shim that has no container is ended by a deletion by force" {
	start_cleatd
	"$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID" start
	cleat delete --force "$ID"
	wait_for 5 nothing_left
}

# Of many it is left out.
@test "a container that has no figures says so itself" {
	local fake

	fake=$(dirname "$TOOL")/fake-runtime
	start_cleatd
	ln -s "$fake" "$T/odd"
	cleat --runtime "$T/odd" run -d --bundle "$BUNDLE" "$ID"
	run --separate-stderr cleat stats "$ID"
	assert_status 125
	assert_match "$stderr" "^cleat: container $ID: .*cgroup"
	refute_match "$stderr" "no figures are told"
	cleat delete --force "$ID"
}
