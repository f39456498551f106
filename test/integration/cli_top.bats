#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `cleat top`: its screen on a terminal, its tables and JSON elsewhere, and the terminal afterwards.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	lacks runsc "has no cgroup here"
	needs_root "has no cgroup to be counted by"
	export TMUX_TMPDIR=$T/tmux
	mkdir "$T/tmux"
	make_bundle "$BUNDLE"
}

teardown() {
	tmux kill-server 2>/dev/null || true
	cleat_teardown
}

# A shell in a terminal of 80 x 24 whose prompt is "> ", with cleat's path in C.
open_terminal() {
	tmux -f /dev/null new-session -d -x 80 -y 24 \
		"PS1='> ' C='$CLEAT --root $ROOT' exec bash --norc --noprofile" 3>&-
	wait_for 10 shows_line "^>"
}

type_line() {
	tmux send-keys -l "$1"
	tmux send-keys Enter
}

screen() {
	tmux capture-pane -p
}

shows() {
	screen | grep -qF -- "$1"
}

shows_line() { # REGEX
	screen | grep -qE -- "$1"
}

# The screen with figures as # and the test's names as ID; runc's init has as many threads as it likes.
masked() {
	screen | sed -E "s/$TAG-c/ID/g; s/[0-9]+\.[0-9]+ ?([KM]i)?B?/#/g; s/ [0-9]+ B/ #/g; s/ +/ /g; s/ $//; s/ - [0-9]+ # #$/ - # # #/"
}

@test "one table, sorted, and the same as JSON" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat run -d --bundle "$BUNDLE" "$ID-2"
	cleat exec -d "$ID-2" tool pause
	run --separate-stderr cleat top --once --interval 50ms --sort pids
	assert_status 0
	assert_equal "$stderr" ""
	assert_match "${lines[0]}" '^ID +CPU % +MEMORY +LIMIT +PIDS +READ/S +WRITTEN/S$'
	assert_match "${lines[1]}" "^$ID-2 +[0-9.]+ +[0-9.]+ [KM]iB +- +2 "
	assert_match "${lines[2]}" "^$ID +[0-9.]+ +[0-9.]+ [KM]iB +- +1 "
	assert_equal "${#lines[@]}" 3
	assert_equal "$(cleat top --once --interval 50ms --sort id --json | jq -c 'map([.id, .pids, .limit])')" \
		"[[\"$ID\",1,null],[\"$ID-2\",2,null]]"
	# a stopped one uses nothing
	cleat kill "$ID" KILL
	run "-137" cleat wait "$ID"
	assert_equal "$(cleat top --once --interval 50ms --json | jq -r '.[].id')" "$ID-2"
	cleat delete "$ID"
	cleat delete --force "$ID-2"
}

@test "a processor that is used up is seen" {
	edit_config "$BUNDLE" '.process.args = ["/bin/sh", "-c", "while :; do :; done"]'
	cleat run -d --bundle "$BUNDLE" "$ID"
	percent=$(cleat top --once --interval 500ms --json "$ID" | jq '.[0].cpu_percent | floor')
	assert [ "$percent" -ge 5 ]
	assert [ "$percent" -le 150 ]
	cleat delete --force "$ID"
}

@test "mistakes are told by their names" {
	run --separate-stderr cleat top --sort size
	assert_status 125
	assert_equal "$stderr" 'cleat: --sort "size" is none of cpu, memory, pids, io, id'
	run --separate-stderr cleat top --interval soon
	assert_status 125
	assert_match "$stderr" 'interval "soon"'
	run --separate-stderr cleat top --once none
	assert_status 125
	assert_match "$stderr" "container none: does not exist"
}

@test "in a pipe it goes on until it is told to end, or until the one it is about has ended" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	background all "$CLEAT" --root "$ROOT" top --interval 50ms
	background one "$CLEAT" --root "$ROOT" top --interval 50ms "$ID"
	told() { [[ $(grep -c "^$ID " "$T/$1.out") -ge 3 ]]; }
	wait_for 10 told all
	wait_for 10 told one
	kill -INT "${PID[all]}"
	finish all
	assert_status 0
	refute_match "$output" $'\033'
	cleat kill "$ID" KILL
	finish one
	assert_status 0
	assert_equal "$stderr" ""
	cleat delete "$ID"
}

@test "the screen: thirty containers at 80 x 24, sorted by keys, and at another size" {
	local i

	deadline 180
	for i in {10..39}; do
		cleat create --bundle "$BUNDLE" "$ID-$i"
	done
	cleat start "$ID-25"
	open_terminal
	type_line '$C top --interval 200ms'
	wait_for 10 shows "30 containers by cpu"
	tmux send-keys n
	wait_for 10 shows "30 containers by id"
	wait_for 10 shows_line "^$ID-10 +[0-9]"
	assert_equal "$(masked | head -n 3)" "30 containers by id keys: c cpu, m memory, p pids, i i/o, n name, q quit
ID CPU % MEMORY LIMIT PIDS READ/S WRITTEN/S
ID-10 # # - # # #"
	assert_equal "$(masked | wc -l)" 24
	assert_equal "$(masked | tail -n 2)" "ID-30 # # - # # #
... and 9 more"
	tmux send-keys m
	wait_for 10 shows "30 containers by memory"
	tmux resize-window -x 200 -y 50
	wait_for 10 shows "$ID-39 "
	refute_match "$(screen)" "more"
	assert_equal "$(masked | grep -c '^ID-')" 30
	tmux send-keys q
	wait_for 10 shows_line "^>"
	refute_match "$(screen)" "by memory"
	for i in {10..39}; do
		cleat delete --force "$ID-$i"
	done
}

@test "the terminal is as it was: after q, after ctrl-c, and while it is stopped" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	open_terminal
	type_line 'stty -g >before'
	for key in q C-c; do
		type_line '$C top --interval 200ms; echo "end $?"; stty -g >after'
		wait_for 10 shows "1 container by cpu"
		tmux send-keys "$key"
		wait_for 10 shows "end 0"
		wait_for 5 cmp -s before after
		rm after
		type_line clear
	done
	type_line '$C top --interval 200ms'
	wait_for 10 shows "1 container by cpu"
	tmux send-keys C-z
	wait_for 10 shows Stopped
	type_line 'stty -g >stopped'
	# bash has its own settings while it reads a line, so these are what a program finds
	wait_for 5 cmp -s before stopped
	type_line fg
	wait_for 10 shows "1 container by cpu"
	refute_match "$(screen)" Stopped
	tmux send-keys q
	wait_for 10 shows Stopped
	cleat delete --force "$ID"
}
