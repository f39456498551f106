#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# One container as one unit: cleat@.service under a real systemd, with a real runc.

# shellcheck disable=SC2154 # UNIT and the like are set by units_setup

load ../integration/lib
load units

setup() {
	units_setup
}

teardown() {
	units_teardown
}

@test "its exit code is the unit's result, and nothing stays" {
	make_unit exit 7
	run systemctl start "$UNIT"
	wait_for 20 is "$UNIT" ActiveState failed
	assert_equal "$(of "$UNIT" Result) $(of "$UNIT" ExecMainStatus)" "exit-code 7"
	assert_equal "$(cleat list --json)" "[]"
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "exit", "0"]'
	systemctl reset-failed "$UNIT"
	run systemctl start "$UNIT"
	wait_for 20 is "$UNIT" ActiveState inactive
	assert_equal "$(of "$UNIT" Result) $(of "$UNIT" ExecMainStatus)" "success 0"
	assert nothing_left
}

@test "it is started once the container runs, and stopped in order" {
	make_unit trap TERM 3
	mkfifo "$T/go"
	edit_config "$BUNDLE" ".hooks.createRuntime = [{path: \"/bin/sh\",
		args: [\"sh\", \"-c\", \"echo begun >$T/hook; read word <$T/go\"]}]"
	systemctl start --no-block "$UNIT"
	wait_for 20 test -s "$T/hook"
	assert_equal "$(of "$UNIT" ActiveState)" activating
	echo >"$T/go"
	systemctl start "$UNIT"
	assert_equal "$(of "$UNIT" ActiveState)" active
	assert_equal "$(of "$UNIT" StatusText)" "Container $ID is running"
	assert_equal "$(cleat state "$ID" | jq -r .status)" running
	# systemd takes the process's end for what it is: another exit code than 0
	run systemctl stop "$UNIT"
	assert_equal "$(of "$UNIT" Result) $(of "$UNIT" ExecMainStatus)" "exit-code 3"
	assert_equal "$(cleat list --json)" "[]"
	assert nothing_left
}

@test "its own stop signal, and an end by it is a success" {
	make_unit trap USR2 0
	edit_config "$BUNDLE" '.annotations["org.opencontainers.image.stopSignal"] = "SIGUSR2"'
	systemctl start "$UNIT"
	systemctl stop "$UNIT"
	assert_equal "$(of "$UNIT" ActiveState) $(of "$UNIT" Result) $(of "$UNIT" ExecMainStatus)" "inactive success 0"
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "pause"]
		| .annotations["org.opencontainers.image.stopSignal"] = "KILL"'
	systemctl start "$UNIT"
	run systemctl stop "$UNIT"
	assert_equal "$(of "$UNIT" ExecMainStatus)" 137
	assert nothing_left
}

@test "with --sdnotify=container it is started once the container says so" {
	make_unit seq wait-file /tmp/go -- notify READY=1 "STATUS=serving" -- trap TERM 0
	echo 'OPTIONS="--sdnotify=container"' >>"/etc/cleat/containers/$ID.conf"
	systemctl start --no-block "$UNIT"
	wait_for 30 is "$UNIT" StatusText "Container $ID is running, and has not said that it is ready"
	assert_equal "$(of "$UNIT" ActiveState)" activating
	: >"$BUNDLE/rootfs/tmp/go"
	systemctl start "$UNIT"
	assert_equal "$(of "$UNIT" ActiveState) $(of "$UNIT" StatusText)" "active serving"
	systemctl stop "$UNIT"
	assert_equal "$(of "$UNIT" Result)" success
	assert nothing_left
}

@test "cleat, shim and container are in the unit's group, and its limits hold" {
	local group

	make_unit seq notify WATCHDOG=1 -- pause
	set_unit MemoryMax=300M
	echo 'OPTIONS="--sdnotify=container"' >>"/etc/cleat/containers/$ID.conf"
	systemctl start --no-block "$UNIT"
	wait_for 30 is_running
	group=$(of "$UNIT" ControlGroup)
	assert_equal "$(cut -d: -f3 "/proc/$(cleat state "$ID" | jq .pid)/cgroup")" "$group/container"
	assert_equal "$(cut -d: -f3 "/proc/$(cleat state "$ID" | jq .shim_pid)/cgroup")" "$group/cleat"
	assert_equal "$(cut -d: -f3 "/proc/$(of "$UNIT" MainPID)/cgroup")" "$group/cleat"
	assert_equal "$(cat "/sys/fs/cgroup$group/memory.max")" $((300 << 20))
	assert_match "$(cat "/sys/fs/cgroup$group/cgroup.subtree_control")" memory
	# figures of the container's own, without the shim's
	run cleat stats --json "$ID"
	assert_status 0
}

is_running() {
	[[ $(cleat state "$ID" 2>/dev/null | jq -r .status) == running ]]
}

@test "with --sdnotify=container systemd's watchdog is the container's" {
	make_unit seq notify READY=1 WATCHDOG=1 -- pause
	set_unit WatchdogSec=4s TimeoutStopSec=15s
	echo 'OPTIONS="--sdnotify=container"' >>"/etc/cleat/containers/$ID.conf"
	systemctl start "$UNIT"
	assert_match "$(tr '\0' '\n' <"/proc/$(cleat state "$ID" | jq .pid)/environ")" WATCHDOG_USEC=4000000
	wait_for 30 is "$UNIT" ActiveState failed
	assert_equal "$(of "$UNIT" Result)" watchdog
	assert_equal "$(cleat list --json)" "[]"
	assert nothing_left
}

@test "SIGKILL of its main process leaves nothing" {
	make_unit ignore-term
	set_unit TimeoutStopSec=15s
	systemctl start "$UNIT"
	kill -KILL "$(of "$UNIT" MainPID)"
	wait_for 30 is "$UNIT" ActiveState failed
	assert_equal "$(of "$UNIT" Result)" signal
	assert_equal "$(cleat list --json)" "[]"
	assert nothing_left
	# and it can be started again at once
	systemctl start "$UNIT"
	assert_equal "$(cleat state "$ID" | jq -r .status)" running
}

@test "what does not heed its stop signal is killed at the deadline, with all that is in it" {
	make_unit ignore-term
	set_unit TimeoutStopSec=15s
	systemctl start "$UNIT"
	run systemctl stop "$UNIT"
	assert_equal "$(of "$UNIT" ActiveState) $(of "$UNIT" Result)" "failed timeout"
	assert_equal "$(cleat list --json)" "[]"
	assert nothing_left
}

@test "a shim that is killed takes the unit with it" {
	make_unit pause
	systemctl start "$UNIT"
	kill -KILL "$(cleat state "$ID" | jq .shim_pid)"
	wait_for 30 is "$UNIT" ActiveState failed
	assert_equal "$(of "$UNIT" Result) $(of "$UNIT" ExecMainStatus)" "exit-code 125"
	assert_equal "$(cleat list --json)" "[]"
	assert nothing_left
}

@test "a container that cannot be started fails the start, by its own words" {
	make_unit pause
	edit_config "$BUNDLE" '.process.args = ["/bin/nope"]'
	run systemctl start "$UNIT"
	assert_status 1
	assert_equal "$(of "$UNIT" ExecMainStatus)" 127
	assert_match "$(journalctl -q -o cat -u "$UNIT")" '/bin/nope'
	assert nothing_left
}
