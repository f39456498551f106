#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `ctr task` on containers that run, are paused, have ended or never were: the same under cleat as
# under containerd's own shim.
# deadline: 600

# shellcheck disable=SC2317 # cases are called by their names

load lib
load compare

setup() { containerd_setup; }
teardown() { containerd_teardown; }

sleeping() {
	launch -d -- sleep 1000 >>"$RECORD" 2>&1 || note "run failed"
}

exec_plain() {
	sleeping
	step task exec --exec-id e c sh -c 'echo to stdout; echo to stderr >&2; exit 5'
	slow_input 'one\ntwo'
	STDIN=$T/input step task exec --exec-id f c sh -c 'touch /share/ready; cat; echo; echo over'
	step task exec --exec-id g --cwd /etc c sh -c 'pwd; echo $PATH'
}

@test "exec" {
	allow exec-deleted '^> event: /tasks/delete .*"id":"[efg]"'
	compare exec_plain "task exec"
}

exec_terminal() {
	sleeping
	step_terminal 'ready=hello\n' 'got hello=20x50' -- task exec --exec-id e -t c \
		sh -c 'tty; until [ "$(stty size 2>/dev/null)" = "30 100" ]; do :; done; echo ready; read x; echo "got $x"
			until [ "$(stty size 2>/dev/null)" = "20 50" ]; do :; done; echo resized; exit 5'
}

@test "exec in a terminal" {
	allow exec-deleted '^> event: /tasks/delete .*"id":"e"'
	compare exec_terminal "task exec -t"
}

exec_ended() {
	[[ $(events) == *'/tasks/exit '*'"id":"e"'* ]]
}

exec_detached() {
	sleeping
	step task exec --exec-id e -d --fifo-dir "$T/fifo" c sh -c 'until [ -e /share/go ]; do sleep 0.02; done; exit 5'
	step task exec --exec-id e -d --fifo-dir "$T/fifo" c true
	touch "$T/share/go"
	note_until "its end" exec_ended
	step task rm --exec-id e c
	step task rm --exec-id e c
	rm "$T/share/go"
}

@test "exec detached, its id taken meanwhile, and deleted" {
	allow exec-deleted '^> event: /tasks/delete .*"id":"e"'
	allow words '^< err: ctr: id e: already exists$'
	allow words '^> err: ctr: exec e already exists: already exists$'
	allow words '^< err: ctr: no running process found: process does not exist e: not found$'
	allow words '^> err: ctr: no running process found: exec e in container c: not found$'
	compare exec_detached "task exec --detach"
}

exec_user() {
	sleeping
	step task exec --exec-id e --user 1000:1001 c id
	step task exec --exec-id f --user 12 c sh -c 'id -u'
	step task exec --exec-id g --user nobody c sh -c 'id -u'
}

@test "exec as another user" {
	allow exec-deleted '^> event: /tasks/delete .*"id":"[efg]"'
	compare exec_user "task exec --user"
}

exec_log() {
	sleeping
	step task exec --exec-id e --log-uri "file://$T/log" c sh -c 'echo said; exit 5'
	note_until "the log" grep -q said "$T/log"
	note_file "$T/log"
	step task exec --exec-id f --log-uri "binary://$BATS_TEST_DIRNAME/logger?to=$T/log" c \
		sh -c 'echo first; echo second >&2; exit 4'
	note_until "the end of the logger" grep -q over "$T/log.env"
	note_file "$T/log.out"
	note_file "$T/log.err"
	note_file "$T/log.env"
	rm -f "$T"/log*
}

@test "exec with a log" {
	allow exec-deleted '^> event: /tasks/delete .*"id":"[ef]"'
	compare exec_log "task exec --log-uri"
}

exec_in_vain() {
	sleeping
	step task exec --exec-id e c /no/such/program
	step task exec --exec-id f c nosuchprogram
	step task exec --exec-id g --cwd /no/such/folder c true
	step task exec --exec-id h nobody true
	step task kill -s KILL c
	note_until "its end" status_is c STOPPED
	step task exec --exec-id i c true
}

@test "exec that cannot be" {
	allow exec-deleted '^> event: /tasks/delete .*"id":"[efg]"'
	allow codes '^< err: ctr: cannot exec in a stopped state: unknown$'
	allow codes '^> err: ctr: cannot exec in a stopped container: failed precondition$'
	allow runtime-stderr '^> err: exec failed: '
	compare exec_in_vain "task exec of what cannot be"
}

ps() {
	sleeping
	step task exec --exec-id e -d --fifo-dir "$T/fifo" c sh -c 'sleep 1000 >/dev/null 2>&1 & wait'
	note_until "its child" two_sleep
	ctr task ps c >"$T/ps" 2>&1
	note "exit $?"
	# a child has no event that would tell its pid
	sed -E "s/^$(pid_of c)\\b/init/; s/^[0-9]+/N/" "$T/ps" | LC_ALL=C sort >"$T/ps.sorted"
	note_file "$T/ps.sorted"
	step task kill --exec-id e -s KILL c
	note_until "its end" exec_ended
	step task rm --exec-id e c
	step task ps nobody
}

two_sleep() {
	[[ $(ctr task ps c | wc -l) -eq 4 ]]
}

@test "ps" {
	allow exec-deleted '^> event: /tasks/delete .*"id":"e"'
	compare ps "task ps"
}

pause() {
	sleeping
	step task pause c
	step task ls
	step task pause c
	step task ps c
	step task rm c
	step task resume c
	step task ls
	step task resume c
	step task pause nobody
}

@test "pause and resume" {
	allow codes '^< err: ctr: cannot (pause a paused container|resume a running process): unknown$'
	allow codes '^> err: ctr: cannot (pause a paused|resume a running) container: failed precondition$'
	compare pause "task pause, resume"
}

kill_paused() {
	sleeping
	step task pause c
	step task kill -s KILL c
	step task resume c
	note_until "its end" status_is c STOPPED
	step task rm c
}

@test "kill while paused" {
	allow codes '^< err: ctr: cannot resume a stopped container: unknown$'
	allow codes '^> err: ctr: cannot resume a stopped container: failed precondition$'
	compare kill_paused "task kill while paused"
}

kill_plain() {
	launch -d -- sh -c 'trap "exit 3" TERM; trap "exit 4" USR1; touch /share/ready; while :; do sleep 0.02; done' \
		>>"$RECORD" 2>&1 || note "run failed"
	note_until "the start" test -e "$T/share/ready"
	step task kill c
	note_until "its end" status_is c STOPPED
	step task kill c
	step task kill -s KILL c
	step task kill --exec-id nobody c
	step task rm c
	step task kill c
	step task kill -s NOSUCH c
	rm "$T/share/ready"
}

@test "kill" {
	allow words '^< err: ctr: process does not exist nobody: not found$'
	allow words '^> err: ctr: exec nobody in container c: not found$'
	compare kill_plain "task kill"
}

kill_signal() {
	launch -d -- sh -c 'trap "exit 4" USR1; touch /share/ready; while :; do sleep 0.02; done' \
		>>"$RECORD" 2>&1 || note "run failed"
	note_until "the start" test -e "$T/share/ready"
	step task kill -s SIGUSR1 c
	note_until "its end" status_is c STOPPED
	step task rm c
	rm "$T/share/ready"
}

@test "kill with a signal" {
	compare kill_signal "task kill -s"
}

# The init outlives a signal to all that it ignores, so that the order of ends is known.
kill_all_of_it() {
	launch -d -- sh -c 'trap "" TERM; (trap - TERM; exec sleep 1000) & touch /share/ready; wait; exit 6' \
		>>"$RECORD" 2>&1 || note "run failed"
	note_until "the start" test -e "$T/share/ready"
	step task kill --all c
	note_until "its end" status_is c STOPPED
	step task rm c
	rm "$T/share/ready"
}

@test "kill --all" {
	compare kill_all_of_it "task kill --all"
}

kill_exec() {
	sleeping
	step task exec --exec-id e -d --fifo-dir "$T/fifo" c sleep 1000
	step task kill --exec-id e c
	step task kill --exec-id e -s KILL c
	note_until "its end" exec_ended
	step task kill --exec-id e -s KILL c
	step task rm --exec-id e c
	step task ls
}

@test "kill of an exec" {
	allow exec-deleted '^> event: /tasks/delete .*"id":"e"'
	compare kill_exec "task kill --exec-id"
}

# What is counted differs from one moment to the next: the words and the limits are compared.
metrics_table() {
	ctr task metrics c >"$T/metrics" 2>&1
	note "exit $?"
	sed -E '/limit/!s/[0-9]+/N/g; s/( N)+/ N/g; s/ +/ /g; s/\bN-.*UTC/<time>/' "$T/metrics" >"$T/metrics.words"
	note_file "$T/metrics.words"
}

metrics() {
	launch -d --memory-limit 33554432 -- sleep 1000 >>"$RECORD" 2>&1 || note "run failed"
	metrics_table
	ctr task metrics --format json c >"$T/metrics" 2>&1
	note "exit $?"
	# a key that is missing is 0: where the container lies on which processor, and what it used, changes
	jq -r 'paths | map(if type == "number" then 0 else . end) | map(tostring) | join(".")' "$T/metrics" |
		grep -vE '^(blkio|memory)\.[a-z_]*(per|cache|dirty|writeback|mapped|io_|active|pg_)|^cpu\.usage\.(user|kernel)$' |
		sort -u >"$T/metrics.words"
	note_file "$T/metrics.words"
	jq -r '[.memory.usage.limit, .pids.current, .memory.usage_limit | tostring] | join(" ")' "$T/metrics" \
		>"$T/metrics.words"
	note_file "$T/metrics.words"
	step task metrics nobody
	step task kill -s KILL c
	note_until "its end" status_is c STOPPED
	metrics_table
}

@test "metrics" {
	compare metrics "task metrics"
}

checkpoint() {
	sleeping
	step task checkpoint --image-path "$T/image" --work-path "$T/image.work" c
	step task checkpoint c
	step task ls
	step task exec --exec-id e c echo "still there"
	rm -rf "$T"/image*
}

@test "checkpoint where CRIU is missing" {
	local program

	containerd_end TERM
	# all that a shim calls, and no criu
	for program in runc sh; do
		ln -s "$(command -v "$program")" "$T/bin/$program"
	done
	export CONTAINERD_PATH=$T/bin
	containerd_start
	allow exec-deleted '^> event: /tasks/delete .*"id":"e"'
	allow words '^< err: ctr: runc did not terminate successfully: exit status 1: CRIU version check failed: exec: "criu": executable file not found in [$]PATH path= .*/criu-dump.log: unknown$'
	allow words '^> err: ctr: OCI runtime checkpoint failed: CRIU version check failed: exec: "criu": executable file not found in [$]PATH: unknown$'
	compare checkpoint "task checkpoint, no CRIU"
}

delete() {
	launch -d -- sh -c 'until [ -e /share/go ]; do sleep 0.02; done; exit 7' >>"$RECORD" 2>&1 ||
		note "run failed"
	step task rm c
	step containers rm c
	touch "$T/share/go"
	note_until "its end" status_is c STOPPED
	step task rm c
	step task rm c
	step containers rm c
	step containers rm c
	rm "$T/share/go"
}

@test "delete" {
	compare delete "task delete"
}

delete_by_force() {
	sleeping
	step task rm --force c
	step task ls
	launch -d -- sh -c 'sleep 1000' >>"$RECORD" 2>&1 && note "run, though the id is taken"
	step containers rm c
}

@test "delete --force" {
	compare delete_by_force "task delete --force"
}

delete_exec_by_force() {
	sleeping
	step task exec --exec-id e -d --fifo-dir "$T/fifo" c sleep 1000
	step task rm --exec-id e c
	step task rm --force --exec-id e c
	step task rm --exec-id nobody c
}

@test "delete of an exec" {
	allow exec-deleted '^> event: /tasks/delete .*"id":"e"'
	allow words '^< err: ctr: no running process found: process does not exist nobody: not found$'
	allow words '^> err: ctr: no running process found: exec nobody in container c: not found$'
	compare delete_exec_by_force "task delete --exec-id"
}

# An exec's end is told before its container's, whatever the order in which they went.
exec_goes_with_it() {
	sleeping
	step task exec --exec-id e -d --fifo-dir "$T/fifo" c sleep 1000
	step task kill -s KILL c
	note_until "its end" exec_ended
	note_until "its end" status_is c STOPPED
	step task rm c
}

@test "the container ends with an exec in it" {
	compare exec_goes_with_it "the container ends with an exec in it"
}

straight() {
	sleeping
	ctr shim --id c state >"$T/state" 2>&1
	note "exit $?"
	jq -S 'del(.exited_at) | .pid = (.pid > 0)' "$T/state" >>"$RECORD"
	step shim --id nobody state
}

@test "ctr finds the shim by its address" {
	compare straight "shim state"
}
