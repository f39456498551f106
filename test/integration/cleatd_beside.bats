#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# cleat beside a cleatd that starts, or is killed, in the middle of what it does: nothing is lost of exit
# codes, output, and events. Every test begins without cleatd and starts its own.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	needs_way direct -- "cleatd comes and goes in each test"
	FAKE=$(dirname "$TOOL")/fake-runtime
}

teardown() {
	cleat_teardown
}

kill_cleatd() {
	stop_process "${PID[cleatd]}"
	unset "PID[cleatd]"
	# a dead one leaves it, as a killed server does; it is not ours to tell of
	wait_for 5 is_direct
}

is_direct() {
	[[ $(cleat version | sed -n 2p) == direct ]]
}

says() { # NAME REGEX
	grep -qE "$2" "$T/$1.out"
}

is_status() { # ID STATUS
	[[ $(cleat list --json | jq -r ".[] | select(.id == \"$1\") | .status") == "$2" ]]
}

# 300,000 bytes after each of two lines of stdin, and exit 7.
make_talker() {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c",
		"echo ready; read a; tool random 5 300000; read b; tool random 6 300000; exit 7"]'
}

assert_talked() { # NAME
	assert_status 7
	assert_equal "$(md5sum <"$T/$1.out")" \
		"$({ echo ready; tool random 5 300000; tool random 6 300000; } | md5sum)"
}

# In the background, with the FIFO T/in for its stdin, of which descriptor IN is the writing end.
background_fed() { # NAME COMMAND...
	mkfifo "$T/in"
	exec {IN}<>"$T/in"
	# shellcheck disable=SC2016 # the script's
	background "$1" sh -c 'in=$1; shift; exec "$@" <"$in"' sh "$T/in" "${@:2}"
}

feed() {
	echo >&"$IN"
}

has_bytes() { # NAME N
	[[ $(stat -c %s "$T/$1.out") -ge $2 ]]
}

@test "cleatd that starts while a run is in the foreground adopts it" {
	make_talker
	background_fed run "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE" "$ID"
	wait_for 10 says run ready
	start_cleatd
	wait_for 5 is_status "$ID" running
	assert_equal "$(cleat version | sed -n 2p)" "via cleatd"
	run cleat exec "$ID" tool exit 4
	assert_status 4
	background wait "$CLEAT" --root "$ROOT" wait "$ID"
	background events "$CLEAT" --root "$ROOT" events --since 0
	wait_for 5 says events /tasks/start
	feed
	feed
	finish run
	assert_talked run
	finish wait
	assert_equal "$output" 7
	wait_for 5 says events '/tasks/delete.*"exec_id":null'
	kill -INT "${PID[events]}"
	finish events
	assert_equal "$(jq -c 'select(.topic == "/tasks/exit") | [.exec_id != null, .exit_status]' \
		<<<"$output" | tr '\n' ' ')" '[true,4] [false,7] '
	assert_equal "$(cleat list --json)" "[]"
}

@test "cleatd killed while a run that it made is in the foreground" {
	make_talker
	start_cleatd
	background_fed run "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE" "$ID"
	wait_for 10 says run ready
	feed
	wait_for 5 has_bytes run 300006
	kill_cleatd
	assert is_status "$ID" running
	feed
	finish run
	assert_equal "$stderr" ""
	assert_talked run
	assert nothing_left
}

@test "cleatd killed while an exec goes on, and started again" {
	make_bundle "$BUNDLE"
	start_cleatd
	cleat run -d --bundle "$BUNDLE" "$ID"
	background_fed exec "$CLEAT" --root "$ROOT" exec --exec-id talk "$ID" /bin/sh -c \
		'echo ready; read a; tool random 5 300000; read b; tool random 6 300000; exit 7'
	wait_for 10 says exec ready
	kill_cleatd
	feed
	wait_for 5 has_bytes exec 300006
	start_cleatd
	wait_for 5 is_status "$ID" running
	feed
	finish exec
	assert_equal "$stderr" ""
	assert_talked exec
	cleat delete --force "$ID"
}

# One that waits while cleatd is there, one that is gone again, and one after that.
@test "cleatd killed while somebody waits: each wait tells the exit" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "trap", "TERM", "9"]'
	start_cleatd
	cleat run -d --bundle "$BUNDLE" --log "file://$T/log" "$ID"
	wait_for 5 grep -q ready "$T/log"
	cleat exec -d --exec-id other "$ID" tool trap USR1 3
	asks() { [[ $(find "/proc/${PID[$1]}/fd" -lname 'socket:*') ]]; }
	background first "$CLEAT" --root "$ROOT" wait "$ID"
	background of_exec "$CLEAT" --root "$ROOT" wait --exec-id other "$ID"
	wait_for 5 asks first
	wait_for 5 asks of_exec
	kill_cleatd
	background second "$CLEAT" --root "$ROOT" wait "$ID"
	start_cleatd
	wait_for 5 is_status "$ID" running
	background third "$CLEAT" --root "$ROOT" wait "$ID"
	wait_for 5 asks third
	kill_cleatd
	cleat kill --exec-id other "$ID" USR1
	finish of_exec
	assert_status 3
	cleat kill "$ID" TERM
	for name in first second third; do
		finish "$name"
		assert_equal "$stderr" ""
		assert_status 9
		assert_equal "$output" 9
	done
	cleat delete "$ID"
}

seqs() { # ID: of T/all.out
	jq -r "select(.id == \"$1\") | .seq" "$T/all.out" | tr '\n' ' '
}

@test "cleatd killed while events are followed: none is missing, none comes twice" {
	needs_root "has no cgroup to be frozen"
	make_bundle "$BUNDLE"
	start_cleatd
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat run -d --bundle "$BUNDLE" "$ID-2"
	background all "$CLEAT" --root "$ROOT" events
	background one "$CLEAT" --root "$ROOT" events --since 0 "$ID"
	wait_for 5 says one /tasks/start
	# until it is seen that the first one listens: by what comes
	sees() {
		cleat pause "$ID" && cleat resume "$ID"
		says all /tasks/resumed
	}
	wait_for 10 sees
	seen=$(jq -r .seq "$T/all.out" | head -n 1)
	kill -STOP "${PID[all]}" "${PID[one]}"
	cleat exec "$ID" true
	kill_cleatd
	# nothing was told of this one yet: what is older than the follower stays untold
	cleat pause "$ID-2"
	cleat resume "$ID-2"
	kill -CONT "${PID[all]}" "${PID[one]}"
	background new "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE" "$ID-3"
	wait_for 10 is_status "$ID-3" running
	came() { grep "\"id\":\"$ID-3\"" "$T/all.out" | grep -q /tasks/start; }
	wait_for 5 came
	cleat kill "$ID-3"
	finish new
	cleat delete --force "$ID"
	cleat delete --force "$ID-2"
	gone() { [[ $(grep -c '/tasks/delete.*"exec_id":null' "$T/all.out") -eq 3 ]]; }
	wait_for 10 gone
	finish one
	assert_status 0
	assert_equal "$stderr" ""
	last=$(jq .seq <<<"$output" | tail -n 1)
	assert_equal "$(jq .seq <<<"$output" | tr '\n' ' ')" "$(seq -s ' ' 1 "$last") "
	kill -INT "${PID[all]}"
	finish all
	assert_status 0
	assert_equal "$stderr" ""
	assert_equal "$(seqs "$ID")" "$(seq -s ' ' "$seen" "$last") "
	assert_equal "$(jq -r "select(.id == \"$ID-2\") | .topic" "$T/all.out" | tr '\n' ' ')" \
		"/tasks/paused /tasks/resumed /tasks/exit /tasks/delete "
	assert_equal "$(jq -r "select(.id == \"$ID-3\") | .topic" "$T/all.out" | tr '\n' ' ')" \
		"/tasks/create /tasks/start /tasks/exit /tasks/delete "
}

# The scripted runtime, which begins to create and goes on when it may.
make_slow_runtime() {
	ln -s "$FAKE" "$T/slow"
	printf '%s touch %s\n%s wait %s\n' "$1" "$T/began" "$1" "$T/go" >"$T/slow.script"
}

@test "cleatd killed while a container is being created: one sentence, and it is there" {
	make_bundle "$BUNDLE"
	while read -r verb command; do
		make_slow_runtime "$verb"
		start_cleatd
		# shellcheck disable=SC2086 # a command and its option
		background making "$CLEAT" --root "$ROOT" --runtime "$T/slow" $command \
			--bundle "$BUNDLE" "$ID"
		wait_for 10 test -e "$T/began"
		kill_cleatd
		finish making
		assert_status 125
		assert_equal "$output" ""
		assert_equal "$stderr" "cleat: container $ID: cleatd ended before it had answered; \
\`cleat list\` tells whether the container was made"
		: >"$T/go"
		wait_for 10 is_status "$ID" "$([[ $verb == run ]] && echo running || echo created)"
		start_cleatd
		wait_for 5 is_status "$ID" "$([[ $verb == run ]] && echo running || echo created)"
		run cleat delete --force "$ID"
		assert_status 0
		assert_equal "$(cleat list --json)" "[]"
		kill_cleatd
		rm -f "$T"/slow* "$T/began" "$T/go"
	done <<-END
		create create
		run run -d
		run run --rm
	END
}

@test "cleatd killed while a container is being created that cannot be: nothing is left" {
	make_bundle "$BUNDLE"
	make_slow_runtime create
	echo "create fail no luck" >>"$T/slow.script"
	start_cleatd
	background making "$CLEAT" --root "$ROOT" --runtime "$T/slow" create --bundle "$BUNDLE" "$ID"
	wait_for 10 test -e "$T/began"
	kill_cleatd
	finish making
	assert_status 125
	assert_match "$stderr" "^cleat: container $ID: cleatd ended before it had answered"
	: >"$T/go"
	assert_equal "$(cleat list --json)" "[]"
	# the shim has nothing in it once its runtime has failed: it ends by itself after a while, or is told
	is_idle() { cleat shim exit "$ID" 2>/dev/null; }
	wait_for 10 is_idle
	wait_for 5 nothing_left
}
