#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A container in a real terminal: tmux holds it, a shell is in it, and cleat runs in that shell.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	export TMUX_TMPDIR=$T/tmux
	mkdir "$T/tmux"
	# a caller's settings that nobody else has: what is restored must be these
	cat >"$T/rc" <<-END
		PS1='\$(echo outside)> '
		stty -echoctl erase ^H
		cleat() { "$CLEAT" --root "$ROOT" "\$@"; }
	END
	tmux -f /dev/null new-session -d -x 91 -y 33 "bash --rcfile $T/rc" 3>&-
	tmux set-option -g default-size 91x33
	wait_for 10 shows 'outside>'
	keys "stty -g > $T/before" Enter
	wait_for 5 test -s "$T/before"
}

teardown() {
	tmux kill-server 2>/dev/null || true
	cleat_teardown
}

keys() {
	tmux send-keys "$@"
}

shows() { # REGEX of a whole line
	tmux capture-pane -p | grep -qE "^$1"
}

# The caller's terminal is as it was, and its shell takes commands.
assert_restored() {
	rm -f "$T/after"
	keys "stty -g > $T/after" Enter
	wait_for 5 test -s "$T/after"
	assert_equal "$(cat "$T/after")" "$(cat "$T/before")"
}

is_raw() {
	stty -a -F "$(tmux display-message -p '#{pane_tty}')" | grep -q -- '-icanon'
}

pid_of_cleat() {
	pgrep -f "^$CLEAT_BIN/cleat (--runtime tested )?(--shim [^ ]+ )?--root $ROOT (run|exec)"
}

@test "a shell with job control, the window's size, control keys, and the terminal afterwards" {
	needs_root "has no cgroup, by which runc lists processes"
	lacks runsc "tells neither the terminal's name nor what runs inside"
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c", "stty size; PS1=inside# exec sh"]
		| .process.terminal = true'
	keys "cleat run --rm --bundle $BUNDLE $ID; echo status \$?" Enter
	wait_for 10 shows '33 91'
	wait_for 5 shows 'inside#'
	keys "stty size | tr ' ' x; tty" Enter
	wait_for 5 shows '33x91'
	wait_for 5 shows '/dev/(pts/0|console)'
	tmux resize-window -x 100 -y 40
	keys "stty size | tr ' ' x" Enter
	wait_for 5 shows '40x100'
	keys "sleep 1000" Enter
	runs_sleep() { cleat ps --json "$ID" | jq -e 'any(.command == "sleep 1000")' >/dev/null; }
	wait_for 5 runs_sleep
	keys C-z
	wait_for 5 shows '.*Stopped.* sleep 1000'
	keys "fg" Enter
	keys C-c
	no_sleep() { ! runs_sleep; }
	wait_for 5 no_sleep
	keys "exit 5" Enter
	wait_for 5 shows 'status 5'
	assert_restored
}

@test "the same for exec, and a size of its own" {
	lacks crun "sets no size in exec before the program runs"
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID" </dev/null
	keys "cleat exec -t $ID sh -c 'stty size | tr \" \" x; exec tool winsize-follow'; echo status \$?" Enter
	wait_for 10 shows '33x91'
	wait_for 5 shows '33 91'
	tmux resize-window -x 70 -y 20
	wait_for 5 shows '20 70'
	keys C-c
	wait_for 5 shows '.*status 130'
	assert_restored
	cleat delete --force "$ID"
}

@test "restored on an error" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/nope"] | .process.terminal = true'
	keys "cleat run --bundle $BUNDLE $ID; echo status \$?" Enter
	wait_for 10 shows 'status 127'
	assert_restored
}

# The terminal is raw by then: the session ends in the middle.
@test "restored when the shim dies" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "ignore-term"] | .process.terminal = true'
	keys "cleat run --bundle $BUNDLE $ID; echo status \$?" Enter
	wait_for 10 shows 'ready'
	wait_for 5 is_raw
	kill -KILL "$(cleat state "$ID" | jq .shim_pid)"
	wait_for 10 shows '.*status 125'
	assert_restored
	cleat delete --force "$ID"
	# and that of an exec
	edit_config "$BUNDLE" '.process.terminal = false'
	cleat run -d --bundle "$BUNDLE" "$ID" </dev/null
	keys "cleat exec -t $ID sh -c 'echo begun; exec tool ignore-term'; echo again \$?" Enter
	wait_for 10 shows 'begun'
	wait_for 5 is_raw
	kill -KILL "$(cleat state "$ID" | jq .shim_pid)"
	wait_for 10 shows '.*again 125'
	assert_restored
	cleat delete --force "$ID"
}

@test "exec restores it on SIGTERM" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID" </dev/null
	keys "cleat exec -t $ID tool ignore-term; echo status \$?" Enter
	wait_for 10 shows 'ready'
	wait_for 5 is_raw
	kill -TERM "$(pid_of_cleat)"
	wait_for 10 shows '.*status 143'
	assert_restored
	cleat delete --force "$ID"
}

restored_on() { # SIGNAL
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "ignore-term"] | .process.terminal = true'
	keys "cleat run --bundle $BUNDLE $ID; echo status \$? after $1" Enter
	wait_for 10 shows 'ready'
	kill "-$1" "$(pid_of_cleat)"
	wait_for 10 shows "status $((128 + $(kill -l "$1"))) after $1"
	assert_restored
	assert_equal "$(cleat state "$ID" | jq -r .status)" running
	cleat delete --force "$ID"
}

@test "restored on SIGTERM, also when the process does not listen" {
	restored_on TERM
}

@test "restored on SIGHUP, which the first process has no handler for" {
	lacks runsc "ends a first process by it as any other"
	restored_on HUP
}

@test "SIGTERM reaches the process, whose exit code counts" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "trap", "15", "23"] | .process.terminal = true'
	keys "cleat run --rm --bundle $BUNDLE $ID; echo status \$?" Enter
	wait_for 10 shows 'ready'
	kill -TERM "$(pid_of_cleat)"
	wait_for 10 shows 'status 23'
	assert_restored
}

@test "restored while it is stopped, raw again afterwards" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh"] | .process.terminal = true'
	keys "cleat run --rm --bundle $BUNDLE $ID" Enter
	wait_for 10 shows '/ #'
	kill -TSTP "$(pid_of_cleat)"
	wait_for 5 shows '.*Stopped'
	assert_restored
	keys "clear; fg" Enter
	keys "stty size | tr ' ' x" Enter
	wait_for 5 shows '33x91'
	keys "exit 4" Enter
	wait_for 5 shows 'outside>'
	keys "echo status \$?" Enter
	wait_for 5 shows 'status 4'
	assert_restored
}

# It is while the runtime's start runs that its terminal is raw and it is not yet known to run.
@test "stopped before its start is answered, it is raw again afterwards" {
	mkfifo "$T/gate"
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh"] | .process.terminal = true'
	cat >"$T/$RUNTIME-gated" <<-END
		#!/bin/sh
		case " \$* " in *" start "*) echo >$T/began; read -r line <$T/gate ;; esac
		exec ${RUNTIME_COMMAND[*]} "\$@"
	END
	chmod +x "$T/$RUNTIME-gated"
	keys "cleat run --runtime $T/$RUNTIME-gated --rm --bundle $BUNDLE $ID" Enter
	wait_for 10 test -e "$T/began"
	tty=$(tmux display-message -p '#{pane_tty}')
	is_raw() { stty -a <"$tty" | grep -q -e '-isig'; }
	wait_for 5 is_raw
	kill -TSTP "$(pid_of_cleat)"
	wait_for 5 shows '.*Stopped'
	assert_restored
	keys "clear; fg" Enter
	wait_for 5 is_raw
	echo >"$T/gate"
	keys "exit 4" Enter
	wait_for 5 shows 'outside>'
	keys "echo status \$?" Enter
	wait_for 5 shows 'status 4'
	assert_restored
}

@test "output that has no room is told, and not taken for well; a reader that has gone is fine" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c", "echo lost; exit 3"]'
	status=0
	cleat run -t --rm --bundle "$BUNDLE" "$ID" </dev/null >/dev/full 2>"$T/err" || status=$?
	assert_status 125
	assert_equal "$(cat "$T/err")" "cleat: container $ID: standard output: No space left on device"
	mkfifo "$T/out"
	exec {reader}<>"$T/out"
	exec {writer}>"$T/out"
	exec {reader}<&-
	status=0
	cleat run -t --rm --bundle "$BUNDLE" "$ID" </dev/null 1>&"$writer" 2>"$T/err" || status=$?
	exec {writer}>&-
	assert_status 3
	assert_equal "$(cat "$T/err")" ""
}

@test "a shell's last output is not lost" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c", "seq 1 20000 | tail -n 10000; echo end"]
		| .process.terminal = true'
	keys "cleat run --rm --bundle $BUNDLE $ID | tr -d '\\r' > $T/out; echo done" Enter
	wait_for 20 shows 'done'
	assert_equal "$(wc -l <"$T/out") $(tail -n 1 "$T/out")" "10001 end"
	assert_restored
}

@test "-t without a terminal of one's own: bytes through a raw one, both ways" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "raw-cat", "4194304"]'
	mkfifo "$T/in"
	background run bash -c "exec '$CLEAT' --root '$ROOT' run -t --rm --bundle '$BUNDLE' '$ID' <'$T/in'"
	exec {in}>"$T/in"
	wait_for 10 grep -q ready "$T/run.out"
	tool random 9 4194304 >&"$in" 3>&-
	finish_run() { ! kill -0 "${PID[run]}"; }
	wait_for 60 finish_run
	exec {in}>&-
	finish run
	assert_status 0
	tail -c 4194304 "$T/run.out" | tool check 9 4194304
}
