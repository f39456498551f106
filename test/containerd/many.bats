#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Many containers, ten at a time, round after round: nothing is left, and nothing grows.
#
# CONTAINERS: in a round (100); ROUNDS: (5). Half of them have their rootfs mounted by the shim; one of each
# ten has an exec.
# deadline: 1200

load lib

CONTAINERS=${CONTAINERS:-${CONTAINERD_SHORT:+20}}
CONTAINERS=${CONTAINERS:-100}
ROUNDS=${ROUNDS:-${CONTAINERD_SHORT:+3}}
ROUNDS=${ROUNDS:-5}

setup() {
	containerd_setup
	deadline 500
}

teardown() { containerd_teardown; }

# One container, for xargs: `life start|end ID`.
write_life() {
	cat >"$T/life" <<-END
		#!/bin/bash
		ctr() { command ctr --address "$T/c.sock" --namespace "$NS" "\$@"; }
		make=(ctr run -d --runtime $R --null-io)
		case \$1 in
		start)
			if [[ \$((\${2#c} % 2)) -eq 0 ]]; then
				"\${make[@]}" --snapshotter overlayfs cleat.test/busybox:1 "\$2" sleep 10000
			else
				"\${make[@]}" --rootfs "$T/rootfs" "\$2" /bin/sleep 10000
			fi || exit
			[[ \$((\${2#c} % 10)) -eq 0 ]] || exit 0
			ctr task exec --exec-id e "\$2" /bin/sh -c 'exit 5'
			[[ \$? -eq 5 ]]
			;;
		end)
			if [[ \$((\${2#c} % 3)) -eq 0 ]]; then
				ctr task kill -s KILL "\$2"
				until [[ \$(ctr task ls | awk -v id="\$2" '\$1 == id { print \$3 }') == STOPPED ]]; do :; done
				ctr task rm "\$2" 2>&1 | grep -q 'exit code 137'
			else
				ctr task rm --force "\$2" 2>&1 | grep -q 'exit code 137'
			fi && ctr containers rm "\$2"
			;;
		esac
	END
	chmod 0755 "$T/life"
}

# descriptors, resident kB, kB on disk, of containerd
grown() {
	local pid=${PID[containerd]}

	echo "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" \
		"$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")" \
		"$(du -sk "$T/root.d" "$T/state.d" | awk '{ sum += $1 } END { print sum }')"
}

# What teardown looks for; the mount and processes of containerd itself are not there yet or still.
left_in_round() {
	shim_of
	test_mounts
	test_cgroups
	find "$RUNC_STATE/$NS" -mindepth 1
	bundles
	ctr task ls -q
	ctr containers ls -q
}

none_left_in_round() {
	[[ -z $(left_in_round) ]]
}

fill() { # WHO
	local round ids=() i fds rss disk first=() began=$SECONDS

	use "$1"
	write_life
	for ((i = 1; i <= CONTAINERS; i++)); do
		ids+=("c$i")
	done
	own "${ids[@]}"
	C=c launch_image --rm -- true
	for ((round = 1; round <= ROUNDS; round++)); do
		printf '%s\n' "${ids[@]}" | xargs -P 10 -I% "$T/life" start % 3>&-
		assert_equal "$(ctr task ls | grep -c RUNNING)" "$CONTAINERS"
		assert_equal "$(shim_of | wc -l)" "$CONTAINERS"
		printf '%s\n' "${ids[@]}" | xargs -P 10 -I% "$T/life" end % 3>&-
		wait_for 15 none_left_in_round || { left_in_round; return 1; }
		# what every removal has told
		events_complete
		assert_equal "$(events | grep -c '^/tasks/delete .*"exit_status":137')" $((CONTAINERS * round))
		read -r fds rss disk < <(grown)
		echo "round $round: containerd has $fds descriptors, $rss kB, $disk kB on disk"
		# the first round is what a new containerd takes up anyway
		[[ $round -ne 1 ]] || first=("$fds" "$rss" "$disk")
	done
	cell "$CONTAINERS containers, $ROUNDS times: containerd's descriptors, kB in memory and on disk" \
		"$fds $rss $disk, at first ${first[*]}; $((SECONDS - began)) s"
	assert [ "$fds" -le $((first[0] + 8)) ]
	assert [ "$rss" -le $((first[1] * 13 / 10 + 8192)) ]
	assert [ "$disk" -le $((first[2] + 1024)) ]
}

@test "cleat: many containers, again and again" {
	fill cleat
}

@test "runc.cleat: a round" {
	ROUNDS=1 CONTAINERS=$((CONTAINERS / 2)) fill runc-cleat
}

@test "the reference: many containers, again and again" {
	fill reference
}
