#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Signals of a foreground cleat, and what is left when it is killed itself.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
}

teardown() {
	cleat_teardown
}

says_ready() { # NAME
	grep -q ready "$T/$1.out"
}

is_status() { # ID STATUS
	[[ $(cleat state "$1" | jq -r .status) == "$2" ]]
}

# STATE as of /proc/PID/stat: T is stopped.
is_in_state() { # PID STATE
	[[ $(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat") == "$2" ]]
}

run_passes_on() { # SIGNAL...
	local sig

	make_bundle "$BUNDLE"
	for sig; do
		edit_config "$BUNDLE" ".process.args = [\"/bin/tool\", \"trap\", \"$sig\", \"$((sig + 40))\"]"
		background run "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE" "$ID"
		wait_for 10 says_ready run
		kill "-$sig" "${PID[run]}"
		finish run
		assert_status $((sig + 40))
		rm "$T/run.out"
	done
	assert nothing_left
}

@test "run passes every catchable signal on" {
	run_passes_on 1 2 3 4 5 6 7 8 10 11 12 13 14 15 16 24 25 26 27 29 30 31
}

@test "run passes those of real time on as well" {
	lacks runsc "sends none of them"
	run_passes_on 34 50 64
}

exec_passes_on() { # SIGNAL...
	local sig

	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	for sig; do
		background exec "$CLEAT" --root "$ROOT" exec "$ID" tool trap "${sig/RTMIN+3/37}" 42
		wait_for 10 says_ready exec
		kill -s "$sig" "${PID[exec]}"
		finish exec
		assert_status 42
		rm "$T/exec.out"
	done
	assert is_status "$ID" running
	cleat delete --force "$ID"
}

@test "exec passes signals on, to the exec alone" {
	exec_passes_on TERM INT QUIT HUP USR1
}

@test "exec passes one of real time on" {
	lacks runsc "sends none of them"
	exec_passes_on RTMIN+3
}

@test "signals that end a process come back as 128 + n" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "pause"]'
	cleat run -d --bundle "$BUNDLE" "$ID"
	background exec "$CLEAT" --root "$ROOT" exec "$ID" sh -c 'echo ready; exec sleep 100'
	wait_for 10 says_ready exec
	kill -TERM "${PID[exec]}"
	finish exec
	assert_status 143
	cleat delete --force "$ID"
}

# In the host's pid namespace: to the first process of one of its own the kernel does not give what
# it has no handler for yet.
@test "a signal that comes before the process runs is not lost" {
	needs_root "needs a pid namespace of their own to mount proc"
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "trap", "10", "5"]
		| .linux.namespaces |= map(select(.type != "pid"))'
	for _ in {1..10}; do
		background run "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE" "$ID"
		created() { [[ -e $ROOT/c/default/$ID/state.json ]]; }
		wait_for 10 created
		kill -USR1 "${PID[run]}"
		# either it was held back until there was a handler, or it found none: both are ends
		finish run
		assert_match "$status" '^(5|138)$'
	done
}

# A runtime that is slow: it begins when there is a file "go", and ends when there is "end".
make_slow_runtime() {
	mkdir "$T/bin"
	cat >"$T/bin/$RUNTIME" <<-END
		#!/bin/bash
		[[ " \$* " =~ " run "|" create "|" start " ]] || exec ${RUNTIME_COMMAND[*]} "\$@"
		touch "$T/creating"
		while [[ ! -e "$T/go" ]]; do sleep 0.02; done
		${RUNTIME_COMMAND[*]} "\$@" || exit
		# over crun it runs after a second call
		[[ " \$* " != *" create "* ]] || exit 0
		touch "$T/runs"
		while [[ ! -e "$T/end" ]]; do sleep 0.02; done
	END
	chmod 755 "$T/bin/$RUNTIME"
}

@test "interrupted while it is created: nothing is left" {
	lacks runsc "ends a first process by a signal that it has no handler for: it has run"
	make_bundle "$BUNDLE"
	make_slow_runtime
	background run "$CLEAT" --root "$ROOT" --runtime "$T/bin/$RUNTIME" run --bundle "$BUNDLE" "$ID"
	wait_for 10 test -e "$T/creating"
	kill -INT "${PID[run]}"
	touch "$T/go" "$T/end"
	finish run
	assert_status 130
	assert nothing_left
}

@test "interrupted when it runs and nobody knows yet: it gets the signal" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c", "tool trap 15 9"]'
	make_slow_runtime
	touch "$T/go"
	background run "$CLEAT" --root "$ROOT" --runtime "$T/bin/$RUNTIME" run --rm --bundle "$BUNDLE" "$ID"
	wait_for 10 test -e "$T/runs"
	wait_for 10 says_ready run
	kill -TERM "${PID[run]}"
	touch "$T/end"
	finish run
	assert_status 9
	assert nothing_left
}

@test "ctrl-z stops only cleat" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c", "tool trap 10 3"]'
	background run "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE" "$ID"
	wait_for 10 says_ready run
	# it may say so before its runtime has ended, and is a container only then
	wait_for 10 is_status "$ID" running
	init=$(cleat state "$ID" | jq .pid)
	kill -TSTP "${PID[run]}"
	wait_for 5 is_in_state "${PID[run]}" T
	wait_for 5 is_in_state "$init" S
	kill -CONT "${PID[run]}"
	kill -USR1 "${PID[run]}"
	finish run
	assert_status 3
}

@test "killed with SIGKILL it leaves the container running, and usable" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c", "echo ready; tool trap 15 11"]'
	background run "$CLEAT" --root "$ROOT" run --bundle "$BUNDLE" "$ID"
	wait_for 10 says_ready run
	stop_process "${PID[run]}"
	unset "PID[run]"
	wait_for 10 is_status "$ID" running # its runtime may not have ended yet
	run cleat exec "$ID" tool exit 4
	assert_status 4
	cleat kill "$ID" TERM
	run cleat wait "$ID"
	assert_status 11
	cleat delete "$ID"
}

kill_takes() { # SIGNAL AS...
	local sig

	make_bundle "$BUNDLE" ".process.args = [\"/bin/tool\", \"trap\", \"$1\", \"9\"]"
	shift
	for sig; do
		cleat run -d --log "file://$T/run.out" --bundle "$BUNDLE" "$ID"
		wait_for 10 says_ready run
		cleat kill "$ID" "$sig"
		run cleat wait "$ID"
		assert_status 9
		cleat delete "$ID"
		rm "$T/run.out"
	done
}

@test "kill takes names and numbers" {
	kill_takes 10 USR1 SIGUSR1 10 usr1
}

@test "kill takes those of real time as well" {
	lacks runsc "sends none of them"
	kill_takes 37 RTMIN+3 SIGRTMIN+3 37 rtmin+3
}

@test "kill --all reaches every process" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "ignore-term"]'
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat exec -d --exec-id e "$ID" sleep 100
	cleat kill --all "$ID" KILL
	run cleat wait --exec-id e "$ID"
	# runsc has a word of its own for what went with its sandbox
	if [[ $RUNTIME == runsc ]]; then assert_status 128; else assert_status 137; fi
	run cleat wait "$ID"
	assert_status 137
	cleat delete "$ID"
}
