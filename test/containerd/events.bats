#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Events arrive complete and in order when containerd is stopped for a while, and when it is away.
#
# `ctr events` tells what is published while it is connected, and is itself gone with containerd. So that it
# sees everything that shims kept meanwhile, the new containerd listens for them at another path; once
# `ctr events` is there, that socket is moved to where the shims look for it.
#
# An event may come twice where its answer was lost: repeats that follow each other are taken as one.
# STOPPED_FOR: seconds (10); AWAY_FOR: seconds (20), longer than the reference tries.
# deadline: 400

load lib

STOPPED_FOR=${STOPPED_FOR:-${CONTAINERD_SHORT:+3}}
STOPPED_FOR=${STOPPED_FOR:-10}
AWAY_FOR=${AWAY_FOR:-${CONTAINERD_SHORT:+3}}
AWAY_FOR=${AWAY_FOR:-20}

setup() { containerd_setup; }
teardown() { containerd_teardown; }

EXECS=(e1 e2 e3 e4 e5)

# A container and five execs in it, each of which ends with its number once it is told so.
begin() { # WHO
	local id

	use "$1"
	launch -d -- sh -c "$(program)" >"$T/out"
	for id in "${EXECS[@]}"; do
		mkfifo "$T/share/$id.end"
		ctr task exec --exec-id "$id" -d --fifo-dir "$T/fifo" c sh -c "read x </share/$id.end; exit \$x"
	done
	tell c go x
	INIT=$(pid_of c)
	mapfile -t PIDS < <(events | sed -n 's/^\/tasks\/exec-started //p' | jq .pid)
	assert_equal "${#PIDS[@]}" 5
}

# Everything ends, one after the other, and the shim has seen it.
end_all() {
	local i

	for i in "${!EXECS[@]}"; do
		tell "${EXECS[i]}" end $((i + 1))
		wait_for 10 is_gone "${PIDS[i]}"
	done
	tell c end 9
	wait_for 10 is_gone "$INIT"
}

# What was told, without repeats: `create`, `exec-added e1`, `exit e1 1`, ...
story() {
	events | uniq | sed -E 's/^\/tasks\/([a-z-]*) (.*)$/\2 \1/' | while read -r line; do
		jq -r --arg topic "${line##* }" '[$topic, (if $topic == "delete" then .id else .id // .exec_id end),
			.exit_status] | map(select(. != null) | tostring) | join(" ")' <<<"${line% *}"
	done
}

expected() {
	local id i=0

	echo create
	echo start
	for id in "${EXECS[@]}"; do
		echo "exec-added $id"
		echo "exec-started $id"
	done
	for id in "${EXECS[@]}"; do
		echo "exit $id $((i += 1))"
	done
	echo "exit c 9"
	echo "delete 9"
}

ended() {
	[[ $(story) == *"exit c 9"* ]]
}

told() { # complete|"N of 14"
	local n

	n=$(comm -12 <(expected | sort) <(story | sort -u) | wc -l)
	if [[ $(story) == "$(expected)" ]]; then
		echo "complete, in order"
	elif [[ $n -eq $(expected | wc -l) ]]; then
		echo "complete, out of order"
	else
		echo "$n of $(expected | wc -l)"
	fi
}

stopped() { # WHO
	begin "$1"
	containerd_freeze
	end_all
	sleep "$STOPPED_FOR"
	containerd_thaw
	wait_for 60 ended || true
	ctr task rm c || true
	ctr containers rm c
	events_complete
	cell "events, containerd stopped for $STOPPED_FOR s" "$(told)"
}

@test "cleat: containerd is stopped for a while" {
	stopped cleat
	assert_equal "$(story)" "$(expected)"
}

@test "runc.cleat: containerd is stopped for a while" {
	stopped runc-cleat
	assert_equal "$(story)" "$(expected)"
}

@test "the reference: containerd is stopped for a while" {
	stopped reference
	assert_match "$(told)" "complete|of"
}

away() { # WHO SIGNAL
	begin "$1"
	containerd_end "$2"
	end_all
	sleep "$AWAY_FOR"
	containerd_start "$T/other.ttrpc"
	mv "$T/other.ttrpc" "$T/c.sock.ttrpc"
	wait_for 40 ended || true
	ctr task rm c || true
	ctr containers rm c
	events_complete
	cell "events, containerd away for $AWAY_FOR s after SIG$2" "$(told)"
}

@test "cleat: containerd is killed and comes back" {
	away cleat KILL
	assert_equal "$(story)" "$(expected)"
}

@test "cleat: containerd is ended and comes back" {
	away cleat TERM
	assert_equal "$(story)" "$(expected)"
}

@test "runc.cleat: containerd is killed and comes back" {
	away runc-cleat KILL
	assert_equal "$(story)" "$(expected)"
}

@test "the reference: containerd is killed and comes back" {
	away reference KILL
	assert_match "$(told)" "complete|of"
}
