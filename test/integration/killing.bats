#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is killed in the middle of something: the runtime in create and delete (a hook that waits
# on a FIFO holds it there), and a command that waits for it. And two commands on one id, 200
# times. Shims that are killed are in cli_orphan and exits, a foreground run in cli_signals.
# deadline: 300
# shellcheck disable=SC2154 # stderr is set by finish

load lib

setup() {
	cleat_setup
	FAKE=$(dirname "$TOOL")/fake-runtime
	mkfifo "$T/gate"
}

teardown() {
	cleat_teardown
}

# A bundle whose container runs a hook that waits for the gate. NAME as in config.json.
make_bundle_with_hook() { # NAME
	make_bundle "$BUNDLE" ".hooks.$1 = [{path: \"/bin/sh\", args: [\"sh\", \"-c\",
		\"echo >$T/began; read -r line <$T/gate\"]}]"
}

# The runtime's pid, once its hook is waiting: the shim's child that is one.
runtime_in_hook() {
	local shim

	wait_for 10 test -e "$T/began"
	shim=$(jq .pid "$ROOT/c/default/$ID/shim.json")
	pgrep -P "$shim" -x "$RUNTIME"
}

is_status() {
	[[ $(cleat state "$ID" | jq -r .status) == "$1" ]]
}

@test "the runtime killed in the middle of create: a clear error, and nothing left" {
	make_bundle_with_hook createRuntime
	# over crun a run is a create and a start
	local -A verb=([create]=create ["run --rm"]=run)
	[[ $RUNTIME != crun ]] || verb["run --rm"]=create
	for command in create "run --rm"; do
		rm -f "$T/began"
		# shellcheck disable=SC2086 # a command and its option
		background maker "$CLEAT" --root "$ROOT" $command --bundle "$BUNDLE" "$ID"
		kill -KILL "$(runtime_in_hook)"
		finish maker
		assert_status 125
		assert_equal "$output" ""
		# the init that loses its runtime may have a word of its own
		assert_equal "$(tail -n 1 <<<"$stderr")" \
			"cleat: container $ID: $RUNTIME ${verb[$command]}: killed by signal 9 without a word"
		wait_for 5 nothing_left
		assert_equal "$(cleat list --json)" "[]"
	done
	edit_config "$BUNDLE" 'del(.hooks) | .process.args = ["/bin/tool", "exit", "8"]'
	run cleat run --rm --bundle "$BUNDLE" "$ID"
	assert_status 8
}

@test "a cgroup that was there before a create that is killed stays, and one that was made goes" {
	needs_root "may not make a cgroup"
	lacks runsc "is run without cgroups here"
	make_bundle_with_hook createRuntime
	edit_config "$BUNDLE" ".linux.cgroupsPath = \"/$TAG-group/$ID\""
	kept=/sys/fs/cgroup/pids
	[[ -d $kept ]] || kept=/sys/fs/cgroup
	kept+=/$TAG-group
	mkdir "$kept"
	background maker "$CLEAT" --root "$ROOT" create --bundle "$BUNDLE" "$ID"
	runtime=$(runtime_in_hook)
	assert test -d "$kept/$ID"
	kill -KILL "$runtime"
	finish maker
	assert_status 125
	assert_equal "$(test_cgroups)" "$kept"
	rmdir "$kept"
}

@test "the runtime killed in the middle of delete: gone is gone" {
	make_bundle_with_hook poststop
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "exit", "4"]'
	cleat run -d --bundle "$BUNDLE" "$ID"
	run cleat wait "$ID"
	assert_status 4
	background remover "$CLEAT" --root "$ROOT" delete "$ID"
	kill -KILL "$(runtime_in_hook)"
	finish remover
	if [[ $RUNTIME == crun ]]; then
		still_there
	else
		assert_status 0
		assert_equal "$stderr" ""
	fi
	assert_equal "$(cleat list --json)" "[]"
}

# crun forgets a container after its hooks have run, runc before. It is there, then, and says so.
still_there() {
	assert_status 125
	assert_equal "$stderr" "cleat: container $ID: crun delete: killed by signal 9 without a word"
	assert is_status stopped
	rm "$T/began"
	background remover "$CLEAT" --root "$ROOT" delete "$ID"
	wait_for 10 test -e "$T/began"
	echo >"$T/gate"
	finish remover
	assert_status 0
	assert_equal "$stderr" ""
}

@test "run killed in the middle of create leaves a container that can be used" {
	make_bundle_with_hook createRuntime
	background run "$CLEAT" --root "$ROOT" run --bundle "$BUNDLE" "$ID"
	runtime_in_hook
	stop_process "${PID[run]}"
	unset "PID[run]"
	echo >"$T/gate"
	wait_for 10 is_status running
	run cleat exec "$ID" tool exit 6
	assert_status 6
	cleat delete --force "$ID"
	wait_for 5 nothing_left
}

@test "two at once on one id, 200 times: one wins, the other says so" {
	deadline 200
	make_bundle "$BUNDLE"
	for _ in {1..200}; do
		background a "$CLEAT" --root "$ROOT" --runtime "$FAKE" run -d --bundle "$BUNDLE" "$ID"
		background b "$CLEAT" --root "$ROOT" --runtime "$FAKE" create --bundle "$BUNDLE" "$ID"
		finish a
		first=$status told=$stderr
		finish b
		assert_equal "$((first < status ? first : status)) $((first + status))" "0 125"
		assert_match "$told$stderr" "^cleat: container $ID:? already exists$"
		cleat delete --force "$ID"
	done
	assert_equal "$(cleat list --json)" "[]"
}
