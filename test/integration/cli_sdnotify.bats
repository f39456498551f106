#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `cleat run` as a service of systemd, whose notify socket is stood in for: who says when that it is
# ready, what of a container's own words is passed on, and what its stop signal is.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
}

teardown() {
	cleat_teardown
}

# A socket at $1, whose datagrams are lines in T/systemd.out after the first.
systemd_begins() { # [NAME]
	SOCKET=${1:-$T/notify}
	background systemd "$BATS_TEST_DIRNAME/notify_socket.py" "$SOCKET"
	wait_for 10 grep -q listening "$T/systemd.out"
}

told() {
	sed 1d "$T/systemd.out"
}

has_told() { # REGEX
	told | grep -qE "$1"
}

says() { # NAME REGEX
	grep -qE "$2" "$T/$1.out"
}

# cleat run, in the background, as a service.
run_service() { # OPTION...
	background run env NOTIFY_SOCKET="$SOCKET" WATCHDOG_USEC=7000000 WATCHDOG_PID=1 \
		"$CLEAT" --root "$ROOT" run --rm "$@" --bundle "$BUNDLE" "$ID"
}

# A container that prints "ready" and ends with 3 at USR1, after these commands of the multi-tool, which
# each end in "--".
make_service() { # COMMAND...
	local words

	words=$(jq -cn '$ARGS.positional' --args -- /bin/tool seq "$@" trap USR1 3)
	make_bundle "$BUNDLE" ".process.args = $words"
}

end_service() {
	wait_for 10 says run ready
	kill -USR1 "${PID[run]}"
	finish run
	assert_status 3
}

@test "ready once it runs, and neither container nor shim knows of it" {
	make_service env --
	systemd_begins
	run_service
	wait_for 10 has_told READY=1
	assert_equal "$(cleat state "$ID" | jq -r .status)" running
	assert_equal "$(told)" "READY=1|STATUS=Container $ID is running"
	refute_match "$(tr '\0' '\n' <"/proc/$(cleat state "$ID" | jq .shim_pid)/environ")" \
		'NOTIFY_SOCKET|WATCHDOG'
	end_service
	refute_match "$output" 'NOTIFY_SOCKET|WATCHDOG'
	assert_equal "$(told | wc -l)" 1
}

@test "the same with an abstract name, and where Create and Start are two calls" {
	lacks runsc "has terminals of its own"
	make_service
	systemd_begins "@$TAG"
	background run env NOTIFY_SOCKET="$SOCKET" script -qec \
		"$CLEAT --root $ROOT run -t --rm --bundle $BUNDLE $ID" /dev/null
	wait_for 10 has_told READY=1
	assert_equal "$(told)" "READY=1|STATUS=Container $ID is running"
	wait_for 10 says run ready
	cleat kill "$ID" USR1
	finish run
	assert_status 3
}

@test "not before it runs, and never of one that does not start" {
	lacks runsc "runs no such hooks"
	make_service
	mkfifo "$T/go"
	edit_config "$BUNDLE" ".hooks.createRuntime = [{path: \"/bin/sh\",
		args: [\"sh\", \"-c\", \"echo begun >$T/hook; read word <$T/go\"]}]"
	systemd_begins
	run_service
	wait_for 10 test -s "$T/hook"
	assert_equal "$(told)" ""
	echo >"$T/go"
	wait_for 10 has_told READY=1
	end_service

	edit_config "$BUNDLE" '.hooks.createRuntime[0].args = ["sh", "-c", "exit 1"]'
	run_service
	finish run
	assert_status 125
	edit_config "$BUNDLE" 'del(.hooks) | .process.args = ["/bin/nope"]'
	run_service
	finish run
	assert_status 127
	assert_equal "$(told | grep -c READY=1)" 1
}

@test "--sdnotify=container: its own words, those that are its to say" {
	needs_way direct -- "its config.json is made here"
	lacks runsc "has no sockets of the host's"
	make_service env -- notify "STATUS=warming up" MAINPID=1 -- notify FDSTORE=1 BARRIER=1 -- \
		notify READY=1 "STATUS=up	and running" EXTEND_TIMEOUT_USEC=5 READY=2 -- \
		notify STOPPING=1 WATCHDOG=1 WATCHDOG=trigger ERRNO=2 --
	# whoever it runs as
	edit_config "$BUNDLE" '.process.user = {uid: 1000, gid: 1000} | .process.env += ["NOTIFY_SOCKET=/x"]'
	cp "$BUNDLE/config.json" "$T/before"
	systemd_begins
	run_service --sdnotify=container
	end_service
	# what cleat says of a container that has said nothing yet
	assert_equal "$(told | grep -v "^STATUS=Container $ID is running, and has not said that it is ready$")" \
		"STATUS=warming up
READY=1|STATUS=up and running
STOPPING=1|WATCHDOG=1"
	assert_equal "$(grep -E '^(NOTIFY|WATCHDOG)_' <<<"$output")" "NOTIFY_SOCKET=/run/notify/notify.sock
WATCHDOG_USEC=7000000"
	assert cmp "$BUNDLE/config.json" "$T/before"
}

@test "--sdnotify=container: without its word it is not ready" {
	needs_way direct -- "its config.json is made here"
	lacks runsc "has no sockets of the host's"
	make_service
	systemd_begins
	run_service --sdnotify=container
	end_service
	assert_equal "$(told)" "STATUS=Container $ID is running, and has not said that it is ready"
}

@test "--sdnotify=container: an exec can say it, too, and a datagram that is too long cannot" {
	needs_way direct -- "its config.json is made here"
	lacks runsc "has no sockets of the host's"
	make_service
	systemd_begins
	run_service --sdnotify=container
	wait_for 10 has_told "has not said"
	cleat exec "$ID" /bin/tool notify READY=1 "STATUS=$(printf 'x%.0s' {1..4100})"
	cleat exec "$ID" /bin/tool notify READY=1 "STATUS=$(printf 'x%.0s' {1..2000})"
	end_service
	assert_equal "$(told | sed 1d | cut -c 1-20)" "READY=1|STATUS=xxxxx"
}

@test "--sdnotify=ignore, or no systemd: nothing is told" {
	make_service env --
	systemd_begins
	run_service --sdnotify=ignore
	end_service
	refute_match "$output" NOTIFY_SOCKET
	background run "$CLEAT" --root "$ROOT" run --rm --sdnotify=container --bundle "$BUNDLE" "$ID"
	end_service
	refute_match "$output" NOTIFY_SOCKET
	assert_equal "$(told)" ""
}

@test "what makes no sense is refused before anything is started" {
	make_service
	run --separate-stderr cleat run --sdnotify=conmon --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert_equal "$stderr" 'cleat: --sdnotify "conmon" is none of cleat, container, ignore'
	run --separate-stderr cleat run -d --sdnotify=cleat --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert_match "$stderr" '--sdnotify needs somebody who waits: it does not go with --detach'
	run --separate-stderr cleat run --cgroups=disabled --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert_equal "$stderr" 'cleat: --cgroups "disabled" is neither enabled nor split'
	run --separate-stderr env NOTIFY_SOCKET=notify "$CLEAT" --root "$ROOT" run --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert_match "$stderr" 'NOTIFY_SOCKET "notify" is neither an absolute path nor @NAME'
	assert nothing_left
}

@test "a socket that nobody serves is complained of, and the container runs" {
	make_service
	SOCKET=$T/nobody
	run_service
	end_service
	assert_equal "$stderr" "cleat: container $ID: NOTIFY_SOCKET $T/nobody: No such file or directory"
}

@test "in a service SIGTERM is the container's stop signal" {
	make_service
	edit_config "$BUNDLE" '.annotations["org.opencontainers.image.stopSignal"] = "SIGUSR1"'
	systemd_begins
	run_service
	wait_for 10 says run ready
	kill -TERM "${PID[run]}"
	finish run
	assert_status 3
	# elsewhere it is what it is
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "trap", "TERM", "4"]'
	background run "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE" "$ID"
	wait_for 10 says run ready
	kill -TERM "${PID[run]}"
	finish run
	assert_status 4
}
