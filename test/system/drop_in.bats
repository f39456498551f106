#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# cleat under a containerd that is a unit of systemd, by Debian's own unit file, with containers in scopes of
# systemd: where everything runs, what is told of it (events, OOM, metrics of cgroup v2), restarts of the
# unit, and what is left. For the virtual machine: process 1 is systemd, cgroups are of version 2.
# deadline: 300

load ../containerd/lib

# --- containerd as a unit ---

# shellcheck disable=SC2317 # containerd_setup calls it
containerd_start() {
	UNIT=$TAG.service
	write_config "$T/c.sock.ttrpc"
	sed "s#^ExecStart=.*#ExecStart=$CONTAINERD --config $T/config.toml\nEnvironment=PATH=$CONTAINERD_PATH#
		s#^\[Service\]#&\nStandardError=append:$T/containerd.err#" \
		/lib/systemd/system/containerd.service >"/run/systemd/system/$UNIT"
	systemctl daemon-reload
	systemctl start "$UNIT" || { systemctl status "$UNIT"; return 1; }
	answers && follow_events
}

events_again() {
	stop_process "${PID[events]}"
	wait_for 20 answers && follow_events
}

setup() {
	containerd_setup
	use cleat
	SCOPE=$NS-c.scope
	echo '{"kind": "runc", "systemd_cgroup": true}' >"$T/runtime.json"
	IN_SCOPE=(--runtime-config-path "$T/runtime.json" --cgroup "system.slice:$NS:c")
}

# Stopped first: the unit is one that is started again when its process ends.
teardown() {
	systemctl stop "$UNIT"
	containerd_teardown || return
	rm "/run/systemd/system/$UNIT"
	systemctl daemon-reload
	systemctl reset-failed "$UNIT" 2>/dev/null || true
}

cgroup_of() { # PID
	sed -n 's/^0:://p' "/proc/$1/cgroup"
}

scope_is_gone() {
	[[ $(systemctl show -P ActiveState "$SCOPE") == inactive && ! -e /sys/fs/cgroup/system.slice/$SCOPE ]]
}

# `create`, `exec-added e`, `exit e 137`, ...
story() {
	events | sed -E 's/^\/tasks\/([a-z-]*) (.*)$/\2 \1/' | while read -r line; do
		jq -r --arg topic "${line##* }" '[$topic, (if $topic == "delete" then .id else .id // .exec_id end),
			.exit_status] | map(select(. != null) | tostring) | join(" ")' <<<"${line% *}"
	done
}

# --- tests ---

@test "a container in a scope: where it is, its figures, OOM, its end" {
	local init shim

	launch -d "${IN_SCOPE[@]}" --memory-limit 20971520 -- sh -c "$(program)" >"$T/out"
	init=$(pid_of c) shim=$(shim_of c)
	assert_equal "$(cgroup_of "$init")" "/system.slice/$SCOPE"
	assert_equal "$(systemctl show -P ActiveState "$SCOPE")" active
	assert_equal "$(cat "/sys/fs/cgroup/system.slice/$SCOPE/memory.max")" 20971520
	# the shim is the unit's, one step easier to kill than containerd, and so kept by a restart
	assert_equal "$(cgroup_of "$shim")" "/system.slice/$UNIT"
	assert_equal "$(cat "/proc/$shim/oom_score_adj")" \
		$(($(cat "/proc/$(systemctl show -P MainPID "$UNIT")/oom_score_adj") + 1))

	ctr task metrics --format json c >"$T/metrics"
	assert_equal "$(jq -r '[.memory.usage_limit, .pids.current] | join(" ")' "$T/metrics")" "20971520 1"
	assert [ "$(jq .memory.usage "$T/metrics")" -gt 0 ]
	assert [ "$(jq .cpu.usage_usec "$T/metrics")" -gt 0 ]

	status=0
	ctr task exec --exec-id e c sh -c 'cat /proc/self/cgroup; tail /dev/zero' >"$T/exec" 2>&1 || status=$?
	assert_status 137
	assert_match "$(cat "$T/exec")" "^0::/"
	tell c go x
	tell c end 7
	wait_for 20 status_is c STOPPED
	ctr task rm c 2>&1 | grep -q 'exit code 7'
	ctr containers rm c
	events_complete
	assert_equal "$(story)" "create
start
exec-added e
exec-started e
oom
exit e 137
delete e 137
exit c 7
delete 7"
	wait_for 10 scope_is_gone
}

@test "crun by its options, in a scope: run, exec, metrics, delete" {
	echo '{"kind": "crun", "systemd_cgroup": true}' >"$T/runtime.json"
	launch -d "${IN_SCOPE[@]}" -- sh -c "$(program)" >"$T/out"
	assert_match "$(cgroup_of "$(pid_of c)")" "^/system.slice/$SCOPE"
	assert_equal "$(jq -r .cleat.kind "$T/state.d/io.containerd.runtime.v2.task/$NS/c/options.json")" crun
	assert_equal "$(ctr task metrics --format json c | jq .pids.current)" 1
	status=0
	ctr task exec --exec-id e c sh -c 'exit 5' || status=$?
	assert_status 5
	tell c go x
	tell c end 7
	wait_for 20 status_is c STOPPED
	ctr task rm c 2>&1 | grep -q 'exit code 7'
	ctr containers rm c
	events_complete
	assert_match "$(story)" "exit c 7"$'\n'"delete 7$"
	wait_for 10 scope_is_gone
}

@test "past its memory: OOM before the exit, 137, and the record says so" {
	launch -d "${IN_SCOPE[@]}" --memory-limit 20971520 -- sh -c 'exec tail /dev/zero'
	wait_for 20 status_is c STOPPED
	assert_equal "$(jq -c '[.status, .oom]' "$T/state.d/io.containerd.runtime.v2.task/$NS/c/exits.jsonl")" "[137,true]"
	ctr task rm c || true
	ctr containers rm c
	events_complete
	assert_equal "$(story)" "create
start
oom
exit c 137
delete 137"
	wait_for 10 scope_is_gone
}

@test "the unit is restarted, killed and stopped: the container is where it was" {
	local init shim

	launch -d "${IN_SCOPE[@]}" -- sh -c "$(program)" >"$T/out"
	init=$(pid_of c) shim=$(shim_of c)
	systemctl restart "$UNIT"
	events_again
	assert_equal "$(pid_of c) $(shim_of c)" "$init $shim"
	# its main process: systemd starts another
	systemctl kill --kill-whom=main -s KILL "$UNIT"
	events_again
	assert_equal "$(pid_of c) $(shim_of c)" "$init $shim"
	assert_equal "$(ctr task exec --exec-id e c echo "still there")" "still there"
	# it ends while nobody looks
	systemctl stop "$UNIT"
	assert_equal "$(cgroup_of "$shim")" "/system.slice/$UNIT"
	tell c go x
	tell c end 9
	wait_for 20 is_gone "$init"
	systemctl start "$UNIT"
	events_again
	wait_for 20 status_is c STOPPED
	ctr task rm c 2>&1 | grep -q 'exit code 9'
	ctr containers rm c
	events_complete
	assert_match "$(story)" "delete 9$"
	wait_for 10 scope_is_gone
}

deleted() {
	[[ $(story) == *$'\n'"delete "* ]]
}

@test "the shim is killed: the scope and all in it go" {
	local init pids pid

	launch_image -d "${IN_SCOPE[@]}" -- sh -c "setsid sleep 1000 & $(program)" >"$T/out"
	ctr task exec --exec-id e -d --fifo-dir "$T/fifo" c sleep 2000
	tell c go x
	init=$(pid_of c)
	mapfile -t pids <"/sys/fs/cgroup/system.slice/$SCOPE/cgroup.procs"
	assert [ "${#pids[@]}" -eq 3 ]
	kill -KILL "$(shim_of c)"
	wait_for 15 deleted
	for pid in "$init" "${pids[@]}"; do
		wait_for 5 is_gone "$pid"
	done
	assert_match "$(story)" "exit c 137"$'\n'"delete 137$"
	wait_for 10 scope_is_gone
	assert_equal "$(test_mounts | grep -v "/root.d/" || true)" ""
	assert_equal "$(find "$RUNC_STATE/$NS" -mindepth 1)" ""
	assert [ ! -e "$(socket_of "$NS/c")" ]
	wait_for 5 no_bundles || { bundles; return 1; }
	assert_equal "$(ctr task ls -q)" ""
	ctr containers rm c
}
