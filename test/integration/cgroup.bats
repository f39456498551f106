#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the container's cgroup tells and does: figures, running out of memory. Reads the same files
# as the shim does, of version 1 or 2, whichever limits memory here.
#
# RUNS out of memory, one after the other (10); FULL=1 makes them 100.
# deadline: 600

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

RUNS=${RUNS:-10}
[[ -z ${FULL-} ]] || RUNS=100

setup() {
	cleat_setup
	lacks runsc "has no cgroup with --ignore-cgroups"
}

teardown() {
	cleat_teardown
}

# 1 or 2.
cgroup_version() {
	if grep -q '^[0-9]*:[^:]*\bmemory\b' /proc/self/cgroup; then echo 1; else echo 2; fi
}

# The folder of a container's group in the hierarchy of a controller, found by its init.
cgroup_folder() { # CONTROLLER ID
	local pid mount path

	pid=$(cleat state "$2" | jq .pid)
	if [[ $(cgroup_version) == 1 ]]; then
		mount=$(awk -v c="$1" '$0 ~ " - cgroup " && ("," $NF ",") ~ ("," c ",") { print $5; exit }' \
			/proc/self/mountinfo)
		path=$(sed -n "s/^[0-9]*:\([^:]*,\)\{0,1\}$1\(,[^:]*\)\{0,1\}:\(.*\)/\3/p" "/proc/$pid/cgroup")
	else
		mount=/sys/fs/cgroup
		path=$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
	fi
	echo "$mount$path"
}

# A file of the container's group: the name in version 1, and in version 2.
cgroup_file() { # CONTROLLER ID NAME1 NAME2
	if [[ $(cgroup_version) == 1 ]]; then
		cat "$(cgroup_folder "$1" "$2")/$3"
	else
		cat "$(cgroup_folder "$1" "$2")/$4"
	fi
}

# A figure of `cleat stats --json`: below metrics in version 1, and in version 2.
figure() { # ID JQ1 JQ2
	local path=$2

	[[ $(cgroup_version) == 1 ]] || path=$3
	cleat stats --json "$1" | jq ".metrics$path"
}

# Whether got is wanted within so much.
assert_near() { # GOT WANTED WITHIN
	[[ $1 -ge $(($2 - $3)) && $1 -le $(($2 + $3)) ]] || {
		echo "got $1, wanted $2, give or take $3"
		return 1
	}
}

# Deletes it. What was told of it from its beginning on: "create start oom exit delete" and so on.
deleted_topics() { # ID
	delete_told "$1" | jq -r '.topic | ltrimstr("/tasks/")' | tr '\n' ' '
}

# The exits as the ledger has them: [exec, status, oom].
ledger() { # ID
	jq -c '[.exec_id, .status, .oom]' "$ROOT/c/default/$1/exits.jsonl"
}

limit_memory() { # DIR MIB; none of it in swap
	edit_config "$1" ".linux.resources.memory = {limit: ($2 * 1048576), swap: ($2 * 1048576)}"
}

@test "stats agree with the files of the cgroup" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "mem", "20", "hold"]'
	limit_memory "$BUNDLE" 64
	edit_config "$BUNDLE" '.linux.resources.pids.limit = 33'
	cleat run -d --bundle "$BUNDLE" --log "file://$T/log" "$ID"
	wait_for 5 grep -q ready "$T/log"
	assert_equal "$(cleat stats --json "$ID" | jq -r '.id, .type')" \
		"$ID"$'\n'"io.containerd.cgroups.v$(cgroup_version).Metrics"
	assert_near "$(figure "$ID" .memory.usage.usage .memory.usage)" \
		"$(cgroup_file memory "$ID" memory.usage_in_bytes memory.current)" 1048576
	assert_near "$(figure "$ID" .memory.usage.usage .memory.usage)" $((21 << 20)) $((4 << 20))
	assert_equal "$(figure "$ID" .memory.usage.limit .memory.usage_limit)" $((64 << 20))
	assert_near "$(figure "$ID" .memory.rss .memory.anon)" \
		"$(cgroup_file memory "$ID" memory.stat memory.stat | awk '$1 == "rss" || $1 == "anon" { print $2; exit }')" \
		$((1 << 20))
	assert_equal "$(figure "$ID" .pids.current .pids.current)" 1
	assert_equal "$(figure "$ID" .pids.limit .pids.limit)" 33
	assert_equal "$(figure "$ID" .memory_oom_control.oom_kill .memory_events.oom_kill)" 0
	cleat delete --force "$ID"
}

@test "processor time in stats is what was used" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	before=$(figure "$ID" .cpu.usage.total '.cpu.usage_usec * 1000')
	cleat exec "$ID" tool spin 300
	after=$(figure "$ID" .cpu.usage.total '.cpu.usage_usec * 1000')
	# the spinning, and the runtime's own exec
	assert_near $((after - before)) 400000000 200000000
	now=$(cgroup_file cpuacct "$ID" cpuacct.usage cpu.stat | sed -n 's/^usage_usec \(.*\)/\1000/p; /^[0-9]*$/p')
	assert_near "$now" "$after" 50000000
	cleat delete --force "$ID"
}

@test "stats of all that run, as a table; of one that is stopped, and of none" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat create --bundle "$BUNDLE" "$ID-2"
	make_bundle "$T/short" '.process.args = ["/bin/tool", "exit", "3"]'
	cleat run --bundle "$T/short" "$ID-3" || [[ $? -eq 3 ]]
	run --separate-stderr cleat stats
	assert_status 0
	assert_match "${lines[0]}" '^ID +CPU +MEMORY +LIMIT +PIDS +READ +WRITTEN$'
	assert_match "${lines[1]}" "^$ID +[0-9.]+ s +[0-9.]+ [KM]iB +- +1 +"
	assert_match "${lines[2]}" "^$ID-2 "
	assert_equal "${#lines[@]}" 3
	assert_equal "$stderr" ""
	# its group is there until it is deleted
	assert_equal "$(figure "$ID-3" .pids.current .pids.current)" 0
	cleat delete "$ID-3"
	run --separate-stderr cleat stats "$ID-3"
	assert_status 125
	assert_equal "$stderr" "cleat: container $ID-3: does not exist"
	run --separate-stderr cleat stats --interval 0 "$ID"
	assert_status 125
	assert_match "$stderr" 'interval "0" is not a time'
	cleat delete --force "$ID"
	cleat delete --force "$ID-2"
	run cleat stats
	assert_equal "${#lines[@]}" 1
}

@test "stats of all: one that cannot be asked is complained of, and costs the others nothing" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat run -d --bundle "$BUNDLE" "$ID-2"
	kill -STOP "$(cleat state "$ID" | jq .shim_pid)"
	run --separate-stderr cleat --deadline 1 stats
	kill -CONT "$(cleat list --json | jq ".[] | select(.id == \"$ID\").shim_pid")"
	assert_status 0
	assert_match "${lines[1]}" "^$ID-2 "
	assert_match "$stderr" "^cleat: container $ID: "
	cleat delete --force "$ID"
	cleat delete --force "$ID-2"
}

@test "stats follow until the container ends" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	background follow "$CLEAT" --root "$ROOT" stats --json --follow --interval 50ms "$ID"
	several_lines() { [[ $(wc -l <"$T/follow.out") -ge 4 ]]; }
	wait_for 10 several_lines
	cleat kill "$ID"
	finish follow
	assert_status 0
	assert_equal "$stderr" ""
	assert_equal "$(jq -r .id <<<"$output" | sort -u)" "$ID"
	cleat delete "$ID"
}

@test "stats that follow are stopped also where a shim does not answer" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	shim=$(cleat state "$ID" | jq .shim_pid)
	for sig in INT TERM; do
		background follow "$CLEAT" --root "$ROOT" stats --json --interval 10ms "$ID"
		wait_for 10 test -s "$T/follow.out"
		kill -STOP "$shim"
		halted() { [[ $(cut -d ' ' -f 3 "/proc/$shim/stat") == T ]]; }
		wait_for 5 halted
		connected() { [[ $(find "/proc/${PID[follow]}/fd" -lname 'socket:*') ]]; }
		wait_for 5 connected
		kill "-$sig" "${PID[follow]}"
		ended() { [[ $(cut -d ' ' -f 3 "/proc/${PID[follow]}/stat" 2>/dev/null) != [RSD] ]]; }
		wait_for 8 ended
		finish follow
		assert_status 0
		assert_equal "$stderr" ""
		kill -CONT "$shim"
	done
	cleat delete --force "$ID"
}

@test "past its memory limit: OOM, then EXIT 137, and oom in the ledger, every time" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "mem", "200"]'
	limit_memory "$BUNDLE" 24
	wrong=''
	for ((i = 0; i < RUNS; i++)); do
		way=$((i % 2)) # in one call of the runtime, and in two
		if [[ $way -eq 0 ]]; then
			cleat run --bundle "$BUNDLE" "$ID" && wrong+=" $i:status-0" ||
				[[ $? -eq 137 ]] || wrong+=" $i:status"
		else
			cleat create --bundle "$BUNDLE" "$ID"
			cleat start "$ID"
			got=$(cleat wait "$ID") || true
			[[ $got == 137 ]] || wrong+=" $i:status-$got"
		fi
		[[ $(ledger "$ID") == '["",137,true]' ]] || wrong+=" $i:$(ledger "$ID")"
		got=$(deleted_topics "$ID")
		[[ $got == "create start oom exit delete " ]] || wrong+=" $i:$got"
	done
	assert_equal "$wrong" ""
}

@test "an exec past the limit: its exit is put down to it" {
	make_bundle "$BUNDLE"
	limit_memory "$BUNDLE" 24
	cleat run -d --bundle "$BUNDLE" "$ID"
	run cleat exec "$ID" tool mem 200
	assert_status 137
	assert_equal "$(ledger "$ID" | head -n 1 | jq -c '.[1:]')" '[137,true]'
	assert_match "$(deleted_topics "$ID")" '^create start exec-added ((oom )+exec-started (oom )*|exec-started (oom )+)exit '
}

@test "a process that nobody started through the shim: OOM is told while the container runs on" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c", "tool mem 200; exec tool pause"]'
	limit_memory "$BUNDLE" 24
	cleat run -d --bundle "$BUNDLE" "$ID"
	background events "$CLEAT" --root "$ROOT" events --since 0 "$ID"
	wait_for 10 grep -q /tasks/oom "$T/events.out"
	assert_equal "$(cleat state "$ID" | jq -r .status)" running
	assert_equal "$(figure "$ID" .memory_oom_control.oom_kill .memory_events.oom_kill)" 1
	# what ends now ends for another reason
	cleat kill "$ID" KILL
	cleat wait "$ID" || true
	assert_equal "$(ledger "$ID")" '["",137,false]'
	assert_equal "$(deleted_topics "$ID")" 'create start oom exit delete '
	finish events
}

@test "killed without having run out of memory: no OOM" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c", "kill -KILL $$; exit 137"]'
	limit_memory "$BUNDLE" 64
	run cleat run --bundle "$BUNDLE" "$ID"
	assert_status 137
	assert_equal "$(ledger "$ID")" '["",137,false]'
	assert_equal "$(deleted_topics "$ID")" 'create start exit delete '
}

@test "update changes the limits in the cgroup, and nothing else" {
	make_bundle "$BUNDLE"
	limit_memory "$BUNDLE" 64
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat update --memory 96M --memory-swap 96M --pids-limit 44 --cpu-share 512 "$ID"
	assert_equal "$(cgroup_file memory "$ID" memory.limit_in_bytes memory.max)" $((96 << 20))
	assert_equal "$(cgroup_file pids "$ID" pids.max pids.max)" 44
	echo '{"pids": {"limit": 55}}' >"$T/resources.json"
	cleat update -r "$T/resources.json" "$ID"
	assert_equal "$(cgroup_file pids "$ID" pids.max pids.max)" 55
	assert_equal "$(cgroup_file memory "$ID" memory.limit_in_bytes memory.max)" $((96 << 20))
	assert_equal "$(figure "$ID" .pids.limit .pids.limit)" 55
	echo '{"pids": {"limit": 66}, "memory": {"limit": "much"}}' >"$T/resources.json"
	run --separate-stderr cleat update -r "$T/resources.json" "$ID"
	assert_status 125
	assert_match "$stderr" 'memory\.limit'
	assert_equal "$(cgroup_file pids "$ID" pids.max pids.max)" 55
	run --separate-stderr cleat update --memory lots "$ID"
	assert_status 125
	assert_match "$stderr" 'memory "lots" is no size'
	run --separate-stderr cleat update "$ID"
	assert_status 125
	assert_equal "$(find "$ROOT/c/default/$ID" -name 'update*')" ""
	cleat kill "$ID"
	cleat wait "$ID"
	run --separate-stderr cleat update --pids-limit 9 "$ID"
	assert_status 125
	assert_match "$stderr" 'cannot update a stopped container'
	cleat delete "$ID"
}
