#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A container's terminal when its caller is gone for good, and its size from the first line on:
# what cli_terminal.bats, which types into a shell, does not look at.

load lib

setup() {
	cleat_setup
	export TMUX_TMPDIR=$T/tmux
	mkdir "$T/tmux"
	make_bundle "$BUNDLE" '.process.terminal = true | .root.readonly = false'
}

teardown() {
	tmux kill-server 2>/dev/null || true
	cleat_teardown
}

# Becomes the program of a terminal of 91 x 33.
in_terminal() { # ARGS of cleat...
	printf '%q ' exec "$CLEAT" --root "$ROOT" "$@" >"$T/command"
	read -r PANE PANE_PID < <(tmux -f /dev/null new-session -d -x 91 -y 33 -P \
		-F '#{pane_id} #{pane_pid}' "exec sh '$T/command'" 3>&-)
}

shows() { # REGEX of the beginning of a line
	tmux capture-pane -p -t "$PANE" | grep -qE "^$1"
}

# In the container: says that it is there, waits for /tmp/go, writes far more than any buffer
# between it and a reader holds, and tells by /tmp/done that nothing held it up.
WRITER='echo ready; tool wait-file /tmp/go; tool lines 300000; touch /tmp/done'

# From inside: a sandbox need not look at what the host does in the rootfs.
go() {
	cleat exec "$ID" touch /tmp/go
}

is_done() {
	cleat exec "$ID" test -e /tmp/done
}

# A new session would go to a server that is about to end.
end_terminal() {
	local server

	# it ends by itself after its last session
	server=$(tmux display-message -p '#{pid}' 2>/dev/null) || return 0
	tmux kill-server 2>/dev/null || true
	wait_for 5 is_gone "$server"
}

@test "kill -9 of run -t: the container goes on, is not blocked by its output, and is usable" {
	edit_config "$BUNDLE" ".process.args = [\"/bin/sh\", \"-c\", \"$WRITER; exec tool pause\"]"
	in_terminal run --bundle "$BUNDLE" "$ID"
	wait_for 10 shows ready
	kill -KILL "$PANE_PID"
	wait_for 5 is_gone "$PANE_PID"
	go
	wait_for 20 is_done
	assert_equal "$(cleat list --json | jq -r '.[0].status')" running
	run cleat exec "$ID" tool exit 8
	assert_status 8
	cleat kill "$ID" KILL
	run cleat wait "$ID"
	assert_status 137
	cleat delete "$ID"
}

@test "kill -9 of exec -t: the exec goes on to its end, which is told" {
	cleat run -d --bundle "$BUNDLE" "$ID" </dev/null
	in_terminal exec -t --exec-id e "$ID" sh -c "$WRITER; exit 9"
	wait_for 10 shows ready
	kill -KILL "$PANE_PID"
	wait_for 5 is_gone "$PANE_PID"
	go
	run cleat wait --exec-id e "$ID"
	assert_status 9
	assert is_done
	cleat delete --exec-id e "$ID"
	cleat delete --force "$ID"
}

@test "the terminal itself is gone: the container goes on" {
	edit_config "$BUNDLE" ".process.args = [\"/bin/sh\", \"-c\",
		\"trap : HUP; $WRITER; exec tool pause\"]"
	in_terminal run --bundle "$BUNDLE" "$ID"
	wait_for 10 shows ready
	# what runs may be seen before its start has been answered; a run that is told to go by then ends it
	cleat exec "$ID" true
	tmux kill-server
	wait_for 5 is_gone "$PANE_PID"
	go
	wait_for 20 is_done
	cleat delete --force "$ID"
}

# What a terminal of ours shows once something is there.
first_lines() {
	wait_for 10 shows .
	tmux capture-pane -p -t "$PANE" | grep -v '^$'
}

@test "the size is right from the first line of output, each time" {
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "winsize-follow"]'
	for _ in {1..6}; do
		in_terminal run --bundle "$BUNDLE" "$ID"
		assert_equal "$(first_lines)" "33 91"
		cleat delete --force "$ID"
		end_terminal
	done
}

@test "so is that of exec" {
	lacks crun "sets no size in exec before the program runs"
	cleat run -d --bundle "$BUNDLE" "$ID" </dev/null
	for _ in {1..6}; do
		in_terminal exec -t "$ID" tool winsize-follow
		assert_equal "$(first_lines)" "33 91"
		end_terminal
	done
	cleat delete --force "$ID"
}
