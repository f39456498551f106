#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# cleatd.service and cleatd.socket under a real systemd: whatever becomes of cleatd, no container notices,
# and all are found again. Skipped by name where there is no cleatd.

# shellcheck disable=SC2154 # UNIT and the like are set by units_setup

load ../integration/lib
load units

CONTAINERS=${CONTAINERS:-20}

setup() {
	[[ -x /cleat/installed/usr/local/bin/cleatd ]] || skip "there is no cleatd"
	units_setup
	systemctl start cleatd.socket
}

teardown() {
	[[ -n ${T-} ]] || return 0
	cleat list --json | jq -r '.[].id' | while read -r id; do
		cleat delete --force "$id"
	done
	systemctl stop cleatd.socket cleatd.service
	systemctl reset-failed cleatd.service 2>/dev/null
	rm -rf /etc/cleat/cleatd.json /run/systemd/system/cleatd.service.d
	units_teardown
}

# ID-1 to ID-N, which end with 40 + their number once they get USR1.
start_containers() { # N
	local i

	make_bundle "$BUNDLE"
	for ((i = 1; i <= $1; i++)); do
		edit_config "$BUNDLE" ".process.args = [\"/bin/tool\", \"trap\", \"USR1\", \"$((40 + i))\"]"
		cleat run -d --bundle "$BUNDLE" "$ID-$i"
	done
}

# `ID PID STATUS` of each, in order.
all() {
	cleat list --json | jq -r 'sort_by(.id)[] | "\(.id) \(.pid) \(.status)"'
}

main_pid() {
	of cleatd.service MainPID
}

is_other_main() { # PID
	[[ $(main_pid) -ne 0 && $(main_pid) -ne $1 ]] && is cleatd.service ActiveState active
}

is_stopped() { # ID
	[[ $(cleat state "$1" | jq -r .status) == stopped ]]
}

@test "its socket is root's alone, and the first connection starts it" {
	assert_equal "$(stat -c '%a %U %F' /run/cleat /run/cleat/cleatd.sock)" "700 root directory
600 root socket"
	assert_equal "$(of cleatd.service ActiveState)" inactive
	run cleat list --json
	assert_status 0
	assert_equal "$output" "[]"
	assert_equal "$(of cleatd.service ActiveState)" active
	assert_match "$(cleat version)" "via cleatd"
	# nothing of systemd's protocol is in its environment, so nothing is in a shim's
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	refute_match "$(tr '\0' '\n' <"/proc/$(cleat state "$ID" | jq .shim_pid)/environ")" \
		'NOTIFY_SOCKET|WATCHDOG_|LISTEN_'
}

@test "shims live in groups below its own, containers below cleat-containers.service" {
	local group

	start_containers 2
	group=$(of cleatd.service ControlGroup)
	for id in "$ID-1" "$ID-2"; do
		assert_match "$(cut -d: -f3 "/proc/$(cleat state "$id" | jq .shim_pid)/cgroup")" "^$group/."
	done
	refute_match "$(cut -d: -f3 "/proc/$(cleat state "$ID-1" | jq .shim_pid)/cgroup")" \
		"^$(cut -d: -f3 "/proc/$(main_pid)/cgroup")$"
	assert_match "$(cut -d: -f3 "/proc/$(cleat state "$ID-1" | jq .pid)/cgroup")" \
		"^/system.slice/cleat-containers.service/."
	# or it could not be started again
	assert_equal "$(cat "/sys/fs/cgroup$group/cgroup.subtree_control")" ""
}

# restarted, killed or stopped: the same pids, the same statuses, and exits that happened meanwhile
@test "restart, kill -9 and stop disturb no container, and what ended meanwhile is told with its code" {
	local before pid way i=0

	deadline 600
	start_containers "$CONTAINERS"
	before=$(all)
	assert_equal "$(grep -c running <<<"$before")" "$CONTAINERS"
	for way in restart kill stop; do
		pid=$(main_pid)
		i=$((i + 1))
		case $way in
		restart) systemctl restart cleatd.service ;;
		kill) kill -KILL "$pid" ;;
		stop) systemctl stop cleatd.service ;;
		esac
		if [[ $way == stop ]]; then
			assert_equal "$(of cleatd.service MainPID)" 0
		else
			wait_for 20 is_other_main "$pid"
		fi
		assert_equal "$(all | head -n "$((CONTAINERS))" | grep -c running)" $((CONTAINERS - i + 1))
		assert_equal "$(all | awk '$3 == "running" { print $1, $2 }')" \
			"$(awk '$3 == "running" { print $1, $2 }' <<<"$before")"
		# one ends while there is no cleatd
		systemctl stop cleatd.service cleatd.socket
		kill -USR1 "$(awk -v id="$ID-$i" '$1 == id { print $2 }' <<<"$before")"
		wait_for 20 is_gone "$(awk -v id="$ID-$i" '$1 == id { print $2 }' <<<"$before")"
		systemctl start cleatd.socket
		wait_for 20 is_stopped "$ID-$i"
		run cleat wait "$ID-$i"
		assert_status $((40 + i))
		before=$(all)
	done
}

@test "the watchdog kills one that is stopped, and the next one finds everything" {
	local before pid

	mkdir -p /run/systemd/system/cleatd.service.d
	printf '[Service]\nWatchdogSec=4s\n' >/run/systemd/system/cleatd.service.d/test.conf
	systemctl daemon-reload
	start_containers 3
	before=$(all)
	pid=$(main_pid)
	kill -STOP "$pid"
	wait_for 60 is_other_main "$pid"
	assert_match "$(journalctl -q -o cat -u cleatd.service)" "[Ww]atchdog"
	assert_equal "$(all)" "$before"
}

@test "a reload takes the log level over, and names what needs a restart" {
	local pid

	mkdir -p /etc/cleat
	echo '{"v": 1, "log_level": "info"}' >/etc/cleat/cleatd.json
	systemctl start cleatd.service
	pid=$(main_pid)
	echo '{"v": 1, "log_level": "debug", "max_connections": 77}' >/etc/cleat/cleatd.json
	systemctl reload cleatd.service
	assert_equal "$(of cleatd.service ActiveState) $(main_pid)" "active $pid"
	wait_for 10 eval 'journalctl -q -o cat -u cleatd.service | grep -q max_connections'
	# a mistake is told by its place, and changes nothing
	printf '{"v": 1,\n"log_level": 3}' >/etc/cleat/cleatd.json
	systemctl reload cleatd.service || true
	wait_for 10 eval 'journalctl -q -o cat -u cleatd.service | grep -q "cleatd.json:2: log_level: not a string"'
	assert_equal "$(of cleatd.service ActiveState) $(main_pid)" "active $pid"
	cleat list
}
