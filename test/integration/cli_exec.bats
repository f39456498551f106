#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# exec and ps: what runs in a container besides its init.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
}

teardown() {
	cleat delete --force "$ID" 2>/dev/null
	cleat_teardown
}

n_processes() {
	cleat state "$ID" | jq '.processes | length'
}

@test "exec hands back output, input and exit code, and leaves no record" {
	run --separate-stderr cleat exec "$ID" sh -c 'echo out; echo err >&2; exit 9'
	assert_status 9
	assert_equal "$output" out
	assert_equal "$stderr" err
	run cleat exec "$ID" tool count-stdin < <(tool random 3 1000000)
	assert_status 0
	assert_equal "$output" "$(tool random 3 1000000 | tool count-stdin)"
	assert_equal "$(n_processes)" 1
}

@test "options end at the container, and what follows is the command's" {
	run cleat exec "$ID" tool args -t --cwd /x -- -d
	assert_status 0
	assert_equal "$output" $'-t\n--cwd\n/x\n--\n-d'
}

@test "cwd, environment, user and groups" {
	needs_root "has no other users to map"
	run cleat exec "$ID" tool env
	assert_match "$output" "PATH=/usr/local/sbin"
	run cleat exec --cwd /tmp "$ID" tool cwd
	assert_equal "$output" /tmp
	run cleat exec -e A=1 --env "B=two words" "$ID" tool env
	assert_match "$output" $'A=1\nB=two words'
	run cleat exec --user 12:34 "$ID" tool id
	assert_match "$output" "^12 34 "
	run cleat exec -u 12 "$ID" tool id
	assert_match "$output" "^12 0 "
	run --separate-stderr cleat exec --user nobody "$ID" tool id
	assert_status 125
	assert_match "$stderr" "user \"nobody\" must be UID"
}

@test "capabilities" {
	effective() { cleat exec "$@" "$ID" grep CapEff /proc/self/status | cut -f 2; }
	plain=$(effective)
	assert_equal "$((0x$(effective --cap CAP_NET_ADMIN) & ~0x$plain))" $((1 << 12))
}

@test "no_new_privs" {
	lacks runsc "does not tell it in /proc/PID/status"
	cleat delete --force "$ID"
	edit_config "$BUNDLE" '.process.noNewPrivileges = false'
	cleat run -d --bundle "$BUNDLE" "$ID"
	run cleat exec "$ID" grep NoNewPrivs /proc/self/status
	assert_match "$output" "0$"
	run cleat exec --no-new-privs "$ID" grep NoNewPrivs /proc/self/status
	assert_match "$output" "1$"
}

@test "detached: the id is printed, and everything takes it" {
	needs_root "has no cgroup, by which runc lists processes"
	run cleat exec -d "$ID" tool pause
	assert_status 0
	assert_match "$output" '^[0-9a-f]{12,}$'
	exec_id=$output
	assert_equal "$(n_processes)" 2
	assert_match "$(cleat ps "$ID")" "[0-9]+ +$exec_id +[^ ]"
	run --separate-stderr cleat delete --exec-id "$exec_id" "$ID"
	assert_status 125
	cleat kill --exec-id "$exec_id" "$ID" KILL
	run cleat wait --exec-id "$exec_id" "$ID"
	assert_status 137
	assert_equal "$output" 137
	run cleat delete --exec-id "$exec_id" "$ID"
	assert_status 0
	assert_equal "$(n_processes)" 1
	run --separate-stderr cleat wait --exec-id "$exec_id" "$ID"
	assert_status 125
	assert_match "$stderr" "^cleat: container $ID: "
}

@test "ps tells what each of them runs" {
	needs_root "has no cgroup, by which runc lists processes"
	lacks runsc "has pids inside only"
	cleat exec -d --exec-id probe "$ID" tool pause
	# the runtime has left before its child has become the command
	command_of() { cleat ps --json "$ID" | jq -r ".[] | select(.exec_id == $1) | .command"; }
	is_command() { [[ $(command_of "$1") == "$2" ]]; }
	wait_for 5 is_command '"probe"' "tool pause"
	assert is_command null "/bin/tool pause"
	assert_match "$(cleat ps "$ID")" "[0-9]+ +probe +tool pause"
}

@test "an id of one's own, once" {
	run cleat exec -d --exec-id probe "$ID" tool pause
	assert_equal "$output" probe
	run --separate-stderr cleat exec --exec-id probe "$ID" tool exit 0
	assert_status 125
	assert_match "$stderr" "probe"
	run cleat delete --force --exec-id probe "$ID"
	assert_status 0
	run cleat exec --exec-id probe "$ID" tool exit 6
	assert_status 6
	assert_equal "$(n_processes)" 1
}

@test "a whole process from a file" {
	jq '.process | .args = ["/bin/tool", "cwd"] | .cwd = "/tmp"' "$BUNDLE/config.json" >"$T/process"
	run cleat exec --process "$T/process" "$ID"
	assert_status 0
	assert_equal "$output" /tmp
	echo '{"args": []}' >"$T/process"
	run --separate-stderr cleat exec --process "$T/process" "$ID"
	assert_status 125
	assert_match "$stderr" "args must not be empty"
	run --separate-stderr cleat exec --process "$T/none" "$ID"
	assert_status 125
	assert_match "$stderr" "$T/none: No such file"
}

@test "the pid goes into a file" {
	needs_root "has no cgroup, by which runc lists processes"
	run cleat exec -d --pid-file "$T/pid" "$ID" tool pause
	assert_equal "$(cleat ps --json "$ID" | jq -r ".[] | select(.exec_id == \"$output\") | .pid")" \
		"$(cat "$T/pid")"
}

@test "a detached exec whose pid file cannot be written does not stay" {
	needs_root "has no cgroup, by which runc lists processes"
	run --separate-stderr cleat exec -d --pid-file "$T/none/pid" "$ID" tool pause
	assert_status 125
	assert_match "$stderr" "pid file $T/none/pid: No such file"
	assert_equal "$output" ""
	assert_equal "$(cleat ps --json "$ID" | jq -c 'map(.exec_id)')" "[null]"
	assert_equal "$(cleat state "$ID" | jq -c '.processes | map(.exec_id)')" "[null]"
}

@test "output of a detached exec to a log" {
	exec_id=$(cleat exec -d --log "file://$T/log" "$ID" sh -c 'echo one; echo two >&2')
	cleat wait --exec-id "$exec_id" "$ID"
	cleat delete --exec-id "$exec_id" "$ID"
	assert_equal "$(sort "$T/log")" $'one\ntwo'
}

@test "exit codes and signals come back" {
	local n

	for n in 0 1 125 126 127 255; do
		run "-$n" cleat exec "$ID" tool exit "$n"
	done
	for n in 1 9 13 15 31 34 64; do
		run cleat exec "$ID" tool kill-self "$n"
		assert_status $((128 + n))
	done
}

@test "ps shows what nobody started through us" {
	needs_root "has no cgroup, by which runc lists processes"
	lacks runsc "has pids inside only"
	cleat exec -d "$ID" sh -c 'sleep 77 & sleep 77'
	# the shell may not have come to its children yet
	two_sleeps() { [[ $(cleat ps --json "$ID" | jq '[.[] | select(.command == "sleep 77")] | length') -eq 2 ]]; }
	wait_for 5 two_sleeps
	# init, and sh, which has become the second of them
	assert_equal "$(cleat ps --json "$ID" | jq 'length')" 3
}

@test "ps shows the beginning of a command that is too long to be shown" {
	needs_root "has no cgroup, by which runc lists processes"
	lacks runsc "has pids inside only"
	cleat exec -d "$ID" sleep 77 "$(printf '%0100000d' 0)"
	run cleat ps --json "$ID"
	assert_status 0
	assert_equal "$(jq -r '.[1].command | .[:12], .[-5:]' <<<"$output" | tr '\n' ' ')" "sleep 77 000 00... "
}

@test "no exec in a stopped or missing container" {
	cleat kill "$ID" KILL
	cleat wait "$ID" || true
	run --separate-stderr cleat exec "$ID" true
	assert_status 125
	assert_match "$stderr" "^cleat: container $ID: "
	run --separate-stderr cleat exec nope true
	assert_status 125
	assert_equal "$stderr" "cleat: container nope: does not exist"
}
