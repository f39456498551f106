#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `cleat checkpoint` and `cleat restore`. A counter is checkpointed, its container deleted, restored,
# and counts on: with runsc by itself, with runc where CRIU runs on this kernel.
#
# With RUNTIME set to runsc or crun, over that one alone; otherwise over runc and, where it is, runsc.
# deadline: 300

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	# see with: shims have it from cleatd
	if [[ $WAY == cleatd ]]; then
		stop_process "${PID[cleatd]}"
		TMPDIR=/tmp start_cleatd
	fi
}

teardown() {
	cleat_teardown
}

# Skips the test where the runtime is not asked for, not here, or cannot do this on this kernel.
needs() { # RUNTIME
	[[ $RUNTIME == runc || $RUNTIME == "$1" ]] || skip "RUNTIME is $RUNTIME"
	command -v "$1" >/dev/null || skip "no $1 here"
	[[ $1 != runc ]] || criu check >/dev/null 2>&1 || skip "CRIU does not run on this kernel"
	OPTIONS=(--runtime "$1")
	[[ $1 != runsc ]] ||
		OPTIONS+=(--runtime-opt platform=ptrace --runtime-opt network=none --runtime-opt ignore-cgroups)
}

# runsc's sandbox makes its root in TMPDIR, where nobody's user has to get to: not in a private one.
with() { # ARGS...
	local -x TMPDIR=/tmp

	"$CLEAT" --root "$ROOT" "${OPTIONS[@]}" "$@"
}

# Counts in a file and on stdout, and ends with 7.
make_counter() { # LAST
	make_bundle "$BUNDLE" ".process.args = [\"/bin/sh\", \"-c\",
		\"i=0; while [ \$i -lt $1 ]; do i=\$((i+1)); echo \$i >/n; mv /n /count; echo \$i; sleep 0.03; done; exit 7\"]
		| .root.readonly = false"
}

count() {
	cat "$BUNDLE/rootfs/count" 2>/dev/null || echo 0
}

counts_past() { # N
	[[ $(count) -gt $1 ]]
}

# From nothing to an image in ./checkpoint, and back to nothing; reached is how far it came.
checkpointed() {
	with run -d --bundle "$BUNDLE" --log "file://$T/log" "$ID"
	wait_for 10 counts_past 20
	with checkpoint "$ID"
	with wait "$ID" || true
	assert_equal "$(with state "$ID" | jq -r .status)" stopped
	reached=$(count)
	with delete "$ID"
	rm "$BUNDLE/rootfs/count"
}

counts_on() { # RUNTIME
	local first

	needs "$1"
	make_counter 600
	checkpointed
	: >"$T/log"
	with restore -d --bundle "$BUNDLE" --log "file://$T/log" --pid-file "$T/pid" "$ID"
	wait_for 10 counts_past "$reached"
	first=$(head -n 1 "$T/log")
	assert_equal "$((first >= reached && first <= reached + 2))" 1
	assert_equal "$(cat "$T/pid")" "$(with state "$ID" | jq .pid)"
	assert_equal "$(with state "$ID" | jq -r .status)" running
	with delete --force "$ID"
}

@test "runsc: a counter is checkpointed, deleted, restored, and counts on" {
	counts_on runsc
}

@test "runc: a counter is checkpointed, deleted, restored, and counts on" {
	counts_on runc
}

in_the_foreground() { # RUNTIME
	needs "$1"
	make_counter 120
	checkpointed
	run --separate-stderr with restore --bundle "$BUNDLE" --rm "$ID"
	assert_status 7
	assert_equal "${lines[-1]}" 120
	assert_equal "$((lines[0] >= reached && lines[0] <= reached + 2))" 1
	assert_equal "$(with list --json)" "[]"
}

@test "runsc: restored in the foreground, its streams and exit status are cleat's" {
	in_the_foreground runsc
}

@test "runc: restored in the foreground, its streams and exit status are cleat's" {
	in_the_foreground runc
}

@test "runc: left running, and restored from that image later" {
	needs runc
	make_counter 600
	with run -d --bundle "$BUNDLE" --log "file://$T/log" "$ID"
	wait_for 10 counts_past 20
	with checkpoint --leave-running --image-path image --work-path "$T/criu" "$ID"
	assert test -e "$T/criu/dump.log"
	reached=$(count)
	wait_for 10 counts_past "$((reached + 5))"
	assert_equal "$(with state "$ID" | jq -r .status)" running
	with delete --force "$ID"
	rm "$BUNDLE/rootfs/count"
	with restore -d --bundle "$BUNDLE" --image-path image --log "file://$T/log" "$ID"
	wait_for 10 counts_past "$((reached + 5))"
	with delete --force "$ID"
}

@test "runc: a pre-dump, and a checkpoint that builds on it" {
	needs runc
	make_counter 600
	with run -d --bundle "$BUNDLE" --log "file://$T/log" "$ID"
	wait_for 10 counts_past 20
	with checkpoint --pre-dump --image-path "$T/images/1" "$ID"
	assert_equal "$(with state "$ID" | jq -r .status)" running
	with checkpoint --image-path "$T/images/2" --parent-path ../1 "$ID"
	with wait "$ID" || true
	reached=$(count)
	with delete "$ID"
	rm "$BUNDLE/rootfs/count"
	with restore -d --bundle "$BUNDLE" --image-path "$T/images/2" --log "file://$T/log" "$ID"
	wait_for 10 counts_past "$reached"
	with delete --force "$ID"
}

@test "the events of it: checkpointed with the image, and create with it on the way back" {
	needs runsc
	make_counter 600
	with run -d --bundle "$BUNDLE" --log "file://$T/log" "$ID"
	wait_for 10 counts_past 5
	with checkpoint --image-path image "$ID"
	with wait "$ID" || true
	assert_equal "$(delete_told "$ID" | jq -r 'select(.topic == "/tasks/checkpointed").checkpoint')" \
		"$PWD/image"
	with restore -d --bundle "$BUNDLE" --image-path image "$ID"
	assert_equal "$(delete_told "$ID" | jq -r 'select(.topic == "/tasks/create").checkpoint')" \
		"$PWD/image"
}

@test "what runsc has not is refused by name, and the container goes on" {
	needs runsc
	make_counter 600
	with run -d --bundle "$BUNDLE" "$ID"
	run with checkpoint --leave-running "$ID"
	assert_status 125
	assert_equal "$output" "cleat: container $ID: runsc checkpoint has no --leave-running"
	run with checkpoint --file-locks "$ID"
	assert_equal "$output" "cleat: container $ID: runsc checkpoint has no --file-locks"
	assert_equal "$(with state "$ID" | jq -r .status)" running
	with delete --force "$ID"
	mkdir image
	run with restore --bundle "$BUNDLE" --image-path image --empty-ns network "$ID"
	assert_status 125
	assert_equal "$output" "cleat: container $ID: runsc restore has no --empty-ns"
}

@test "restore from nothing, and from junk: one sentence, and nothing is left" {
	needs runsc
	make_counter 600
	run --separate-stderr with restore --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert_equal "$stderr" "cleat: container $ID: checkpoint \"$PWD/checkpoint\": No such file or directory"
	mkdir junk
	echo junk >junk/checkpoint.img
	run with restore -d --bundle "$BUNDLE" --image-path junk "$ID"
	assert_status 125
	assert_match "$output" "cleat: container $ID: OCI runtime restore failed: .*magic"
	assert_equal "$(with list --json)" "[]"
}

@test "where CRIU cannot, runc's own words, and the container goes on" {
	[[ $RUNTIME == runc ]] || skip "RUNTIME is $RUNTIME"
	! criu check >/dev/null 2>&1 || skip "CRIU runs here"
	OPTIONS=()
	make_counter 600
	with run -d --bundle "$BUNDLE" "$ID"
	wait_for 10 counts_past 5
	run with checkpoint "$ID"
	assert_status 125
	assert_match "$output" "cleat: container $ID: OCI runtime checkpoint failed: "
	assert_equal "$(with state "$ID" | jq -r .status)" running
	wait_for 10 counts_past "$(($(count) + 5))"
	with delete --force "$ID"
}

@test "crun: its own words where it has no such command, and the container goes on" {
	[[ $RUNTIME == crun ]] || skip "crun is not asked for"
	OPTIONS=(--runtime crun)
	! crun checkpoint --help >/dev/null 2>&1 || skip "this crun has checkpoints"
	make_counter 600
	with run -d --bundle "$BUNDLE" "$ID"
	wait_for 10 counts_past 5
	run with checkpoint "$ID"
	assert_status 125
	assert_match "$output" "cleat: container $ID: "
	assert_equal "$(with state "$ID" | jq -r .status)" running
	with delete --force "$ID"
}

@test "options that exclude each other, and a container that is not there" {
	OPTIONS=()
	run with checkpoint --leave-running --pre-dump "$ID"
	assert_status 125
	assert_equal "$output" "cleat: --leave-running and --pre-dump exclude each other"
	run with checkpoint "$ID"
	assert_status 125
	assert_match "$output" "cleat: container $ID"
	run with restore --rm -d --bundle "$BUNDLE" "$ID"
	assert_status 125
}
