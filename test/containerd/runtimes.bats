#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The ways of naming a runtime that containerd's own shim has not: the shim by its path, and what it runs by a
# file of options.
# deadline: 120

load lib

setup() { containerd_setup; }
teardown() { containerd_teardown; }

options() { # JQ-OPTION... FILTER
	jq -n "$@" >"$T/runtime.json"
}

@test "a copy of the program under any name, by its absolute path" {
	use cleat
	mkdir "$T/elsewhere"
	cp "$CLEAT_BIN/cleat-shim" "$T/elsewhere/any-name"
	rm "$T"/bin/containerd-shim-*cleat*
	R=$T/elsewhere/any-name
	launch -d -- sh -c "$(program)" >"$T/out"
	assert_equal "$(readlink "/proc/$(shim_of c)/exe")" "$R"
	status=0
	ctr task exec --exec-id e c sh -c 'exit 5' || status=$?
	assert_status 5
	tell c go x
	tell c end 7
	wait_for 10 status_is c STOPPED
	assert_match "$(ctr task rm c 2>&1)" 'exit code 7"'
	ctr containers rm c
	# and `delete`, which is called by the same path
	launch -d -- sh -c "$(program)" >"$T/out"
	kill -KILL "$(shim_of c)"
	wait_for 10 deleted
	ctr containers rm c
	events_complete
}

deleted() {
	[[ $(events) == *'/tasks/delete {'*'"exit_status":137'* ]]
}

# runsc in words that its own shim has not; crun has a suite in the virtual machine.
@test "runsc by its options: run, exec, ps, kill" {
	local command pids

	command=$(command -v runsc) || skip "no runsc here (scripts/setup runtimes)"
	options --arg command "$command" '{kind: "runsc", command: $command,
		options: ["platform=ptrace", "network=none", "ignore-cgroups"]}'
	use cleat
	deadline 110
	run launch --rm --runtime-config-path "$T/runtime.json" -- sh -c 'echo "$(dmesg | head -c 400)"; exit 7'
	assert_status 7
	assert_match "$output" gVisor
	launch -d --runtime-config-path "$T/runtime.json" -- sleep 1000
	assert_equal "$(jq -r .cleat.kind "$T/state.d/io.containerd.runtime.v2.task/$NS/c/options.json")" runsc
	run ctr task exec --exec-id e c sh -c 'echo inside; exit 5'
	assert_status 5
	assert_match "$output" inside
	pids=$(ctr task ps c | awk 'NR > 1 { print $1 }')
	assert_match "$pids" "$(pid_of c)"
	ctr task kill -s KILL c
	wait_for 20 status_is c STOPPED
	ctr task rm c || true
	ctr containers rm c
	events_complete
	assert_match "$(events | sed -n 's/ .*//p' | tr '\n' ' ')" \
		"/tasks/start /tasks/exec-added /tasks/exec-started /tasks/exit /tasks/delete /tasks/exit /tasks/delete \$"
}

@test "what names no runtime is an error by its name, and leaves nothing" {
	use cleat
	options '{command: "nosuchrunc"}'
	run launch --rm --runtime-config-path "$T/runtime.json" -- true
	assert_status 1
	assert_match "$output" 'runtime "nosuchrunc": no program of this name in PATH'
	options '{command: "/no/such/runc"}'
	run launch --rm --runtime-config-path "$T/runtime.json" -- true
	assert_status 1
	assert_match "$output" 'runtime "/no/such/runc": '
	run launch --rm --runtime-config-path "$T/no/such/options.json" -- true
	assert_status 1
	assert_match "$output" "$T/no/such/options.json"
	printf '{\n"kind": "kata"}\n' >"$T/runtime.json"
	run launch --rm --runtime-config-path "$T/runtime.json" -- true
	assert_status 1
	assert_match "$output" "$T/runtime.json:2: kind: none of runc, crun, runsc"
	assert_equal "$(ctr task ls -q)$(ctr containers ls -q)" ""
}
