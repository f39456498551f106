#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Where cgroups have to be for cleatd.service to be restarted beside running containers: a service with the
# settings of that one stands in for it, and starts a shim in a group below its own.

# shellcheck disable=SC2154 # UNIT and the like are set by units_setup

load ../integration/lib
load units

setup() {
	units_setup
	UNIT=$TAG.service
}

teardown() {
	[[ -n ${T-} ]] || return 0
	[[ -n ${BATS_TEST_COMPLETED-} ]] || systemctl status --no-pager --full cleat-containers.service
	cleat delete --force "$ID" || true
	units_teardown
	rm -f "/run/systemd/system/$UNIT"
	systemctl stop cleat-containers.service
}

is_running() {
	[[ $(cleat state "$ID" 2>/dev/null | jq -r .status) == running ]]
}

# As cleatd does: the shim's group is below our own.
make_stand_in() {
	{
		echo '[Unit]'
		grep -E '^(Wants|After)=' "$UNIT_FILES/cleatd.service" | sed 's/cleatd.socket//'
		printf '[Service]\nType=exec\nExecStart=/bin/bash %s\n' "$T/stand-in"
		grep -E '^(KillMode|Delegate|TasksMax|OOMPolicy|KeyringMode)=' "$UNIT_FILES/cleatd.service"
	} >"/run/systemd/system/$UNIT"
	cat >"$T/stand-in" <<-END
		group=/sys/fs/cgroup\$(cut -d: -f3 /proc/self/cgroup)
		if [[ ! -e $T/begun ]]; then
			: >$T/begun
			mkdir -p "\$group/shims/$TAG"
			(
				echo \$BASHPID >"\$group/shims/$TAG/cgroup.procs"
				exec $CLEAT run -d --bundle $BUNDLE $ID
			) || exit
		fi
		exec sleep 600
	END
	systemctl daemon-reload
}

@test "a service with shims below it, and their containers beside it, can be restarted, killed, stopped" {
	local group pid

	make_bundle "$BUNDLE" '.linux.resources.memory = {limit: 52428800}
		| .linux.cgroupsPath = "/system.slice/cleat-containers.service/" + $tag'
	make_stand_in
	systemctl start "$UNIT"
	wait_for 30 is_running
	pid=$(cleat state "$ID" | jq .pid)
	group=$(cut -d: -f3 "/proc/$pid/cgroup")
	assert_equal "$(of cleat-containers.service ActiveState)" active
	assert_equal "$group" "/system.slice/cleat-containers.service/$TAG"
	assert_equal "$(cat "/sys/fs/cgroup$group/memory.max")" 52428800
	assert_equal "$(cut -d: -f3 "/proc/$(cleat state "$ID" | jq .shim_pid)/cgroup")" \
		"$(of "$UNIT" ControlGroup)/shims/$TAG"
	systemctl restart "$UNIT"
	systemctl kill -s KILL --kill-who=main "$UNIT"
	wait_for 20 is "$UNIT" ActiveState failed
	systemctl start "$UNIT"
	systemctl stop "$UNIT"
	systemctl start "$UNIT"
	systemctl restart cleat-containers.service
	assert_equal "$(of "$UNIT" ActiveState)" active
	assert_equal "$(cleat state "$ID" | jq -r '"\(.pid) \(.status)"')" "$pid running"
	# and with a process of the container's own that is new
	assert_equal "$(cleat exec "$ID" /bin/tool args hello)" hello
}
