#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# events: of one container and of all, from when, and how following ends.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	make_bundle "$BUNDLE"
}

teardown() {
	cleat_teardown
}

has_topic() { # FILE TOPIC
	grep -q "\"topic\":\"$2\"" "$1"
}

@test "all that is kept, in order, one object a line" {
	needs_root "has no cgroup to be frozen"
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat exec --exec-id probe "$ID" tool exit 3 || true
	cleat pause "$ID"
	cleat resume "$ID"
	background events "$CLEAT" --root "$ROOT" events --since 0 "$ID"
	cleat kill "$ID"
	wait_for 5 has_topic "$T/events.out" /tasks/exit
	cleat wait "$ID"
	wait_for 5 grep -q '"exec_id":null' "$T/events.out"
	cleat delete "$ID"
	finish events
	assert_status 0
	assert_equal "$(jq -r .topic <<<"$output" | tr '\n' ' ')" "/tasks/create /tasks/start \
/tasks/exec-added /tasks/exec-started /tasks/exit /tasks/delete /tasks/paused /tasks/resumed \
/tasks/exit /tasks/delete "
	assert_equal "$(jq -r .seq <<<"$output" | tr '\n' ' ')" "1 2 3 4 5 6 7 8 9 10 "
	assert_equal "$(jq -r .id <<<"$output" | sort -u)" "$ID"
	assert_equal "$(jq -r .epoch <<<"$output" | sort -u | grep -c '^[0-9]*$')" 1
	assert_equal "$(jq -c 'select(.topic == "/tasks/exit") | [.exec_id, .exit_status]' <<<"$output" |
		tr '\n' ' ')" '["probe",3] [null,0] '
	assert_match "$(jq -r 'select(.topic == "/tasks/exit") | .exited_at' <<<"$output")" \
		'^20..-..-..T..:..:..\.[0-9]{9}Z'
	assert_equal "$(jq -r 'select(.topic == "/tasks/create") | .bundle' <<<"$output")" "$BUNDLE"
}

@test "from now on, and after a number" {
	needs_root "has no cgroup to be frozen"
	cleat run -d --bundle "$BUNDLE" "$ID"
	background now "$CLEAT" --root "$ROOT" events "$ID"
	background later "$CLEAT" --root "$ROOT" events --since 1 "$ID"
	wait_for 5 has_topic "$T/later.out" /tasks/start
	# the first one subscribes some time: then it sees what comes
	sees() {
		cleat pause "$ID" && cleat resume "$ID"
		has_topic "$T/now.out" /tasks/resumed
	}
	wait_for 10 sees
	cleat delete --force "$ID"
	finish now
	assert_status 0
	refute_match "$output" /tasks/create
	assert_match "$output" /tasks/delete
	finish later
	assert_status 0
	assert_equal "$(head -n 1 <<<"$output" | jq .seq)" 2
}

@test "all containers, those to come too; being stopped is a proper end" {
	needs_way direct cleatd -- "one socket tells of one container"
	cleat run -d --bundle "$BUNDLE" "$ID"
	background all "$CLEAT" --root "$ROOT" events --since 0
	wait_for 5 has_topic "$T/all.out" /tasks/start
	background two "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE" "$ID-2"
	came() { grep "\"id\":\"$ID-2\"" "$T/all.out" | grep -q /tasks/start; }
	wait_for 10 came
	cleat kill "$ID-2"
	finish two
	gone() { grep "\"id\":\"$ID-2\"" "$T/all.out" | grep -q /tasks/delete; }
	wait_for 5 gone
	# the same name again is another container
	background two "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE" "$ID-2"
	again() { [[ $(grep "\"id\":\"$ID-2\"" "$T/all.out" | grep -c /tasks/start) -eq 2 ]]; }
	wait_for 10 again
	cleat kill "$ID-2"
	finish two
	cleat delete --force "$ID"
	kill -INT "${PID[all]}"
	finish all
	assert_status 0
	assert_equal "$stderr" ""
	assert_equal "$(jq -r "select(.id == \"$ID-2\") | .topic" <<<"$output" | tr '\n' ' ')" \
		"/tasks/create /tasks/start /tasks/exit /tasks/delete /tasks/create /tasks/start \
/tasks/exit /tasks/delete "
	assert_equal "$(jq -r "select(.id == \"$ID-2\") | .epoch" <<<"$output" | sort -u | wc -l)" 2
}

@test "an empty namespace waits for its first container" {
	local since=()

	# with cleatd nothing shows that it listens by now
	[[ $WAY != cleatd ]] || since=(--since 0)
	background all "$CLEAT" --root "$ROOT" events "${since[@]}"
	[[ $WAY == cleatd ]] || wait_for 5 test -d "$ROOT/c/default"
	background one "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE" "$ID"
	wait_for 10 has_topic "$T/all.out" /tasks/start
	cleat kill "$ID"
	finish one
	kill -TERM "${PID[all]}"
	finish all
	assert_status 0
	assert_match "$output" /tasks/create
}

# More changes in the folder than the kernel keeps for who does not read them.
@test "all containers, also where the kernel has lost count of their folders" {
	needs_way direct cleatd -- "one socket tells of one container"
	cleat run -d --bundle "$BUNDLE" "$ID"
	background all "$CLEAT" --root "$ROOT" events --since 0
	wait_for 5 has_topic "$T/all.out" /tasks/start
	kill -STOP "${PID[all]}"
	is_halted() { [[ $(cut -d ' ' -f 3 "/proc/${PID[all]}/stat") == T ]]; }
	wait_for 5 is_halted
	python3 -c 'import os, sys
[(os.mkdir(p), os.rmdir(p)) for i in range(int(sys.argv[2]) + 100) for p in [f"{sys.argv[1]}/.{i % 7}"]]
' "$ROOT/c/default" "$(</proc/sys/fs/inotify/max_queued_events)"
	cleat run -d --bundle "$BUNDLE" "$ID-2"
	kill -CONT "${PID[all]}"
	came() { grep "\"id\":\"$ID-2\"" "$T/all.out" | grep -q /tasks/create; }
	wait_for 10 came
	cleat delete --force "$ID-2"
	cleat delete --force "$ID"
	gone() { grep "\"id\":\"$ID\"" "$T/all.out" | grep -q /tasks/delete; }
	wait_for 5 gone
	kill -TERM "${PID[all]}"
	finish all
	assert_status 0
	assert_equal "$(jq -r "select(.id == \"$ID-2\") | .topic" <<<"$output" | tr '\n' ' ')" \
		"/tasks/create /tasks/start /tasks/exit /tasks/delete "
	assert_equal "$(jq -r "select(.id == \"$ID\") | .topic" <<<"$output" | tr '\n' ' ')" \
		"/tasks/create /tasks/start /tasks/exit /tasks/delete "
}

@test "of what is not there" {
	run --separate-stderr cleat events nope
	assert_status 125
	assert_equal "$stderr" "cleat: container nope: does not exist"
}

@test "only those that a filter matches, by what is printed" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	run "-3" cleat exec --exec-id probe "$ID" tool exit 3
	filtered() { # NAME FILTER...
		local name=$1 options=() filter

		for filter in "${@:2}"; do
			options+=(--filter "$filter")
		done
		background "$name" "$CLEAT" --root "$ROOT" events --since 0 "${options[@]}" "$ID"
	}
	filtered exits topic==/tasks/exit
	filtered both 'topic==/tasks/exit,exit_status!=0' 'event.exec_id==probe,topic~=/added$/'
	filtered none namespace==other
	filtered init 'exec_id!=probe,exit_status'
	background all "$CLEAT" --root "$ROOT" events --since 0 "$ID"
	wait_for 5 has_topic "$T/all.out" /tasks/exit
	cleat delete --force "$ID"
	finish exits
	assert_equal "$(jq -c '[.exec_id, .exit_status]' <<<"$output" | tr '\n' ' ')" '["probe",3] [null,137] '
	finish both
	assert_equal "$(jq -r .topic <<<"$output" | tr '\n' ' ')" "/tasks/exec-added /tasks/exit /tasks/exit "
	finish none
	assert_status 0
	assert_equal "$output" ""
	finish init
	assert_equal "$(jq -r .topic <<<"$output" | sort -u | tr '\n' ' ')" "/tasks/delete /tasks/exit "
	finish all
}

@test "a filter that is none is told by its word and place" {
	run --separate-stderr cleat events --filter 'topic=/x'
	assert_status 125
	assert_equal "$stderr" 'cleat: filter "topic=/x": unexpected "=" at 6, expected "==", "!=" or "~="'
}
