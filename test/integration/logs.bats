#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Formatted logs, cri:// and json://, and `cleat logs`: held against log_parse.py, which knows the formats
# and nothing of us.

load lib
setup() {
	cleat_setup
	LOG=$T/logs/out.log
	PARSE=$BATS_TEST_DIRNAME/log_parse.py
}
teardown() {
	cd /
	if [[ -e $T/disk ]] && mountpoint -q "$T/disk"; then
		fsfreeze --unfreeze "$T/disk" 2>/dev/null || true
		umount "$T/disk"
	fi
	cleat_teardown
}

parse() {
	/usr/bin/python3 "$PARSE" "$@"
}

# An exit is told before the last byte is written.
settle() {
	cleat logs -f "$ID" >/dev/null 2>&1
}

# Bytes of all sorts to both streams; IN is them.
run_with_input() { # URI
	IN=$T/input
	parse input >"$IN"
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "tee2"]'
	cleat run --bundle "$BUNDLE" --log "$1" "$ID" <"$IN"
	settle
}

shell_bundle() { # SCRIPT
	make_bundle "$BUNDLE"
	jq --arg script "$1" '.process.args = ["/bin/sh", "-c", $script]' "$BUNDLE/config.json" \
		>"$BUNDLE/config.new"
	mv "$BUNDLE/config.new" "$BUNDLE/config.json"
}

has() { # FILE WORDS
	grep -qF -- "$2" "$1"
}

shim_log_lines() { # WORDS
	grep -cF -- "$1" "$ROOT/c/default/$ID/log" || true
}

@test "cri: every byte of both streams, in one file, and read back by cleat logs" {
	run_with_input "cri://$LOG"
	parse cri "$LOG" stdout >"$T/out"
	parse cri "$LOG" stderr >"$T/err"
	assert cmp "$T/out" "$IN"
	assert cmp "$T/err" "$IN"
	cleat logs "$ID" >"$T/out" 2>"$T/err"
	assert cmp "$T/out" "$IN"
	assert cmp "$T/err" "$IN"
	cleat delete "$ID"
}

@test "cri: what ends without a newline is a P, and a long line's parts are P and then F" {
	shell_bundle 'printf first; printf "a%020000d\n" 0 >&2'
	cleat run --bundle "$BUNDLE" --rm --log "cri://$LOG" "$ID"
	assert_equal "$(grep -c ' stdout P first$' "$LOG")" 1
	assert_equal "$(grep ' stderr ' "$LOG" | cut -d ' ' -f 3 | tr -d '\n')" PF
}

@test "json: UTF-8 and control characters exactly, other bytes as Go's encoder has them" {
	run_with_input "json://$LOG"
	parse go-utf8 <"$IN" >"$T/wanted"
	parse json "$LOG" stdout >"$T/out"
	parse json "$LOG" stderr >"$T/err"
	assert cmp "$T/out" "$T/wanted"
	assert cmp "$T/err" "$T/wanted"
	cleat logs "$ID" >"$T/out" 2>"$T/err"
	assert cmp "$T/out" "$T/wanted"
	assert cmp "$T/err" "$T/wanted"
	cleat delete "$ID"
}

@test "rotation at full speed: nothing is lost, cut or out of place" {
	local kind

	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "lines", "800000"]'
	tool lines 800000 >"$T/wanted"
	assert [ "$(stat -c %s "$T/wanted")" -gt 9000000 ]
	for kind in cri json; do
		cleat run --bundle "$BUNDLE" --log "$kind://$LOG-$kind?max-size=256k&max-files=1000" "$ID"
		settle
		assert [ "$(find "$T/logs" -name "out.log-$kind.*" | wc -l)" -gt 100 ]
		parse "$kind" "$LOG-$kind" stdout 262144 >"$T/out"
		assert cmp "$T/out" "$T/wanted"
		cleat logs "$ID" >"$T/out"
		assert cmp "$T/out" "$T/wanted"
		cleat delete "$ID"
	done
}

@test "rotation keeps max-files, of which the oldest go, and a record larger than a file" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "lines", "20000"]'
	cleat run --bundle "$BUNDLE" --rm --log "cri://$LOG?max-size=64k&max-files=3" "$ID"
	assert_equal "$(cd "$T/logs" && echo *)" "out.log out.log.1 out.log.2"
	parse cri "$LOG" stdout 65536 >"$T/out"
	assert_equal "$(tail -n 1 "$T/out")" "line 20000"
	assert cmp "$T/out" <(tool lines 20000 | tail -n "$(wc -l <"$T/out")")

	run_with_input "cri://$LOG-4k?max-size=4k&max-files=1000"
	parse cri "$LOG-4k" stdout 4096 >"$T/out"
	assert cmp "$T/out" "$IN"
	cleat delete "$ID"
}

@test "a full disk: the container goes on, and what is missing is told to the byte" {
	local text lost

	needs_root "cannot mount"
	mkdir "$T/disk"
	mount -t tmpfs -o size=1m tmpfs "$T/disk"
	head -c 800k /dev/zero >"$T/disk/filler"
	shell_bundle 'tool lines 30000; tool wait-file /go; echo after; exit 4'
	cleat run -d --bundle "$BUNDLE" --log "cri://$T/disk/log" "$ID"
	wait_for 10 has "$ROOT/c/default/$ID/log" "output is being lost"
	rm "$T/disk/filler"
	touch "$BUNDLE/rootfs/go"
	run cleat wait "$ID"
	assert_status 4
	wait_for 10 has "$T/disk/log" " stdout F after"
	wait_for 10 has "$ROOT/c/default/$ID/log" "output was lost"
	assert has "$T/disk/log" "bytes were not written: No space left on device"
	read -r text lost < <(parse lost "$T/disk/log" stdout)
	assert [ "$lost" -gt 0 ]
	assert_equal $((text + lost)) $(($(tool lines 30000 | wc -c) + 6))
	assert_equal "$(jq -s 'map(select(.msg == "output was lost") | .bytes) | add' \
		"$ROOT/c/default/$ID/log" 2>/dev/null || grep -o 'bytes=[0-9]*' "$ROOT/c/default/$ID/log" |
		awk -F= '{ n += $2 } END { print n }')" "$lost"
	cleat delete "$ID"
}

# A thread of the shim sleeps so that nothing wakes it but what it waits for.
is_stuck() { # PID
	grep -q "^State:	D" "/proc/$1"/task/*/status
}

@test "a disk that takes nothing holds up the container, and nothing else" {
	local pid

	needs_root "cannot mount"
	truncate -s 32M "$T/image"
	/usr/sbin/mkfs.ext4 -q "$T/image"
	mkdir "$T/disk"
	mount -o loop "$T/image" "$T/disk" || skip "there are no loop devices"
	shell_bundle 'tool wait-file /go; tool lines 100000; exit 3'
	cleat run -d --bundle "$BUNDLE" --log "cri://$T/disk/log" "$ID"
	pid=$(jq .pid "$ROOT/c/default/$ID/shim.json")
	fsfreeze --freeze "$T/disk"
	touch "$BUNDLE/rootfs/go"
	wait_for 10 is_stuck "$pid"
	assert_equal "$(timeout 10 "$CLEAT" --root "$ROOT" exec "$ID" echo alive)" alive
	assert_equal "$(cleat --json state "$ID" | jq -r .status)" running
	assert is_stuck "$pid"
	fsfreeze --unfreeze "$T/disk"
	run cleat wait "$ID"
	assert_status 3
	settle
	parse cri "$T/disk/log" stdout >"$T/out"
	assert cmp "$T/out" <(tool lines 100000)
	cleat delete "$ID"
}

@test "its folder is removed: what goes is counted, and it goes on where the folder is again" {
	shell_bundle 'echo one; tool wait-file /go; echo two; tool wait-file /go2; echo three'
	cleat run -d --bundle "$BUNDLE" --log "cri://$LOG" "$ID"
	wait_for 10 has "$LOG" " stdout F one"
	rm -r "$T/logs"
	touch "$BUNDLE/rootfs/go"
	wait_for 10 has "$ROOT/c/default/$ID/log" "output is being lost"
	mkdir "$T/logs"
	touch "$BUNDLE/rootfs/go2"
	cleat wait "$ID"
	wait_for 10 has "$LOG" " stdout F three"
	assert has "$LOG" " stderr F cleat: 4 bytes were not written: No such file or directory"
	assert_equal "$(shim_log_lines 'output is being lost')" 1
	assert_equal "$(shim_log_lines 'output was lost')" 1
	assert_equal "$(parse cri "$LOG" stdout)" three
	cleat delete "$ID"
}

@test "a file that is removed is made anew, and nothing of what comes then is missing" {
	shell_bundle 'echo one; tool wait-file /go; echo two'
	cleat run -d --bundle "$BUNDLE" --log "json://$LOG" "$ID"
	wait_for 10 has "$LOG" '{"log":"one\n"'
	rm "$LOG"
	touch "$BUNDLE/rootfs/go"
	cleat wait "$ID"
	settle
	assert_equal "$(parse json "$LOG" both)" two
	assert_equal "$(shim_log_lines 'output is being lost')" 0
	cleat delete "$ID"
}

@test "a terminal's log is stdout's alone, as the terminal has it" {
	shell_bundle 'echo out; echo err >&2'
	cleat run -d -t --bundle "$BUNDLE" --log "cri://$LOG" "$ID"
	cleat wait "$ID"
	cleat logs -f "$ID" >"$T/out" 2>"$T/err"
	assert_equal "$(od -c <"$T/out")" "$(printf 'out\r\nerr\r\n' | od -c)"
	assert [ ! -s "$T/err" ]
	parse cri "$LOG" both >"$T/all"
	assert cmp "$T/all" "$T/out"
	cleat delete "$ID"
}

@test "the thread is there only while something is written" {
	local pid

	shell_bundle 'tool wait-file /go'
	cleat run -d --bundle "$BUNDLE" --log "cri://$LOG" "$ID"
	pid=$(jq .pid "$ROOT/c/default/$ID/shim.json")
	assert_equal "$(sed -n 's/^Threads:\t//p' "/proc/$pid/status")" 2
	touch "$BUNDLE/rootfs/go"
	cleat wait "$ID"
	wait_for 10 has "/proc/$pid/status" "Threads:	1"
	# and again for another one
	cleat delete "$ID"
	rm "$BUNDLE/rootfs/go"
	cleat run -d --bundle "$BUNDLE" --log "cri://$LOG" "$ID"
	touch "$BUNDLE/rootfs/go"
	cleat wait "$ID"
	cleat delete "$ID"
}

@test "an exec has a log of its own, which two do not share" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" --log "cri://$LOG" "$ID"
	run cleat exec --log "cri://$LOG" "$ID" echo hello
	assert_status 125
	assert_match "$output" "stdout cri://$LOG: another process's log is written there"
	cleat exec -d --exec-id one --log "json://$T/logs/one" "$ID" sh -c 'echo out; echo err >&2'
	cleat logs -f --exec-id one "$ID" >"$T/out" 2>"$T/err"
	assert_equal "$(cat "$T/out") $(cat "$T/err")" "out err"
	run cleat logs --exec-id nobody "$ID"
	assert_status 125
	assert_match "$output" "container $ID: no exec nobody"
	cleat delete --force "$ID"
}

@test "bad options are refused by their name, and leave nothing" {
	make_bundle "$BUNDLE"
	for bad in "max-size=12q" "max-size=100" "max-files=1" "max-files=many" "colour=red"; do
		run cleat create --bundle "$BUNDLE" --log "cri://$LOG?$bad" "$ID"
		assert_status 125
		assert_match "$output" "\"$bad\""
	done
	assert [ ! -e "$LOG" ]
}

@test "logs -f: all that is written across rotation, until the container's end" {
	local kind

	tool lines 400000 >"$T/wanted"
	for kind in cri json; do
		shell_bundle 'tool wait-file /go; tool lines 200000; tool lines 400000 | tail -n 200000'
		cleat run -d --bundle "$BUNDLE" --log "$kind://$LOG-$kind?max-size=64k&max-files=1000" "$ID"
		background follow "$CLEAT" --root "$ROOT" logs -f "$ID"
		touch "$BUNDLE/rootfs/go"
		finish follow >/dev/null
		assert_status 0
		assert cmp "$T/follow.out" "$T/wanted"
		rm "$BUNDLE/rootfs/go"
		cleat delete "$ID"
	done
}

@test "logs -f shows a line as it comes, also of file://" {
	local uri

	for uri in "cri://$LOG-c" "json://$LOG-j" "file://$LOG-f"; do
		shell_bundle 'echo one; tool wait-file /go; echo two; printf three'
		cleat run -d --bundle "$BUNDLE" --log "$uri" "$ID"
		background follow "$CLEAT" --root "$ROOT" logs -f "$ID"
		wait_for 10 has "$T/follow.out" one
		touch "$BUNDLE/rootfs/go"
		finish follow >/dev/null
		assert_status 0
		assert cmp "$T/follow.out" <(printf 'one\ntwo\nthree')
		rm "$BUNDLE/rootfs/go"
		cleat delete "$ID"
	done
}

@test "--tail, --since and --timestamps" {
	local uri time

	for uri in "cri://$LOG-c" "json://$LOG-j"; do
		shell_bundle 'echo one; tool wait-file /go; echo two; printf "x%020000d\n" 0; printf end'
		cleat run -d --bundle "$BUNDLE" --log "$uri?max-size=4k&max-files=9" "$ID"
		wait_for 10 has "${uri#*://}" one
		time=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
		touch "$BUNDLE/rootfs/go"
		cleat wait "$ID"
		settle
		assert_equal "$(cleat logs --tail 0 "$ID")" ""
		assert_equal "$(cleat logs --tail 1 "$ID")" end
		assert_equal "$(cleat logs --tail 2 "$ID" | wc -c)" 20005
		assert_equal "$(cleat logs --tail 3 "$ID" | head -n 1)" two
		assert_equal "$(cleat logs --tail 99 "$ID" | head -n 1)" one
		assert_equal "$(cleat logs --since "$time" "$ID" | head -n 1)" two
		assert_equal "$(cleat logs --since "$time" --tail 9 "$ID" | head -n 1)" two
		assert_equal "$(cleat logs --since 1h "$ID" | head -n 1)" one
		assert_equal "$(cleat logs --timestamps "$ID" | grep -cE '^[0-9-]{10}T[0-9:.]{18}Z ')" 4
		rm "$BUNDLE/rootfs/go"
		cleat delete "$ID"
	done
	run cleat logs --since yesterday "$ID"
	assert_status 125
	assert_match "$output" '--since "yesterday" is neither a time'
	run cleat logs --tail -1 "$ID"
	assert_status 125
	assert_match "$output" '--tail "-1" is no number'
}

@test "a file:// log: its bytes, its last lines, and no times" {
	run_with_input "file://$LOG"
	cleat logs "$ID" >"$T/out"
	assert cmp "$T/out" "$LOG"
	assert cmp <(cleat logs --tail 3 "$ID") <(tail -n 3 "$LOG")
	run cleat logs --since 1h "$ID"
	assert_status 125
	assert_match "$output" "container $ID: its log is file://$LOG, which has no times"
	cleat delete "$ID"
}

@test "without a log a sentence says so, and what to do" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	run cleat logs "$ID"
	assert_status 125
	assert_match "$output" "container $ID: was created without --log"
	run cleat logs "$TAG-nobody"
	assert_status 125
	assert_match "$output" "$TAG-nobody: does not exist"
	cleat delete --force "$ID"
}

@test "of an orphan, its execs too, the logs are there" {
	local pid

	shell_bundle 'echo one; tool pause'
	cleat run -d --bundle "$BUNDLE" --log "cri://$LOG" "$ID"
	cleat exec -d --exec-id e --log "cri://$T/logs/e" "$ID" echo two
	cleat logs -f --exec-id e "$ID"
	wait_for 10 has "$LOG" one
	pid=$(jq .pid "$ROOT/c/default/$ID/shim.json")
	kill -KILL "$pid"
	wait_for 10 is_gone "$pid"
	assert_equal "$(cleat logs "$ID")" one
	assert_equal "$(cleat logs --exec-id e "$ID")" two
	cleat delete --force "$ID"
}
