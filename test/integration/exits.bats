#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Exit codes and signals: every one of them comes back exactly, by every way that tells it, at once
# and long after, from the shim and from the ledger of a shim that was killed.
#
# FULL=1: every exit code from `run` and `wait` too, not from `exec` alone.
# deadline: 900

load lib

# What ends a process: all but CHLD CONT STOP TSTP TTIN TTOU URG WINCH, 32 and 33.
SIGNALS="$(echo {1..16} {24..27} {29..31} {34..64})"
if [[ -n ${FULL-} ]]; then
	CODES="$(echo {0..255})"
else
	CODES="0 3 7 8 15 31 32 63 64 77 99 100 130 143 192 255"
fi

setup() {
	cleat_setup
	make_bundle "$BUNDLE"
	wrong=''
}

teardown() {
	cleat_teardown
}

# The command's status must be that; what differs is collected, so that one look tells the pattern.
expect() { # STATUS COMMAND...
	local want=$1 got=0

	shift
	"$@" >"$T/said" 2>"$T/said.err" || got=$?
	[[ $got -eq $want ]] || wrong+=" $want:$got"
}

expect_wait() { # STATUS ARGS...
	expect "$1" cleat wait "${@:2}"
	[[ $(<"$T/said") == "$1" ]] || wrong+=" $1:printed-$(<"$T/said")"
}

is_status() { # ID STATUS
	[[ $(cleat state "$1" | jq -r .status) == "$2" ]]
}

@test "all 256 codes from exec" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	for code in {0..255}; do
		expect "$code" cleat exec "$ID" tool exit "$code"
	done
	assert_equal "$wrong" ""
	cleat delete --force "$ID"
}

@test "codes from exec, many at a time, each to its own caller" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	for base in 0 60 120 180; do
		for code in {1..12}; do
			background "e$code" "$CLEAT" --root "$ROOT" exec "$ID" tool exit $((base + code))
		done
		for code in {1..12}; do
			finish "e$code"
			[[ $status -eq $((base + code)) ]] || wrong+=" $((base + code)):$status"
		done
	done
	assert_equal "$wrong" ""
	cleat delete --force "$ID"
}

@test "codes from run, then from wait, twice" {
	for code in $CODES; do
		edit_config "$BUNDLE" ".process.args = [\"/bin/tool\", \"exit\", \"$code\"]"
		expect "$code" cleat run --bundle "$BUNDLE" "$ID"
		expect_wait "$code" "$ID"
		expect_wait "$code" "$ID"
		[[ $(cleat state "$ID" | jq .exit_status) == "$code" ]] || wrong+=" $code:state"
		cleat delete "$ID"
	done
	assert_equal "$wrong" ""
}

@test "codes from a wait that was there before the exit" {
	for code in 0 1 99 128 137 255; do
		edit_config "$BUNDLE" ".process.args = [\"/bin/tool\", \"trap\", \"15\", \"$code\"]"
		cleat run -d --log "file://$T/log" --bundle "$BUNDLE" "$ID"
		wait_for 10 grep -q ready "$T/log"
		background one "$CLEAT" --root "$ROOT" wait "$ID"
		background two "$CLEAT" --root "$ROOT" wait "$ID"
		cleat kill "$ID"
		for name in one two; do
			finish $name
			[[ "$status $output" == "$code $code" ]] || wrong+=" $code:$status:$output"
		done
		cleat delete "$ID"
		rm "$T/log"
	done
	assert_equal "$wrong" ""
}

@test "signals from exec come back as 128 + n" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	for sig in $SIGNALS; do
		expect $((128 + sig)) cleat exec "$ID" tool kill-self "$sig"
	done
	assert_equal "$wrong" ""
	cleat delete --force "$ID"
}

# As process 1 of a pid namespace nothing can end itself by a signal: here it is none.
@test "signals from run, in the host's pid namespace" {
	needs_root "needs a pid namespace of their own to mount proc"
	edit_config "$BUNDLE" 'del(.linux.namespaces[] | select(.type == "pid"))'
	for sig in $SIGNALS; do
		edit_config "$BUNDLE" ".process.args = [\"/bin/tool\", \"kill-self\", \"$sig\"]"
		expect $((128 + sig)) cleat run --rm --bundle "$BUNDLE" "$ID"
	done
	assert_equal "$wrong" ""
}

@test "a signal and the code that looks like it are told apart" {
	lacks runsc "tells an exec's end as a code, whatever it was"
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat exec -d --exec-id killed "$ID" tool kill-self 9
	cleat exec -d --exec-id exited "$ID" tool exit 137
	expect_wait 137 --exec-id killed "$ID"
	expect_wait 137 --exec-id exited "$ID"
	assert_equal "$wrong" ""
	assert_equal "$(jq -c 'select(.exec_id != "") | [.exec_id, .status, .signal]' \
		"$ROOT/c/default/$ID/exits.jsonl" | sort | tr '\n' ' ')" \
		'["exited",137,0] ["killed",137,9] '
	cleat delete --force "$ID"
}

@test "told long after: execs that ended 50 execs ago, by wait --exec-id, twice" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	for code in 0 1 41 255; do
		cleat exec -d --exec-id "e$code" "$ID" tool exit "$code"
	done
	cleat exec -d --exec-id killed "$ID" tool kill-self 15
	for code in {1..50}; do
		expect "$code" cleat exec "$ID" tool exit "$code"
	done
	for _ in 1 2; do
		for code in 0 1 41 255; do
			expect_wait "$code" --exec-id "e$code" "$ID"
		done
		expect_wait 143 --exec-id killed "$ID"
	done
	# the init is still to come, and its end does not take theirs away
	cleat kill "$ID" KILL
	expect_wait 137 "$ID"
	expect_wait 41 --exec-id e41 "$ID"
	assert_equal "$wrong" ""
	cleat delete "$ID"
}

@test "told from the ledger of a shim that was killed" {
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "trap", "15", "91"]'
	cleat run -d --log "file://$T/log" --bundle "$BUNDLE" "$ID"
	wait_for 10 grep -q ready "$T/log"
	for code in 0 1 41 255; do
		cleat exec -d --exec-id "e$code" "$ID" tool exit "$code"
		expect_wait "$code" --exec-id "e$code" "$ID"
	done
	for sig in 6 11 64; do
		cleat exec -d --exec-id "s$sig" "$ID" tool kill-self "$sig"
		expect_wait $((128 + sig)) --exec-id "s$sig" "$ID"
	done
	cleat kill "$ID"
	expect_wait 91 "$ID"
	kill -KILL "$(cleat state "$ID" | jq .shim_pid)"
	wait_for 5 is_status "$ID" orphaned
	for _ in 1 2; do
		for code in 0 1 41 255; do
			expect_wait "$code" --exec-id "e$code" "$ID"
		done
		for sig in 6 11 64; do
			expect_wait $((128 + sig)) --exec-id "s$sig" "$ID"
		done
		expect_wait 91 "$ID"
	done
	assert_equal "$wrong" ""
	cleat delete "$ID"
}

@test "the shim killed while the container runs: known ends are told, those after it are unknown" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat exec -d --exec-id before "$ID" tool exit 12
	expect_wait 12 --exec-id before "$ID"
	cleat exec -d --exec-id after "$ID" tool pause
	kill -KILL "$(cleat state "$ID" | jq .shim_pid)"
	wait_for 5 is_status "$ID" orphaned
	expect_wait 12 --exec-id before "$ID"
	assert_equal "$wrong" ""
	cleat kill "$ID" KILL
	for args in "--exec-id after $ID" "$ID"; do
		# shellcheck disable=SC2086 # two words
		run cleat wait $args
		assert_status "$LOST_STATUS"
		assert_equal "$output" "$LOST"
	done
	cleat delete --force "$ID"
}
