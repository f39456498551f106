#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# cleatd.service and cleatd.socket under a real systemd: whatever becomes of cleatd, no container notices,
# and all are found again. Skipped by name where there is no cleatd.

# shellcheck disable=SC2154 # UNIT and the like are set by units_setup

load ../integration/lib
load units

CONTAINERS=${CONTAINERS:-20}
CONTAINERS_GROUP=/system.slice/cleat-containers.service

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
	# a shim's group goes after the shim, by cleatd; one that is stopped before leaves that to the next
	! is cleatd.service ActiveState active || wait_for 10 has_no_group 'shim-*' || true
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

group_of() { # PID
	cut -d: -f3 "/proc/$1/cgroup"
}

has_no_group() { # NAME or pattern
	! compgen -G "/sys/fs/cgroup$CONTAINERS_GROUP/$1" >/dev/null
}

@test "each shim has a cgroup of its own, with its container's beside it, and none is below cleatd's" {
	local pid shim_pid

	make_bundle "$BUNDLE" '.linux.resources.memory = {limit: 52428800}'
	cleat run -d --bundle "$BUNDLE" "$ID"
	pid=$(cleat state "$ID" | jq .pid) shim_pid=$(cleat state "$ID" | jq .shim_pid)
	assert_equal "$(group_of "$shim_pid")" "$CONTAINERS_GROUP/shim-default@$ID"
	assert_equal "$(group_of "$pid")" "$CONTAINERS_GROUP/$ID"
	assert_equal "$(cat "/sys/fs/cgroup$CONTAINERS_GROUP/$ID/memory.max")" 52428800
	assert_equal "$(group_of "$(main_pid)")" "$(of cleatd.service ControlGroup)"
	# or systemd could not start it again: a group that hands controllers down takes no process
	assert_equal "$(cat "/sys/fs/cgroup$(of cleatd.service ControlGroup)/cgroup.subtree_control")" ""
	systemctl restart cleatd.service
	systemctl restart cleat-containers.service
	assert_equal "$(cleat state "$ID" | jq -r '"\(.pid) \(.status)"')" "$pid running"
	assert_equal "$(cleat exec "$ID" /bin/tool args hello)" hello
	# a start that fails leaves no group, and no other shim's is touched
	run cleat create --bundle "$BUNDLE" "$ID"
	assert_status 125
	run cleat create --bundle "$T/none" "$ID-2"
	assert_status 125
	wait_for 10 has_no_group "shim-default@$ID-2"
	assert_equal "$(group_of "$shim_pid")" "$CONTAINERS_GROUP/shim-default@$ID"
	cleat delete --force "$ID"
	wait_for 10 has_no_group "shim-default@$ID"
	wait_for 10 has_no_group "$ID"
}

@test "what a cleatd that is gone has left empty is removed by the next one" {
	systemctl start cleatd.service
	systemctl kill -s KILL cleatd.service
	mkdir -p "/sys/fs/cgroup$CONTAINERS_GROUP/shim-default@gone"
	systemctl start cleatd.service
	assert has_no_group "shim-default@gone"
}

# systemd removes empty groups of its units, and so it does while a shim is about to go there.
@test "the groups are made again, whoever removes them while shims are started" {
	local i

	make_bundle "$BUNDLE"
	background remover sh -c "while :; do rmdir /sys/fs/cgroup$CONTAINERS_GROUP/shim-* \
		/sys/fs/cgroup$CONTAINERS_GROUP; done 2>/dev/null"
	for i in 1 2 3; do
		cleat create --bundle "$BUNDLE" "$ID-$i"
		assert_equal "$(group_of "$(cleat state "$ID-$i" | jq .shim_pid)")" \
			"$CONTAINERS_GROUP/shim-default@$ID-$i"
	done
}

# The old shim's group is still to go when the next one is to be in it.
@test "a name that is taken again at once keeps its group" {
	make_bundle "$BUNDLE"
	for _ in 1 2 3; do
		cleat create --bundle "$BUNDLE" "$ID"
		assert_equal "$(group_of "$(cleat state "$ID" | jq .shim_pid)")" \
			"$CONTAINERS_GROUP/shim-default@$ID"
		cleat delete --force "$ID"
	done
	wait_for 10 has_no_group "shim-default@$ID"
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
