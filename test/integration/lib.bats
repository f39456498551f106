#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The helpers themselves: bundles run, and nothing that a test can leave behind is overlooked.

load lib

setup() {
	cleat_setup
}

teardown() {
	cleat_teardown
}

@test "a bundle runs under the runtime, with busybox and the multi-tool in it" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c", "ls /bin | wc -l; tool exit 7"]'
	run runtime --root "$T/r" run --bundle "$BUNDLE" "$ID"
	assert_status 7
	[ "$output" -gt 100 ]
}

@test "a test that leaves nothing is told so" {
	assert nothing_left
	mkdir -p "$ROOT"/{s,c/default,r/default}
	assert nothing_left
}

@test "a left process is found by its command line" {
	: >"$T/work/log"
	(cd / && exec env -i tail -f "$T/work/log") 3>&- &
	wait_for 5 grep -q tail "/proc/$!/comm"
	assert_match "$(leftovers)" "process $! \(by its cmdline\): tail -f"
	stop_process $!
}

@test "a left process is found by its working directory" {
	(cd "$T/work" && exec env -i sleep 60) 3>&- &
	wait_for 5 grep -q sleep "/proc/$!/comm"
	assert_match "$(leftovers)" "process $! \(by its cwd\): sleep 60"
	stop_process $!
}

@test "a left process is found by its environment" {
	(cd / && exec sleep 60) 3>&- &
	wait_for 5 grep -q sleep "/proc/$!/comm"
	assert_match "$(leftovers)" "process $! \(by its environ\): sleep 60"
	stop_process $!
}

@test "a left container is found by its cgroup, and removed" {
	lacks runsc "has no cgroup with --ignore-cgroups"
	make_bundle "$BUNDLE" '.process.env = []'
	runtime --root "$T/r" run --detach --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 3>&-
	# start has returned once init was let go: it becomes the tool in its own time
	wait_for 10 grep -q "tool" "/proc/$(runtime --root "$T/r" state "$ID" | jq .pid)/cmdline"
	runtime --root "$T/r" pause "$ID"
	found=$(leftovers)
	assert_match "$found" "process [0-9]+ \(by its cgroup\): /bin/tool pause"
	assert_match "$found" "cgroup /sys/fs/cgroup/[a-z/]*$ID"
	wait_for 10 no_processes
	wait_for 10 no_cgroups
	assert nothing_left
}

@test "a left mount, file, folder and socket are found" {
	mkdir -p "$ROOT/c/default/x" "$ROOT/s"
	mount -t tmpfs none "$ROOT/c/default/x"
	found=$(leftovers)
	umount "$ROOT/c/default/x"
	assert_match "$found" "mount $ROOT/c/default/x"
	assert_match "$found" "file $ROOT/c/default/x"
	/usr/bin/python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$ROOT/s/0"
	touch "$TMPDIR/forgotten"
	found=$(leftovers)
	assert_match "$found" "file $ROOT/s/0"
	assert_match "$found" "file $T/tmp/forgotten"
	rm -r "${ROOT:?}"/c "$ROOT/s/0" "$TMPDIR/forgotten"
}

@test "at the deadline what the test waits for is killed" {
	deadline 1
	run sleep 60
	assert_status 137
	assert test -e "$T/dog/barked"
	rm "$T/dog/barked"
}

@test "background and finish" {
	background a sh -c 'echo out; echo err >&2; exit 3'
	finish a
	assert_status 3
	# shellcheck disable=SC2154 # set by finish
	assert_equal "$output/$stderr" "out/err"
	background b sleep 60
	assert_equal "$(count_processes)" 1
}

# Runs the suite on stdin, with a copy of the helpers beside it. TEST stands for bats's own word,
# which it would find here too.
inner() {
	mkdir "$T/inner"
	cp "$BATS_TEST_DIRNAME/lib.bash" "$T/inner/"
	cat >"$T/inner/inner.bats" <<-'EOF'
		load lib
		setup() { cleat_setup; }
		teardown() { cleat_teardown; }
	EOF
	sed 's/^TEST/@test/' >>"$T/inner/inner.bats"
	run env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "CLEAT_BIN=$CLEAT_BIN" bats --tap "$T/inner/inner.bats"
}

@test "what a test leaves behind fails it, is named and removed" {
	inner <<-'EOF'
		TEST leaves {
		        echo "$T" >"${BATS_TEST_FILENAME%/*}/T"
		        (cd / && exec setsid sleep 60) 3>&- &
		        mkdir -p "$ROOT/s"
		        touch "$ROOT/s/socket"
		}
		TEST "leaves nothing" {
		        true
		}
	EOF
	assert_status 1
	assert_match "$output" "not ok 1 leaves"
	assert_match "$output" "# process [0-9]+ \(by its environ\): sleep 60"
	assert_match "$output" "# file /tmp/ct-[A-Za-z0-9]+/root/s/socket"
	assert_match "$output" "ok 2 leaves nothing"
	refute_match "$output" "not ok 2"
	assert test ! -e "$(cat "$T/inner/T")"
	assert_equal "$(grep -lsaF "CLEAT_TEST=$(basename "$(cat "$T/inner/T")")" /proc/[0-9]*/environ)" ""
}

@test "a test past its deadline fails" {
	inner <<-'EOF'
		TEST slow {
		        deadline 1
		        sleep 60 || true
		}
	EOF
	assert_status 1
	assert_match "$output" "exceeded its deadline of 1 s"
}
