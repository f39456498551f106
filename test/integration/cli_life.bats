#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A container's life from the command line: run, create, start, wait, list, state, delete.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
}

teardown() {
	cleat_teardown
}

# A field of `cleat state`.
state_of() { # ID JQ
	cleat state "$1" | jq -r "$2"
}

is_status() { # ID STATUS
	[[ $(state_of "$1" .status) == "$2" ]]
}

@test "run hands back output and exit code" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"]'
	run --separate-stderr cleat run --rm --bundle "$BUNDLE" "$ID"
	assert_status 7
	assert_equal "$output" out
	assert_equal "$stderr" err
	assert nothing_left
}

@test "run finds the bundle in the working directory" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "exit", "0"]'
	cd "$BUNDLE"
	run cleat run --rm "$ID"
	assert_status 0
}

@test "stdin goes through to its end" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/cat"]'
	run cleat run --rm --bundle "$BUNDLE" "$ID" < <(tool random 5 300000 | base64)
	assert_status 0
	assert_equal "$(md5sum <<<"$output")" "$(tool random 5 300000 | base64 | md5sum)"
}

@test "without --rm it stays, stopped, and is told of until it is deleted" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "exit", "9"]'
	run cleat run --bundle "$BUNDLE" "$ID"
	assert_status 9
	run cleat list --json
	assert_equal "$(jq -r '.[] | [.id, .namespace, .status, .pid, .bundle] | join(" ")' <<<"$output")" \
		"$ID default stopped 0 $BUNDLE"
	assert_equal "$(state_of "$ID" '.exit_status')" 9
	assert_match "$(state_of "$ID" '.exited_at')" '^20..-..-..T..:..:..\.[0-9]{9}Z$'
	run cleat wait "$ID"
	assert_status 9
	assert_equal "$output" 9
	run cleat wait --json "$ID"
	assert_status 9
	assert_equal "$(jq -c '[.id, .exec_id, .exit_status]' <<<"$output")" "[\"$ID\",null,9]"
	run --separate-stderr cleat run --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert_match "$stderr" "^cleat: container $ID: already exists"
	run cleat rm "$ID"
	assert_status 0
	run --separate-stderr cleat wait "$ID"
	assert_status 125
	assert nothing_left
}

@test "run -d returns once it runs; list and state have the contract's keys" {
	make_bundle "$BUNDLE"
	run --separate-stderr cleat run -d --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_equal "$output$stderr" ""
	run cleat list --json
	assert_equal "$(jq -c '.[0] | keys' <<<"$output")" \
		'["bundle","created","id","namespace","pid","runtime","shim_pid","status"]'
	assert_equal "$(jq -r '.[0].status' <<<"$output")" running
	assert kill -0 "$(jq -r '.[0].pid' <<<"$output")"
	assert grep -q cleat-shim "/proc/$(jq -r '.[0].shim_pid' <<<"$output")/cmdline"
	for key in ociVersion id pid status bundle rootfs created owner namespace exit_status exited_at \
		shim_pid socket terminal processes; do
		assert_equal "$(state_of "$ID" "has(\"$key\")")" true
	done
	assert_equal "$(state_of "$ID" '[.exit_status, .exited_at, .terminal] | tojson')" \
		'[null,null,false]'
	assert_equal "$(state_of "$ID" .rootfs)" "$BUNDLE/rootfs"
	assert_equal "$(state_of "$ID" .owner)" "$(id -un)"
	assert test -S "$(state_of "$ID" .socket)"
	assert_match "$(cleat list | tail -n 1)" "^$ID +[0-9]+ +running +$BUNDLE +20"
	run cleat delete --force "$ID"
	assert_status 0
	assert nothing_left
}

@test "create, start, kill, wait, delete" {
	make_bundle "$BUNDLE"
	run cleat create --bundle "$BUNDLE" --pid-file "$T/pid" "$ID"
	assert_status 0
	assert is_status "$ID" created
	assert_equal "$(cat "$T/pid")" "$(state_of "$ID" .pid)"
	run cleat start "$ID"
	assert_status 0
	assert is_status "$ID" running
	run --separate-stderr cleat start "$ID"
	assert_status 125
	assert_match "$stderr" "^cleat: container $ID: "
	run --separate-stderr cleat delete "$ID"
	assert_status 125
	assert_match "$stderr" "^cleat: container $ID: .*running"
	background waiter "$CLEAT" --root "$ROOT" wait "$ID"
	run cleat kill "$ID"
	assert_status 0
	finish waiter
	assert_status 0
	assert_equal "$output" 0
	run --separate-stderr cleat kill "$ID"
	assert_status 125
	run cleat delete "$ID"
	assert_status 0
}

@test "a created container can be deleted by force" {
	make_bundle "$BUNDLE"
	cleat create --bundle "$BUNDLE" "$ID"
	run cleat delete --force "$ID"
	assert_status 0
	assert nothing_left
}

@test "pause and resume; a paused one can be deleted by force" {
	needs_root "has no cgroup to be frozen"
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	run cleat pause "$ID"
	assert_status 0
	assert is_status "$ID" paused
	run --separate-stderr cleat pause "$ID"
	assert_status 125
	run --separate-stderr cleat delete "$ID"
	assert_status 125
	assert_match "$stderr" paused
	run cleat resume "$ID"
	assert_status 0
	assert is_status "$ID" running
	cleat pause "$ID"
	run cleat delete --force "$ID"
	assert_status 0
	assert nothing_left
}

@test "many exit codes come back from run and wait" {
	local code

	make_bundle "$BUNDLE"
	for code in 0 1 2 124 125 126 127 128 137 254 255; do
		edit_config "$BUNDLE" ".process.args = [\"/bin/tool\", \"exit\", \"$code\"]"
		run "-$code" cleat run --bundle "$BUNDLE" "$ID"
		run "-$code" cleat wait "$ID"
		assert_equal "$output" "$code"
		cleat delete "$ID"
	done
}

@test "what cannot be executed exits with 126, what is not there with 127, and nothing is left" {
	local args want

	make_bundle "$BUNDLE"
	echo data >"$BUNDLE/rootfs/tmp/plain"
	while read -r want args; do
		edit_config "$BUNDLE" ".process.args = [\"$args\"]"
		run "-$want" --separate-stderr cleat run --bundle "$BUNDLE" "$ID"
		assert_match "$stderr" "cleat: container $ID: "
		run "-$want" --separate-stderr cleat run -d --bundle "$BUNDLE" "$ID"
		assert_match "$stderr" "^cleat: container $ID: [^"$'\n'"]*$"
		assert nothing_left
	done <<-END
		127 nope
		127 /bin/nope
		126 /tmp/plain
		126 /tmp
	END
}

@test "the same with exec, which leaves no record of it" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	run -127 --separate-stderr cleat exec "$ID" nope
	run -126 --separate-stderr cleat exec "$ID" /etc
	run -127 --separate-stderr cleat exec -d "$ID" nope
	assert_match "$stderr" "^cleat: container $ID: [^"$'\n'"]*$"
	assert_equal "$(state_of "$ID" '.processes | length')" 1
	cleat delete --force "$ID"
}

@test "a missing mount source is a failure of its own, not of the program" {
	make_bundle "$BUNDLE" '.mounts += [{destination: "/mnt", type: "bind", source: "/none/such",
		options: ["bind"]}]'
	run --separate-stderr cleat run --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert nothing_left
}

@test "the bundle is never written, and two containers may share it" {
	make_bundle "$BUNDLE" '.process.terminal = true'
	before=$(find "$BUNDLE" -printf '%p %T@ %s\n' | sort | md5sum)
	cleat run -d --bundle "$BUNDLE" "$ID" </dev/null
	cleat run -d --bundle "$BUNDLE" "$ID-2" </dev/null
	assert_equal "$(state_of "$ID" .terminal)" false
	assert_equal "$(state_of "$ID" .bundle)" "$BUNDLE"
	assert_equal "$(state_of "$ID-2" .status)" running
	assert_equal "$(find "$BUNDLE" -printf '%p %T@ %s\n' | sort | md5sum)" "$before"
	cleat delete --force "$ID"
	cleat delete --force "$ID-2"
}

@test "an id that another begins with is nobody else's" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID-2"
	cleat create --bundle "$BUNDLE" "$ID"
	assert is_status "$ID-2" running
	cleat delete --force "$ID"
	assert is_status "$ID-2" running
	run cleat delete --force "$ID"
	assert_status 125
	assert is_status "$ID-2" running
	cleat delete --force "$ID-2"
}

@test "namespaces keep equal ids apart" {
	lacks runsc "has one socket for each id on a host"
	make_bundle "$BUNDLE"
	cleat -n one run -d --bundle "$BUNDLE" "$ID"
	cleat -n two create --bundle "$BUNDLE" "$ID"
	assert_equal "$(cleat -n one list --json | jq -r '.[] | .namespace + " " + .status')" "one running"
	assert_equal "$(cleat -n two list --json | jq -r '.[] | .namespace + " " + .status')" "two created"
	assert_equal "$(cleat list -q)" ""
	cleat -n one delete --force "$ID"
	cleat -n two delete --force "$ID"
}

@test "output to a log file, none without" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/sh", "-c", "echo out; echo err >&2"]'
	cleat run -d --log "file://$T/log" --bundle "$BUNDLE" "$ID"
	cleat wait "$ID"
	cleat delete "$ID"
	assert_equal "$(sort "$T/log")" $'err\nout'
	run --separate-stderr cleat run -d --log "nope:///x" --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert_match "$stderr" "nope"
	assert nothing_left
}

@test "a pid file that cannot be written fails the run, and nothing is left" {
	make_bundle "$BUNDLE"
	run --separate-stderr cleat run --pid-file "$T/none/pid" --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert_match "$stderr" "pid file $T/none/pid"
	run --separate-stderr cleat run -d --pid-file "$T/none/pid" --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert nothing_left
}

@test "two at once on one id: one wins, the other says so" {
	make_bundle "$BUNDLE"
	for _ in {1..10}; do
		background a "$CLEAT" --root "$ROOT" run -d --bundle "$BUNDLE" "$ID"
		background b "$CLEAT" --root "$ROOT" run -d --bundle "$BUNDLE" "$ID"
		finish a
		first=$status told=$stderr
		finish b
		assert_equal "$(sort -n <<<"$first"$'\n'"$status" | tr '\n' ' ')" "0 125 "
		assert_match "$told$stderr" "^cleat: container $ID:? already exists$"
		cleat delete --force "$ID"
	done
}

@test "one shim's socket is enough" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	socket=$(state_of "$ID" .socket)
	shim() { "$CLEAT" --shim "$socket" "$@"; }
	assert_equal "$(shim version | sed -n 2p)" shim
	assert_equal "$(shim list -q)" "$ID"
	assert_equal "$(shim state "$ID" | jq -r .status)" running
	assert_match "$(shim shim ping)" "^$ID: ok \([0-9]+ µs\)$"
	assert_equal "$(shim shim list --json | jq -r '.[0].id')" "$ID"
	run shim exec "$ID" tool exit 4
	assert_status 4
	run --separate-stderr shim state other
	assert_status 125
	assert_match "$stderr" "container other: "
	run --separate-stderr shim kill other
	assert_status 125
	shim kill "$ID"
	run shim wait "$ID"
	assert_status 0
	shim delete "$ID"
	assert nothing_left
}

@test "a shim started by hand takes its one container, and may be asked twice" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "exit", "6"] | .process.terminal = true'
	socket=$("$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID" start)
	socket=${socket#unix://}
	assert_equal "$("$CLEAT" --shim "$socket" list --json)" "[]"
	run --separate-stderr "$CLEAT" --shim "$socket" run --bundle "$BUNDLE" other </dev/null
	assert_status 125
	assert_match "$stderr" "^cleat: container other: "
	run --separate-stderr "$CLEAT" --shim "$socket" create --bundle "$BUNDLE" other </dev/null
	assert_status 125
	run "$CLEAT" --shim "$socket" run --rm --bundle "$BUNDLE" "$ID" </dev/null
	assert_status 6
	assert nothing_left
}

@test "a shim with nothing in it ends when it is told to" {
	"$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID" start
	assert_equal "$(cleat list --json)" "[]"
	assert_equal "$(cleat shim list --json | jq -r '.[0].id')" "$ID"
	run --separate-stderr cleat state "$ID"
	assert_status 125
	assert_equal "$stderr" "cleat: container $ID: does not exist"
	run cleat shim exit "$ID"
	assert_status 0
	assert nothing_left
	"$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID" start
	run cleat delete --force "$ID"
	assert_status 0
	# cleatd does not wait for it
	if [[ $WAY == cleatd ]]; then wait_for 5 nothing_left; else assert nothing_left; fi
}

@test "shim list, ping and exit" {
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" "$ID"
	run cleat shim list --json
	assert_equal "$(jq -c '.[0] | keys' <<<"$output")" '["id","namespace","pid","socket","version"]'
	assert_equal "$(jq -r '.[0].pid' <<<"$output")" "$(state_of "$ID" .shim_pid)"
	assert_match "$(cleat shim ping "$ID")" "^$ID: ok \([0-9]+ µs\)$"
	run --separate-stderr cleat shim exit "$ID"
	assert_status 125
	assert_match "$stderr" "^cleat: container $ID: "
	assert is_status "$ID" running
	cleat delete --force "$ID"
	assert_equal "$(cleat shim list --json)" "[]"
}

@test "a container that the runtime has already, of somebody else's, is refused and left alone" {
	lacks runsc "removes in its run what it finds under the id"
	make_bundle "$BUNDLE"
	mkdir -p "$ROOT/r/default"
	chmod -R go= "$ROOT"
	runtime --root "$RUNTIME_ROOT" run --detach --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 3>&-
	run --separate-stderr cleat run -d --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert_match "$stderr" "already exists"
	assert_equal "$(runtime --root "$RUNTIME_ROOT" state "$ID" | jq -r .status)" running
	assert_equal "$(cleat list -q)" ""
	delete_anothers
}

# With the root, which is runsc's for this id alone.
delete_anothers() {
	runtime --root "$RUNTIME_ROOT" delete --force "$ID"
	[[ $RUNTIME != runsc ]] || rmdir "$RUNTIME_ROOT"
}

# Somebody else's container, under the id and the root that cleat is about to use.
run_anothers() { # STATUS: running, or stopped
	make_bundle "$BUNDLE"
	mkdir -p "$ROOT/r/default"
	chmod -R go= "$ROOT"
	runtime --root "$RUNTIME_ROOT" run --detach --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 3>&-
	[[ $1 == running ]] || runtime --root "$RUNTIME_ROOT" kill "$ID" KILL
	wait_for 5 anothers_is "$1"
}

anothers_is() { # STATUS
	[[ $(runtime --root "$RUNTIME_ROOT" state "$ID" | jq -r .status) == "$1" ]]
}

# runc looks at config.json before it looks at the id.
refused_beside_anothers() { # STATUS
	lacks crun "looks at the id first"
	lacks runsc "looks at the id first"
	run_anothers "$1"
	edit_config "$BUNDLE" '.hostname = "web" | .linux.namespaces |= map(select(.type != "uts"))'
	for command in create "run -d"; do
		# shellcheck disable=SC2086
		run --separate-stderr cleat $command --bundle "$BUNDLE" "$ID"
		assert_status 125
		assert_match "$stderr" "UTS namespace"
		assert anothers_is "$1"
	done
	assert_equal "$(cleat list -q)" ""
	delete_anothers
}

@test "a create that fails for another reason leaves somebody else's container alone" {
	refused_beside_anothers running
}

@test "the same where that one has stopped" {
	refused_beside_anothers stopped
}

@test "a runtime that hangs in create, and somebody else's container under the id" {
	run_anothers running
	printf '#!/bin/sh\ncase " $* " in *" create "*) exec sleep 100;; esac\nexec %s "$@"\n' \
		"${RUNTIME_COMMAND[*]}" >"$T/$RUNTIME"
	chmod 0755 "$T/$RUNTIME"
	run --separate-stderr cleat --runtime "$T/$RUNTIME" --deadline 1 create --bundle "$BUNDLE" "$ID"
	assert_status 125
	assert_match "$stderr" "no answer in 1 s"
	assert anothers_is running
	delete_anothers
}
