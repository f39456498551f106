#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Containers whose shim was killed: still listed, told of, signalled and removed.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	needs_way direct cleatd -- "there is no socket of a shim that is dead"
	make_bundle "$BUNDLE"
}

teardown() {
	cleat_teardown
}

kill_shim() {
	local pid

	pid=$(cleat state "$ID" | jq .shim_pid)
	kill -KILL "$pid"
	wait_for 5 is_orphaned
}

is_orphaned() {
	[[ $(cleat list --json | jq -r '.[0].status') == orphaned ]]
}

@test "an orphan that lives is listed, signalled, and removed by force" {
	needs_root "has no cgroup, by which runc lists processes"
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat exec -d "$ID" sleep 100
	init=$(cleat state "$ID" | jq .pid)
	kill_shim
	run cleat list --json
	assert_equal "$(jq -c '.[0] | [.id, .status, .pid, .shim_pid]' <<<"$output")" \
		"[\"$ID\",\"orphaned\",$init,0]"
	run cleat state "$ID"
	assert_status 0
	assert_equal "$(jq -c '[.status, .pid, .exit_status]' <<<"$output")" "[\"orphaned\",$init,null]"
	run cleat ps --json "$ID"
	assert_status 0
	assert_equal "$(jq "any(.pid == $init)" <<<"$output")" true
	assert_equal "$(cleat shim list --json)" "[]"
	for command in start pause resume "shim ping" "shim exit"; do
		# shellcheck disable=SC2086
		run --separate-stderr cleat $command "$ID"
		assert_status 125
		assert_equal "$stderr" "cleat: container $ID: is orphaned: its shim is gone"
	done
	run --separate-stderr cleat exec "$ID" true
	assert_status 125
	assert_match "$stderr" "is orphaned"
	run --separate-stderr cleat delete "$ID"
	assert_status 125
	assert_match "$stderr" "^cleat: container ${ID}[: ]"
	run cleat delete --force "$ID"
	assert_status 0
}

@test "a signal goes to its first process, which may ignore it" {
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "ignore-term"]'
	cleat run -d --bundle "$BUNDLE" --log "file://$T/log" "$ID"
	wait_for 5 grep -q ready "$T/log"
	kill_shim
	cleat kill "$ID" TERM
	background waiter "$CLEAT" --root "$ROOT" wait "$ID"
	wait_for 5 awaits_a_process
	assert [ "$(cleat state "$ID" | jq .pid)" -gt 0 ]
	cleat kill "$ID" KILL
	finish waiter
	assert_equal "$output" "$LOST"
	cleat delete "$ID"
}

@test "an orphan that is frozen dies of force, with its execs" {
	needs_root "has no cgroup to be frozen"
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat exec -d "$ID" sleep 100
	cleat pause "$ID"
	kill_shim
	run --separate-stderr cleat delete --force "$ID"
	assert_equal "$stderr" ""
	assert_status 0
	assert_equal "$(cleat list --json)" "[]"
}

@test "an orphan that somebody else has frozen dies of force" {
	needs_root "has no cgroup to be frozen"
	cleat run -d --bundle "$BUNDLE" "$ID"
	runtime --root "$RUNTIME_ROOT" pause "$ID"
	kill_shim
	run --separate-stderr cleat delete --force "$ID"
	assert_equal "$stderr" ""
	assert_status 0
}

@test "one whose files are broken is listed, and told what is wrong with it" {
	needs_way direct -- "what is known before goes before the file"
	cleat run -d --bundle "$BUNDLE" "$ID"
	cp "$ROOT/c/default/$ID/state.json" "$T/state.json"
	kill_shim
	echo '{"v": 1, ' >"$ROOT/c/default/$ID/state.json"
	run --separate-stderr cleat list --json
	assert_equal "$stderr" ""
	assert_equal "$(jq -c '.[0] | del(.created, .namespace)' <<<"$output")" \
		"{\"id\":\"$ID\",\"status\":\"unknown\",\"pid\":0,\"bundle\":\"\",\"runtime\":\"\",\"shim_pid\":0}"
	assert_equal "$(cleat list -q)" "$ID"
	for command in state delete "delete --force"; do
		# shellcheck disable=SC2086
		run --separate-stderr cleat $command "$ID"
		assert_status 125
		assert_match "$stderr" "^cleat: container $ID: state.json: line "
	done
	cp "$T/state.json" "$ROOT/c/default/$ID/state.json"
	cleat delete --force "$ID"
}

@test "one whose shim cannot be found by its file is listed" {
	needs_way direct -- "a shim that is found already is not looked for"
	cleat run -d --bundle "$BUNDLE" "$ID"
	cp "$ROOT/c/default/$ID/shim.json" "$T/shim.json"
	echo '{}' >"$ROOT/c/default/$ID/shim.json"
	assert_equal "$(cleat list --json | jq -c '.[0] | [.id, .status]')" "[\"$ID\",\"running\"]"
	run --separate-stderr cleat state "$ID"
	assert_status 125
	assert_match "$stderr" "^cleat: container $ID: shim.json: "
	cp "$T/shim.json" "$ROOT/c/default/$ID/shim.json"
	cleat delete --force "$ID"
}

@test "an exit that was recorded is told" {
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "exit", "33"]'
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat wait "$ID" || true
	kill_shim
	run cleat wait "$ID"
	assert_status 33
	assert_equal "$output" 33
	assert_equal "$(cleat state "$ID" | jq -c '[.status, .pid, .exit_status]')" '["orphaned",0,33]'
	run cleat delete "$ID"
	assert_status 0
}

@test "an exit that nobody saw is unknown, never a number" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	kill_shim
	background waiter "$CLEAT" --root "$ROOT" wait "$ID"
	cleat kill "$ID" KILL
	finish waiter
	assert_status "$LOST_STATUS"
	assert_equal "$output" "$LOST"
	run cleat wait --json "$ID"
	assert_status "$LOST_STATUS"
	assert_equal "$(jq .exit_status <<<"$output" | sed s/null/unknown/)" "$LOST"
	run --separate-stderr cleat kill "$ID"
	assert_status 125
	assert_match "$stderr" "already finished"
	run cleat delete "$ID"
	assert_status 0
}

# A wait under way, whose shim is dead by now: it goes on until the container has ended.
assert_waits_on() {
	wait_for 5 is_orphaned
	assert kill -0 "${PID[waiter]}"
	cleat kill "$ID" KILL
	finish waiter
	assert_equal "$stderr" ""
	assert_status "$LOST_STATUS"
	assert_equal "$output" "$LOST"
	cleat delete --force "$ID"
}

# Wherever it is by then: it may be connecting still, or ask already.
@test "a wait whose shim dies goes on without it" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	background waiter "$CLEAT" --root "$ROOT" wait "$ID"
	kill_shim
	assert_waits_on
}

@test "a wait that asks a shim which hangs, and then dies, goes on without it" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	shim=$(cleat state "$ID" | jq .shim_pid)
	socket=$(cleat state "$ID" | jq -r .socket)
	socket=${socket##*/}
	kill -STOP "$shim"
	[[ $WAY != cleatd ]] || socket=cleatd.sock
	# bound through a descriptor of its folder, so that only the name is sure
	connections() { grep -c "/$socket\$" /proc/net/unix; }
	before=$(connections)
	background waiter "$CLEAT" --root "$ROOT" wait "$ID"
	has_connected() { [[ $(connections) -gt $before ]]; }
	wait_for 5 has_connected
	kill -KILL "$shim"
	assert_waits_on
}

# Or asks cleatd, which does.
awaits_a_process() {
	local fds=/proc/${PID[waiter]}/fd

	[[ $WAY == direct ]] || { [[ $(find "$fds" -lname 'socket:*') ]] && return; }
	[[ $(find "$fds" -lname '*pidfd*') ]]
}

# While the kernel takes a process apart its connections are gone before its lock is free. That is
# a moment, which a stand-in makes as long as it has to be.
wait_on_dying_shim() { # HOW
	needs_way direct -- "who waits does not ask the stand-in for a shim"
	cleat run -d --bundle "$BUNDLE" "$ID"
	kill_shim
	background shim "$BATS_TEST_DIRNAME/stand_in.py" "$ROOT/c/default/$ID" "$1"
	wait_for 5 grep -q ready "$T/shim.out"
	background waiter "$CLEAT" --root "$ROOT" wait "$ID"
	wait_for 5 awaits_a_process
	stop_process "${PID[shim]}"
	unset "PID[shim]"
	assert_waits_on
}

@test "a wait whose shim is dying, and has broken off, goes on without it" {
	wait_on_dying_shim hang-up
	assert grep -q asked "$T/shim.out"
}

@test "a wait whose shim is dying, and takes no connection, goes on without it" {
	wait_on_dying_shim refuse
}

@test "a wait that comes when the shim has been told to end tells the exit" {
	edit_config "$BUNDLE" '.process.args = ["/bin/sh", "-c",
		"trap : TERM; trap \"exit 7\" USR1; echo ready; while :; do sleep 0.02; done"]'
	cleat run -d --bundle "$BUNDLE" --log "file://$T/log" "$ID"
	wait_for 5 grep -q ready "$T/log"
	kill -TERM "$(cleat state "$ID" | jq .shim_pid)"
	is_ending() { cleat shim ping "$ID" 2>&1 | grep -q "the shim is ending"; }
	wait_for 5 is_ending
	background waiter "$CLEAT" --root "$ROOT" wait "$ID"
	wait_for 5 awaits_a_process
	runtime --root "$RUNTIME_ROOT" kill "$ID" USR1
	finish waiter
	assert_equal "$stderr" ""
	assert_status 7
	assert_equal "$output" 7
	cleat delete --force "$ID"
}

@test "a foreground run whose shim dies says so" {
	background run "$CLEAT" --root "$ROOT" run --bundle "$BUNDLE" "$ID"
	runs() { [[ $(cleat list --json | jq -r '.[0].status') == running ]]; }
	wait_for 10 runs
	kill_shim
	finish run
	assert_status 125
	assert_match "$stderr" "^cleat: container $ID: "
	cleat delete --force "$ID"
}

# A container whose rootfs Create has mounted by its list, on a folder that it made. Its shim is
# killed.
create_on_mount() {
	local socket

	mv "$BUNDLE/rootfs" "$T/lower"
	socket=$("$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID" start 3>&-)
	"$BATS_TEST_DIRNAME/task_call.py" "${socket#unix://}" create-on "$T/lower" "$ID" "$BUNDLE" \
		"" "" "" >/dev/null
	"$BATS_TEST_DIRNAME/task_call.py" "${socket#unix://}" start "$ID" "" >/dev/null
	assert_equal "$(test_mounts)" "$BUNDLE/rootfs"
	kill_shim
}

@test "the mounts of an orphan go with it: delete --force" {
	needs_root "may not mount"
	create_on_mount
	run cleat delete --force "$ID"
	assert_status 0
	assert_equal "$output" ""
	assert_equal "$(test_mounts)" ""
	assert test ! -e "$BUNDLE/rootfs"
	assert test -e "$T/lower/bin/tool"
}

@test "the mounts of an orphan go with it: the shim's own delete" {
	needs_root "may not mount"
	create_on_mount
	"$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID" delete >"$T/answer" 3>&-
	assert test -s "$T/answer"
	assert_equal "$(test_mounts)" ""
	assert test ! -e "$BUNDLE/rootfs"
	assert test -e "$T/lower/bin/tool"
}

@test "mounts of an orphan that cannot be undone are told, and it stays to be tried again" {
	needs_root "may not mount"
	needs_way direct -- "it is not this cleat that unmounts"
	create_on_mount
	mkdir "$T/bin"
	cp "$CLEAT_BIN/cleat" "$T/bin/"
	# shellcheck disable=SC2016 # $2 is the script's
	printf '#!/bin/sh\necho "unmount $2: no luck" >&2\nexit 1\n' >"$T/bin/cleat-shim"
	chmod 0755 "$T/bin/cleat-shim"
	run --separate-stderr "$T/bin/cleat" --root "$ROOT" delete --force "$ID"
	assert_status 125
	assert_equal "$stderr" "cleat: container $ID: unmount $BUNDLE/rootfs: no luck"
	is_orphaned
	cleat delete --force "$ID"
}

# A shim that is killed while its runtime waits in a hook of that name.
kill_in_hook() { # HOOK COMMAND...
	local hook=$1

	shift
	mkfifo "$T/gate"
	edit_config "$BUNDLE" ".hooks.$hook = [{path: \"/bin/sh\",
		args: [\"sh\", \"-c\", \"echo >$T/in-hook; read x <$T/gate\"]}]"
	background making "$CLEAT" --root "$ROOT" "$@" --bundle "$BUNDLE" "$ID"
	wait_for 10 test -e "$T/in-hook"
	kill -KILL "$(jq .pid "$ROOT/c/default/$ID/shim.json")"
	finish making
	assert_status 125
	wait_for 5 is_orphaned
}

removed_by_force() {
	run cleat wait "$ID"
	assert_status 125
	assert_equal "$output" unknown
	run --separate-stderr cleat delete "$ID"
	assert_status 125
	assert_equal "$stderr" \
		"cleat: container $ID was being created when its shim died: --force removes it"
	run cleat delete --force "$ID"
	assert_status 0
	assert_equal "$output" ""
	wait_for 5 nothing_left # process 1 may be slow to reap what it inherited
}

@test "a shim killed in the middle of create: the runtime, its hook, and all they made" {
	needs_root "may not make the cgroup by which it is seen"
	edit_config "$BUNDLE" ".linux.cgroupsPath = \"/$TAG-group/$ID\""
	kill_in_hook createRuntime create
	removed_by_force
}

@test "the same while the container's first process is in a hook" {
	needs_root "may not make the cgroup by which it is seen"
	lacks runsc "runs no hooks inside"
	kill_in_hook createContainer create
	removed_by_force
}

@test "the same in the middle of a run, for the shim's own delete" {
	kill_in_hook prestart run -d
	"$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID" delete >"$T/answer" 3>&-
	assert test -s "$T/answer"
	wait_for 5 nothing_left # process 1 may be slow to reap what it inherited
}

# The shim is killed before its runtime has found somebody else's container under the id.
kill_beside_anothers() { # STATUS: running, or stopped
	local runc=("${RUNTIME_COMMAND[@]}" --root "$RUNTIME_ROOT")

	mkdir -p "$ROOT/r/default"
	chmod -R go= "$ROOT"
	"${runc[@]}" run --detach --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 3>&-
	[[ $1 == running ]] || "${runc[@]}" kill "$ID" KILL
	anothers_is() { [[ $("${runc[@]}" state "$ID" | jq -r .status) == "$1" ]]; }
	wait_for 5 anothers_is "$1"
	# shellcheck disable=SC2016 # the script's
	printf '#!/bin/sh\ncase " $* " in *" create "*) >%s; exec sleep 100;; esac\nexec %s "$@"\n' \
		"$T/began" "${RUNTIME_COMMAND[*]}" >"$T/$RUNTIME"
	chmod 0755 "$T/$RUNTIME"
	background making "$CLEAT" --root "$ROOT" --runtime "$T/$RUNTIME" create --bundle "$BUNDLE" "$ID"
	wait_for 10 test -e "$T/began"
	kill -KILL "$(jq .pid "$ROOT/c/default/$ID/shim.json")"
	finish making
	assert_status 125
	wait_for 5 is_orphaned
	run cleat delete --force "$ID"
	assert_status 0
	assert_equal "$output" ""
	assert anothers_is "$1"
	assert_equal "$(cleat list -q)" ""
	"${runc[@]}" delete --force "$ID"
	[[ $RUNTIME != runsc ]] || rmdir "$RUNTIME_ROOT" # which is for this id alone
}

@test "what is left of a create goes without somebody else's container of its id" {
	kill_beside_anothers running
}

@test "the same where that one has stopped" {
	lacks runsc "does not tell when a container was made"
	kill_beside_anothers stopped
}

@test "a runtime's run that hangs ends with its shim" {
	# shellcheck disable=SC2016 # the script's
	printf '#!/bin/sh\ncase " $* " in *" pause "*) echo $$ >%s; exec sleep 100;; esac\nexec %s "$@"\n' \
		"$T/began" "${RUNTIME_COMMAND[*]}" >"$T/$RUNTIME"
	chmod 0755 "$T/$RUNTIME"
	cleat --runtime "$T/$RUNTIME" run -d --bundle "$BUNDLE" "$ID"
	background pausing "$CLEAT" --root "$ROOT" pause "$ID"
	wait_for 10 test -s "$T/began"
	kill_shim
	wait_for 5 is_gone "$(<"$T/began")"
	finish pausing
	assert_status 125
	cleat delete --force "$ID"
}

@test "a shim killed at any point of a create, many times" {
	deadline 240
	run "$BATS_TEST_DIRNAME/kill_shim.py" "$ROOT/c/default/$ID" "${CLEAT_TEST_KILLS:-120}" \
		"$BUNDLE" "$CLEAT" --root "$ROOT"
	assert_status 0
	assert [ "$output" -gt 20 ]
}

@test "a shim that hangs does not hang the list" {
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat run -d --bundle "$BUNDLE" "$ID-2"
	shim=$(cleat state "$ID" | jq .shim_pid)
	kill -STOP "$shim"
	before=${EPOCHREALTIME/./}
	run cleat list --json
	took=$((${EPOCHREALTIME/./} - before))
	kill -CONT "$shim"
	assert_status 0
	assert_equal "$(jq -r 'map(.status) | join(" ")' <<<"$output")" "running running"
	assert_equal "$(jq ".[0].shim_pid" <<<"$output")" "$shim"
	assert [ "$took" -lt 1000000 ]
	cleat delete --force "$ID"
	cleat delete --force "$ID-2"
}
