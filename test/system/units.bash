# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the suites of the units share, beside test/integration/lib.bash: the units as `make install` puts
# them, containers as units, and what systemd says of them. Only in the virtual machine, whose systemd is
# theirs alone.
#
#   units_setup          installs them (once), and cleat's folder becomes /run/cleat: theirs
#   units_teardown       stops what the test has started
#   make_unit WORD...    cleat@ID runs these words of the multi-tool; edit_config "$BUNDLE" for more
#   set_unit LINE...     a drop-in for cleat@ID with these lines below [Service]
#   of UNIT PROPERTY     as systemd has it
#   is UNIT PROPERTY VALUE

UNIT_FILES=/usr/local/lib/systemd/system

units_setup() {
	[[ -d /cleat/installed && $(cat /proc/1/comm) == systemd ]] ||
		skip "these units are tried in the virtual machine"
	cleat_setup
	# shellcheck disable=SC2034 # for the suites and lib.bash
	ROOT=/run/cleat UNIT=cleat@$ID.service
	[[ -e $UNIT_FILES/cleat@.service ]] || cp -a /cleat/installed/. /
	systemctl daemon-reload
}

units_teardown() {
	local status=0

	[[ -n ${T-} ]] || return 0
	if [[ -z ${BATS_TEST_COMPLETED-} ]]; then
		systemctl status --no-pager --full "$UNIT" 2>&1 | tail -n 20
	fi
	timeout 60 systemctl stop "$UNIT" || status=1
	systemctl reset-failed "$UNIT" 2>/dev/null
	rm -rf "/etc/cleat/containers/$ID.conf" "/run/systemd/system/$UNIT.d"
	systemctl daemon-reload
	cleat_teardown || status=1
	return $status
}

make_unit() {
	local words

	words=$(jq -cn '$ARGS.positional' --args -- /bin/tool "$@")
	make_bundle "$BUNDLE" ".process.args = $words"
	mkdir -p /etc/cleat/containers
	echo "BUNDLE=$BUNDLE" >"/etc/cleat/containers/$ID.conf"
}

set_unit() {
	mkdir -p "/run/systemd/system/$UNIT.d"
	printf '%s\n' '[Service]' "$@" >"/run/systemd/system/$UNIT.d/test.conf"
	systemctl daemon-reload
}

of() {
	systemctl show -P "$2" "$1"
}

is() {
	[[ $(of "$1" "$2") == "$3" ]]
}
