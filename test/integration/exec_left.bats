#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a runtime that is killed in an exec leaves in the container: it is ended, and nobody else's
# process with it. The runtime is a real one, behind a script that keeps its pid file to itself and kills
# itself, or is killed by the test at any point.
# deadline: 300

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	make_bundle "$BUNDLE"
	mkdir "$T/bin"
	mkfifo "$T/gate"
	cat >"$T/bin/$RUNTIME" <<-EOF
		#!/bin/bash
		case " \$* " in *" exec "*) ;; *) exec ${RUNTIME_COMMAND[*]} "\$@" ;; esac
		[[ ! -e $T/good ]] || exec ${RUNTIME_COMMAND[*]} "\$@"
		args=() pid_file=
		while [[ \$# -gt 0 ]]; do
			if [[ \$1 == --pid-file ]]; then pid_file=\$2; args+=(--pid-file "$T/its-pid"); shift
			elif [[ \$1 == --pid-file=* ]]; then pid_file=\${1#*=}; args+=("--pid-file=$T/its-pid")
			else args+=("\$1"); fi
			shift
		done
		[[ ! -e $T/slow ]] || { mv "$T/slow" "$T/slow-began"; slow=yes; }
		${RUNTIME_COMMAND[*]} "\${args[@]}" || exit
		if [[ \${slow-} ]]; then
			mv "$T/its-pid" "$T/slow-pid"
			read -r word <"$T/gate"
			[[ \$word == die ]] || cp "$T/slow-pid" "\$pid_file"
			[[ \$word == die ]] || exit 0
		fi
		kill -KILL \$\$
	EOF
	chmod 0755 "$T/bin/$RUNTIME"
}

teardown() {
	cleat_teardown
}

n_pids() {
	[[ $(cleat ps --json "$ID" | jq length) == "$1" ]]
}

# An exec whose runtime is killed between its fork and its pid file.
exec_killed() {
	run --separate-stderr cleat exec -d "$ID" tool pause
	assert_status 125
	assert_match "$stderr" "killed by signal 9"
}

# An exec whose runtime has done its work, but does not return before the gate is opened.
exec_slow() {
	touch "$T/slow"
	background slow "$CLEAT" --root "$ROOT" exec -d --exec-id slow "$ID" tool pause
	wait_for 10 test -e "$T/slow-pid"
}

@test "a runtime killed before its pid file: its process is ended, the container runs on" {
	cleat --runtime "$T/bin/$RUNTIME" run -d --bundle "$BUNDLE" "$ID"
	run cleat exec "$ID" sh -c 'exit 0'
	for _ in 1 2 3; do
		exec_killed
		wait_for 5 n_pids 1
	done
	assert_equal "$(cleat state "$ID" | jq -r .status)" running
	cleat delete --force "$ID"
}

@test "an exec under way at that time keeps its process" {
	cleat --runtime "$T/bin/$RUNTIME" run -d --bundle "$BUNDLE" "$ID"
	exec_slow
	exec_killed
	# both are there until it is known whose they are. What runsc leaves has ended with its group,
	# and the process outside is no child of ours yet
	[[ $RUNTIME == runsc ]] || assert n_pids 3
	echo go >"$T/gate"
	finish slow
	assert_status 0
	wait_for 5 n_pids 2
	assert_equal "$(cleat ps --json "$ID" | jq '[.[] | select(.exec_id == "slow")] | length')" 1
	cleat delete --force "$ID"
}

@test "nor does one that is killed as well leave anything" {
	cleat --runtime "$T/bin/$RUNTIME" run -d --bundle "$BUNDLE" "$ID"
	exec_slow
	exec_killed
	echo die >"$T/gate"
	finish slow
	assert_status 125
	wait_for 5 n_pids 1
	cleat delete --force "$ID"
}

@test "what the container's own processes leave behind is not touched" {
	lacks runsc "has pids inside only"
	cleat --runtime "$T/bin/$RUNTIME" run -d --bundle "$BUNDLE" "$ID"
	# a daemon of an exec that succeeds
	touch "$T/slow"
	background slow "$CLEAT" --root "$ROOT" exec "$ID" sh -c 'setsid tool pause & exit 0'
	wait_for 10 test -e "$T/slow-pid"
	echo go >"$T/gate"
	finish slow
	assert_status 0
	n_left() { [[ $(cleat ps --json "$ID" | jq length) == 2 ]]; }
	wait_for 5 n_left
	exec_killed
	wait_for 5 n_pids 2
	cleat delete --force "$ID"
}

@test "nor is a child that an exec gives its own parent, which is the shim" {
	lacks runsc "has pids inside only"
	cleat --runtime "$T/bin/$RUNTIME" run -d --bundle "$BUNDLE" "$ID"
	exec_slow
	touch "$T/good"
	cleat exec -d --exec-id family "$ID" tool sibling pause
	cleat wait --exec-id family "$ID"
	cleat delete --exec-id family "$ID"
	assert n_pids 3
	echo die >"$T/gate"
	finish slow
	assert_status 125
	wait_for 5 n_pids 2
	# still: what is left over is looked for again at each end of an exec
	run cleat exec "$ID" sh -c 'exit 3'
	assert_status 3
	assert n_pids 2
	cleat delete --force "$ID"
}

@test "in a shared pid namespace it cannot be known whose it is: nothing is ended" {
	lacks runsc "has pids inside only"
	edit_config "$BUNDLE" '.linux.namespaces |= map(select(.type != "pid"))'
	cleat --runtime "$T/bin/$RUNTIME" run -d --bundle "$BUNDLE" "$ID"
	exec_killed
	assert n_pids 2
	cleat delete --force "$ID"
}

# runc protects its own file by a bind mount for an instant, which a killed one leaves.
leave_mount() {
	touch "$ROOT/r/default/$ID/runc.Xy12Zz"
	mount --bind "$TOOL" "$ROOT/r/default/$ID/runc.Xy12Zz"
}

@test "the mount that a killed runc leaves goes with the container" {
	lacks crun "mounts no file of its own"
	lacks runsc "mounts no file of its own"
	cleat run -d --bundle "$BUNDLE" "$ID"
	leave_mount
	run cleat delete --force "$ID"
	assert_status 0
	assert_equal "$output" ""
	assert_equal "$(test_mounts)" ""
}

@test "and with an orphan" {
	lacks crun "mounts no file of its own"
	lacks runsc "mounts no file of its own"
	cleat run -d --bundle "$BUNDLE" "$ID"
	leave_mount
	kill -KILL "$(cleat state "$ID" | jq .shim_pid)"
	is_orphaned() { [[ $(cleat list --json | jq -r '.[0].status') == orphaned ]]; }
	wait_for 5 is_orphaned
	run cleat delete --force "$ID"
	assert_status 0
	assert_equal "$output" ""
	assert_equal "$(test_mounts)" ""
}

@test "the runtime itself killed at any point of an exec, many times" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	run "$BATS_TEST_DIRNAME/kill_runc.py" "$RUNTIME" "$(cleat state "$ID" | jq .shim_pid)" \
		"${CLEAT_TEST_KILLS:-80}" "$CLEAT" --root "$ROOT" "$ID"
	assert_status 0
	assert [ "$output" -gt 20 ]
	cleat delete --force "$ID"
}
