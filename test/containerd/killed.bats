#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The shim is killed: what containerd then says of the container's end, and what is left.
#
# Of an end that the shim has seen, its ledger in the bundle tells the status; of a container that still
# ran, `delete` ends it, and says 137 for that. containerd publishes what `delete` answers, as an exit
# and a delete. The reference says 137 whatever happened.
# deadline: 300

load lib

setup() { containerd_setup; }
teardown() { containerd_teardown; }

# The statuses of the exits and deletes told of c, in order: `exit 7, exit 7, delete 7`.
ends() {
	events | sed -n 's/^\/tasks\/\(exit\|delete\) //p' | jq -rs 'map(select((.id // "c") == "c") |
		(if has("id") then "exit " else "delete " end) + ((.exit_status // 0) | tostring)) | join(", ")'
}

deleted() {
	[[ $(ends) == *delete* ]]
}

kill_shim() {
	local pid

	pid=$(shim_of c)
	kill -KILL "$pid"
	wait_for 10 is_gone "$pid"
}

# The init is gone from the list of processes once it was reaped, and ours has said so in the ledger before.
seen_to_end() { # PID STATUS
	is_gone "$1" || return
	[[ $WHO == reference ]] || [[ $(jq -r 'select(.exec_id // "" == "") | .status' "$(bundle)/exits.jsonl") == "$2" ]]
}

bundle() {
	echo "$T/state.d/io.containerd.runtime.v2.task/$NS/c"
}

# The reference leaves its socket, and of what runc keeps an empty folder.
remove_socket() {
	[[ $WHO != reference ]] || rm "$(socket_of "$NS/c")"
}

killed_after() {
	local pid

	use "$1"
	launch -d -- sh -c "$(program)" >"$T/out"
	pid=$(pid_of c)
	tell c go x
	tell c end 7
	wait_for 10 seen_to_end "$pid" 7
	kill_shim
	wait_for 10 deleted
	cell "shim killed after its container ended with 7" "$(ends)"
	remove_socket
	wait_for 5 no_bundles || { bundles; return 1; }
	assert_equal "$(ctr task ls -q)" ""
	ctr containers rm c
}

@test "cleat: killed after the end, 7 stays 7" {
	killed_after cleat
	assert_equal "$(ends)" "exit 7, exit 7, delete 7"
}

@test "runc.cleat: killed after the end, 7 stays 7" {
	killed_after runc-cleat
	assert_equal "$(ends)" "exit 7, exit 7, delete 7"
}

@test "the reference: killed after the end, 7 becomes 137" {
	killed_after reference
	assert_equal "$(ends)" "exit 7, exit 137, delete 137"
}

# containerd sees neither the exit nor the shim until both are gone. What a foreground `ctr run` that
# waited all the time says is told in the table.
killed_unseen() {
	local pid ARGS

	use "$1"
	fifos
	launch_args -- sh -c "$(program)"
	background run "$CTR" --address "$T/c.sock" --namespace "$NS" "${ARGS[@]}"
	wait_for 10 status_is c RUNNING
	pid=$(pid_of c)
	tell c go x
	containerd_freeze
	tell c end 7
	wait_for 10 seen_to_end "$pid" 7
	kill_shim
	containerd_thaw
	wait_for 15 deleted
	finish run
	cell "the same, with containerd stopped meanwhile" "$(ends); ctr run: $status"
	remove_socket
	wait_for 5 no_bundles || { bundles; return 1; }
	ctr containers rm c
}

@test "cleat: killed after the end, and containerd looked away" {
	killed_unseen cleat
	assert_match "$(ends)" "^(exit 7, )+delete 7$"
}

@test "the reference: killed after the end, and containerd looked away" {
	killed_unseen reference
	assert_match "$(ends)" "delete 137$"
}

killed_running() {
	local pid init child

	use "$1"
	# a process of another session, an exec, a mount and a cgroup
	launch_image -d -- sh -c "setsid sleep 1000 & $(program)" >"$T/out"
	ctr task exec --exec-id e -d --fifo-dir "$T/fifo" c sleep 2000
	tell c go x
	init=$(pid_of c)
	mapfile -t pid < <(cat "/sys/fs/cgroup/pids/$NS/c/cgroup.procs" "/sys/fs/cgroup/$NS/c/cgroup.procs" 2>/dev/null)
	assert [ "${#pid[@]}" -eq 3 ]
	assert [ -n "$(test_mounts)" ]
	[[ ! ${2-} ]] || ctr task pause c
	kill_shim
	wait_for 15 deleted
	cell "shim killed while its container ${2:-runs}" "$(ends)"
	for child in "$init" "${pid[@]}"; do
		assert is_dead "$child"
	done
	assert_equal "$(test_mounts | grep -v "/root.d/" || true)" ""
	assert_equal "$(test_cgroups)" ""
	assert_equal "$(find "$RUNC_STATE/$NS" -mindepth 1)" ""
	remove_socket
	assert [ ! -e "$(socket_of "$NS/c")" ]
	wait_for 5 no_bundles || { bundles; return 1; }
	assert_equal "$(ctr task ls -q)" ""
	ctr containers rm c
}

@test "cleat: killed while its container runs" {
	killed_running cleat
	assert_equal "$(ends)" "exit 137, delete 137"
}

@test "runc.cleat: killed while its container runs" {
	killed_running runc-cleat
	assert_equal "$(ends)" "exit 137, delete 137"
}

@test "the reference: killed while its container runs" {
	killed_running reference
	assert_equal "$(ends)" "exit 137, delete 137"
}

@test "cleat: killed while its container is paused" {
	killed_running cleat "is paused"
	assert_equal "$(ends)" "exit 137, delete 137"
}

# containerd finds a bundle and nobody at its address: it calls `delete` and publishes nothing.
killed_while_away() {
	local init

	use "$1"
	launch_image -d -- sh -c "$(program)" >"$T/out"
	init=$(pid_of c)
	containerd_end KILL
	[[ $2 != ended ]] || { tell c go x; tell c end 7; wait_for 10 seen_to_end "$init" 7; }
	kill_shim
	containerd_start
	assert_equal "$(ctr task ls -q)" ""
	assert is_dead "$init"
	assert_equal "$(test_cgroups)" ""
	assert_equal "$(find "$RUNC_STATE/$NS" -mindepth 1)" ""
	remove_socket
	wait_for 5 no_bundles || { bundles; return 1; }
	ctr containers rm c
}

@test "cleat: killed while containerd is away, its container running" {
	killed_while_away cleat running
}

@test "cleat: killed while containerd is away, its container ended" {
	killed_while_away cleat ended
}

@test "a container of the same id can be made after each" {
	use cleat
	launch -d -- sh -c "$(program)" >"$T/out"
	kill_shim
	wait_for 10 deleted
	ctr containers rm c
	: >"$T/events"
	launch -d -- sh -c "$(program)" >"$T/out"
	tell c go x
	tell c end 3
	wait_for 10 status_is c STOPPED
	ctr task rm c
	ctr containers rm c
	assert_equal "$(ends)" "exit 3, delete 3"
}
