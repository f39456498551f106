#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `cleat gc`: what has no owner is shown, and removed when told so; what lives, or is just starting, is not.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	make_bundle "$BUNDLE"
}

teardown() {
	cleat_teardown
}

kill_shim() { # ID
	local pid

	pid=$(jq .pid "$ROOT/c/default/$1/shim.json")
	kill -KILL "$pid"
	wait_for 5 flock --nonblock "$ROOT/c/default/$1/lock" true
}

# A socket that was bound, and is served by nobody.
dead_socket() { # PATH
	/usr/bin/python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])' "$1"
}

make_root() {
	(umask 077 && mkdir -p "$ROOT"/{c,r}/default "$ROOT/s")
}

# A folder as a start leaves it that was killed before its shim was there.
unfinished() { # ID
	make_root
	(umask 077 && mkdir "$ROOT/c/default/$1" && : >"$ROOT/c/default/$1/lock")
}

# KIND WHAT of all, kept and left ones too; a line each
kinds() {
	cleat gc --json "$@" | jq -r '.[] | "\(.kind) \(.what)"'
}

# Ends what was started and has lost its start.
no_shims() {
	local pids

	pids=$(pgrep -f -- "cleat-shim .*$ROOT ") || return 0
	# shellcheck disable=SC2086
	kill -KILL $pids 2>/dev/null
	return 1
}

init_is_dead() { # PID
	! grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status" 2>/dev/null
}

@test "nothing is there, and no root either" {
	needs_way direct shim -- "cleatd makes the root"
	run --separate-stderr cleat gc
	assert_status 0
	assert_equal "$output" "KIND   WHAT   WHY"
	assert_equal "$stderr" ""
	assert_equal "$(cleat gc --yes --json)" "[]"
	assert [ ! -e "$ROOT" ]
}

@test "a living container is not touched, paused or not, nor its socket" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat run -d --bundle "$BUNDLE" "$ID-2"
	kill -STOP "$(jq .pid "$ROOT/c/default/$ID-2/shim.json")"
	before=$(find "$ROOT" -not -path "$ROOT/r/*" | sort)
	run cleat gc --yes --all --json
	kill -CONT "$(jq .pid "$ROOT/c/default/$ID-2/shim.json")"
	assert_status 0
	assert_equal "$output" "[]"
	assert_equal "$(find "$ROOT" -not -path "$ROOT/r/*" | sort)" "$before"
	assert_equal "$(cleat exec "$ID" echo here)" here
	assert_equal "$(cleat exec "$ID-2" echo here)" here
	cleat delete --force "$ID"
	cleat delete --force "$ID-2"
}

@test "a container whose shim was killed, and that runs, is not touched" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	init=$(jq .pid "$ROOT/c/default/$ID/state.json")
	kill_shim "$ID"
	run cleat gc --yes --all --json
	assert_status 0
	assert_equal "$output" "[]"
	assert kill -0 "$init"
	assert [ -e "$ROOT/c/default/$ID/state.json" ]
	cleat delete --force "$ID"
}

@test "an exit that nobody fetched is kept until all is to go" {
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "exit", "3"]'
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat wait "$ID" || true
	kill_shim "$ID"
	run --separate-stderr cleat gc
	assert_status 0
	assert_match "$output" "container +default/$ID +kept: has an exit \(3\) that nobody fetched: cleat delete $ID"
	assert_equal "$stderr" ""
	run cleat gc --yes --json
	assert_status 0
	assert_equal "$(jq -c '.[] | [.kind, .id, .kept, .removed]' <<<"$output")" "[\"container\",\"$ID\",true,false]"
	assert_equal "$(cleat wait "$ID" || true)" 3
	run --separate-stderr cleat gc --all
	assert_equal "$stderr" "nothing was removed; cleat gc --all --yes removes these"
	run cleat gc --all --yes --json
	assert_status 0
	assert_equal "$(jq -c '.[] | [.kind, .id, .kept, .removed]' <<<"$output")" "[\"container\",\"$ID\",false,true]"
	assert_equal "$(cleat gc --all --json)" "[]"
}

@test "one that ended after its shim was killed is kept as well" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	init=$(jq .pid "$ROOT/c/default/$ID/state.json")
	kill_shim "$ID"
	kill -KILL "$init"
	wait_for 5 init_is_dead "$init"
	run cleat gc --yes --json
	assert_equal "$(jq -c '.[] | [.kind, .id, .kept]' <<<"$output")" "[\"container\",\"$ID\",true]"
	cleat gc --yes --all
	assert_equal "$(cleat list --json)" "[]"
}

@test "a socket and a folder of a start that died" {
	make_root
	dead_socket "$ROOT/s/0123456789abcdef"
	unfinished "$ID"
	run --separate-stderr cleat gc
	assert_status 0
	assert_match "$output" "socket +$ROOT/s/0123456789abcdef +nobody serves it"
	assert_match "$output" "unfinished +$ROOT/c/default/$ID +its start died"
	assert_equal "$stderr" "nothing was removed; cleat gc --yes removes these"
	assert [ -S "$ROOT/s/0123456789abcdef" ]
	assert [ -e "$ROOT/c/default/$ID/lock" ]
	# of a namespace: no sockets
	assert_equal "$(kinds -n default)" "unfinished $ROOT/c/default/$ID"
	assert_equal "$(kinds -n other)" ""
	run --separate-stderr cleat gc --yes
	assert_status 0
	assert_equal "$stderr" ""
	assert_equal "$(kinds)" ""
	assert [ ! -e "$ROOT/s/0123456789abcdef" ]
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat delete --force "$ID"
}

@test "what is no socket of a shim stays" {
	make_root
	dead_socket "$ROOT/s/mine"
	: >"$ROOT/s/fedcba9876543210"
	assert_equal "$(cleat gc --yes --json)" "[]"
	assert [ -S "$ROOT/s/mine" ]
	assert [ -e "$ROOT/s/fedcba9876543210" ]
	rm "$ROOT/s/mine" "$ROOT/s/fedcba9876543210"
}

@test "a folder that somebody holds, and a socket that its shim may be about to serve, stay" {
	make_root
	dead_socket "$ROOT/s/0123456789abcdef"
	unfinished "$ID"
	mkfifo "$T/hold"
	background holder flock "$ROOT/c/default/$ID/lock" cat "$T/hold"
	is_held() { ! flock --nonblock --shared "$ROOT/c/default/$ID/lock" true; }
	wait_for 5 is_held
	run --separate-stderr cleat gc --yes
	assert_status 0
	assert_match "$output" "socket +$ROOT/s/0123456789abcdef +left: nobody serves it, unless the shim of default/$ID "
	assert [ -S "$ROOT/s/0123456789abcdef" ]
	assert [ -e "$ROOT/c/default/$ID" ]
	echo >"$T/hold"
	finish holder
	cleat gc --yes
	assert_equal "$(kinds)" ""
	assert [ ! -e "$ROOT/s/0123456789abcdef" ]
}

@test "files that a dead shim was writing" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	: >"$ROOT/c/default/$ID/.tmp-0123456789abcdef"
	assert_equal "$(kinds)" ""
	kill_shim "$ID"
	assert_equal "$(kinds)" "temporary $ROOT/c/default/$ID/.tmp-0123456789abcdef"
	cleat gc --yes
	assert [ ! -e "$ROOT/c/default/$ID/.tmp-0123456789abcdef" ]
	assert [ -e "$ROOT/c/default/$ID/state.json" ]
	cleat delete --force "$ID"
}

@test "the state that a runtime keeps of a container that is gone" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	init=$(jq .pid "$ROOT/c/default/$ID/state.json")
	kill_shim "$ID"
	rm -rf "${ROOT:?}/s/"* "${ROOT:?}/c/default/$ID"
	run --separate-stderr cleat gc --yes
	assert_status 0
	assert_match "$output" "runtime +$ROOT/r/default/$ID +left: it is running, and no container of cleat's: $RUNTIME --root $RUNTIME_ROOT delete --force $ID"
	assert kill -0 "$init"
	kill -KILL "$init"
	wait_for 5 init_is_dead "$init"
	run --separate-stderr cleat gc
	assert_match "$output" "runtime +$ROOT/r/default/$ID +$RUNTIME's state of one that has ended"
	assert [ -e "$ROOT/r/default/$ID" ]
	run --separate-stderr cleat gc --yes
	assert_equal "$stderr" ""
	assert_status 0
	assert [ ! -e "$ROOT/r/default/$ID" ]
	assert [ ! -e "$ROOT/c/default/$ID" ]
	assert_equal "$(kinds)" ""
}

@test "what cannot be removed is told by name, and the rest goes" {
	make_root
	mkdir "$ROOT/r/default/$ID"
	: >"$ROOT/r/default/$ID/whatever"
	unfinished "$ID-2"
	run --separate-stderr cleat gc --yes
	assert_status 125
	assert_match "$stderr" "^cleat: $ROOT/r/default/$ID: "
	assert_equal "$(kinds)" "runtime $ROOT/r/default/$ID"
	rm -r "$ROOT/r/default/$ID"
}

@test "broken files are left, with the reason" {
	unfinished "$ID"
	echo '{"v": 1, ' >"$ROOT/c/default/$ID/state.json"
	run --separate-stderr cleat gc --yes --all
	assert_status 0
	assert_match "$output" "container +default/$ID +left: .*state.json"
	assert [ -e "$ROOT/c/default/$ID/state.json" ]
	rm -r "$ROOT/c/default/$ID"
}

@test "containers that come and go while gc removes all the time" {
	deadline 180
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "exit", "7"]'
	cat >"$T/collect" <<-SCRIPT
		#!/bin/sh
		while [ ! -e "$T/enough" ]; do
			"$CLEAT" --root "$ROOT" gc --yes --json || exit
			echo
		done
	SCRIPT
	chmod 0755 "$T/collect"
	background collector "$T/collect"
	background another "$T/collect"
	for ((i = 0; i < 25; i++)); do
		code=0
		cleat run --rm --bundle "$BUNDLE" "$ID" </dev/null || code=$?
		assert_equal "run $i: $code" "run $i: 7"
		cleat run -d --bundle "$BUNDLE" "$ID-2"
		assert_equal "$(cleat wait "$ID-2" || true)" 7
		cleat delete "$ID-2"
	done
	: >"$T/enough"
	finish collector
	assert_equal "$stderr" ""
	assert_status 0
	assert_equal "$(jq -sc 'map(.[] | select(.removed))' <<<"$output")" "[]"
	finish another
	assert_equal "$stderr" ""
	assert_equal "$(jq -sc 'map(.[] | select(.removed))' <<<"$output")" "[]"
}

@test "starts that are killed at any point leave nothing that gc does not find" {
	deadline 180
	for ((i = 0; i < 30; i++)); do
		"$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID-$i" -ttrpc-address= start \
			>/dev/null 2>&1 3>&- &
		/bin/busybox usleep $((i * 400))
		kill -KILL $! 2>/dev/null || true
		wait $! 2>/dev/null || true
	done
	# one that was not: there is something to be found, however slow the others were
	"$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID-whole" -ttrpc-address= start 3>&-
	wait_for 20 no_shims
	run cleat gc --yes --json
	assert_status 0
	assert_match "$(jq -r '.[] | select(.removed) | .what' <<<"$output")" "$ROOT/c/default/$ID-whole"
	assert_equal "$(kinds)" ""
	assert_equal "$(find "$ROOT/c" "$ROOT/s" -mindepth 1 ! -path "$ROOT/c/default" ! -name '.new-*' ! -name '.gone-*')" ""
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat delete --force "$ID"
}

@test "with a shim's socket it is refused" {
	for by in "--shim $T/none" "--shim=$T/none"; do
		# shellcheck disable=SC2086
		run --separate-stderr "$CLEAT_BIN/cleat" $by gc
		assert_status 125
		assert_equal "$stderr" "cleat: gc looks at folders, and not at one shim: --shim does not go with it"
	done
}
