#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# start and delete as containerd calls them, without a containerd: the flags, the bundle as working
# folder, one answer on stdout, and the truth about an exit whatever happened to the shim. A containerd
# of its own has test/containerd.
# deadline: 180

load lib

setup() {
	cleat_setup
	lacks crun "is not what containerd's shim runs by itself"
	lacks runsc "is not what containerd's shim runs by itself"
	make_bundle "$BUNDLE"
	SOCKET=$T/s/shim.sock
	RUNC_ROOT=/run/containerd/runc/$TAG
	NAME=containerd-shim-cleat-v2
	SHIM_PROGRAM=$CLEAT_BIN/$NAME
}

teardown() {
	runc --root "$RUNC_ROOT" delete --force "$ID" 2>/dev/null || true
	rmdir "$RUNC_ROOT" 2>/dev/null || true
	cleat_teardown
}

# start [FLAG...]: in the bundle; its stdout and stderr are one, as for containerd.
start() {
	(cd "$BUNDLE" && exec "$SHIM_PROGRAM" -namespace "$TAG" -address "$T/containerd.sock" \
		-publish-binary /bin/true -id "$ID" "$@" start) </dev/null
}

start_here() {
	start -socket "$SOCKET" "$@"
}

start_twenty() {
	local n

	cd "$BUNDLE" || return
	for n in {1..20}; do
		background "s$n" "$SHIM_PROGRAM" -namespace "$TAG" -address x -id "$ID" \
			-socket "$SOCKET" start
	done
	for n in {1..20}; do
		finish "s$n"
		# shellcheck disable=SC2154 # finish sets them
		assert_equal "$status $output$stderr" "0 unix://$SOCKET" || return
	done
}

delete() {
	(cd "$BUNDLE" && exec "$SHIM_PROGRAM" -namespace "$TAG" -address "$T/containerd.sock" \
		-publish-binary /bin/true -id "$ID" -bundle "$BUNDLE" delete) </dev/null
}

# The DeleteResponse as "PID STATUS", and whether it has a time of the last minutes.
delete_says() {
	delete >"$T/response" 2>"$T/delete.err" || return
	/usr/bin/python3 - "$T/response" <<-'END'
		import sys, time
		sys.argv, data = sys.argv[:1], open(sys.argv[1], "rb").read()

		def fields(data):
		    at = 0
		    def take():
		        nonlocal at
		        n = shift = 0
		        while True:
		            byte = data[at]; at += 1
		            n |= (byte & 0x7f) << shift; shift += 7
		            if byte < 0x80:
		                return n
		    while at < len(data):
		        key = take(); n = take()
		        if key & 7 == 2:
		            yield key >> 3, data[at:at + n]; at += n
		        else:
		            yield key >> 3, n

		answer = dict(fields(data))
		seconds = dict(fields(answer[3])).get(1, 0)
		assert abs(time.time() - seconds) < 600, seconds
		print(answer.get(1, 0), answer.get(2, 0))
	END
}

call() {
	/usr/bin/python3 "$BATS_TEST_DIRNAME/task_call.py" "$SOCKET" "$@"
}

shim_pid() {
	jq .pid "$BUNDLE/shim.json"
}

kill_shim() {
	local pid

	pid=$(shim_pid)
	kill -KILL "$pid"
	wait_for 5 is_gone "$pid"
}

init_pid() {
	cat "$BUNDLE/init.pid"
}

run_container() { # ARGS as JSON
	edit_config "$BUNDLE" ".process.args = $1"
	start_here >/dev/null
	call create "$ID" "$BUNDLE" "" "" "" >/dev/null
	call start "$ID" "" >/dev/null
}

recorded() {
	[[ -s $BUNDLE/exits.jsonl ]] && jq -e 'select(.exec_id == "")' "$BUNDLE/exits.jsonl" >/dev/null
}

no_container() {
	[[ ! -e $RUNC_ROOT/$ID ]]
}

hanging_delete() {
	mkdir "$T/bin"
	printf '#!/bin/sh\nfor a; do [ "$a" != delete ] || exec sleep 60; done\nexec /usr/sbin/runc "$@"\n' >"$T/bin/runc"
	chmod 0755 "$T/bin/runc"
}

let_go() {
	rm "$T/bin/runc"
	ln -s /usr/sbin/runc "$T/bin/runc"
}

@test "start answers with the address alone; the shim keeps nothing of it" {
	local name out pid

	name=$(printf %s "$T/containerd.sock/$TAG/$ID" | sha256sum)
	out=$(start 2>&1)
	assert_equal "$out" "unix:///run/containerd/s/${name%% *}"
	assert_equal "$(cat "$BUNDLE/address")" "$out"
	SOCKET=${out#unix://}
	assert_equal "$(stat -c %a "$SOCKET")" 600
	pid=$(shim_pid)
	assert_equal "$(readlink "/proc/$pid/fd/0" "/proc/$pid/fd/1" "/proc/$pid/fd/2" | uniq -c | tr -s ' ')" \
		" 3 /dev/null"
	assert_equal "$(readlink "/proc/$pid/cwd")" /
	assert_match "$(tr '\0' ' ' <"/proc/$pid/cmdline")" "$NAME -namespace $TAG -id $ID "
	assert_equal "$(cut -d' ' -f6 "/proc/$pid/stat")" "$pid" # a session of its own
	assert_equal "$(cat "/proc/$pid/oom_score_adj")" $(($(cat /proc/self/oom_score_adj) + 1))
	call shutdown "$ID" ""
	wait_for 5 is_gone "$pid"
	assert [ ! -e "$SOCKET" ]
}

@test "a second start answers the first one's address; of twenty at once one makes a shim" {
	local pid

	assert_equal "$(start_here)" "unix://$SOCKET"
	pid=$(shim_pid)
	start_twenty
	assert_equal "$(shim_pid)" "$pid"
	kill_shim
	start_twenty
	assert_equal "$(pgrep -fc -- "-id $ID .* serve")" 1
	call shutdown "$ID" ""
}

@test "the name of the program is enough; -root is cleat's way all the same" {
	local copy=$T/containerd-shim-other-v2

	cp "$(readlink -f "$SHIM_PROGRAM")" "$copy"
	assert_equal "$(cd "$BUNDLE" && "$copy" -namespace "$TAG" -id "$ID" --socket="$SOCKET" start </dev/null)" \
		"unix://$SOCKET"
	assert [ -e "$BUNDLE/shim.json" ]
	call shutdown "$ID" ""
	assert_match "$("$copy" -root "$ROOT" -namespace default -id "$ID" start </dev/null)" "^unix://$ROOT/s/"
	cleat shim exit "$ID"
}

@test "garbage on stdin is an error, and no shim" {
	for input in 'x' '\x0a\xff' '\x0a\x03abc\x12' '\xff\xff\xff\xff' '\x08\x01'; do
		run bash -c "cd '$BUNDLE' && printf '$input' | '$SHIM_PROGRAM' -namespace $TAG -address x -id $ID \
			-socket $SOCKET start"
		assert_status 1
		assert_match "$output" "^cleat-shim: "
	done
	assert [ ! -e "$BUNDLE/shim.json" ]
	assert [ ! -e "$SOCKET" ]
	assert_equal "$(count_processes)" 0
}

# BootstrapParams for ID, or for another, as containerd 2.3 sends them; -debug is in them, too.
params() { # ID FOLDER
	/usr/bin/python3 - "$1" "$TAG" "$T/ttrpc.sock" "$T/containerd.sock" "$2" <<-'END'
		import sys

		def field(n, text):
		    return bytes([n << 3 | 2, len(text)]) + text.encode() if text else b""

		name, ns, ttrpc, grpc, folder = sys.argv[1:]
		level = bytes([3 << 3]) + b"\xfc" + b"\xff" * 8 + b"\x01"  # -4
		sys.stdout.buffer.write(field(1, name) + field(2, ns) + level + field(4, "v2.3.0")
		                        + field(5, ttrpc) + field(6, grpc) + field(9, folder))
	END
}

start_by_params() {
	(cd "$BUNDLE" && exec env -u TTRPC_ADDRESS -u GRPC_ADDRESS "$SHIM_PROGRAM" -namespace "$TAG" \
		-id "$ID" start) <"$T/params"
}

@test "BootstrapParams on stdin: a BootstrapResult, the socket in its folder, events to its address" {
	local name

	mkdir "$T/sockets"
	params "$ID" "$T/sockets" >"$T/params"
	start_by_params >"$T/result" 2>"$T/start.err"
	assert_equal "$(cat "$T/start.err")" ""
	name=$(printf %s "$T/containerd.sock/$TAG/$ID" | sha256sum)
	SOCKET=$T/sockets/${name%% *}
	assert [ -S "$SOCKET" ]
	# version 2, address, protocol
	printf '\010\002\022%b%s\032\005ttrpc' "\\0$(printf %o $((7 + ${#SOCKET})))" "unix://$SOCKET" >"$T/wanted"
	assert cmp "$T/wanted" "$T/result"
	assert_equal "$(cat "$BUNDLE/address")" "unix://$SOCKET"
	assert_match "$(tr '\0' ' ' <"/proc/$(shim_pid)/cmdline")" " -ttrpc-address $T/ttrpc.sock -debug=true "
	# a second start finds it, and speaks the same dialect
	start_by_params >"$T/again"
	assert cmp "$T/wanted" "$T/again"
	call shutdown "$ID" ""
}

@test "BootstrapParams of another container are refused, and there is no shim" {
	params other "$T" >"$T/params"
	run start_by_params
	assert_equal "$status $output" "1 cleat-shim: stdin is for container \"other\" in namespace \"$TAG\", but \
-id and -namespace are \"$ID\" and \"$TAG\""
	assert [ ! -e "$BUNDLE/shim.json" ]
	assert_equal "$(count_processes)" 0
}

@test "what no flag says is taken from the environment" {
	local name out

	name=$(printf %s "$T/containerd.sock/$TAG/$ID" | sha256sum)
	out=$(cd "$BUNDLE" && NAMESPACE=$TAG GRPC_ADDRESS=$T/containerd.sock TTRPC_ADDRESS=$T/ttrpc.sock \
		MAX_SHIM_VERSION=3 SCHED_CORE=1 "$SHIM_PROGRAM" -id "$ID" start 2>&1 </dev/null)
	assert_equal "$out" "unix:///run/containerd/s/${name%% *}"
	SOCKET=${out#unix://}
	assert_match "$(tr '\0' ' ' <"/proc/$(shim_pid)/cmdline")" \
		" -namespace $TAG -id $ID .* -ttrpc-address $T/ttrpc.sock "
	call shutdown "$ID" ""
}

# The cookie of core scheduling that a process has: prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET).
core_of() { # PID
	/usr/bin/python3 - "$1" <<-'END'
		import ctypes, sys

		cookie = ctypes.c_uint64()
		if ctypes.CDLL(None).prctl(62, 0, int(sys.argv[1]), 0, ctypes.byref(cookie)) != 0:
		    sys.exit(1)
		print(cookie.value)
	END
}

@test "SCHED_CORE asks the kernel for a core's cookie; where there is none the log says so" {
	local log own

	mkfifo "$BUNDLE/log"
	exec {log}<>"$BUNDLE/log"
	start_here >/dev/null
	own=$(core_of "$(shim_pid)") && assert_equal "$own" "$(core_of $$)"
	call shutdown "$ID" ""
	wait_for 5 test ! -e "$SOCKET"
	SCHED_CORE=1 start_here >/dev/null
	if own=$(core_of "$(shim_pid)"); then
		assert_match "$own" '^[1-9][0-9]*$'
	else
		read -r -t 5 -u "$log" line
		assert_match "$line" 'level=warning msg="no core of its own for this container" error='
	fi
	exec {log}>&-
	call shutdown "$ID" ""
}

# An Any of runc's options with that shim_cgroup.
start_in_cgroup() { # PATH
	/usr/bin/python3 - "$1" >"$T/options" <<-'END'
		import sys

		def field(n, data):
		    return bytes([n << 3 | 2, len(data)]) + data

		sys.stdout.buffer.write(field(1, b"containerd.runc.v1.Options")
		                        + field(2, field(3, sys.argv[1].encode())))
	END
	run bash -c "cd '$BUNDLE' && exec '$SHIM_PROGRAM' -namespace $TAG -address x -id $ID \
		-socket $SOCKET start <'$T/options'"
}

@test "a shim goes into the cgroup that runc's options name, or there is none" {
	local parent

	start_in_cgroup "/$TAG-shims"
	assert_status 1
	assert_match "$output" "$TAG-shims"
	assert [ ! -e "$SOCKET" ]
	assert_equal "$(count_processes)" 0
	for parent in /sys/fs/cgroup /sys/fs/cgroup/pids; do
		[[ -e $parent/cgroup.procs ]] && mkdir "$parent/$TAG-shims" && break
	done
	start_in_cgroup "/$TAG-shims"
	assert_equal "$status $output" "0 unix://$SOCKET"
	assert_equal "$(cat "$parent/$TAG-shims/cgroup.procs")" "$(shim_pid)"
	call shutdown "$ID" ""
	wait_for 5 rmdir "$parent/$TAG-shims" 2>/dev/null
}

# An Any of generic options, as containerd's CRI hands them to what is not its own runtime.
generic() { # PATH BODY
	/usr/bin/python3 - "$1" "$2" <<-'END'
		import sys

		def field(n, data):
		    return bytes([n << 3 | 2, len(data)]) + data if data else b""

		options = field(2, sys.argv[1].encode()) + field(3, sys.argv[2].encode())
		sys.stdout.buffer.write(field(1, b"runtimeoptions.v1.Options") + field(2, options))
	END
}

start_with() { # PATH BODY
	generic "$1" "$2" >"$T/options"
	run bash -c "cd '$BUNDLE' && exec '$SHIM_PROGRAM' -namespace $TAG -address x -id $ID \
		-socket $SOCKET start <'$T/options'"
}

@test "each set of options in README.md is taken, by its path and as a body" {
	local sets set

	mapfile -t sets < <(grep '^{"kind": ' "$BATS_TEST_DIRNAME/../../README.md")
	assert [ "${#sets[@]}" -eq 3 ]
	for set in "${sets[@]}"; do
		echo "$set" >"$T/set.json"
		start_with "$T/set.json" ""
		assert_equal "$status $output" "0 unix://$SOCKET"
		call shutdown "$ID" ""
		start_with "" "$set"
		assert_equal "$status $output" "0 unix://$SOCKET"
		call shutdown "$ID" ""
	done
}

@test "a body in TOML is refused with its line, as README.md says, and there is no shim" {
	start_with "" $'SystemdCgroup = true\n'
	assert_equal "$status $output" "1 cleat-shim: config_body:1: '[' or '{' expected near 'SystemdCgroup'"
	assert grep -q "SystemdCgroup = true" "$BATS_TEST_DIRNAME/../../README.md"
	start_with "" $'\n\nBinaryName = "crun"\n'
	assert_equal "$status $output" "1 cleat-shim: config_body:3: '[' or '{' expected near 'BinaryName'"
	assert [ ! -e "$SOCKET" ]
	assert [ ! -e "$BUNDLE/shim.json" ]
	assert_equal "$(count_processes)" 0
}

@test "what is no socket is not removed; a bundle that is none is an error" {
	mkdir -p "$T/s"
	echo precious >"$SOCKET"
	run start_here
	assert_status 17
	assert_match "$output" "$SOCKET is there, and no socket"
	assert_equal "$(cat "$SOCKET")" precious
	run "$SHIM_PROGRAM" -namespace "$TAG" -id "../x" start </dev/null
	assert_status 1
	assert_match "$output" "container id"
	run "$SHIM_PROGRAM" -namespace "$TAG" -id "$ID" -bundle "$T/none" delete </dev/null
	assert_status 1
	assert_match "$output" "bundle $T/none"
}

@test "a shim in a bundle whose socket is gone is not joined by another" {
	start_here >/dev/null
	run start -socket "$T/s/other.sock"
	assert_status 17
	assert_match "$output" "container $ID: its shim is alive"
	call shutdown "$ID" ""
}

@test "the shim of a bundle that is gone is not taken for the new one's" {
	local pid

	run_container '["/bin/tool", "exit", "3"]'
	wait_for 10 recorded
	pid=$(shim_pid)
	call delete "$ID" "" >/dev/null
	mv "$BUNDLE" "$T/former"
	make_bundle "$BUNDLE"
	run start_here
	assert_status 1
	assert_match "$output" "container $ID: the shim of another bundle still serves $SOCKET"
	assert [ ! -e "$BUNDLE/address" ]
	call shutdown "$ID" ""
	wait_for 5 is_gone "$pid"
	assert_equal "$(start_here)" "unix://$SOCKET"
	call shutdown "$ID" ""
}

@test "the log is containerd's FIFO: its lines, and never a wait" {
	local fifo=$BUNDLE/log init pid

	mkfifo "$fifo"
	exec {log}<>"$fifo"
	start_here -debug >/dev/null
	pid=$(shim_pid)
	call create "$ID" "$BUNDLE" "" "" "" >/dev/null
	read -r -t 5 -u "$log" line
	assert_match "$line" '^time="[0-9T:.Z-]+" level=[a-z]+ msg="'
	# nobody reads on: it fills up, and is made small for that
	python3 -c 'import fcntl, sys; fcntl.fcntl(int(sys.argv[1]), 1031, 4096)' "$log" # F_SETPIPE_SZ
	call start "$ID" "" >/dev/null
	for n in {1..40}; do
		call exec "$ID" "e$n" "" "" "" true >/dev/null
		call delete "$ID" "e$n" >/dev/null
	done
	assert_match "$(call start "$ID" none 2>&1)" "not"
	cat <&"$log" >"$T/lines" &
	wait_for 10 test -s "$T/lines"
	kill $!
	exec {log}>&-
	init=$(init_pid)
	assert_equal "$(delete_says)" "$init 137"
	wait_for 5 is_gone "$pid"
}

@test "delete tells 7 of a shim that was killed after it had reaped its init" {
	local pid

	run_container '["/bin/tool", "exit", "7"]'
	wait_for 10 recorded
	pid=$(init_pid)
	kill_shim
	assert_equal "$(delete_says)" "$pid 7"
	assert no_container
	assert [ ! -e "$SOCKET" ]
	# and again
	assert_equal "$(delete_says)" "$pid 7"
	assert_equal "$(cat "$T/delete.err")" ""
}

@test "delete ends what runs on without its shim, and says what it ended of" {
	local pid

	run_container '["/bin/tool", "pause"]'
	pid=$(init_pid)
	kill_shim
	assert_equal "$(delete_says)" "$pid 137"
	wait_for 5 is_gone "$pid"
	assert no_container
	assert_equal "$(delete_says)" "$pid 137"
}

@test "delete ends a paused one without its shim" {
	local pid

	run_container '["/bin/tool", "pause"]'
	pid=$(init_pid)
	runc --root "$RUNC_ROOT" pause "$ID"
	kill_shim
	assert_match "$(delete_says)" "^$pid (137|255)$"
	wait_for 5 is_gone "$pid"
	assert no_container
}

@test "delete of a shim that does not answer: it is killed, and the exit told" {
	local pid shim

	run_container '["/bin/tool", "pause"]'
	pid=$(init_pid) shim=$(shim_pid)
	kill -STOP "$shim"
	assert_equal "$(delete_says)" "$pid 137"
	wait_for 5 is_gone "$shim"
	wait_for 5 is_gone "$pid"
	assert no_container
}

@test "delete after Shutdown has nothing to do, and says nothing on stderr" {
	local pid shim

	run_container '["/bin/tool", "exit", "9"]'
	wait_for 10 recorded
	pid=$(init_pid) shim=$(shim_pid)
	call delete "$ID" "" >/dev/null
	call shutdown "$ID" ""
	assert_equal "$(delete_says)" "$pid 9"
	assert_equal "$(cat "$T/delete.err")" ""
	wait_for 5 is_gone "$shim"
	assert_equal "$(delete_says)" "$pid 9"
	assert_equal "$(cd "$BUNDLE" && echo *)" "address config.json exits.jsonl lock log options.json rootfs runtime"
}

@test "delete where nothing was ever created" {
	local pid

	assert_equal "$(delete_says)" "0 255"
	start_here >/dev/null
	pid=$(shim_pid)
	assert_equal "$(delete_says)" "0 255"
	call shutdown "$ID" ""
	wait_for 5 is_gone "$pid"
	assert_equal "$(delete_says)" "0 255"
}

@test "delete is done within 4 s though the runtime hangs: what is known is told" {
	local before pid

	hanging_delete
	PATH=$T/bin:$PATH run_container '["/bin/tool", "exit", "7"]'
	wait_for 10 recorded
	pid=$(init_pid)
	kill_shim
	before=${EPOCHREALTIME/./}
	assert_equal "$(delete_says)" "$pid 7"
	assert [ $((${EPOCHREALTIME/./} - before)) -lt 4000000 ]
	assert_match "$(cat "$T/delete.err")" "container $ID: what is left of it was not removed in 3200 ms"
	assert_equal "$(count_processes)" 0 # the runtime that hung went with it
	# once it does not hang any more the rest is done
	let_go
	assert_equal "$(delete_says)" "$pid 7"
	assert_equal "$(cat "$T/delete.err")" ""
	assert no_container
}

@test "what delete ended itself is told, though the runtime hangs then" {
	local pid

	hanging_delete
	PATH=$T/bin:$PATH run_container '["/bin/tool", "pause"]'
	pid=$(init_pid)
	kill_shim
	assert_equal "$(delete_says)" "$pid 137"
	assert_match "$(cat "$T/delete.err")" "was not removed in 3200 ms"
	let_go
	assert_equal "$(delete_says)" "$pid 137"
	assert no_container
}

@test "delete that can neither remove it nor knows its exit fails by name, in time" {
	local before pid

	hanging_delete
	PATH=$T/bin:$PATH run_container '["/bin/tool", "pause"]'
	pid=$(init_pid)
	kill_shim
	kill -KILL "$pid"
	wait_for 10 is_gone "$pid"
	before=${EPOCHREALTIME/./}
	run delete
	assert_status 1
	assert [ $((${EPOCHREALTIME/./} - before)) -lt 4000000 ]
	assert_match "$output" "container $ID was not removed"
	let_go
	delete >/dev/null
	assert no_container
}

@test "the socket of a shim that was killed before it had a container goes too" {
	start_here >/dev/null
	assert_equal "$(delete_says)" "0 255"
	assert [ -e "$SOCKET" ] # its shim is alive
	kill_shim
	assert_equal "$(delete_says)" "0 255"
	assert [ ! -e "$SOCKET" ]
}

@test "a state.json that is broken does not keep delete from it" {
	local pid

	mv "$BUNDLE/rootfs" "$T/lower"
	mkdir "$BUNDLE/rootfs"
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "pause"]'
	start_here >/dev/null
	call create-on "$T/lower" "$ID" "$BUNDLE" "" "" "" >/dev/null
	call start "$ID" "" >/dev/null
	pid=$(init_pid)
	kill_shim
	truncate -s 100 "$BUNDLE/state.json"
	assert_equal "$(delete_says)" "0 255"
	assert_match "$(cat "$T/delete.err")" "state.json"
	wait_for 5 is_gone "$pid"
	assert no_container
	assert_equal "$(test_mounts)" ""
}

@test "what Create has mounted is unmounted by delete, by a program that is alone in its folder" {
	local copy=$T/alone/shim

	mkdir -p "$T/alone" "$BUNDLE/rootfs2"
	cp "$(readlink -f "$SHIM_PROGRAM")" "$copy"
	SHIM_PROGRAM=$copy
	mv "$BUNDLE/rootfs" "$T/lower"
	mkdir "$BUNDLE/rootfs"
	start_here >/dev/null
	call create-on "$T/lower" "$ID" "$BUNDLE" "" "" "" >/dev/null
	call start "$ID" "" >/dev/null
	assert grep -q " $BUNDLE/rootfs " /proc/self/mountinfo
	kill_shim
	assert_match "$(delete_says)" " 137$"
	assert_equal "$(test_mounts)" ""
	assert [ -e "$T/lower/bin/tool" ]
}
