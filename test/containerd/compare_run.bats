#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `ctr run` and what it has to say, the same under cleat as under containerd's own shim.
# deadline: 600

# shellcheck disable=SC2317,SC2154 # cases are called by their names; stderr is set by `finish`

load lib
load compare

setup() { containerd_setup; }
teardown() { containerd_teardown; }

# shellcheck disable=SC2016 # what is in single quotes is for the shell inside
SAYS='echo to stdout; echo to stderr >&2; exit 7'

foreground() {
	step_launch -- sh -c "$SAYS"
	step containers rm c
}

@test "in the foreground" {
	compare foreground "run, in the foreground"
}

input() {
	slow_input 'one\ntwo'
	STDIN=$T/input step_launch -- sh -c 'touch /share/ready; cat; echo; echo over'
}

@test "standard input, and its end" {
	compare input "run, standard input and its end"
}

big() {
	step_launch -- sh -c 'head -c 10000000 /dev/zero | tr "\0" x | sha256sum
		head -c 3000000 /dev/zero | tr "\0" y | fold -w 99'
}

@test "much output" {
	compare big "run, megabytes of output"
}

detached() {
	step_launch -d -- sh -c 'until [ -e /share/go ]; do sleep 0.02; done; exit 9'
	step task ls
	touch "$T/share/go"
	note_until "its end" status_is c STOPPED
	rm "$T/share/go"
	step task ls
	step task rm c
	step containers ls -q
	step containers rm c
	step task ls
}

@test "detached" {
	compare detached "run -d"
}

in_terminal() {
	local ARGS

	launch_args -t -- sh -c 'tty; until [ "$(stty size 2>/dev/null)" = "30 100" ]; do :; done; echo ready
		read x; echo "got $x"; until [ "$(stty size 2>/dev/null)" = "20 50" ]; do :; done; echo resized
		trap "exit 5" INT; echo waiting; while :; do sleep 0.02; done'
	step_terminal 'ready=hello\n' 'got hello=20x50' 'waiting=\x03' -- "${ARGS[@]}"
}

@test "in a terminal: size, input, a new size, ^C" {
	compare in_terminal "run -t"
}

removed() {
	step_launch --rm -- sh -c "$SAYS"
	step containers ls -q
	step task ls
}

@test "--rm" {
	compare removed "run --rm"
}

null_io() {
	step_launch --null-io -- sh -c 'ls -l /proc/self/fd | grep -c /dev/null; cat; echo unheard; exit 3'
}

@test "--null-io" {
	compare null_io "run --null-io"
}

# Of two streams into one file the reference closes it with the first that ends, and now and then loses
# what the other still had: nothing to compare with.
note_log() { # LINE...
	printf '%s\n' "$@" >"$T/wanted"
	if [[ $WHO == reference ]]; then
		note_file "$T/wanted"
	else
		note_until "all of the log" eval "sort '$T/log' | cmp -s - '$T/wanted'"
		sort "$T/log" >"$T/sorted"
		note_file "$T/sorted"
	fi
}

log_file() {
	step_launch --log-uri "file://$T/log" -- sh -c 'echo first; echo second >&2; exit 4'
	note_log first second
	stat -c %a "$T/log" >"$T/sorted"
	note_file "$T/sorted"
	rm -f "$T/log"
}

@test "--log-uri file://" {
	compare log_file "run --log-uri file://"
}

log_file_again() {
	echo before >"$T/log"
	step_launch --rm --log-uri "file://$T/log" -- echo one
	step_launch --rm --log-uri "file://$T/log" -- echo two
	note_file "$T/log"
	rm -f "$T/log"
}

@test "a log file that is there is added to" {
	compare log_file_again "run --log-uri file://, twice"
}

log_file_in_vain() {
	step_launch --log-uri "file:///proc/no/such/log" -- echo unheard
}

@test "a log file that cannot be" {
	allow codes '^[<>] err: ctr: failed to create shim task: .*[/]proc/no'
	compare log_file_in_vain "run --log-uri file:// that cannot be"
}

log_program() {
	step_launch --log-uri "binary://$BATS_TEST_DIRNAME/logger?to=$T/log" -- \
		sh -c 'echo first; echo second >&2; seq 20000; exit 4'
	note_until "the end of the logger" grep -q over "$T/log.env"
	sha256sum <"$T/log.out" >"$T/log.sum"
	note_file "$T/log.sum"
	note_file "$T/log.err"
	note_file "$T/log.env"
	rm -f "$T"/log.*
}

@test "--log-uri binary://" {
	compare log_program "run --log-uri binary://"
}

log_program_in_vain() {
	step_launch --log-uri "binary://$T/no-such-logger" -- echo unheard
}

@test "a logging program that is not there" {
	allow codes '^[<>] err: *(ctr: failed to create shim task: |.*failed to start binary process: |: unknown$|$)'
	compare log_program_in_vain "run --log-uri binary:// that is not there"
}

log_in_no_way() {
	step_launch --log-uri "gopher://$T/log" -- echo unheard
}

@test "a log of an unknown kind" {
	allow codes '^[<>] err: ctr: failed to create shim task: .*"?gopher'
	compare log_in_no_way "run --log-uri of an unknown kind"
}

pid_file() {
	step_launch -d --pid-file "$T/pid" -- sleep 1000
	pid_of c | cmp - <(cat "$T/pid"; echo) >>"$RECORD" 2>&1 || note "the pid file is wrong"
	tr '\0' ' ' <"/proc/$(cat "$T/pid")/cmdline" >"$T/cmdline"
	note_file "$T/cmdline"
	rm -f "$T/pid"
}

@test "--pid-file" {
	compare pid_file "run --pid-file"
}

cgroup() {
	step_launch -d --cgroup "/$NS/elsewhere/x" -- sleep 1000
	cat "/proc/$(pid_of c)/cgroup" >"$T/cgroup"
	note_file "$T/cgroup"
	forget c
	find /sys/fs/cgroup -path "*/$NS/elsewhere/x" >"$T/cgroup"
	note_file "$T/cgroup"
	find /sys/fs/cgroup -depth -path "*/$NS/elsewhere" -exec rmdir {} +
}

@test "--cgroup" {
	compare cgroup "run --cgroup"
}

# The init goes on until the event is there: the reference may tell it after an exit as well.
memory_limit() {
	step_launch -d --memory-limit 20971520 -- sh -c 'read x </share/c.go; tail /dev/zero
		echo $? >/share/ended; read x </share/c.end; exit $x'
	find /sys/fs/cgroup/memory /sys/fs/cgroup -path "*/$NS/c/*" -name memory.limit_in_bytes \
		-o -path "*/$NS/c/*" -name memory.max 2>/dev/null | sort -u | xargs cat >"$T/limit"
	note_file "$T/limit"
	tell c go x
	note_until "the event" told_of_oom
	tell c end 3
	note_until "its end" status_is c STOPPED
	note_file "$T/share/ended"
	rm -f "$T/share/ended"
}

told_of_oom() {
	[[ $(events) == */tasks/oom* ]]
}

@test "--memory-limit, and past it" {
	compare memory_limit "run --memory-limit, and past it"
}

environment() {
	step_launch --env 'ONE=1' --env 'TWO=two words' -- sh -c 'echo "$ONE,$TWO,$PATH"; env | wc -l'
}

@test "--env" {
	compare environment "run --env"
}

working_directory() {
	step_launch --cwd /etc -- pwd
	step_launch --rm --cwd /no/such/folder -- pwd
}

@test "--cwd" {
	compare working_directory "run --cwd"
}

mounts() {
	mkdir -p "$T/mounted"
	echo there >"$T/mounted/file"
	step_launch --mount "type=bind,src=$T/mounted,dst=/inside,options=rbind:ro" \
		--mount "type=tmpfs,src=tmpfs,dst=/scratch,options=size=65536" -- \
		sh -c 'cat /inside/file; echo x >/inside/file; echo $?; head -c 70000 /dev/zero >/scratch/file; echo $?'
}

@test "--mount" {
	compare mounts "run --mount"
}

mount_in_vain() {
	step_launch --mount "type=bind,src=$T/not/there,dst=/inside,options=rbind:ro" -- true
	step containers rm c
}

@test "--mount of what is not there" {
	allow runtime-stderr '^> err: runc create failed: '
	compare mount_in_vain "run --mount of what is not there"
}

read_only() {
	step_launch --read-only -- sh -c 'echo x >/file; echo $?; echo y >/dev/shm/file; echo $?'
}

@test "--read-only" {
	compare read_only "run --read-only"
}

# ctr passes the path on to every runtime but io.containerd.runc.v2, for which it drops it.
runtime_config() {
	step_launch --runtime-config-path "$T/runtime.json" -- sh -c 'echo ran'
	step containers rm c
}

@test "--runtime-config-path" {
	printf '#!/bin/sh\necho "$*" >>%s/runtime.calls\nexec runc "$@"\n' "$T" >"$T/wrapped-runc"
	chmod 0755 "$T/wrapped-runc"
	jq -n --arg command "$T/wrapped-runc" '{kind: "runc", command: $command}' >"$T/runtime.json"
	compare runtime_config "run --runtime-config-path"
	# each of ours was called with it, once for each step of life at least
	assert [ "$(grep -c ' create ' "$T/runtime.calls")" -eq 2 ]
	assert [ "$(grep -c ' start ' "$T/runtime.calls")" -eq 2 ]
	assert [ "$(grep -c ' delete ' "$T/runtime.calls")" -ge 2 ]
}

no_program() {
	step_launch -- /no/such/program
	step task ls
	step containers rm c
	step_launch -- nosuchprogram
	step containers rm c
	step_launch -- /etc
	step containers rm c
}

@test "a program that is not there" {
	allow runtime-stderr '^> err: runc create failed: '
	compare no_program "run of what is not there"
}

twice() {
	step_launch -d -- sleep 1000
	step_launch -d -- sleep 1000
	step task start -d c
	step containers rm c
}

@test "an id that is taken" {
	compare twice "run of an id that is taken"
}

# ctr takes a dash among the command's words for an option of its own here.
in_two_steps() {
	echo "$SAYS" >"$T/rootfs/says"
	step containers create --runtime "$R" --env PATH=/bin --rootfs "$T/rootfs" c sh says
	step task start --fifo-dir "$T/fifo" c
	step task start -d --null-io c
	note_until "its end" status_is c STOPPED
	step task rm c
	step task start --log-uri "file://$T/log" c
	note_log "to stderr" "to stdout"
	rm -f "$T/log"
	step containers rm c
}

@test "created, then started, three times" {
	compare in_two_steps "containers create, task start"
}

# ctr begins to pass signals on some time after the start: one that is ignored by default tells when.
signals() {
	local ARGS

	launch_args -- sh -c 'trap "touch /share/passed" WINCH; trap "echo caught; exit 3" TERM
		touch /share/ready; while :; do sleep 0.02; done'
	background run "$CTR" --address "$T/c.sock" --namespace "$NS" "${ARGS[@]}"
	note_until "the start" test -e "$T/share/ready"
	note_until "the first signal" passed_on
	kill -TERM "${PID[run]}"
	finish run
	note "$output, $stderr, exit $status"
	rm "$T/share/ready" "$T/share/passed"
}

passed_on() {
	kill -WINCH "${PID[run]}"
	[[ -e $T/share/passed ]]
}

@test "a signal to ctr in the foreground is passed on" {
	compare signals "run, and SIGTERM to ctr"
}

killed_client() {
	local ARGS

	launch_args -- sh -c 'touch /share/ready; until [ -e /share/go ]; do sleep 0.02; done; yes | head -n 99999; exit 6'
	background run "$CTR" --address "$T/c.sock" --namespace "$NS" "${ARGS[@]}"
	note_until "the start" test -e "$T/share/ready"
	kill -KILL "${PID[run]}"
	wait_for 10 is_gone "${PID[run]}"
	step task ls
	# more than a FIFO holds is written, and nobody reads: it ends by the signal, not by SIGPIPE
	touch "$T/share/go"
	step task kill -s KILL c
	note_until "its end" status_is c STOPPED
	step task rm c
	rm "$T/share/ready" "$T/share/go"
}

@test "ctr is killed, and the container stays" {
	compare killed_client "run, and SIGKILL to ctr"
}

# What it says while nobody reads is for who comes. ctr itself reads until it has ended: it speaks after that.
attached() {
	slow_input 'typed\n'
	step_launch -d -- sh -c 'until [ -e /share/go ]; do sleep 0.02; done; echo early; touch /share/ready
		read x; echo "got $x"; exit 8'
	touch "$T/share/go"
	note_until "what it says first" test -e "$T/share/ready"
	STDIN=$T/input step task attach c
	step task ls
	rm "$T/share/go" "$T/share/ready"
}

@test "attached to later" {
	compare attached "run -d, then task attach"
}

many_signals() {
	step_launch -- sh -c 'kill -SEGV $$'
	step_launch -- sh -c 'kill -KILL $$; sleep 1000'
	step containers rm c
	step_launch --rm -- sh -c 'sh -c "kill -ABRT \$\$"; echo $?; exit 255'
}

@test "ends by signals, and what is near to them" {
	compare many_signals "run of what a signal ends"
}
