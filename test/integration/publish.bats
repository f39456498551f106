#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Events as a real containerd takes them, which `ctr events` prints: while it runs, after it was
# stopped, and after it was killed. Each test has a containerd of its own; test_publish.c has a sink
# of ours for all that one cannot be made to do.
# deadline: 180

load lib

setup() {
	cleat_setup
	if ! command -v containerd ctr >/dev/null; then skip "containerd is not installed"; fi
	D=$T/containerd
	mkdir "$D"
	cat >"$D/config.toml" <<-END
		version = 2
		root = "$D/root"
		state = "$D/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		address = "$D/sock"
		[ttrpc]
		address = "$D/sock.ttrpc"
	END
	start_containerd
	follow_events
}

teardown() {
	cleat_teardown
}

start_containerd() {
	background containerd containerd -c "$D/config.toml"
	wait_for 20 ctr -a "$D/sock" version >/dev/null
}

# From now on what containerd takes is in T/events.out: it has told of a label, so it tells of all.
follow_events() {
	background events ctr -a "$D/sock" events
	follows() {
		ctr -a "$D/sock" namespaces create "n$((++n_namespaces))" && [[ -s $T/events.out ]]
	}
	wait_for 20 follows
}

start_shim() {
	SHIM=$(TTRPC_ADDRESS=$D/sock.ttrpc "$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default \
		-id "$ID" start)
	SHIM=${SHIM#unix://}
}

on_shim() {
	cleat --shim "$SHIM" "$@"
}

# "create start exec-added" and so on: what containerd has taken of our container.
topics() {
	sed -n "s|.* default /tasks/\([a-z-]*\) {\"container_id\":\"$ID\".*|\1|p" "$T/events.out" | tr '\n' ' '
}

has_topics() {
	[[ $(topics) == "$1" ]]
}

assert_topics() {
	wait_for 20 has_topics "$1" || { echo "containerd has taken: $(topics)"; return 1; }
}

@test "containerd takes every event, also after it was stopped" {
	make_bundle "$BUNDLE"
	start_shim
	on_shim create --bundle "$BUNDLE" "$ID"
	on_shim start "$ID"
	kill -STOP "${PID[containerd]}"
	run on_shim exec "$ID" tool exit 5
	assert_status 5
	on_shim pause "$ID"
	on_shim resume "$ID"
	on_shim kill "$ID" KILL
	run on_shim wait "$ID"
	assert_status 137
	kill -CONT "${PID[containerd]}"
	on_shim delete "$ID" # which ends the shim, too: it tells what is left first
	assert_topics "create start exec-added exec-started exit delete paused resumed exit delete "
	assert_match "$(grep '"exit_status":5,' "$T/events.out" | head -n 1)" "/tasks/exit .*\"container_id\":\"$ID\""
	assert_match "$(grep "\"id\":\"$ID\"" "$T/events.out")" '"exit_status":137,'
}

@test "one that was killed takes what comes after it is there again" {
	make_bundle "$BUNDLE"
	start_shim
	on_shim create --bundle "$BUNDLE" "$ID"
	on_shim start "$ID"
	assert_topics "create start "
	kill -KILL "${PID[containerd]}"
	finish containerd
	finish events
	run on_shim exec "$ID" tool exit 6
	assert_status 6
	start_containerd
	follow_events
	# what waited may have been taken before anyone could follow; this comes after it
	on_shim kill "$ID" KILL
	run on_shim wait "$ID"
	assert_status 137
	on_shim delete "$ID"
	ends_so() { [[ $(topics) == *"exit delete " ]]; }
	wait_for 20 ends_so
	assert_match "$(grep "\"id\":\"$ID\"" "$T/events.out")" '"exit_status":137,'
}

@test "out of memory while containerd is stopped: OOM, then EXIT 137" {
	lacks runsc "has no cgroup with --ignore-cgroups"
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "mem", "200"]'
	edit_config "$BUNDLE" '.linux.resources.memory = {limit: 25165824, swap: 25165824}'
	start_shim
	on_shim create --bundle "$BUNDLE" "$ID"
	kill -STOP "${PID[containerd]}"
	on_shim start "$ID"
	run on_shim wait "$ID"
	assert_status 137
	kill -CONT "${PID[containerd]}"
	assert_topics "create start oom exit "
	on_shim delete "$ID"
	assert_topics "create start oom exit delete "
}
