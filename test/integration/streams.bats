#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Every byte of stdin, stdout and stderr arrives, once and in order: over the caller's own
# descriptors, over FIFOs that the shim copies, and through a terminal; the ends of streams too.
#
# SIZE: bytes of the big transfers (64M); ROUNDS: of a process that writes 1 MiB and ends (50).
# deadline: 900

# shellcheck disable=SC2154 # stderr and the like are set by `finish`

load lib

SIZE=${SIZE:-64M}
ROUNDS=${ROUNDS:-50}

setup() {
	cleat_setup
	make_bundle "$BUNDLE"
	BYTES=$(numfmt --from=iec "$SIZE")
}

teardown() {
	cleat_teardown
}

call() {
	"$BATS_TEST_DIRNAME/task_call.py" "$SOCKET" "$@"
}

# T/data, and what its sum is, in SUM.
make_data() {
	head -c "$BYTES" /dev/urandom >"$T/data"
	SUM=$(sha256sum <"$T/data")
}

# A reader of a FIFO named NAME, whose sum is told by expect_sum.
reader() { # NAME
	mkfifo "$T/$1"
	background "read-$1" sh -c "exec sha256sum <'$T/$1'"
}

expect_sum() { # NAME
	finish "read-$1"
	assert_equal "$1: $output" "$1: $SUM"
}

# stdin to stdout of one process record of `cleat state`: each as `in out`.
counters() { # ID EXEC_ID
	cleat state "$1" | jq -r --arg e "$2" '.processes[] | select((.exec_id // "") == $e) |
		[.stdin, .stdout, .stderr | .bytes_in, .bytes_out] | join(" ")'
}

# The counters are complete once the streams are drained, which an exit does not wait for.
counters_are() { # ID EXEC_ID WANTED
	[[ $(counters "$1" "$2") == "$3" ]]
}

run_with_socket() {
	cleat run -d --bundle "$BUNDLE" "$ID"
	SOCKET=$(cleat state "$ID" | jq -r .socket)
}

ends() { # PID
	! kill -0 "$1" 2>/dev/null
}

took_less() { # MS SINCE
	[[ $((${EPOCHREALTIME/./} - $2)) -lt $(($1 * SLOWER * 1000)) ]]
}

# --- the big transfers ---

@test "random bytes through stdin, stdout and stderr at once, over descriptors: run" {
	make_data
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "tee2"]'
	reader out
	reader err
	assert cleat run --bundle "$BUNDLE" "$ID" < <(cat "$T/data") >"$T/out" 2>"$T/err"
	expect_sum out
	expect_sum err
	# nothing was copied
	assert_equal "$(counters "$ID" "")" "0 0 0 0 0 0"
	cleat delete "$ID"
}

@test "the same: exec" {
	make_data
	cleat run -d --bundle "$BUNDLE" "$ID"
	reader out
	reader err
	assert cleat exec "$ID" tool tee2 <"$T/data" >"$T/out" 2>"$T/err"
	expect_sum out
	expect_sum err
	cleat delete --force "$ID"
}

@test "the same over FIFOs that the shim copies: an init, and what it counted" {
	make_data
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "tee2"]'
	SOCKET=$("$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID" start 3>&-)
	SOCKET=${SOCKET#unix://}
	mkfifo "$T/in"
	reader out
	reader err
	call create "$ID" "$BUNDLE" "$T/in" "$T/out" "$T/err" >/dev/null
	call start "$ID" "" >/dev/null
	assert cp "$T/data" "$T/in"
	assert_equal "$(call wait "$ID" "" | grep '^1 ')" ""
	expect_sum out
	expect_sum err
	wait_for 5 counters_are "$ID" "" "$BYTES $BYTES $BYTES $BYTES $BYTES $BYTES"
	call delete "$ID" "" >/dev/null
	call shutdown "$ID" ""
}

@test "the same: an exec" {
	make_data
	run_with_socket
	mkfifo "$T/in"
	reader out
	reader err
	call exec "$ID" e "$T/in" "$T/out" "$T/err" /bin/tool tee2
	call start "$ID" e >/dev/null
	assert cp "$T/data" "$T/in"
	expect_sum out
	expect_sum err
	run cleat wait --exec-id e "$ID"
	assert_status 0
	wait_for 5 counters_are "$ID" e "$BYTES $BYTES $BYTES $BYTES $BYTES $BYTES"
	call delete "$ID" e >/dev/null
	cleat delete --force "$ID"
}

# The two may cut into each other's lines: in letters of its own each is found again, in its order.
@test "stdout and stderr to one FIFO: a detached run" {
	local from='line 0123456789\n' to='LINE_ABCDFGHJKM;'

	mkfifo "$T/log"
	edit_config "$BUNDLE" '.process.env += ["FROM=line 0123456789\\n", "TO=LINE_ABCDFGHJKM;"]
		| .process.args = ["/bin/sh", "-c",
			"tool lines 200000; tool lines 100000 | tr \"$FROM\" \"$TO\" >&2"]'
	background all sh -c "exec cat <'$T/log' >'$T/all'"
	cleat run -d --log "$T/log" --bundle "$BUNDLE" "$ID"
	cleat wait "$ID"
	finish all
	assert_equal "$(tr -d "$to" <"$T/all" | sha256sum)" "$(tool lines 200000 | sha256sum)"
	assert_equal "$(tr -d "$from" <"$T/all" | tr "$to" "$from" | sha256sum)" \
		"$(tool lines 100000 | sha256sum)"
	cleat delete "$ID"
}

@test "bytes through a raw terminal, both ways" {
	n=$((BYTES / 4))
	make_bundle "$BUNDLE" '.process.terminal = true
		| .process.args = ["/bin/tool", "raw-cat", "'"$n"'"]'
	run "$BATS_TEST_DIRNAME/raw_terminal.py" "$n" "$CLEAT" --root "$ROOT" \
		run --rm --bundle "$BUNDLE" "$ID" 3>&-
	assert_status 0
	assert_equal "$output" "$n bytes there and back"
	make_bundle "$BUNDLE" '.process.terminal = false | .process.args = ["/bin/tool", "pause"]'
	cleat run -d --bundle "$BUNDLE" "$ID"
	run "$BATS_TEST_DIRNAME/raw_terminal.py" "$n" "$CLEAT" --root "$ROOT" \
		exec -t "$ID" tool raw-cat "$n" 3>&-
	assert_status 0
	assert_equal "$output" "$n bytes there and back"
	cleat delete --force "$ID"
}

# --- nothing is lost at the end ---

@test "1 MiB and the end at once, over descriptors" {
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "burst", "1M"]'
	cleat run -d --bundle "$BUNDLE" "$ID"
	for ((i = 1; i <= ROUNDS; i += 2)); do
		cleat run --rm --bundle "$BUNDLE" "$ID-2" </dev/null | tool check 1 1M
		assert_equal "round $i: ${PIPESTATUS[*]}" "round $i: 0 0"
	done
	cleat delete --force "$ID"
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "pause"]'
	cleat run -d --bundle "$BUNDLE" "$ID"
	for ((i = 2; i <= ROUNDS; i += 2)); do
		cleat exec "$ID" tool burst 1M 2 2>&1 >/dev/null | tool check 1 1M
		assert_equal "round $i: ${PIPESTATUS[*]}" "round $i: 0 0"
	done
	cleat delete --force "$ID"
}

@test "1 MiB and the end at once, over FIFOs" {
	mkfifo "$T/log"
	cleat run -d --bundle "$BUNDLE" "$ID"
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "burst", "1M"]'
	for ((i = 1; i <= ROUNDS; i += 2)); do
		background check sh -c "exec '$TOOL' check 1 1M <'$T/log'"
		cleat run -d --log "$T/log" --bundle "$BUNDLE" "$ID-2"
		cleat wait "$ID-2" >/dev/null
		cleat delete "$ID-2"
		finish check
		assert_equal "round $i: $status $stderr" "round $i: 0 "
	done
	for ((i = 2; i <= ROUNDS; i += 2)); do
		background check sh -c "exec '$TOOL' check 1 1M <'$T/log'"
		cleat exec -d --exec-id e --log "$T/log" "$ID" tool burst 1M >/dev/null
		cleat wait --exec-id e "$ID" >/dev/null
		cleat delete --exec-id e "$ID"
		finish check
		assert_equal "round $i: $status $stderr" "round $i: 0 "
	done
	cleat delete --force "$ID"
}

@test "1 MiB and the end at once, through a terminal" {
	make_bundle "$BUNDLE" '.process.terminal = true
		| .process.args = ["/bin/sh", "-c", "stty raw; exec tool burst 1M"]'
	for ((i = 1; i <= ROUNDS; i += 5)); do
		cleat run -t --rm --bundle "$BUNDLE" "$ID" </dev/null | tool check 1 1M
		assert_equal "round $i: ${PIPESTATUS[*]}" "round $i: 0 0"
	done
}

@test "a reader that comes to the FIFO after the end finds all of it, once" {
	mkfifo "$T/log"
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "burst", "48K"]'
	cleat run -d --log "$T/log" --bundle "$BUNDLE" "$ID"
	run cleat wait "$ID"
	assert_status 0
	wait_for 5 counters_are "$ID" "" "0 0 49152 49152 0 0"
	# without O_NONBLOCK it would wait for a writer, and there is none any more
	dd if="$T/log" iflag=nonblock bs=64K status=none | tool check 1 48K
	assert_equal "${PIPESTATUS[*]}" "0 0"
	cleat delete "$ID"
}

@test "no reader of the FIFO at all: the exit is told, and delete does not wait for ever" {
	mkfifo "$T/log"
	edit_config "$BUNDLE" '.process.args = ["/bin/sh", "-c", "tool burst 48K; exit 6"]'
	cleat run -d --log "$T/log" --bundle "$BUNDLE" "$ID"
	run cleat wait "$ID"
	assert_status 6
	since=${EPOCHREALTIME/./}
	cleat delete "$ID"
	assert took_less 13000 "$since"
}

# --- the ends of stdin ---

@test "the end of stdin arrives, over a descriptor and over a FIFO" {
	run_with_socket
	run cleat exec "$ID" tool count-stdin < <(tool random 3 100000)
	assert_equal "$status $output" "0 $(tool random 3 100000 | tool count-stdin)"
	run cleat exec "$ID" tool count-stdin </dev/null
	assert_equal "$status $output" "0 $(tool count-stdin </dev/null)"
	mkfifo "$T/in"
	call exec "$ID" e "$T/in" "file://$T/out" "" /bin/tool count-stdin
	call start "$ID" e >/dev/null
	tool random 3 100000 >"$T/in"
	run cleat wait --exec-id e "$ID"
	assert_status 0
	call delete "$ID" e >/dev/null
	assert_equal "$(<"$T/out")" "$(tool random 3 100000 | tool count-stdin)"
	cleat delete --force "$ID"
}

@test "CloseIO ends stdin after what is queued, though the writer stays" {
	run_with_socket
	mkfifo "$T/in"
	call exec "$ID" e "$T/in" "file://$T/out" "" /bin/tool count-stdin
	call start "$ID" e >/dev/null
	exec {in}>"$T/in"
	tool random 3 65536 >&"$in"
	call close-io "$ID" e
	run cleat wait --exec-id e "$ID"
	assert_status 0
	call delete "$ID" e >/dev/null
	exec {in}>&-
	assert_equal "$(<"$T/out")" "$(tool random 3 65536 | tool count-stdin)"
	# and before the start it is remembered
	call exec "$ID" early "$T/in" "" "" /bin/tool count-stdin
	call close-io "$ID" early
	call start "$ID" early >/dev/null
	run cleat wait --exec-id early "$ID"
	assert_status 0
	call delete "$ID" early >/dev/null
	cleat delete --force "$ID"
}

@test "a process that takes none of its stdin: its exit is told, and the writer is told too" {
	run_with_socket
	run bash -c "yes | '$CLEAT' --root '$ROOT' exec '$ID' tool exit 3; echo \${PIPESTATUS[*]}"
	assert_equal "$output" "141 3"
	mkfifo "$T/in"
	call exec "$ID" e "$T/in" "" "" /bin/tool exit 4
	background writer sh -c "exec yes >'$T/in'"
	writes() { [[ /proc/${PID[writer]}/fd/1 -ef $T/in ]]; }
	wait_for 5 writes
	call start "$ID" e >/dev/null
	run cleat wait --exec-id e "$ID"
	assert_status 4
	call delete "$ID" e >/dev/null
	wait_for 5 ends "${PID[writer]}"
	finish writer
	assert_status 141
	cleat delete --force "$ID"
}

@test "a process that closes its stdin goes on" {
	run_with_socket
	mkfifo "$T/in"
	call exec "$ID" e "$T/in" "file://$T/out" "" /bin/sh -c "exec <&-; tool lines 1000; exit 5"
	exec {in}<>"$T/in"
	call start "$ID" e >/dev/null
	run cleat wait --exec-id e "$ID"
	assert_status 5
	exec {in}>&-
	call delete "$ID" e >/dev/null
	assert_equal "$(sha256sum <"$T/out")" "$(tool lines 1000 | sha256sum)"
	cleat delete --force "$ID"
}

@test "the caller's own streams closed: the process has three all the same" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "fds"]'
	run "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE" "$ID" <&- 2>&-
	assert_status 0
	assert_equal "$(cut -d' ' -f1 <<<"$output" | tr '\n' ' ')" "0 1 2 "
}

@test "a caller that stops reading: the process gets its SIGPIPE" {
	lacks runsc "raises none for a pipe from outside, where the write fails alone"
	cleat run -d --bundle "$BUNDLE" "$ID"
	run bash -c "'$CLEAT' --root '$ROOT' exec '$ID' yes | head -n 2; echo \${PIPESTATUS[*]}"
	assert_equal "$output" $'y\ny\n141 0'
	cleat delete --force "$ID"
}

# --- what keeps a pipe open ---

@test "a grandchild that holds the pipe delays no exit: descriptors, and a terminal" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	since=${EPOCHREALTIME/./}
	run -0 bash -c "'$CLEAT' --root '$ROOT' exec '$ID' tool hold 60 >'$T/out'"
	assert took_less 4000 "$since"
	since=${EPOCHREALTIME/./}
	run -0 bash -c "'$CLEAT' --root '$ROOT' exec -t '$ID' tool hold 60 </dev/null >'$T/out'"
	assert took_less 14000 "$since"
	cleat delete --force "$ID"
}

@test "a grandchild that holds the FIFO delays no exit, and delete no longer than 10 s" {
	mkfifo "$T/log"
	cleat run -d --bundle "$BUNDLE" "$ID"
	background reader cat "$T/log"
	since=${EPOCHREALTIME/./}
	cleat exec -d --exec-id e --log "$T/log" "$ID" sh -c 'echo said; exec tool hold 60' >/dev/null
	run cleat wait --exec-id e "$ID"
	assert_status 0
	assert took_less 4000 "$since"
	wait_for 5 grep -q said "$T/reader.out"
	since=${EPOCHREALTIME/./}
	cleat delete --exec-id e "$ID"
	assert took_less 13000 "$since"
	finish reader
	assert_equal "$output" said
	# nor does it delay what is done meanwhile
	run cleat exec "$ID" tool exit 8
	assert_status 8
	cleat delete --force "$ID"
}
