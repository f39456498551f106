#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# deadline: 300
# A shim's whole life under valgrind: no invalid access, and no leak at its end, by Shutdown, by
# SIGTERM, and after a create that failed. Only the shim is the debug variant; the rest is as built.

load ../integration/lib

setup() {
	DEBUG_SHIM=$BATS_TEST_DIRNAME/../../build/debug/cleat-shim
	CLEAT_BIN=$(cd "$BATS_TEST_DIRNAME/../../build" && pwd)
	CLEAT=$CLEAT_BIN/cleat
	cleat_setup
	deadline 200
	make_bundle "$BUNDLE"
	REPORT=$T/report
	read -r SHIM SOCKET < <(/usr/bin/python3 "$BATS_TEST_DIRNAME/serve.py" "$ROOT" default "$ID" \
		"$DEBUG_SHIM" "$REPORT")
	[ -S "$SOCKET" ]
}

teardown() { cleat_teardown; }

shim() { "$CLEAT" --root "$ROOT" --shim "$SOCKET" "$@"; }

gone() { ! [ -e "/proc/$SHIM" ] || [[ $(cat "/proc/$SHIM/stat" 2>/dev/null) == *") Z "* ]]; }

# The shim has ended, its report is there, and it is empty.
assert_clean() {
	wait_for 60 gone
	[ -e "$REPORT" ]
	# valgrind 3.19 warns of calls and ioctls that it does not know
	grep -vE '^--[0-9]+--|unhandled ioctl|could cause spurious|README_MISSING_SYSCALL' \
		"$REPORT" >"$T/said" || true
	cat "$T/said"
	[ ! -s "$T/said" ]
}

@test "a life with execs, signals, pause, streams and events, ended by Shutdown" {
	shim run -d --bundle "$BUNDLE" --log "file://$T/log" "$ID"
	for code in 0 1 7; do
		run shim exec "$ID" /bin/tool exit "$code"
		assert_status "$code"
	done
	run -127 shim exec "$ID" /bin/nope
	assert_equal "$(echo hello | shim exec "$ID" /bin/tool cat)" hello
	shim exec -d --exec-id late "$ID" /bin/tool pause
	shim ps "$ID" >/dev/null
	shim pause "$ID"
	run shim pause "$ID"
	assert_status 125
	shim resume "$ID"
	shim state "$ID" >/dev/null
	shim kill --exec-id late "$ID" KILL
	run shim wait --exec-id late "$ID"
	assert_status 137
	shim kill "$ID" KILL
	run shim wait "$ID"
	assert_status 137
	shim delete "$ID" # and, as the command line does, a Shutdown
	assert_clean
}

@test "a terminal, ended by SIGTERM with the container running" {
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "trap", "TERM", "3"]'
	shim run -d -t --bundle "$BUNDLE" "$ID"
	run shim exec -t "$ID" /bin/tool exit 4
	assert_status 4
	kill -TERM "$SHIM"
	assert_clean
	run "$CLEAT" --root "$ROOT" wait "$ID"
	"$CLEAT" --root "$ROOT" delete --force "$ID"
}

@test "a create that fails, ended by Shutdown" {
	edit_config "$BUNDLE" '.process.args = ["/bin/nope"]'
	run -127 shim run --bundle "$BUNDLE" "$ID"
	assert_clean
}
