#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `cleat doctor`: what it says of a host that is well, and of what is wrong with one, each by itself.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	export CLEAT_RUNTIMES=$T/runtimes.json
}

teardown() {
	cleat_teardown
}

# straight to the program: what is in PATH and the environment is the test's business
doctor() { # ARGS...
	"$CLEAT_BIN/cleat" --root "$ROOT" --json doctor --config "$T/cleatd.json" "$@"
}

# STATE FOUND of a check
of() { # CHECK
	jq -r --arg check "$1" '.[] | select(.check == $check) | "\(.state) \(.found)"' <<<"$output"
}

advice_of() { # CHECK
	jq -r --arg check "$1" '.[] | select(.check == $check) | .advice' <<<"$output"
}

make_root() {
	(umask 077 && mkdir -p "$ROOT"/{c,r}/default "$ROOT/s")
}

program() { # NAME SCRIPT
	mkdir -p "$T/programs"
	printf '#!/bin/sh\n%s\n' "$2" >"$T/programs/$1"
	chmod 0755 "$T/programs/$1"
}

@test "every check is told, ok ones without advice, and nothing is made" {
	needs_way direct shim -- "cleatd makes the root"
	run --separate-stderr doctor
	assert_equal "$stderr" ""
	# crun 1.8 and a host with both versions of cgroups is a warning
	assert_status 0
	assert_equal "$(jq -c 'map(keys) | unique' <<<"$output")" '[["advice","check","found","state"]]'
	assert_equal "$(jq -c 'map(select((.state == "ok") != (.advice == null)))' <<<"$output")" "[]"
	assert_equal "$(jq -c 'map(.state) - ["ok", "warning", "error"]' <<<"$output")" "[]"
	assert_match "$(of kernel)" "^ok Linux $(uname -r)\$"
	assert_equal "$(of runc)" "ok $(command -v runc), version $(runc --version | sed -n '1s/.* //p')"
	assert_match "$(of root)" "^ok $ROOT is not there yet"
	assert_equal "$(of cleat-shim)" "ok $(realpath "$CLEAT_BIN")/cleat-shim"
	assert_equal "$(of folders)" "ok not there yet"
	assert [ ! -e "$ROOT" ]
	run --separate-stderr "$CLEAT_BIN/cleat" --root "$ROOT" doctor
	assert_match "${lines[0]}" "^STATE +CHECK +FOUND\$"
	assert_match "${lines[1]}" "^ok +kernel +Linux "
}

@test "a container that runs is nothing to be told of" {
	make_bundle "$BUNDLE"
	(unset CLEAT_RUNTIMES && "$CLEAT_BIN/cleat" --root "$ROOT" run -d --bundle "$BUNDLE" "$ID")
	run doctor
	assert_status 0
	for check in root folders space orphans unfinished sockets "runtime state" "temporary files"; do
		assert_match "$(of "$check")" "^ok "
	done
	cleat delete --force "$ID"
}

@test "no runtime at all is an error, and one alone is none" {
	mkdir "$T/programs"
	PATH=$T/programs run "$CLEAT_BIN/cleat" --root "$ROOT" --json doctor
	assert_status 1
	assert_equal "$(of runc)" "ok not there"
	assert_equal "$(of runtimes)" "error 0 of runc, crun and runsc in PATH"
	assert_match "$(advice_of runtimes)" "install one"
	assert_match "$(of criu)" "^ok not there"
	program crun 'echo "crun version 9.9"'
	PATH=$T/programs:$PATH run doctor
	assert_status 0
	assert_equal "$(of crun)" "ok $T/programs/crun, version 9.9"
}

@test "a runtime that fails, hangs, or says something else is a warning" {
	program runc 'echo "no such thing" >&2; exit 3'
	program crun 'exec sleep 100'
	program runsc 'echo hello'
	program criu 'exit 1'
	PATH=$T/programs:$PATH run doctor
	assert_status 0
	assert_equal "$(of runc)" "warning $T/programs/runc: runc version: no such thing"
	assert_match "$(of crun)" "^warning $T/programs/crun: crun version: no answer in 5 s"
	assert_match "$(of runsc)" "^warning $T/programs/runsc: runsc version: .*hello"
	assert_equal "$(of criu)" "warning $T/programs/criu does not tell its version"
	assert_match "$(advice_of crun)" "use another with --runtime"
}

@test "mistakes in runtimes.json and cleatd.json are told by line" {
	run doctor
	assert_equal "$(of runtimes.json)" "ok $CLEAT_RUNTIMES is not there, and need not be"
	assert_equal "$(of cleatd.json)" "ok $T/cleatd.json is not there, and need not be"
	printf '{"v": 1, "runtimes": {\n "ok": {},\n "fast": {\n  "options": "debug"}}}' >"$CLEAT_RUNTIMES"
	printf '{"v": 1,\n "log_level": "loud"}' >"$T/cleatd.json"
	run doctor
	assert_status 1
	assert_equal "$(of runtimes.json)" \
		"error $CLEAT_RUNTIMES:4: runtimes.fast.options: not a list of strings"
	assert_equal "$(of cleatd.json)" \
		"error $T/cleatd.json:2: log_level: none of debug, info, warning, error"
	echo '{"v": 1, "runtimes": {"fast": {}}}' >"$CLEAT_RUNTIMES"
	echo '{"v": 1}' >"$T/cleatd.json"
	run doctor
	assert_status 0
	assert_equal "$(of runtimes.json)" "ok $CLEAT_RUNTIMES has no mistakes"
	assert_equal "$(of cleatd.json)" "ok $T/cleatd.json has no mistakes"
	ln -sf nowhere "$CLEAT_RUNTIMES"
	ln -sf nowhere "$T/cleatd.json"
	run doctor
	assert_status 1
	assert_match "$(of runtimes.json)" "^error $CLEAT_RUNTIMES: "
	assert_match "$(of cleatd.json)" "^error $T/cleatd.json: "
}

@test "a root that others may write into, is a link, or is somebody else's" {
	needs_way direct shim -- "cleatd refuses it as well"
	make_root
	chmod 0755 "$ROOT"
	run doctor
	assert_status 0
	assert_match "$(of root)" "^ok $ROOT, of user $EUID, mode 0755"
	chmod 0777 "$ROOT"
	run doctor
	assert_status 1
	assert_match "$(of root)" "^error $ROOT, of user $EUID, mode 0777"
	assert_match "$(advice_of root)" "chmod go-w $ROOT"
	chmod 0700 "$ROOT"
	chmod 0750 "$ROOT/s"
	run doctor
	assert_status 1
	assert_equal "$(of folders)" "error $ROOT/s, of user $EUID, mode 0750"
	chmod 0700 "$ROOT/s"
	mv "$ROOT" "$T/real"
	ln -s real "$ROOT"
	run doctor
	assert_status 1
	assert_match "$(of root)" "^error $ROOT"
	assert_match "$(advice_of root)" "not a link"
	rm "$ROOT"
	: >"$ROOT"
	run doctor
	assert_status 1
	assert_match "$(of root)" "^error $ROOT"
	rm "$ROOT"
}

@test "a root without room, and one that cannot be written to" {
	needs_root "mounts nothing"
	needs_way direct shim -- "cleatd is in it"
	make_root
	mount -t tmpfs -o size=64k,mode=0700 cleat-doctor "$ROOT"
	run doctor
	assert_status 1
	assert_match "$(of space)" "^error 0 MiB free in $ROOT"
	mount -o remount,size=8m "$ROOT"
	run doctor
	assert_status 0
	assert_match "$(of space)" "^warning 8 MiB free in $ROOT"
	mount -o remount,ro,size=64m "$ROOT"
	run doctor
	umount "$ROOT"
	assert_status 1
	assert_match "$(of space)" "^error 64 MiB free in $ROOT"
	assert_match "$(advice_of space)" "not writable \(Read-only file system\)"
}

@test "cleatd: none, one that serves, one that hangs, one that was killed" {
	needs_way direct -- "cleatd is this test's own"
	run doctor
	assert_equal "$(of cleatd)" "ok none serves on $ROOT/cleatd.sock, and none need"
	start_cleatd
	run doctor
	assert_status 0
	assert_equal "$(of cleatd)" "ok serves on $ROOT/cleatd.sock"
	run doctor --socket "$T/none"
	assert_status 0
	assert_equal "$(of cleatd)" "ok none serves on $T/none, and none need"
	kill -STOP "${PID[cleatd]}"
	run doctor
	kill -CONT "${PID[cleatd]}"
	assert_status 0
	assert_match "$(of cleatd)" "^warning $ROOT/cleatd.sock: "
	assert_match "$(advice_of cleatd)" "cleat --direct"
	kill -KILL "${PID[cleatd]}"
	finish cleatd
	run doctor
	assert_status 0
	assert_equal "$(of cleatd)" "ok none serves on $ROOT/cleatd.sock, and none need"
	rm "$ROOT/cleatd.sock"
}

@test "what is left is counted, with the command that removes it" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	kill -KILL "$(jq .pid "$ROOT/c/default/$ID/shim.json")"
	wait_for 5 flock --nonblock "$ROOT/c/default/$ID/lock" true
	: >"$ROOT/c/default/$ID/.tmp-0123456789abcdef"
	for i in 1 2 3 4; do
		(umask 077 && mkdir "$ROOT/c/default/$ID-$i" && : >"$ROOT/c/default/$ID-$i/lock")
	done
	/usr/bin/python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$ROOT/s/0123456789abcdef"
	mkdir "$ROOT/r/default/$ID-5"
	run doctor
	assert_status 0
	assert_equal "$(of orphans)" "warning 1 whose shim is gone: default/$ID"
	assert_match "$(advice_of orphans)" "cleat delete --force"
	assert_equal "$(of unfinished)" "warning 4 of starts that died: $ROOT/c/default/$ID-1, $ROOT/c/default/$ID-2, $ROOT/c/default/$ID-3, ..."
	assert_equal "$(of sockets)" "warning 1 that nobody serves: $ROOT/s/0123456789abcdef"
	assert_match "$(advice_of sockets)" "cleat gc"
	assert_equal "$(of "runtime state")" "warning 1 without a container: $ROOT/r/default/$ID-5"
	assert_equal "$(of "temporary files")" \
		"warning 1 that dead shims were writing: $ROOT/c/default/$ID/.tmp-0123456789abcdef"
	run doctor -n other
	assert_equal "$(of orphans)" "ok none"
	cleat gc --yes
	cleat delete --force "$ID"
	run doctor
	for check in orphans unfinished sockets "runtime state" "temporary files"; do
		assert_equal "$(of "$check")" "ok none"
	done
}

@test "without a root, with and without ids of its own: an ordinary user" {
	needs_root "is one"
	[[ -n $(setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$CLEAT_BIN/cleat" && echo yes) ]] ||
		skip "the build is nobody's to read"
	run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$CLEAT_BIN/cleat" --json doctor
	assert_status 1
	assert_equal "$stderr" ""
	assert_equal "$(of root)" \
		"error no folder to work in: XDG_RUNTIME_DIR is not set, and neither is --root"
	assert_equal "$(of space)" "ok not looked at: there is no root"
	assert_match "$(of "subordinate ids")" "^warning "
	run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$CLEAT_BIN/cleat" --root /proc/none --json doctor
	assert_status 1
	assert_equal "$(of root)" "error /proc/none is not there, and /proc is not writable"
}

@test "with a shim's socket it is refused" {
	run --separate-stderr "$CLEAT_BIN/cleat" --shim "$T/none" doctor
	assert_status 125
	assert_equal "$stderr" "cleat: doctor looks at folders, and not at one shim: --shim does not go with it"
}
